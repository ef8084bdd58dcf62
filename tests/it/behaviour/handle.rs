//! `JoinHandle`: waiting, asking, giving up.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use pool_core::TaskErrorKind;
use pool_tests::gate::Gate;
use pool_tests::tasks::{add, boom, nap};
use pool_tests::{until, until_some};

use crate::harness::On;

const SOON: Duration = Duration::from_millis(20);

pub(crate) fn join_timeout_gives_up_and_can_be_asked_again(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let handle = pool.submit(gate.hold(7));
    assert!(handle.join_timeout(Duration::ZERO).is_none());
    assert!(handle.join_timeout(SOON).is_none());
    let _ = gate.wait_for(7);
    assert!(handle.join_timeout(SOON).is_none());
    gate.open();
    let outcome = until_some("it is done", || handle.join_timeout(SOON));
    assert_eq!(outcome.unwrap(), 7);
}

pub(crate) fn join_timeout_takes_any_limit(on: &On) {
    let pool = on.pool();
    for limit in [Duration::MAX, Duration::from_secs(u32::MAX.into())] {
        let handle = pool.submit(add::task(1, 2));
        assert_eq!(handle.join_timeout(limit).unwrap().unwrap(), 3);
    }
    let handle = pool.submit(add::task(1, 2));
    let outcome = until_some("it is done", || handle.join_timeout(Duration::ZERO));
    assert_eq!(outcome.unwrap(), 3);
}

pub(crate) fn try_join_does_not_wait(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let handle = pool.submit(gate.hold(1));
    assert!(handle.try_join().is_none());
    let _ = gate.wait_for(1);
    assert!(handle.try_join().is_none());
    gate.open();
    let outcome = until_some("it is done", || handle.try_join());
    assert_eq!(outcome.unwrap(), 1);
}

pub(crate) fn the_result_is_handed_out_once(on: &On) {
    let pool = on.pool();
    let handle = pool.submit(add::task(1, 2));
    assert_eq!(handle.join_timeout(Duration::MAX).unwrap().unwrap(), 3);
    for outcome in [handle.try_join(), handle.join_timeout(SOON)] {
        let error = outcome.unwrap().unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::AlreadyJoined);
    }
    assert!(handle.is_finished());
    assert_eq!(
        handle.join().unwrap_err().kind(),
        TaskErrorKind::AlreadyJoined
    );
}

pub(crate) fn an_error_is_handed_out_once(on: &On) {
    let pool = on.pool();
    let handle = pool.submit(boom::task("no"));
    assert!(
        handle
            .join_timeout(Duration::MAX)
            .unwrap()
            .unwrap_err()
            .is_panic()
    );
    assert_eq!(
        handle.join().unwrap_err().kind(),
        TaskErrorKind::AlreadyJoined
    );
}

pub(crate) fn of_many_that_ask_one_gets_the_result(on: &On) {
    let pool = on.pool();
    for round in 0..100 {
        let handle = pool.submit(nap::task(round % 2));
        let got = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for asker in 0..4 {
                let (handle, got) = (&handle, &got);
                scope.spawn(move || {
                    let outcome = if asker % 2 == 0 {
                        handle.join_timeout(Duration::MAX).unwrap()
                    } else {
                        until_some("it is done", || handle.try_join())
                    };
                    match outcome {
                        Ok(()) => got.fetch_add(1, SeqCst),
                        Err(error) => {
                            assert_eq!(error.kind(), TaskErrorKind::AlreadyJoined);
                            0
                        }
                    }
                });
            }
        });
        assert_eq!(got.into_inner(), 1);
    }
}

pub(crate) fn tells_queued_running_and_finished_apart(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let first = pool.submit(gate.hold(1));
    let second = pool.submit(gate.hold(2));
    let _ = gate.wait_for(1);
    until("the first runs", || first.is_running());
    assert!(!first.is_finished() && !second.is_finished() && !second.is_running());
    assert!(format!("{first:?}").contains("running"), "{first:?}");
    assert!(format!("{second:?}").contains("queued"), "{second:?}");
    gate.open();
    until("both are finished", || {
        first.is_finished() && second.is_finished()
    });
    assert!(!first.is_running() && !second.is_running());
    assert!(format!("{first:?}").contains("finished"), "{first:?}");
    assert_eq!((first.join().unwrap(), second.join().unwrap()), (1, 2));
}

pub(crate) fn is_finished_without_anybody_waiting(on: &On) {
    let pool = on.pool();
    let handles: Vec<_> = (0..500).map(|i| pool.submit(add::task(i, 0))).collect();
    until("all are finished", || {
        handles.iter().all(|handle| handle.is_finished())
    });
    for (i, handle) in (0..).zip(handles) {
        assert_eq!(handle.try_join().unwrap().unwrap(), i);
    }
}

pub(crate) fn outlives_its_pool(on: &On) {
    let pool = on.pool();
    let handles: Vec<_> = (0..50).map(|i| pool.submit(add::task(i, 0))).collect();
    let panicked = pool.submit(boom::task("late"));
    drop(pool);
    assert!(panicked.is_finished() && !panicked.is_running() && !panicked.cancel());
    assert_eq!(panicked.join().unwrap_err().message(), Some("late"));
    for (i, handle) in (0..).zip(handles) {
        assert_eq!(handle.join_timeout(Duration::ZERO).unwrap().unwrap(), i);
    }
}

pub(crate) fn moves_to_another_thread(on: &On) {
    let pool = on.pool();
    let handles: Vec<_> = (0..200).map(|i| pool.submit(add::task(i, i))).collect();
    std::thread::scope(|scope| {
        for (i, handle) in (0..).zip(handles) {
            scope.spawn(move || assert_eq!(handle.join().unwrap(), 2 * i));
        }
    });
}

pub(crate) fn many_threads_wait_for_tasks_in_a_backlog(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let held = [pool.submit(gate.hold(1)), pool.submit(gate.hold(2))];
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..20)
            .map(|i| {
                let pool = pool.clone();
                scope.spawn(move || pool.submit(add::task(i, 0)).join().unwrap())
            })
            .collect();
        let _ = gate.wait_for(1);
        let _ = gate.wait_for(2);
        std::thread::sleep(SOON);
        gate.open();
        for (i, thread) in (0..).zip(waiting) {
            assert_eq!(thread.join().unwrap(), i);
        }
    });
    for (number, handle) in (1..).zip(held) {
        assert_eq!(handle.join().unwrap(), number);
    }
}
