//! A task that takes its worker process down costs that task and nothing else.

use std::collections::HashMap;
use std::process::{self, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use pool_core::{Pool, TaskError, pool_task};
use pool_tests::gate::Gate;
use pool_tests::proc::{self, Process};
use pool_tests::tasks::{add, echo, exit, pid};
use pool_tests::{until, until_some};
use rustix::process::Signal;

use crate::harness::On;

// What crashes, on purpose.
#[allow(unsafe_code)]
mod faults {
    use std::hint::black_box;

    use pool_core::pool_task;

    #[pool_task]
    pub(super) fn segfault() -> u32 {
        let nowhere = black_box(std::ptr::dangling_mut::<u32>());
        // SAFETY: none; nothing is mapped there, and the fault is what is tested.
        unsafe { nowhere.write_volatile(1) };
        0
    }

    #[pool_task]
    pub(super) fn raises(signal: i32) -> u32 {
        // Whoever started the tests may have switched it off.
        // SAFETY: no handler is installed.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        // SAFETY: sends a signal to this process.
        unsafe { libc::raise(signal) };
        0
    }

    #[pool_task]
    pub(super) fn closes_everything() -> u32 {
        // SAFETY: closes descriptors that others still use: the fault that is tested.
        unsafe { libc::close_range(3, u32::MAX, 0) };
        0
    }

    #[pool_task]
    pub(super) fn forks_and_leaves_the_child() -> i32 {
        // SAFETY: the child calls nothing but `pause`, which is async-signal-safe.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            loop {
                // SAFETY: waits for a signal.
                unsafe { libc::pause() };
            }
        }
        pid
    }
}

use faults::{closes_everything, forks_and_leaves_the_child, raises, segfault};

#[track_caller]
fn assert_lost(error: &TaskError, signal: Option<i32>, code: Option<i32>) {
    assert!(error.is_worker_lost() && !error.is_panic(), "{error}");
    assert_eq!(
        (error.signal(), error.exit_code()),
        (signal, code),
        "{error}"
    );
    assert!(
        error.worker_pid().is_some_and(|pid| pid != process::id()),
        "{error}"
    );
    assert!(
        error.message().is_none() && error.location().is_none(),
        "{error}"
    );
}

/// The pool is as good as new, and the worker another one.
#[track_caller]
fn assert_replaced(pool: &Pool, error: &TaskError) {
    for result in pool.map((0..20).map(|_| pid::task())) {
        assert_ne!(Some(result.unwrap()), error.worker_pid());
    }
}

pub(crate) fn exit_tells_its_code(on: &On) {
    let pool = on.pool_of(1);
    for code in [0, 1, 42, 255] {
        let error = pool.submit(exit::task(code)).join().unwrap_err();
        assert_lost(&error, None, Some(code));
        assert!(
            error.to_string().contains(&format!("code {code}")),
            "{error}"
        );
        assert_replaced(&pool, &error);
    }
}

#[pool_task]
fn aborts() -> u32 {
    process::abort()
}

#[pool_task]
fn panics_as_it_unwinds() -> u32 {
    struct Again;
    impl Drop for Again {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    let _again = Again;
    panic!("first")
}

#[pool_task]
fn asks_for_too_much_memory() -> usize {
    let bytes: Vec<u8> = Vec::with_capacity(1 << 46);
    std::hint::black_box(bytes).capacity()
}

pub(crate) fn abort_tells_its_signal(on: &On) {
    let pool = on.pool_of(1);
    for handle in [
        pool.submit(aborts::task()),
        pool.submit(panics_as_it_unwinds::task()),
    ] {
        let error = handle.join().unwrap_err();
        assert_lost(&error, Some(Signal::ABORT.as_raw()), None);
        assert!(error.to_string().contains("SIGABRT"), "{error}");
        assert_replaced(&pool, &error);
    }
    let error = pool
        .submit(asks_for_too_much_memory::task())
        .join()
        .unwrap_err();
    assert_lost(&error, Some(Signal::ABORT.as_raw()), None);
}

pub(crate) fn segfault_tells_its_signal(on: &On) {
    let pool = on.pool_of(1);
    let error = pool.submit(segfault::task()).join().unwrap_err();
    assert_lost(&error, Some(Signal::SEGV.as_raw()), None);
    assert_replaced(&pool, &error);
}

#[pool_task]
fn overflows(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 256]);
    match depth {
        u64::MAX => 0,
        _ => overflows(depth + 1).wrapping_add(frame[7]),
    }
}

