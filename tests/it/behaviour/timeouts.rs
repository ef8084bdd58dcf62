//! Deadlines.

use std::time::Duration;

use pool_core::{TaskExt, pool_task};
use pool_tests::gate::Gate;
use pool_tests::proc::{self, Process};
use pool_tests::tasks::{add, boom, nap, pid};
use pool_tests::until;
use rustix::process::Signal;

use crate::harness::On;

const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(300);

#[pool_task(timeout = "30ms")]
fn limited(ms: u64) -> u64 {
    nap(ms);
    ms
}

pub(crate) fn of_the_function_and_of_the_call(on: &On) {
    let pool = on.pool();
    // The task sleeps for ten times its limit.
    let error = pool.submit(limited::task(300)).join().unwrap_err();
    assert!(
        error.is_timeout() && !error.is_worker_lost() && !error.is_cancelled(),
        "{error}"
    );
    assert!(error.task_name().ends_with("::limited"), "{error}");
    let error = pool
        .submit(nap::task(300).timeout(SHORT))
        .join()
        .unwrap_err();
    assert!(error.is_timeout(), "{error}");
    // The call's comes before the function's.
    assert_eq!(
        pool.submit(limited::task(60).timeout(LONG)).join().unwrap(),
        60
    );
    // The last one given counts.
    let task = nap::task(40).timeout(SHORT).timeout(LONG);
    pool.submit(task).join().unwrap();
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
}

pub(crate) fn not_reached_change_nothing(on: &On) {
    let pool = on.pool();
    for limit in [LONG, Duration::MAX] {
        for result in pool.map((0..200).map(|i| add::task(i, 0).timeout(limit))) {
            result.unwrap();
        }
        let error = pool
            .submit(boom::task("in time").timeout(limit))
            .join()
            .unwrap_err();
        assert!(error.is_panic(), "{error}");
    }
}

pub(crate) fn count_from_the_start_of_the_task(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let running = pool.submit(gate.hold(1));
    // Behind it in the lane, and in the backlog.
    let queued: Vec<_> = (0..5)
        .map(|i| pool.submit(add::task(i, 0).timeout(SHORT)))
        .collect();
    let _ = gate.wait_for(1);
    std::thread::sleep(4 * SHORT);
    assert!(queued.iter().all(|handle| !handle.is_finished()));
    gate.open();
    assert_eq!(running.join().unwrap(), 1);
    for (i, handle) in (0..).zip(queued) {
        assert_eq!(handle.join().unwrap(), i);
    }
}

pub(crate) fn tell_the_task(on: &On) {
    let gate = Gate::new();
    let pool = on.builder().grace(LONG).build().unwrap();
    let handle = pool.submit(gate.hold_or_stop(1).timeout(SHORT));
    assert!(handle.join().unwrap_err().is_timeout());
    until("it was told", || gate.was_told(1));
}

pub(crate) fn kill_and_replace_a_worker_that_does_not_listen(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    for number in 0..3 {
        let handle = pool.submit(gate.never(number).timeout(SHORT));
        let behind: Vec<_> = (0..10).map(|i| pool.submit(add::task(i, 1))).collect();
        let worker = Process::of(gate.wait_for(number)).unwrap();
        let error = handle.join().unwrap_err();
        assert!(error.is_timeout(), "{error}");
        for (i, handle) in (0..).zip(behind) {
            assert_eq!(handle.join().unwrap(), i + 1);
        }
        until("the worker is gone", || !worker.is_there());
        assert_ne!(pool.submit(pid::task()).join().unwrap(), worker.pid);
    }
    assert_eq!(gate.starts().len(), 3, "no second start");
}

pub(crate) fn reach_a_worker_that_is_stopped(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let handle = pool.submit(gate.hold_or_stop(1).timeout(Duration::from_millis(200)));
    let worker = Process::of(gate.wait_for(1)).unwrap();
    proc::signal(worker.pid, Signal::STOP);
    assert!(handle.join().unwrap_err().is_timeout());
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
    until("the worker is gone", || !worker.is_there());
}

pub(crate) fn resolve_without_anybody_waiting(on: &On) {
    let gate = Gate::new();
    let pool = on.builder().grace(LONG).build().unwrap();
    let handles: Vec<_> = (0..2)
        .map(|n| pool.submit(gate.hold_or_stop(n).timeout(SHORT)))
        .collect();
    until("both are overdue", || {
        handles.iter().all(|handle| handle.is_finished())
    });
    for handle in handles {
        assert!(handle.try_join().unwrap().unwrap_err().is_timeout());
    }
}

pub(crate) fn run_callbacks(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let (send, receive) = std::sync::mpsc::channel();
    let handle = pool.submit(gate.hold_or_stop(1).timeout(SHORT));
    handle.on_finish(move || send.send(()).unwrap());
    receive.recv().unwrap();
    assert!(handle.join().unwrap_err().is_timeout());
}

pub(crate) fn of_nothing_are_over_at_once(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    for number in 0..5 {
        let late = match on.inline() {
            // Looked at when it returns.
            true => pool.submit(sleeps::task(20).timeout(Duration::ZERO)),
            false => pool.submit(gate.hold_or_stop(number).timeout(Duration::ZERO)),
        };
        let error = late.join().unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
    }
}

#[pool_task]
fn sleeps(ms: u64) -> bool {
    nap(ms);
    false
}

pub(crate) fn cost_only_the_task_that_is_late(on: &On) {
    let pool = on.pool();
    let handles: Vec<_> = (0..60)
        .map(|i| {
            let late = i % 20 == 10;
            let ms = if late { 400 } else { 0 };
            let limit = if late { SHORT } else { LONG };
            (late, pool.submit(nap::task(ms).timeout(limit)))
        })
        .collect();
    for (late, handle) in handles {
        match handle.join() {
            Ok(()) => assert!(!late),
            Err(error) => assert!(late && error.is_timeout(), "{error}"),
        }
    }
}

pub(crate) fn that_come_late_harm_no_later_task(on: &On) {
    let pool = on.pool_of(1);
    let before = pool.submit(pid::task()).join().unwrap();
    // Done long before its deadline; another task runs when that comes.
    pool.submit(nap::task(0).timeout(Duration::from_millis(100)))
        .join()
        .unwrap();
    pool.submit(nap::task(300)).join().unwrap();
    assert_eq!(pool.submit(pid::task()).join().unwrap(), before);
}

/// Each costs its worker, which is no reason to give the pool up.
pub(crate) fn of_many_hanging_tasks_leave_the_pool_whole(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    for number in 0..8 {
        let error = pool
            .submit(gate.hold(number).timeout(SHORT))
            .join()
            .unwrap_err();
        assert!(error.is_timeout(), "{error}");
    }
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
}
