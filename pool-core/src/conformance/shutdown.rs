//! The end of a pool.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::gate::{Gate, hold_then_note, never, note, pass};
use super::proc::{self, Thread, descendants_of, threads_of, wait_until_gone};
use super::tasks::{Fussy, add, gives, place, takes};
use super::{Need, PATIENCE, Subject, outcome, program, until};
use crate::api::handle::JoinHandle;
use crate::api::pool::Pool;
use crate::error::backend::Backend;
use crate::error::task_error::TaskErrorKind;
use crate::pool_task;

/// Keeps all workers busy for a moment; returns where they are.
#[track_caller]
fn workers_of(pool: &Pool) -> Vec<Thread> {
    let gate = Gate::new();
    let numbers = 0..pool.workers() as u32;
    let handles: Vec<_> = numbers
        .map(|number| pool.submit(gate.hold(number)))
        .collect();
    gate.wait_for_starts(handles.len());
    let threads = threads_of(&gate.starts());
    assert_eq!(threads.len(), handles.len());
    gate.open();
    for handle in handles {
        outcome(handle).unwrap();
    }
    threads
}

/// Runs it in a thread of its own, and waits until that sleeps in it.
fn start_waiting(wait: impl FnOnce() + Send + 'static) -> mpsc::Receiver<()> {
    let (tell, thread) = mpsc::channel();
    let (send, done) = mpsc::channel();
    thread::spawn(move || {
        tell.send(Thread::current()).unwrap();
        wait();
        let _ = send.send(());
    });
    let thread = thread.recv().unwrap();
    until("it waits", || thread.sleeps());
    done
}

pub(super) fn shut_1(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool();
    let handles: Vec<_> = (0..50)
        .map(|number| pool.submit(gate.pass(number)))
        .collect();
    pool.shutdown();
    assert_eq!(gate.starts().len(), 50);
    for (number, handle) in (0..).zip(handles) {
        assert_eq!(handle.try_join().expect("it is done").unwrap(), number);
    }
}

pub(super) fn shut_2(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool();
    let running = [0, 1].map(|number| pool.submit(gate.hold(number)));
    gate.wait_for_starts(2);
    let queued: Vec<_> = (2..50)
        .map(|number| pool.submit(gate.pass(number)))
        .collect();
    let closing = pool.clone();
    let (send, closed) = mpsc::channel();
    let closer = thread::spawn(move || send.send(closing.shutdown_timeout(PATIENCE)).unwrap());
    // Before the running ones go on.
    for handle in queued {
        let error = outcome(handle).unwrap_err();
        assert!(error.is_cancelled(), "{error}");
    }
    assert!(
        outcome(pool.submit(gate.pass(50)))
            .unwrap_err()
            .is_rejected()
    );
    assert!(closed.try_recv().is_err(), "it waits");
    gate.open();
    for (number, handle) in (0..).zip(running) {
        assert_eq!(outcome(handle).unwrap(), number);
    }
    assert_eq!(
        closed.recv_timeout(PATIENCE),
        Ok(true),
        "nothing was killed"
    );
    closer.join().unwrap();
    assert_eq!(gate.starts().len(), 2, "none of the queued ones has run");
}

pub(super) fn shut_4(subject: &Subject) {
    let pool = subject.pool_of(3);
    let workers = match subject.has(Need::Queue) {
        true => workers_of(&pool),
        false => Vec::new(),
    };
    let mut map = pool.map((0..500).map(|i| add::task(i, 1)));
    assert_eq!(map.next().unwrap().unwrap(), 1);
    drop(pool);
    assert!(workers.iter().all(Thread::lives), "the map has the pool");
    for expected in 2..=500 {
        assert_eq!(map.next().unwrap().unwrap(), expected);
    }
    drop(map);
    wait_until_gone(&workers);
}

