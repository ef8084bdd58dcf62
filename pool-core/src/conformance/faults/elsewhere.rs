//! Faults where no task runs, or more goes on than a task.

use std::cell::RefCell;
use std::path::Path;
use std::process;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::super::gate::{Gate, hold, note};
use super::super::proc::{Thread, threads_of, wait_until_gone};
use super::super::tasks::add;
use super::super::{Need, PATIENCE, Subject, outcome, until};
use super::{EVER, Fault, SHORT, Site, assert_fate, assert_works, fate, goes_wrong};
use crate::error::pool_error::Error;
use crate::pool_task;
use crate::task::TaskExt;

/// It goes wrong in every worker before anything else.
#[pool_task(crate = crate)]
fn starts_wrong(folder: &Path, fault: u8) -> Result<(), String> {
    note(folder, 0);
    Ok(Fault::ALL[usize::from(fault)].happens()?)
}

fn initializer(subject: &Subject, fault: Fault) {
    let gate = Gate::new();
    let limit = match fault {
        Fault::Hang => SHORT,
        _ => EVER,
    };
    let task = starts_wrong::task(gate.folder(), fault as u8).timeout(limit);
    let why = match fault.end() {
        _ if fault == Fault::Hang => "timed out",
        None => "it went wrong",
        // It may be killed before the other program has ended.
        _ if fault == Fault::Exec => "ended before it ran a task",
        Some((_, Some(0))) => "exit code 0",
        Some((_, Some(_))) => "exit code 42",
        Some((Some(Signal::ABORT), _)) => "SIGABRT",
        Some((Some(Signal::SEGV), _)) => "SIGSEGV",
        Some(_) => "SIGKILL",
    };
    match subject.build(subject.builder().initializer(task)) {
        Ok(pool) => {
            let handles: Vec<_> = (0..10).map(|i| pool.submit(add::task(i, 1))).collect();
            for handle in handles {
                let error = fate(handle).unwrap_err();
                assert!(error.is_rejected(), "{error}");
                assert!(error.to_string().contains(why), "{error}");
            }
        }
        // A death before every worker has said hello is one at the start.
        Err(error) => {
            assert!(fault.end().is_some(), "{error}");
            assert!(matches!(error, Error::WorkerStart { .. }), "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
    assert!(!gate.starts().is_empty());
    if subject.has(Need::Queue) {
        wait_until_gone(&threads_of(&gate.starts()));
    }
}

/// It goes wrong in a thread that a task has left behind, while its worker has nothing to do.
#[pool_task(crate = crate)]
fn leaves_a_thread(folder: &Path, fault: u8) -> u32 {
    let folder = folder.to_owned();
    thread::spawn(move || {
        hold(&folder, 1);
        Fault::ALL[usize::from(fault)].happens()
    });
    process::id()
}

fn idle(subject: &Subject, fault: Fault) {
    let pool = subject.pool_of(1);
    for _ in 0..3 {
        let gate = Gate::new();
        let worker = outcome(pool.submit(leaves_a_thread::task(gate.folder(), fault as u8)));
        let main = Thread::main_of(worker.unwrap()).expect("it runs");
        let _ = gate.wait_for(1);
        gate.open();
        if fault.end().is_some() {
            wait_until_gone(std::slice::from_ref(&main));
        } else {
            let threads = threads_of(&[gate.wait_for(1)]);
            wait_until_gone(&threads);
            assert!(main.lives(), "a panic of a thread is that thread's");
        }
        // Whether that was noticed or not.
        assert_works(&pool);
    }
}

/// While others wait in a shutdown for it.
fn shutdown(subject: &Subject, fault: Fault) {
    let gate = Gate::new();
    let pool = subject.pool();
    let limit = match fault {
        // Long enough that it has begun to hang.
        Fault::Hang => Duration::from_secs(1),
        _ => EVER,
    };
    let wrong = [1, 2].map(|number| {
        let task = holds_then_goes_wrong::task(gate.folder(), number, fault as u8);
        pool.submit(task.timeout(limit))
    });
    gate.wait_for_starts(2);
    let queued: Vec<_> = (0..20).map(|i| pool.submit(add::task(i, 1))).collect();
    let (tell, closed) = mpsc::channel();
    let closing = pool.clone();
    thread::spawn(move || {
        closing.shutdown();
        let _ = tell.send(());
    });
    until("it is closed", || {
        let outcome = pool.submit(add::task(1, 1)).try_join();
        outcome.is_some_and(|outcome| outcome.is_err_and(|error| error.is_rejected()))
    });
    gate.open();
    for handle in wrong {
        assert_fate(fate(handle), Site::Body, fault);
    }
    for (i, handle) in (0..).zip(queued) {
        assert_eq!(outcome(handle).unwrap(), i + 1);
    }
    assert_eq!(closed.recv_timeout(PATIENCE), Ok(()));
    wait_until_gone(&threads_of(&gate.starts()));
}

/// It goes wrong behind the gate.
#[pool_task(crate = crate)]
fn holds_then_goes_wrong(folder: &Path, number: u32, fault: u8) -> Result<u32, String> {
    hold(folder, number);
    goes_wrong(fault)
}

/// While the number of workers changes.
fn resize(subject: &Subject, fault: Fault) {
    for (from, to) in [(1, 3), (3, 1)] {
        let gate = Gate::new();
        let pool = subject.pool_of(from);
        let limit = match fault {
            Fault::Hang => Duration::from_secs(1),
            _ => EVER,
        };
        let task = holds_then_goes_wrong::task(gate.folder(), 1, fault as u8);
        let wrong = pool.submit(task.timeout(limit));
        let _ = gate.wait_for(1);
        let others: Vec<_> = (0..50).map(|i| pool.submit(add::task(i, 1))).collect();
        pool.resize(to).unwrap();
        gate.open();
        assert_fate(fate(wrong), Site::Body, fault);
        for (i, handle) in (0..).zip(others) {
            assert_eq!(outcome(handle).unwrap(), i + 1);
        }
        assert_eq!(pool.workers(), to);
        assert_works(&pool);
    }
}

thread_local! {
    /// What goes wrong as the thread of a worker ends.
    static AT_THE_END: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
}

struct AtTheEnd(Fault);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        let _ = self.0.happens();
    }
}

#[pool_task(crate = crate)]
fn ends_wrong(folder: &Path, fault: u8) {
    note(folder, 1);
    let fault = Fault::ALL[usize::from(fault)];
    AT_THE_END.with_borrow_mut(|end| *end = Some(AtTheEnd(fault)));
}

fn end(subject: &Subject, fault: Fault) {
    for kills in [false, true] {
        let gate = Gate::new();
        let pool = subject.pool_of(1);
        outcome(pool.submit(ends_wrong::task(gate.folder(), fault as u8))).unwrap();
        assert_works(&pool);
        let worker = threads_of(&gate.starts());
        assert_eq!(worker.len(), 1);
        match kills {
            true => pool.kill(),
            false => pool.shutdown(),
        }
        drop(pool);
        wait_until_gone(&worker);
    }
}

macro_rules! elsewhere {
    ($($name:ident: $site:ident $fault:ident;)+) => {$(
        pub(in super::super) fn $name(subject: &Subject) {
            $site(subject, Fault::$fault);
        }
    )+};
}

elsewhere! {
    fault_init_error: initializer Error;
    fault_init_panic: initializer Panic;
    fault_init_second_panic: initializer SecondPanic;
    fault_init_exit_0: initializer Exit0;
    fault_init_exit_42: initializer Exit42;
    fault_init_exec: initializer Exec;
    fault_init_abort: initializer Abort;
    fault_init_segv: initializer Segv;
    fault_init_overflow: initializer Overflow;
    fault_init_kill: initializer Kill;
    fault_init_hang: initializer Hang;
    fault_idle_panic: idle Panic;
    fault_idle_exit_0: idle Exit0;
    fault_idle_exit_42: idle Exit42;
    fault_idle_abort: idle Abort;
    fault_idle_segv: idle Segv;
    fault_idle_overflow: idle Overflow;
    fault_idle_kill: idle Kill;
    fault_shutdown_panic: shutdown Panic;
    fault_shutdown_exit_0: shutdown Exit0;
    fault_shutdown_abort: shutdown Abort;
    fault_shutdown_segv: shutdown Segv;
    fault_shutdown_kill: shutdown Kill;
    fault_shutdown_hang: shutdown Hang;
    fault_resize_panic: resize Panic;
    fault_resize_exit_0: resize Exit0;
    fault_resize_abort: resize Abort;
    fault_resize_kill: resize Kill;
    fault_resize_hang: resize Hang;
    fault_end_panic: end Panic;
    fault_end_exit_42: end Exit42;
    fault_end_abort: end Abort;
    fault_end_kill: end Kill;
    fault_end_hang: end Hang;
}
