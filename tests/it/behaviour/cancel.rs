//! Cancelling what waits and what runs.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use pool_tests::gate::Gate;
use pool_tests::proc::Process;
use pool_tests::tasks::{add, echo, nap, pid};
use pool_tests::until;

use crate::harness::On;

pub(crate) fn a_queued_task_never_runs(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let running = pool.submit(gate.hold(0));
    let _ = gate.wait_for(0);
    let queued: Vec<_> = (1..100)
        .map(|number| pool.submit(gate.pass(number)))
        .collect();
    // Every other one, from the back and the front: at the head of the lane and deep in the queue.
    for (i, handle) in queued.iter().enumerate() {
        if i % 2 == 0 {
            assert!(handle.cancel(), "{i}");
            assert!(handle.is_finished() && !handle.is_running());
        }
    }
    gate.open();
    assert_eq!(running.join().unwrap(), 0);
    for (i, handle) in queued.into_iter().enumerate() {
        let outcome = handle.join();
        if i % 2 == 0 {
            let error = outcome.unwrap_err();
            assert!(error.is_cancelled(), "{error}");
            assert!(error.task_name().ends_with("::pass"), "{error}");
        } else {
            assert_eq!(outcome.unwrap(), i as u32 + 1);
        }
    }
    let mut ran: Vec<_> = gate.starts().iter().map(|(number, _)| *number).collect();
    if on.cluster() {
        // What has waited in vain for a seat goes back to the queue, and comes later than others.
        ran.sort_unstable();
    }
    let expected: Vec<_> = (0..100).step_by(2).collect();
    assert_eq!(ran, expected);
}

pub(crate) fn a_running_task_is_told(on: &On) {
    let gate = Gate::new();
    // Grace enough for a busy machine.
    let pool = on.builder().grace(Duration::from_secs(60)).build().unwrap();
    let handle = pool.submit(gate.hold_or_stop(1));
    let other = pool.submit(gate.hold_or_stop(2));
    let _ = gate.wait_for(1);
    let _ = gate.wait_for(2);
    assert!(handle.cancel());
    // Resolved at once, whatever the task does.
    assert!(handle.is_finished() && !handle.is_running());
    until("it was told", || gate.was_told(1));
    assert!(handle.join().unwrap_err().is_cancelled());
    gate.open();
    assert!(!other.join().unwrap(), "the other one was not told");
    assert!(!gate.was_told(2));
}

pub(crate) fn a_task_that_does_not_listen_loses_its_worker(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let handle = pool.submit(gate.never(1));
    let worker = Process::of(gate.wait_for(1)).unwrap();
    let behind: Vec<_> = (0..10).map(|i| pool.submit(add::task(i, 1))).collect();
    assert!(handle.cancel());
    let error = handle.join().unwrap_err();
    assert!(error.is_cancelled() && !error.is_worker_lost(), "{error}");
    // What waited behind it runs on the next worker.
    for (i, handle) in (0..).zip(behind) {
        assert_eq!(handle.join().unwrap(), i + 1);
    }
    until("its worker is gone", || !worker.is_there());
    assert_ne!(pool.submit(pid::task()).join().unwrap(), worker.pid);
}

pub(crate) fn a_task_that_returns_within_the_grace_keeps_its_worker(on: &On) {
    let gate = Gate::new();
    let pool = on
        .builder()
        .workers(1)
        .grace(Duration::from_secs(60))
        .build()
        .unwrap();
    let before = pool.submit(pid::task()).join().unwrap();
    for number in 0..20 {
        let handle = pool.submit(gate.hold_or_stop(number));
        let _ = gate.wait_for(number);
        assert!(handle.cancel());
        assert!(handle.join().unwrap_err().is_cancelled());
    }
    assert_eq!(pool.submit(pid::task()).join().unwrap(), before);
}

pub(crate) fn a_finished_task_is_not_cancelled(on: &On) {
    let pool = on.pool();
    let handle = pool.submit(add::task(1, 2));
    until("it is finished", || handle.is_finished());
    assert!(!handle.cancel());
    assert_eq!(handle.join().unwrap(), 3);
}