pub(super) fn shut_5(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    let workers = workers_of(&pool);
    drop(pool.submit(gate.hold(0)));
    let _ = gate.wait_for(0);
    for number in 1..50 {
        drop(pool.submit(gate.pass(number)));
    }
    let dropped = start_waiting(move || drop(pool));
    assert_eq!(gate.numbers(), [0]);
    gate.open();
    assert_eq!(dropped.recv_timeout(PATIENCE), Ok(()));
    assert_eq!(gate.numbers(), (0..50).collect::<Vec<_>>());
    wait_until_gone(&workers);
}

pub(super) fn shut_6(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    let dies = pool.submit(gate.hold_then_abort(1));
    let _ = gate.wait_for(1);
    let queued: Vec<_> = (2..10)
        .map(|number| pool.submit(gate.pass(number)))
        .collect();
    let dropped = start_waiting(move || drop(pool));
    gate.open();
    let error = outcome(dies).unwrap_err();
    assert!(error.is_worker_lost(), "{error}");
    for (number, handle) in (2..).zip(queued) {
        assert_eq!(outcome(handle).unwrap(), number);
    }
    assert_eq!(dropped.recv_timeout(PATIENCE), Ok(()));
    wait_until_gone(&threads_of(&gate.starts()));
}

pub(super) fn shut_8(subject: &Subject) {
    for tasks in [3_i64, 129, 1_001] {
        let pool = subject.pool();
        let handles: Vec<_> = (0..tasks).map(|i| pool.submit(add::task(i, 1))).collect();
        // Lazy: what it has not read by then comes too late.
        let mut map = pool.map((0..tasks).map(|i| add::task(i, 2)));
        assert_eq!(map.next().unwrap().unwrap(), 2);
        pool.shutdown();
        for (i, handle) in (0..).zip(handles) {
            assert_eq!(handle.try_join().expect("it is done").unwrap(), i + 1);
        }
        let mut count = 1;
        for (i, outcome) in (1..).zip(map) {
            match outcome {
                Ok(sum) => assert_eq!(sum, i + 2),
                Err(error) => assert!(error.is_rejected(), "{error}"),
            }
            count += 1;
        }
        assert_eq!(count, tasks);
    }
}

/// Waits until the pool is closed by somebody who waits in `shutdown`.
#[track_caller]
fn until_closed(pool: &Pool) {
    until("the pool is closed", || {
        let outcome = pool.submit(add::task(1, 1)).try_join();
        outcome.is_some_and(|outcome| outcome.is_err_and(|error| error.is_rejected()))
    });
}

pub(super) fn shut_9(subject: &Subject) {
    for _ in 0..5 {
        let gate = Gate::new();
        let pool = subject.pool();
        let dies = [1, 2].map(|number| pool.submit(gate.hold_then_abort(number)));
        gate.wait_for_starts(2);
        let queued: Vec<_> = (0..20).map(|i| pool.submit(add::task(i, 1))).collect();
        let closing = pool.clone();
        let closed = start_waiting(move || closing.shutdown());
        until_closed(&pool);
        gate.open();
        for handle in dies {
            let error = outcome(handle).unwrap_err();
            assert!(error.is_worker_lost(), "{error}");
        }
        for (i, handle) in (0..).zip(queued) {
            assert_eq!(outcome(handle).unwrap(), i + 1);
        }
        assert_eq!(closed.recv_timeout(PATIENCE), Ok(()));
        wait_until_gone(&threads_of(&gate.starts()));
    }
}

pub(super) fn shut_10(subject: &Subject) {
    for _ in 0..5 {
        for mode in Fussy::ALL {
            let pool = subject.pool();
            let workers = workers_of(&pool);
            let taken = pool.submit(takes::task(mode));
            let given = pool.submit(gives::task(mode as u8));
            match mode {
                Fussy::EncodeError | Fussy::DecodePanic => pool.shutdown(),
                _ => drop(pool),
            }
            let kind = match mode {
                Fussy::EncodeError | Fussy::EncodePanic => TaskErrorKind::Encode,
                _ => TaskErrorKind::Decode,
            };
            assert_eq!(outcome(taken).unwrap_err().kind(), kind, "{mode:?}");
            assert_eq!(outcome(given).unwrap_err().kind(), kind, "{mode:?}");
            wait_until_gone(&workers);
        }
    }
}

