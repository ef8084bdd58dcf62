//! Crashes, kills and races.

use std::panic;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::faults::{Fault, Trap, carries};
use super::gate::{Gate, note};
use super::proc::{self, Thread, threads_of, wait_until_gone};
use super::tasks::{Fussy, add, echo, exits, gives, place, takes};
use super::{Need, Subject, outcome, program, until};
use crate::api::handle::JoinHandle;
use crate::api::pool::Pool;
use crate::engine::output::Output;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::job::current::current;
use crate::pool_task;
use crate::task::TaskExt;

/// What never comes to its end is past it.
const SHORT: Duration = Duration::from_millis(100);

#[track_caller]
fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Ends this process by a signal that it sends to itself.
pub(super) fn end_by(signal: Signal) -> ! {
    loop {
        // The first SIGSEGV finds the handler of Rust's runtime, which takes itself out.
        send(process::id(), signal);
    }
}

#[track_caller]
pub(super) fn assert_lost(error: &TaskError, pid: u32, signal: Option<Signal>, code: Option<i32>) {
    assert!(error.is_worker_lost(), "{error}");
    assert_eq!(error.worker_pid(), Some(pid), "{error}");
    let signal = signal.map(Signal::as_raw);
    assert_eq!(
        (error.signal(), error.exit_code()),
        (signal, code),
        "{error}"
    );
    assert!(error.to_string().contains(&pid.to_string()), "{error}");
}

pub(super) fn cr_1(subject: &Subject) {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::KILL, "SIGKILL")] {
        let gate = Gate::new();
        let pool = subject.pool_of(3);
        let handles = [1, 2, 3].map(|number| pool.submit(gate.hold(number)));
        gate.wait_for_starts(3);
        let victim = gate.wait_for(2).pid;
        send(victim, signal);
        let [one, two, three] = handles;
        let error = outcome(two).unwrap_err();
        assert_lost(&error, victim, Some(signal), None);
        assert!(error.to_string().contains(name), "{error}");
        gate.open();
        assert_eq!((outcome(one).unwrap(), outcome(three).unwrap()), (1, 3));
        assert_eq!(gate.starts().len(), 3, "none of them ran twice");
    }
}

pub(super) fn cr_2(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool_of(3);
    let handles = [1, 2, 3].map(|number| pool.submit(gate.hold(number)));
    gate.wait_for_starts(3);
    for start in gate.starts() {
        proc::kill(start.pid);
    }
    for (number, handle) in (1..).zip(handles) {
        let error = outcome(handle).unwrap_err();
        assert_lost(&error, gate.wait_for(number).pid, Some(Signal::KILL), None);
        assert!(error.task_name().contains("hold"), "{error}");
        assert_eq!(error.attempt(), 1);
    }
    assert_eq!(outcome(pool.submit(add::task(1, 1))).unwrap(), 2);
}

#[pool_task(crate = crate)]
fn segfaults() -> u32 {
    end_by(Signal::SEGV)
}

#[pool_task(crate = crate)]
fn aborts() -> u32 {
    process::abort()
}