pub(crate) fn stack_overflow_tells_its_signal(on: &On) {
    let pool = on.pool_of(1);
    let error = pool.submit(overflows::task(0)).join().unwrap_err();
    // Rust's runtime says what happened, and aborts.
    assert_lost(&error, Some(Signal::ABORT.as_raw()), None);
    assert_replaced(&pool, &error);
}

pub(crate) fn every_deadly_signal_is_told(on: &On) {
    let pool = on.pool();
    let signals = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGILL,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGKILL,
        libc::SIGUSR1,
        libc::SIGALRM,
        libc::SIGTERM,
        libc::SIGXCPU,
        libc::SIGSYS,
        libc::SIGRTMAX(),
    ];
    for signal in signals {
        let error = pool.submit(raises::task(signal)).join().unwrap_err();
        assert_lost(&error, Some(signal), None);
    }
    // This one is harmless.
    assert_eq!(pool.submit(raises::task(libc::SIGCHLD)).join().unwrap(), 0);
}

pub(crate) fn kill_from_outside_names_the_killed(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    for number in 0..5 {
        let handle = pool.submit(gate.never(number));
        let victim = gate.wait_for(number);
        proc::kill(victim);
        let error = handle.join().unwrap_err();
        assert_lost(&error, Some(Signal::KILL.as_raw()), None);
        assert_eq!(error.worker_pid(), Some(victim));
        assert!(
            error.to_string().contains("SIGKILL")
                && error.to_string().contains(&victim.to_string()),
            "{error}"
        );
        assert_replaced(&pool, &error);
    }
    assert_eq!(gate.starts().len(), 5, "no second start");
}

pub(crate) fn a_worker_killed_while_idle_is_replaced(on: &On) {
    let pool = on.pool_of(1);
    for _ in 0..5 {
        let before = Process::of(pool.submit(pid::task()).join().unwrap()).unwrap();
        proc::kill(before.pid);
        // A task that comes before anybody has noticed may be lost with it only if it started.
        let after = pool.submit(pid::task()).join().unwrap();
        assert_ne!(after, before.pid);
        until("it is reaped", || !before.is_there());
    }
}

pub(crate) fn all_workers_killed_at_once_are_replaced(on: &On) {
    let pool = on.pool_of(3);
    for round in 0..5 {
        let workers = until_some("all workers are there", || {
            let children = proc::children_of(process::id());
            (children.iter().filter(|child| child.lives()).count() == 3).then_some(children)
        });
        // In the middle of their start they would count as failed starts: all have served first.
        let gate = Gate::new();
        let handles: Vec<_> = (0..3).map(|n| pool.submit(gate.hold(n))).collect();
        for number in 0..3 {
            let _ = gate.wait_for(number);
        }
        gate.open();
        for handle in handles {
            handle.join().unwrap();
        }
        for worker in &workers {
            proc::kill(worker.pid);
        }
        for result in pool.map((0..50).map(|i| add::task(i, round))).enumerate() {
            let (i, result) = result;
            assert_eq!(result.unwrap(), i as i64 + round);
        }
        until("all are reaped", || !workers.iter().any(Process::is_there));
    }
}

pub(crate) fn a_stopped_worker_holds_up_its_own_task_only(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let held = pool.submit(gate.hold(1));
    let victim = Process::of(gate.wait_for(1)).unwrap();
    proc::signal(victim.pid, Signal::STOP);
    until("it is stopped", || victim.is_stopped());
    gate.open();
    let others: Vec<_> = (0..200).map(|i| pool.submit(add::task(i, 0))).collect();
    for (i, handle) in (0..).zip(others) {
        assert_eq!(handle.join().unwrap(), i);
    }
    assert!(!held.is_finished());
    proc::signal(victim.pid, Signal::CONT);
    assert_eq!(held.join().unwrap(), 1);
    assert!(victim.lives());
}