pub(super) fn shut_11(subject: &Subject) {
    let program = program::start(subject, "SHUT-11", |folder| {
        // However slow the machine is, the pool says nothing of it.
        let pool = subject.build(subject.builder().warn_after(None)).unwrap();
        for number in 0..50 {
            drop(pool.submit(pass::task(folder, number)));
        }
    });
    let ended = program.end();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.err, "");
    assert_eq!(ended.starts.len(), 50, "{ended:?}");
}

pub(super) fn shut_12(subject: &Subject) {
    const WORKERS: u32 = 5;
    let gate = Gate::new();
    let pool = subject.pool_of(WORKERS as usize);
    // One that does not listen where that can be stopped.
    let busy = |number| match subject.has(Need::Stop) {
        true => kind_of(pool.submit(gate.never(number))),
        false => kind_of(pool.submit(gate.hold_or_stop(number))),
    };
    let busy: Vec<_> = (0..WORKERS).map(busy).collect();
    gate.wait_for_starts(WORKERS as usize);
    let workers = threads_of(&gate.starts());
    let queued: Vec<_> = (0..20).map(|_| pool.submit(gate.pass(100))).collect();
    pool.kill();
    for handle in queued {
        let error = handle.try_join().expect("it has an outcome").unwrap_err();
        assert!(error.is_cancelled(), "{error}");
    }
    for kind in busy {
        assert_eq!(kind(), Some(TaskErrorKind::Cancelled));
    }
    wait_until_gone(&workers);
    assert!(!gate.numbers().contains(&100), "a queued one has run");
    assert!(
        outcome(pool.submit(gate.pass(100)))
            .unwrap_err()
            .is_rejected()
    );
}

/// Asks a handle of any type.
fn kind_of<T: 'static>(handle: JoinHandle<T>) -> Box<dyn FnOnce() -> Option<TaskErrorKind>> {
    Box::new(|| outcome(handle).err().map(|error| error.kind()))
}

pub(super) fn shut_13(subject: &Subject) {
    // Nobody has used it.
    let pool = subject.pool();
    pool.kill();
    pool.kill();
    assert!(
        outcome(pool.submit(add::task(1, 1)))
            .unwrap_err()
            .is_rejected()
    );
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    let running = match subject.has(Need::Stop) {
        true => kind_of(pool.submit(hold_then_note::task(gate.folder(), 1))),
        false => kind_of(pool.submit(gate.hold_or_stop(1))),
    };
    let _ = gate.wait_for(1);
    let workers = threads_of(&gate.starts());
    for _ in 0..3 {
        pool.kill();
        assert!(
            outcome(pool.submit(gate.pass(2)))
                .unwrap_err()
                .is_rejected()
        );
    }
    pool.shutdown();
    assert_eq!(running(), Some(TaskErrorKind::Cancelled));
    wait_until_gone(&workers);
    gate.open();
    assert_eq!(gate.numbers(), [1]);
}

/// A program that the worker starts, and a pool in it, and so on; at the bottom no end.
#[pool_task(crate = crate)]
#[allow(clippy::zombie_processes)] // Nobody is to wait for it: that is the test.
fn dives(folder: &Path, depth: u32) {
    let mut sleep = Command::new("sleep");
    sleep.arg("600").stdin(Stdio::null()).spawn().unwrap();
    if depth == 0 {
        never(folder, depth);
    }
    note(folder, depth);
    let pool = Pool::builder().backend(Backend::Processes).workers(1);
    let pool = pool.build().unwrap();
    pool.submit(dives::task(folder, depth - 1)).join().unwrap();
}