pub(super) fn cr_3(subject: &Subject) {
    let pool = subject.pool();
    let ways = [
        (pool.submit(exits::task(0)), None, Some(0), "code 0"),
        (pool.submit(exits::task(42)), None, Some(42), "code 42"),
        (
            pool.submit(segfaults::task()),
            Some(Signal::SEGV),
            None,
            "SIGSEGV",
        ),
        (
            pool.submit(aborts::task()),
            Some(Signal::ABORT),
            None,
            "SIGABRT",
        ),
    ];
    for (handle, signal, code, text) in ways {
        let error = outcome(handle).unwrap_err();
        let pid = error.worker_pid().expect("it says which worker");
        assert_lost(&error, pid, signal, code);
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(outcome(pool.submit(add::task(1, 1))).unwrap(), 2);
}

pub(super) fn cr_5(subject: &Subject) {
    for waits in [true, false] {
        let pool = subject.pool_of(1);
        for _ in 0..5 {
            let (victim, _) = outcome(pool.submit(place::task())).unwrap();
            let main = Thread::main_of(victim);
            proc::kill(victim);
            // Before anybody can have noticed, or afterwards.
            if waits {
                wait_until_gone(&Vec::from_iter(main));
            }
            let (worker, _) = outcome(pool.submit(place::task())).unwrap();
            assert_ne!(worker, victim);
        }
    }
    let fresh = subject.pool();
    assert_eq!(outcome(fresh.submit(add::task(1, 1))).unwrap(), 2);
}

/// On both sides of where the way of a message changes.
const SIZES: [usize; 4] = [10, 70 << 10, 300 << 10, 17 << 20];

pub(super) fn cr_7(subject: &Subject) {
    let pool = subject.pool_of(1);
    for len in SIZES {
        for trap in [Trap::as_it_is_read, Trap::as_it_is_written] {
            let handle = pool.submit(carries::task(vec![7; len], trap(Fault::Kill)));
            let others: Vec<_> = (0..10).map(|i| pool.submit(add::task(i, 1))).collect();
            let error = outcome(handle).unwrap_err();
            let pid = error.worker_pid().expect("it says which worker");
            assert_lost(&error, pid, Some(Signal::KILL), None);
            for (i, handle) in (0..).zip(others) {
                assert_eq!(outcome(handle).unwrap(), i + 1);
            }
            let bytes = vec![3; len];
            assert!(outcome(pool.submit(echo::task(bytes.clone()))).unwrap() == bytes);
        }
    }
}

/// Leaves word where it is, waits, and exits.
#[pool_task(crate = crate)]
fn hold_then_exit(folder: &Path, code: i32) -> i32 {
    super::gate::hold(folder, code.cast_unsigned());
    process::exit(code)
}

pub(super) fn cr_8(subject: &Subject) {
    for code in [1, 99, 255] {
        let gate = Gate::new();
        let pool = subject.pool();
        let handle = pool.submit(hold_then_exit::task(gate.folder(), code));
        let worker = gate.wait_for(code.cast_unsigned()).pid;
        assert_ne!(worker, process::id());
        gate.open();
        assert_lost(&outcome(handle).unwrap_err(), worker, None, Some(code));
    }
}

pub(super) fn cr_10(subject: &Subject) {
    const TASKS: u32 = 3_000;
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    let running = pool.submit(gate.hold(TASKS));
    let worker = gate.wait_for(TASKS).pid;
    // It cannot even be told of anything.
    let stopped = subject.has(Need::Isolation);
    if stopped {
        send(worker, Signal::STOP);
    }
    let handles: Vec<_> = (0..TASKS)
        .map(|number| pool.submit(gate.pass(number)))
        .collect();
    assert_eq!(gate.numbers(), [TASKS], "nothing else has run");
    if stopped {
        send(worker, Signal::CONT);
    }
    gate.open();
    assert_eq!(outcome(running).unwrap(), TASKS);
    for (number, handle) in (0..).zip(handles) {
        assert_eq!(outcome(handle).unwrap(), number);
    }
}

pub(super) fn cr_11(subject: &Subject) {
    let pool = subject.pool();
    for (mode, said) in [
        (Fussy::DecodeError, "will not be read"),
        (Fussy::DecodePanic, "blew up as it was read"),
    ] {
        let taken = fate(pool.submit(takes::task(mode)), "arguments");
        let given = fate(pool.submit(gives::task(mode as u8)), "result");
        for error in [taken, given] {
            assert!(error.contains(said), "{error}");
        }
    }
}

/// What is said of a task whose arguments or result could not be read.
#[track_caller]
fn fate<T: std::fmt::Debug>(handle: JoinHandle<T>, what: &str) -> String {
    let error = outcome(handle).unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Decode, "{error}");
    let said = error.to_string();
    assert!(
        said.contains(what) && said.contains(error.task_name()),
        "{said}"
    );
    said
}

/// An error of its own that cannot be sent.
#[pool_task(crate = crate)]
fn refuses_oddly(mode: u8) -> Result<u32, Fussy> {
    Err(gives(mode))
}

pub(super) fn cr_12(subject: &Subject) {
    let pool = subject.pool_of(1);
    let before = outcome(pool.submit(place::task())).unwrap();
    for mode in Fussy::ALL {
        let (kind, said) = match mode {
            Fussy::EncodeError => (TaskErrorKind::Encode, "will not be written"),
            Fussy::EncodePanic => (TaskErrorKind::Encode, "blew up as it was written"),
            Fussy::DecodeError => (TaskErrorKind::Decode, "will not be read"),
            Fussy::DecodePanic => (TaskErrorKind::Decode, "blew up as it was read"),
        };
        let odd = pool.submit(refuses_oddly::task(mode as u8));
        let next = pool.submit(add::task(1, 1));
        let error = outcome(odd).map(drop).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(outcome(next).unwrap(), 2);
    }
    assert_eq!(
        outcome(pool.submit(place::task())).unwrap(),
        before,
        "its worker lives"
    );
}

/// The line of the panic below.
const LINE: u32 = line!() + 4;

#[pool_task(crate = crate)]
fn panics_with(text: &str) -> u32 {
    panic!("it says {text}")
}