/// Stopped while idle, it may be given a task that it cannot start; the others must not wait.
pub(crate) fn an_idle_worker_that_is_stopped_holds_up_one_task_at_most(on: &On) {
    let pool = on.pool();
    let victim = Process::of(pool.submit(pid::task()).join().unwrap()).unwrap();
    proc::signal(victim.pid, Signal::STOP);
    until("it is stopped", || victim.is_stopped());
    let handles: Vec<_> = (0..200).map(|i| pool.submit(add::task(i, 0))).collect();
    until("all but one are finished", || {
        handles
            .iter()
            .filter(|handle| !handle.is_finished())
            .count()
            <= 1
    });
    proc::signal(victim.pid, Signal::CONT);
    for (i, handle) in (0..).zip(handles) {
        assert_eq!(handle.join().unwrap(), i);
    }
}

pub(crate) fn what_waits_in_a_dead_workers_lane_runs_elsewhere_once(on: &On) {
    for _ in 0..10 {
        let gate = Gate::new();
        let pool = on.pool_of(1);
        let doomed = pool.submit(gate.hold(1_000));
        let victim = gate.wait_for(1_000);
        let waiting: Vec<_> = (0..100)
            .map(|number| pool.submit(gate.pass(number)))
            .collect();
        proc::kill(victim);
        assert_lost(&doomed.join().unwrap_err(), Some(9), None);
        for (number, handle) in (0..).zip(waiting) {
            assert_eq!(handle.join().unwrap(), number);
            assert_eq!(gate.starts_of(number), 1);
        }
        assert!(gate.starts().iter().skip(1).all(|(_, pid)| *pid != victim));
    }
}

/// Also where arguments are large, and copied while nobody holds a lock.
pub(crate) fn large_tasks_of_a_dead_worker_run_elsewhere(on: &On) {
    let pool = on.pool_of(1);
    for round in 0..10 {
        let gate = Gate::new();
        let doomed = pool.submit(gate.hold(0));
        let victim = gate.wait_for(0);
        let waiting: Vec<_> = (0..12)
            .map(|i| {
                let bytes = vec![i; 10_000 + 9_000 * usize::from(i) + round];
                (bytes.clone(), pool.submit(echo::task(bytes)))
            })
            .collect();
        proc::kill(victim);
        for (sent, handle) in waiting {
            assert!(handle.join().unwrap() == sent);
        }
        assert!(doomed.join().unwrap_err().is_worker_lost());
    }
}

pub(crate) fn at_most_one_task_fails_for_each_kill(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let kills = 20;
    let count = 4_000;
    let outcomes = std::thread::scope(|scope| {
        let map = pool
            .map((0..count).map(|number| gate.pass(number)))
            .in_flight(300);
        let results = scope.spawn(move || map.collect::<Vec<_>>());
        for _ in 0..kills {
            // A worker that has served: another one than before.
            let seen = gate.starts().len();
            let fresh = || gate.starts().get(seen..)?.last().copied();
            let victim = until_some("a task has run, or all have", || {
                if results.is_finished() {
                    Some(None)
                } else {
                    fresh().map(Some)
                }
            });
            if let Some(victim) = victim.and_then(|(_, pid)| Process::of(pid)) {
                proc::kill(victim.pid);
                until("it is gone", || !victim.is_there());
            }
        }
        results.join().unwrap()
    });
    assert_eq!(outcomes.len(), count as usize);
    let mut starts: HashMap<u32, usize> = HashMap::new();
    for (number, _) in gate.starts() {
        *starts.entry(number).or_default() += 1;
    }
    let mut lost = 0;
    for (number, outcome) in (0..).zip(outcomes) {
        let started = starts.get(&number).copied().unwrap_or(0);
        match outcome {
            Ok(result) => assert_eq!((result, started), (number, 1)),
            Err(error) => {
                assert_lost(&error, Some(9), None);
                assert!(started <= 1, "{number} was started {started} times");
                lost += 1;
            }
        }
    }
    assert!(lost <= kills, "{lost} tasks were lost by {kills} kills");
}

