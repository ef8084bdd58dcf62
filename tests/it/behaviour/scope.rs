//! `Pool::scope`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pool_core::TaskError;
use pool_tests::gate::Gate;
use pool_tests::tasks::{add, boom};

use crate::harness::On;

pub(crate) fn everything_is_done_at_its_end(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(2);
    let returned = pool.scope(|s| {
        for i in 0..20 {
            s.submit(gate.pass(i));
        }
        "what the code returns"
    });
    assert_eq!(returned.unwrap(), "what the code returns");
    assert_eq!(gate.starts().len(), 20);
}

pub(crate) fn of_nothing_is_nothing(on: &On) {
    assert_eq!(on.pool().scope(|_| 7).unwrap(), 7);
}

pub(crate) fn results_are_joined_inside(on: &On) {
    let pool = on.pool();
    let sum = pool.scope(|s| {
        let parts: Vec<_> = (0..10).map(|i| s.submit(add::task(i, i))).collect();
        parts
            .into_iter()
            .map(|part| part.join().unwrap())
            .sum::<i64>()
    });
    assert_eq!(sum.unwrap(), 90);
}

/// An error is the scope's, also where nobody joins it, and the others do not go on.
pub(crate) fn the_first_error_cancels_the_others(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let ended = pool.scope(|s| {
        s.submit(boom::task("first"));
        for i in 0..10 {
            s.submit(gate.hold_or_stop(i));
        }
    });
    assert_eq!(ended.unwrap_err().message(), Some("first"));
    assert!(gate.starts().len() <= 1, "{:?}", gate.starts());
}

pub(crate) fn an_error_that_is_joined_cancels_the_others(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let ended = pool.scope(|s| {
        let fails = s.submit(boom::task("joined"));
        let others: Vec<_> = (0..10).map(|i| s.submit(gate.hold_or_stop(i))).collect();
        assert!(fails.join().unwrap_err().is_panic());
        for other in others {
            assert!(other.join().unwrap_err().is_cancelled());
        }
        // Comes too late.
        assert!(s.submit(add::task(1, 1)).join().unwrap_err().is_cancelled());
    });
    assert_eq!(ended.unwrap_err().message(), Some("joined"));
}

pub(crate) fn a_question_mark_ends_it(on: &On) {
    let pool = on.pool();
    let ended: Result<Result<i64, TaskError>, _> = pool.scope(|s| {
        s.submit(boom::task("early")).join()?;
        Ok(1)
    });
    assert_eq!(ended.unwrap_err().message(), Some("early"));
}

pub(crate) fn a_panic_of_the_code_cancels_all_and_waits(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        pool.scope(|s| {
            for i in 0..10 {
                s.submit(gate.hold_or_stop(i));
            }
            let _ = gate.wait_for(0);
            panic!("in the code")
        })
    }));
    let payload = panicked.unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"in the code"));
    assert_eq!(pool.submit(add::task(1, 2)).join().unwrap(), 3);
    assert_eq!(gate.starts().len(), 1);
}

/// What the code itself cancels is no failure.
pub(crate) fn a_cancel_is_no_failure(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let sum = pool.scope(|s| {
        let held = s.submit(gate.hold_or_stop(0));
        let sum = s.submit(add::task(1, 2));
        let _ = gate.wait_for(0);
        assert!(held.cancel());
        sum.join().unwrap()
    });
    assert_eq!(sum.unwrap(), 3);
    let all = pool.scope(|s| {
        for i in 1..10 {
            s.submit(gate.hold_or_stop(i));
        }
        s.cancel();
    });
    assert!(all.is_ok());
}

pub(crate) fn a_pool_that_was_shut_down_fails_it(on: &On) {
    let pool = on.pool();
    pool.shutdown();
    let ended = pool.scope(|s| drop(s.submit(add::task(1, 1))));
    assert!(ended.unwrap_err().is_rejected());
}

pub(crate) fn scopes_nest(on: &On) {
    let pool = on.pool();
    let sum = pool.scope(|outer| {
        let first = outer.submit(add::task(1, 0));
        let inner = pool.scope(|inner| inner.submit(add::task(2, 0)).join().unwrap());
        inner.unwrap() + first.join().unwrap()
    });
    assert_eq!(sum.unwrap(), 3);
}

pub(crate) fn its_handles_are_futures(on: &On) {
    let pool = on.pool();
    let sum = pool.scope(|s| {
        let (one, two) = (s.submit(add::task(1, 0)), s.submit(add::task(2, 0)));
        pool_tests::block_on(async { one.await.unwrap() + two.await.unwrap() })
    });
    assert_eq!(sum.unwrap(), 3);
}

/// What has failed before is not excused by a cancel that comes too late.
pub(crate) fn a_cancel_excuses_no_failure(on: &On) {
    let pool = on.pool();
    for all in [false, true] {
        let ended = pool.scope(|s| {
            let failed = s.submit(boom::task("before"));
            pool_tests::until("it has failed", || failed.is_finished());
            match all {
                true => s.cancel(),
                false => assert!(!failed.cancel()),
            }
        });
        assert_eq!(ended.unwrap_err().message(), Some("before"));
    }
}