#[track_caller]
fn assert_located(pool: &Pool) {
    let error = outcome(pool.submit(panics_with::task("so"))).unwrap_err();
    assert_eq!(error.message(), Some("it says so"));
    let location = error.location().expect("it says where");
    assert!(
        location.starts_with(&format!("{}:{LINE}:", file!())),
        "{location}"
    );
    assert!(error.to_string().contains(location), "{error}");
}

pub(super) fn cr_13(subject: &Subject) {
    assert_located(&subject.pool());
    // A hook of the program's, which it puts before the one that was there.
    let calls = Arc::new(AtomicBool::new(false));
    let called = calls.clone();
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        called.store(true, Relaxed);
        before(info);
    }));
    assert_located(&subject.pool());
    assert_eq!(calls.load(Relaxed), subject.has(Need::SharedMemory));
}

/// Calls itself until its stack is full.
pub(super) fn overflow(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 256]);
    match depth {
        u64::MAX => 0,
        _ => overflow(depth + 1).wrapping_add(frame[7]),
    }
}

#[pool_task(crate = crate)]
fn overflows() -> u64 {
    overflow(0)
}

pub(super) fn cr_14(subject: &Subject) {
    let program = program::start(subject, "CR-14", |_| {
        for output in [Output::Null, Output::Inherit] {
            let pool = subject.build(subject.builder().stderr(output)).unwrap();
            let how = format!("{output:?}");
            let error = outcome(pool.submit(panics_with::task(&how))).unwrap_err();
            assert!(error.is_panic(), "{error}");
            let error = outcome(pool.submit(overflows::task())).unwrap_err();
            assert_eq!(error.signal(), Some(Signal::ABORT.as_raw()), "{error}");
        }
    });
    let ended = program.end();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.err.matches("it says Inherit").count(), 1, "{ended:?}");
    assert_eq!(
        ended.err.matches("has overflowed its stack").count(),
        1,
        "{ended:?}"
    );
    assert!(!ended.err.contains("it says Null"), "{ended:?}");
}

pub(super) fn cr_15(subject: &Subject) {
    // Of the program's own children.
    let mut own: Vec<_> = (0..5)
        .map(|_| Command::new("false").stdin(Stdio::null()).spawn().unwrap())
        .collect();
    let pool = subject.pool();
    for _ in 0..5 {
        let error = outcome(pool.submit(aborts::task())).unwrap_err();
        assert!(error.is_worker_lost(), "{error}");
        assert_eq!(outcome(pool.submit(add::task(1, 1))).unwrap(), 2);
    }
    // And of a worker's.
    let (worker, left) = outcome(pool.submit(leaves_dead_children::task(5))).unwrap();
    until("they are dead", || left.iter().all(|pid| is_dead(*pid)));
    assert_eq!(outcome(pool.submit(add::task(1, 1))).unwrap(), 2);
    let worker = Thread::main_of(worker);
    pool.shutdown();
    wait_until_gone(&Vec::from_iter(worker));
    for child in &mut own {
        let status = child.wait().expect("nobody else has waited for it");
        assert_eq!(status.code(), Some(1));
    }
}

#[pool_task(crate = crate)]
#[allow(clippy::zombie_processes)] // That is the test.
fn leaves_dead_children(count: u32) -> (u32, Vec<u32>) {
    let child = |_| {
        Command::new("false")
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
            .id()
    };
    (process::id(), (0..count).map(child).collect())
}

/// Or somebody has waited for it.
fn is_dead(pid: u32) -> bool {
    Thread::main_of(pid).is_none_or(|main| !main.lives())
}

/// Never ends.
#[pool_task(crate = crate)]
fn hangs_with(bytes: Vec<u8>) -> usize {
    loop {
        thread::sleep(Duration::from_secs(bytes.len() as u64));
    }
}

pub(super) fn cr_16(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    let late = pool.submit(gate.never(1).timeout(SHORT));
    let error = outcome(late).unwrap_err();
    assert!(error.is_timeout() && !error.is_worker_lost(), "{error}");
    let before = gate.wait_for(1).pid;
    let (after, _) = outcome(pool.submit(place::task())).unwrap();
    assert_ne!(after, before);
    // Large arguments, which take longer than that on their way.
    let late = pool.submit(hangs_with::task(vec![1; 17 << 20]).timeout(Duration::from_millis(1)));
    assert!(outcome(late).unwrap_err().is_timeout());
    // Many at once, more than there are workers.
    let gate = Gate::new();
    let pool = subject.pool_of(4);
    let late: Vec<_> = (0..12)
        .map(|number| pool.submit(gate.never(number).timeout(SHORT)))
        .collect();
    for handle in late {
        let error = outcome(handle).unwrap_err();
        assert!(error.is_timeout(), "{error}");
    }
    let mut numbers = gate.numbers();
    numbers.sort_unstable();
    assert_eq!(
        numbers,
        (0..12).collect::<Vec<_>>(),
        "each was started once"
    );
    assert_eq!(pool.stats().timed_out, 12);
    assert_eq!(outcome(pool.submit(add::task(1, 1))).unwrap(), 2);
    drop(pool);
    wait_until_gone(&threads_of(&gate.starts()));
}