pub(crate) fn crashing_and_healthy_tasks_mix(on: &On) {
    let pool = on.pool();
    let handles: Vec<_> = (0..120)
        .map(|i| {
            (
                i,
                if i % 6 == 5 {
                    pool.submit(exit::task(i))
                } else {
                    pool.submit(pid::task())
                },
            )
        })
        .collect();
    for (i, handle) in handles {
        match handle.join() {
            Ok(_) => assert_ne!(i % 6, 5),
            Err(error) => {
                assert_eq!(i % 6, 5);
                assert_lost(&error, None, Some(i));
            }
        }
    }
}

#[pool_task]
fn dies_later(ms: u64) -> u32 {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(ms));
        process::abort();
    });
    process::id()
}

pub(crate) fn a_worker_that_dies_after_its_task_is_replaced(on: &On) {
    let pool = on.pool_of(1);
    for _ in 0..3 {
        let worker = Process::of(pool.submit(dies_later::task(50)).join().unwrap()).unwrap();
        until("it is dead", || !worker.is_there());
        assert_ne!(pool.submit(pid::task()).join().unwrap(), worker.pid);
    }
}

/// As libraries do that turn a process into a daemon. The worker may live or not; whoever waits is
/// told, although the way to tell it is gone.
pub(crate) fn a_task_may_close_all_descriptors(on: &On) {
    let pool = on.pool_of(1);
    for _ in 0..3 {
        if let Err(error) = pool.submit(closes_everything::task()).join() {
            assert!(error.is_worker_lost(), "{error}");
        }
        let gate = Gate::new();
        let (send, receive) = mpsc::channel();
        for i in 0..10 {
            let send = send.clone();
            let handle = pool.submit(gate.hold(i));
            handle.on_finish(move || send.send(i).unwrap());
        }
        let _ = gate.wait_for(0);
        gate.open();
        let told: Vec<_> = receive.iter().take(10).collect();
        assert_eq!(told, (0..10).collect::<Vec<_>>());
    }
}

#[pool_task]
fn joins_its_parents_group(folder: &std::path::Path) -> u32 {
    let parents = rustix::process::getpgid(rustix::process::getppid()).unwrap();
    let joined = rustix::process::setpgid(None, Some(parents));
    // It is the leader of a session of its own.
    assert_eq!(joined, Err(rustix::io::Errno::PERM));
    assert_eq!(rustix::process::setsid(), Err(rustix::io::Errno::PERM));
    pool_tests::gate::never(folder, 1)
}

/// The group with which it is killed is its own, whatever it does.
pub(crate) fn a_worker_cannot_leave_its_group(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let handle = pool.submit(joins_its_parents_group::task(gate.folder()));
    let worker = Process::of(gate.wait_for(1)).unwrap();
    assert!(handle.cancel());
    until("it is gone", || !worker.is_there());
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
}

#[pool_task]
#[allow(clippy::zombie_processes)] // Nobody is to wait for it: that is the test.
fn starts_a_program_and_leaves_it() -> u32 {
    let child = Command::new("sleep")
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    child.id()
}

/// What a worker has started ends with it.
pub(crate) fn what_a_worker_has_started_ends_with_it(on: &On) {
    for how in ["crash", "cancel", "drop", "kill"] {
        let pool = on.pool_of(1);
        let started = pool
            .submit(starts_a_program_and_leaves_it::task())
            .join()
            .unwrap();
        let forked = pool
            .submit(forks_and_leaves_the_child::task())
            .join()
            .unwrap();
        let children = [started, forked.cast_unsigned()].map(|pid| Process::of(pid).unwrap());
        assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
        assert!(
            children.iter().all(Process::lives),
            "they live while their worker does"
        );
        match how {
            "crash" => assert!(pool.submit(aborts::task()).join().is_err()),
            "cancel" => {
                let gate = Gate::new();
                let handle = pool.submit(gate.never(1));
                let _ = gate.wait_for(1);
                assert!(handle.cancel());
                proc::wait_until_gone(&children);
            }
            "kill" => pool.kill(),
            _ => drop(pool),
        }
        proc::wait_until_gone(&children);
    }
}
