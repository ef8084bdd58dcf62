//! How a pool ends: drop, shutdown, kill.

use std::sync::Barrier;
use std::time::Duration;

use pool_core::{JoinHandle, TaskErrorKind};
use pool_tests::gate::Gate;
use pool_tests::proc::Process;
use pool_tests::tasks::{add, nap, pid};
use pool_tests::until;

use crate::harness::On;

pub(crate) fn drop_waits_for_everything(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    for number in 0..50 {
        drop(pool.submit(nap::task(1)));
        drop(pool.submit(gate.pass(number)));
    }
    drop(pool);
    assert_eq!(gate.starts().len(), 50);
}

pub(crate) fn a_clone_keeps_the_pool(on: &On) {
    let pool = on.pool();
    let clone = pool.clone();
    drop(pool);
    assert_eq!(clone.submit(add::task(1, 1)).join().unwrap(), 2);
    assert_eq!(clone.workers(), if on.inline() { 1 } else { 2 });
    assert_eq!(clone.backend(), on.backend());
    let shown = format!("{clone:?}");
    assert!(
        shown.starts_with("Pool {") && shown.contains("workers: "),
        "{shown}"
    );
}

pub(crate) fn shutdown_waits_and_takes_no_more(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let handles: Vec<_> = (0..50)
        .map(|number| pool.submit(gate.pass(number)))
        .collect();
    pool.shutdown();
    assert_eq!(gate.starts().len(), 50);
    for (number, handle) in (0..).zip(handles) {
        assert!(handle.is_finished());
        assert_eq!(handle.join().unwrap(), number);
    }
    let error = pool.submit(add::task(1, 1)).join().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Rejected);
    // Again, and after that a kill, and a drop.
    pool.shutdown();
    pool.kill();
    assert!(
        pool.submit(add::task(1, 1))
            .join()
            .unwrap_err()
            .is_rejected()
    );
}

pub(crate) fn a_pool_that_was_shut_down_says_so(on: &On) {
    let pool = on.pool();
    pool.shutdown();
    let error = pool.submit(add::task(1, 1)).join().unwrap_err();
    assert!(error.to_string().contains("shut down"), "{error}");
}

/// Everybody who calls it waits for the end, not the first alone.
pub(crate) fn shutdown_by_several_threads_waits_in_each(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let running = pool.submit(gate.hold(1));
    let _ = gate.wait_for(1);
    let queued: Vec<_> = (0..20).map(|i| pool.submit(add::task(i, 0))).collect();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                pool.shutdown();
                assert!(running.is_finished(), "shutdown returned early");
                assert!(queued.iter().all(JoinHandle::is_finished));
            });
        }
        std::thread::sleep(Duration::from_millis(50));
        gate.open();
    });
}