pub(super) fn cr_17(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    let running = pool.submit(gate.never(1));
    let before = gate.wait_for(1);
    // In the worker's queue, and behind that.
    let queued: Vec<_> = (2..300).map(|i| pool.submit(gate.pass(i))).collect();
    let main = Thread::main_of(before.pid).expect("it runs");
    for handle in queued {
        assert!(handle.cancel());
        assert!(outcome(handle).unwrap_err().is_cancelled());
    }
    assert!(
        main.lives() && !running.is_finished(),
        "nobody was killed for them"
    );
    assert!(running.cancel());
    assert!(outcome(running).unwrap_err().is_cancelled());
    let (after, _) = outcome(pool.submit(place::task())).unwrap();
    assert_ne!(after, before.pid);
    wait_until_gone(&[main]);
    assert_eq!(gate.numbers(), [1], "none of the queued ones has run");
}

/// Never ends, and outlives a request to.
#[pool_task(crate = crate)]
fn ignores_requests(folder: &Path) {
    let seen = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(Signal::TERM.as_raw(), seen.clone()).unwrap();
    send(process::id(), Signal::TERM);
    until("it has been asked", || seen.load(Relaxed));
    super::gate::never(folder, 1);
}

pub(super) fn cr_18(subject: &Subject) {
    for way in ["cancel", "deadline", "kill"] {
        let gate = Gate::new();
        let pool = subject.pool_of(1);
        let task = ignores_requests::task(gate.folder());
        let handle = match way {
            // Long enough that it is ready for it.
            "deadline" => pool.submit(task.timeout(Duration::from_secs(1))),
            _ => pool.submit(task),
        };
        let worker = gate.wait_for(1);
        match way {
            "cancel" => assert!(handle.cancel()),
            "kill" => pool.kill(),
            _ => {}
        }
        let error = outcome(handle).unwrap_err();
        assert_eq!(error.is_timeout(), way == "deadline", "{error}");
        assert_eq!(error.is_cancelled(), way != "deadline", "{error}");
        wait_until_gone(&Vec::from_iter(Thread::main_of(worker.pid)));
    }
}

/// Leaves word which attempt this is, and ends its worker.
#[pool_task(crate = crate)]
fn poison(folder: &Path) -> u32 {
    note(folder, current().attempt());
    end_by(Signal::KILL)
}

pub(super) fn cr_20(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool();
    let poisonous = pool.submit(poison::task(gate.folder()).idempotent());
    let others: Vec<_> = (0..300).map(|i| pool.submit(add::task(i, 1))).collect();
    let error = outcome(poisonous).unwrap_err();
    assert!(error.is_worker_lost() && error.attempt() == 3, "{error}");
    assert_eq!(gate.numbers(), [1, 2, 3]);
    for (i, handle) in (0..).zip(others) {
        assert_eq!(outcome(handle).unwrap(), i + 1);
    }
    // Again and again, without leave to try once more.
    for _ in 0..100 {
        let gate = Gate::new();
        let error = outcome(pool.submit(poison::task(gate.folder()))).unwrap_err();
        assert!(error.is_worker_lost() && error.attempt() == 1, "{error}");
        assert_eq!(gate.numbers(), [1]);
    }
    assert_eq!(outcome(pool.submit(add::task(1, 1))).unwrap(), 2);
}

/// Leaves word which attempt this is, and fails before this one.
#[pool_task(crate = crate)]
fn works_at(folder: &Path, works: u32, ends: bool) -> u32 {
    let attempt = current().attempt();
    note(folder, attempt);
    if attempt < works && ends {
        process::exit(1);
    }
    assert!(attempt >= works, "attempt {attempt}");
    attempt
}

pub(super) fn cr_22(subject: &Subject) {
    let pool = subject.pool();
    for ends in [false, true] {
        if ends && !subject.has(Need::Isolation) {
            continue;
        }
        let gate = Gate::new();
        let task = works_at::task(gate.folder(), 4, ends).retries(5);
        assert_eq!(outcome(pool.submit(task)).unwrap(), 4);
        assert_eq!(gate.numbers(), [1, 2, 3, 4]);
        let gate = Gate::new();
        let task = works_at::task(gate.folder(), 9, ends).retries(2);
        let error = outcome(pool.submit(task)).unwrap_err();
        assert_eq!(error.attempt(), 3, "{error}");
        assert_eq!(gate.numbers(), [1, 2, 3]);
    }
}