pub(super) fn shut_15(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    let handle = pool.submit(dives::task(gate.folder(), 2));
    let top = gate.wait_for(2);
    let _ = gate.wait_for(0);
    let mut all = descendants_of(top.pid);
    assert_eq!(
        all.len(),
        5,
        "two workers below the first, and a program of each"
    );
    all.extend(Thread::main_of(top.pid));
    pool.kill();
    wait_until_gone(&all);
    assert!(outcome(handle).unwrap_err().is_cancelled());
}

pub(super) fn shut_16(subject: &Subject) {
    let program = program::start(subject, "SHUT-16", |folder| {
        let pool = subject.pool();
        let handles = [0, 1].map(|number| pool.submit(never::task(folder, number)));
        for handle in handles {
            let _ = handle.join();
        }
    });
    until("its workers are busy", || program.starts().len() == 2);
    let workers = threads_of(&program.starts());
    assert!(workers.len() == 2 && workers.iter().all(Thread::lives));
    proc::kill(program.pid());
    assert_eq!(program.end().status.signal(), Some(9));
    wait_until_gone(&workers);
}

pub(super) fn shut_19(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    let long = pool.submit(gate.hold(1));
    let queued = pool.submit(gate.pass(2));
    let _ = gate.wait_for(1);
    for limit in [Duration::ZERO, Duration::from_millis(5)] {
        assert!(long.join_timeout(limit).is_none());
        assert!(queued.join_timeout(limit).is_none());
    }
    assert!(long.is_running(), "it goes on");
    gate.open();
    assert_eq!(outcome(long).unwrap(), 1);
    assert_eq!(outcome(queued).unwrap(), 2);
    // The pool as a whole.
    let gate = Gate::new();
    let long = pool.submit(gate.hold_or_stop(3));
    let _ = gate.wait_for(3);
    assert!(
        !pool.shutdown_timeout(Duration::from_millis(5)),
        "it was killed"
    );
    assert!(outcome(long).unwrap_err().is_cancelled());
}

pub(super) fn shut_20(subject: &Subject) {
    // More than a worker takes ahead.
    const QUEUED: u32 = 300;
    for kills in [false, true] {
        let (gate, later) = (Gate::new(), Gate::new());
        let pool = subject.pool_of(1);
        let first = pool.submit(gate.hold(0));
        let _ = gate.wait_for(0);
        // However late the callback comes: the others are not done before a kill.
        let mut queued = vec![pool.submit(later.hold(1))];
        queued.extend((2..=QUEUED).map(|number| pool.submit(gate.pass(number))));
        let (send, ended) = mpsc::channel();
        let ending = pool.clone();
        first.on_finish(move || {
            match kills {
                true => ending.kill(),
                false => ending.shutdown(),
            }
            send.send(()).unwrap();
        });
        gate.open();
        if !kills {
            // It waits for all of them.
            later.open();
        }
        // Nobody helps the pool meanwhile.
        assert_eq!(ended.recv_timeout(PATIENCE), Ok(()));
        later.open();
        assert_eq!(outcome(first).unwrap(), 0);
        let mut ran = 0;
        for handle in queued {
            match outcome(handle) {
                Ok(_) => ran += 1,
                Err(error) => assert!(kills && error.is_cancelled(), "{error}"),
            }
        }
        assert_eq!(ran == QUEUED, !kills, "{ran} have run");
        assert!(
            outcome(pool.submit(add::task(1, 1)))
                .unwrap_err()
                .is_rejected()
        );
    }
}

pub(super) fn shut_21(subject: &Subject) {
    let pool = subject.pool();
    let handle = pool.submit(place::task());
    pool.shutdown();
    pool.shutdown();
    pool.kill();
    pool.clone().shutdown();
    assert!(handle.try_join().expect("it is done").is_ok());
    drop(pool);
}