pub(crate) fn submits_that_cross_a_shutdown_run_or_are_rejected(on: &On) {
    for _ in 0..10 {
        let gate = Gate::new();
        let pool = on.pool();
        let start = Barrier::new(4);
        let accepted: usize = std::thread::scope(|scope| {
            let submitters: Vec<_> = (0..3)
                .map(|thread| {
                    let (pool, gate, start) = (&pool, &gate, &start);
                    scope.spawn(move || {
                        start.wait();
                        let handles: Vec<_> = (0..50)
                            .map(|i| pool.submit(gate.pass(thread * 50 + i)))
                            .collect();
                        let ran = |handle: JoinHandle<u32>| match handle.join() {
                            Ok(_) => true,
                            Err(error) => {
                                assert!(error.is_rejected(), "{error}");
                                false
                            }
                        };
                        handles
                            .into_iter()
                            .filter(|_| true)
                            .map(ran)
                            .filter(|ran| *ran)
                            .count()
                    })
                })
                .collect();
            start.wait();
            pool.shutdown();
            submitters
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(gate.starts().len(), accepted);
    }
}

pub(crate) fn kill_cancels_what_has_no_outcome(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let done = pool.submit(add::task(1, 2));
    until("the first is done", || done.is_finished());
    let running = pool.submit(gate.hold_or_stop(1));
    let _ = gate.wait_for(1);
    let queued: Vec<_> = (2..200)
        .map(|number| pool.submit(gate.pass(number)))
        .collect();
    pool.kill();
    assert_eq!(done.join().unwrap(), 3);
    let error = running.join().unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    for handle in queued {
        let error = handle.try_join().expect("it is resolved").unwrap_err();
        assert!(error.is_cancelled(), "{error}");
    }
    assert_eq!(gate.starts().len(), 1, "nothing that was queued has run");
    assert!(
        pool.submit(add::task(1, 1))
            .join()
            .unwrap_err()
            .is_rejected()
    );
    pool.kill();
    pool.shutdown();
}

pub(crate) fn kill_ends_a_task_that_never_returns(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let handle = pool.submit(gate.never(1));
    let worker = Process::of(gate.wait_for(1)).unwrap();
    pool.kill();
    assert!(!worker.is_there());
    assert!(handle.join().unwrap_err().is_cancelled());
}

pub(crate) fn kill_wakes_who_waits(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let running = pool.submit(gate.hold_or_stop(1));
    let _ = gate.wait_for(1);
    let queued: Vec<_> = (0..5).map(|i| pool.submit(add::task(i, 0))).collect();
    std::thread::scope(|scope| {
        for handle in queued {
            scope.spawn(move || assert!(handle.join().unwrap_err().is_cancelled()));
        }
        scope.spawn(move || assert!(running.join().unwrap_err().is_cancelled()));
        std::thread::sleep(Duration::from_millis(20));
        pool.kill();
    });
}

pub(crate) fn kill_ends_a_shutdown_that_waits(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let running = pool.submit(gate.hold_or_stop(1));
    let _ = gate.wait_for(1);
    let queued = pool.submit(add::task(1, 1));
    std::thread::scope(|scope| {
        scope.spawn(|| pool.shutdown());
        until("the pool is closed", || {
            pool.submit(add::task(1, 1))
                .join_timeout(Duration::ZERO)
                .is_some_and(|outcome| outcome.is_err())
        });
        pool.kill();
    });
    assert!(running.join().unwrap_err().is_cancelled());
    assert!(queued.join().unwrap_err().is_cancelled());
}

pub(crate) fn a_kill_or_a_drop_at_any_moment(on: &On) {
    for round in 0..30 {
        let pool = on.pool();
        let handles: Vec<_> = (0..40).map(|i| pool.submit(add::task(i, 0))).collect();
        std::thread::scope(|scope| {
            let killer = pool.clone();
            scope.spawn(move || {
                for _ in 0..round * 1_000 {
                    std::hint::spin_loop();
                }
                if round % 2 == 0 {
                    killer.kill();
                }
            });
            drop(pool);
            for (i, handle) in (0..).zip(handles) {
                match handle.join() {
                    Ok(sum) => assert_eq!(sum, i),
                    Err(error) => assert!(round % 2 == 0 && error.is_cancelled(), "{error}"),
                }
            }
        });
    }
}

pub(crate) fn a_pool_that_nobody_used_goes_quietly(on: &On) {
    for _ in 0..5 {
        drop(on.pool_of(3));
        let pool = on.pool_of(1);
        pool.shutdown();
        on.pool_of(2).kill();
    }
}

pub(crate) fn pools_live_side_by_side(on: &On) {
    let pools: Vec<_> = (0..4).map(|_| on.pool()).collect();
    let handles: Vec<_> = (0..200)
        .map(|i| pools[i as usize % 4].submit(add::task(i, 0)))
        .collect();
    for (i, handle) in (0..).zip(handles) {
        assert_eq!(handle.join().unwrap(), i);
    }
    // Each has workers of its own.
    let mut pids: Vec<_> = pools
        .iter()
        .map(|pool| pool.submit(pid::task()).join().unwrap())
        .collect();
    pids.dedup();
    assert_eq!(pids.len(), if on.processes() { 4 } else { 1 });
}

pub(crate) fn a_pool_is_built_by_any_thread(on: &On) {
    std::thread::scope(|scope| {
        for thread in 0..3 {
            scope.spawn(move || {
                let pool = on.pool();
                assert_eq!(
                    pool.submit(add::task(thread, 1)).join().unwrap(),
                    thread + 1
                );
            });
        }
    });
}