pub(crate) fn a_finished_task_that_nobody_looked_at_is_not_cancelled(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let handle = pool.submit(add::task(1, 2));
    // The same worker ran it before it starts this one.
    let next = pool.submit(gate.pass(9));
    let _ = gate.wait_for(9);
    assert!(!handle.cancel());
    assert_eq!(handle.join().unwrap(), 3);
    assert_eq!(next.join().unwrap(), 9);
}

pub(crate) fn the_second_cancel_says_no(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let running = pool.submit(gate.hold_or_stop(1));
    let _ = gate.wait_for(1);
    let queued = pool.submit(add::task(1, 2));
    // First, since it starts when the other one has stopped.
    assert!(queued.cancel());
    assert!(!queued.cancel());
    assert!(queued.try_join().unwrap().unwrap_err().is_cancelled());
    assert!(!queued.cancel(), "after its outcome was taken");
    assert!(running.cancel());
    assert!(!running.cancel());
}

pub(crate) fn wakes_who_waits(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let running = pool.submit(gate.hold_or_stop(1));
    let _ = gate.wait_for(1);
    // One more than a lane holds at first, so that one waits in the backlog.
    let queued: Vec<_> = (0..4).map(|i| pool.submit(add::task(i, 0))).collect();
    std::thread::scope(|scope| {
        let running = &running;
        scope.spawn(move || {
            let outcome = running.join_timeout(Duration::MAX).unwrap();
            assert!(outcome.unwrap_err().is_cancelled());
        });
        for handle in &queued {
            scope.spawn(move || {
                let outcome = handle.join_timeout(Duration::MAX).unwrap();
                assert!(outcome.unwrap_err().is_cancelled());
            });
        }
        std::thread::sleep(Duration::from_millis(20));
        for handle in queued.iter().rev() {
            assert!(handle.cancel());
        }
        assert!(running.cancel());
    });
}

pub(crate) fn a_large_task_is_cancelled_at_any_moment(on: &On) {
    let pool = on.pool();
    let bytes = vec![7; 200_000];
    let mut cancelled = 0;
    for round in 0..200 {
        let handle = pool.submit(echo::task(bytes.clone()));
        let behind = pool.submit(echo::task(bytes.clone()));
        for _ in 0..round * 20 {
            std::hint::spin_loop();
        }
        let said = handle.cancel();
        match handle.join() {
            Ok(result) => assert!(!said && result == bytes),
            Err(error) => {
                cancelled += 1;
                assert!(said && error.is_cancelled(), "{error}");
            }
        }
        assert!(behind.join().unwrap() == bytes);
    }
    assert!(on.inline() || cancelled > 0, "no cancel came in time");
}

pub(crate) fn storms_leave_the_pool_whole(on: &On) {
    let pool = on.builder().grace(Duration::from_secs(60)).build().unwrap();
    let (done, cancelled) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4_i64 {
            let (pool, done, cancelled) = (&pool, &done, &cancelled);
            scope.spawn(move || {
                for round in 0..50 {
                    let handles: Vec<_> =
                        (0..20).map(|i| pool.submit(add::task(thread, i))).collect();
                    let said: Vec<_> = handles
                        .iter()
                        .enumerate()
                        .map(|(i, handle)| (i + round) % 3 != 0 && handle.cancel())
                        .collect();
                    for ((i, handle), said) in (0..).zip(handles).zip(said) {
                        match handle.join() {
                            Ok(sum) => {
                                assert!(!said);
                                assert_eq!(sum, thread + i);
                                done.fetch_add(1, SeqCst);
                            }
                            Err(error) => {
                                assert!(said && error.is_cancelled(), "{error}");
                                cancelled.fetch_add(1, SeqCst);
                            }
                        }
                    }
                }
            });
        }
    });
    assert_eq!(done.into_inner() + cancelled.into_inner(), 4_000);
    pool.submit(nap::task(1)).join().unwrap();
}
