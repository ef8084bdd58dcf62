//! Forks of a program whose pool is busy, and forks that tasks make.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use pool_core::{Backend, Pool, TaskError, TaskExt, Until, as_completed, pool_task, wait};
use pool_tests::tasks::{add, nap};
use pool_tests::until;
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

use crate::raw;

/// How the children end that found everything as it should be.
const WELL: i32 = 7;

#[track_caller]
fn is_refused<T: std::fmt::Debug>(result: Result<T, TaskError>) {
    let error = result.unwrap_err();
    assert!(error.is_rejected() || error.is_cancelled(), "{error}");
}

type Use = fn(&Pool);

/// What a child does with its copy of the pool.
const USES: &[(&str, Use)] = &[
    ("submit", |pool| drop(pool.submit(add::task(1, 1)))),
    ("submit and join", |pool| {
        assert!(
            pool.submit(add::task(1, 1))
                .join()
                .unwrap_err()
                .is_rejected()
        );
    }),
    ("queue_timeout", |pool| {
        let task = add::task(1, 1).queue_timeout(Duration::from_secs(1));
        is_refused(pool.submit(task).join());
    }),
    ("try_submit", |pool| {
        let handle = pool.try_submit(add::task(1, 1)).ok().unwrap();
        is_refused(handle.join());
    }),
    ("submit_async", |pool| {
        let handle = pool_tests::block_on(pool.submit_async(add::task(1, 1)));
        is_refused(pool_tests::block_on(handle));
    }),
    ("stats", |pool| _ = pool.stats()),
    ("Display", |pool| drop(format!("{pool} {pool:?}"))),
    ("describe", |pool| drop(pool.describe().to_string())),
    ("map", |pool| {
        let results = pool.map((0..100).map(|n| add::task(n, 1)));
        assert_eq!(results.map(is_refused).count(), 100);
    }),
    ("unordered map", |pool| {
        let results = pool.map((0..100).map(|n| add::task(n, 1))).unordered();
        assert_eq!(results.map(is_refused).count(), 100);
    }),
    ("scope", |pool| {
        assert!(
            pool.scope(|scope| drop(scope.submit(add::task(1, 1))))
                .is_err()
        );
    }),
    ("wait", |pool| {
        let handles = [pool.submit(add::task(1, 1)), pool.submit(add::task(1, 2))];
        assert_eq!(wait(&handles, Until::All, None), [0, 1]);
    }),
    ("as_completed", |pool| {
        let handles = (0..10).map(|n| pool.submit(add::task(n, 1)));
        assert_eq!(
            as_completed(handles)
                .map(|(_, sum)| is_refused(sum))
                .count(),
            10
        );
    }),
    ("on_finish", |pool| {
        pool.submit(add::task(1, 1)).on_finish(|| ())
    }),
    ("resize", |pool| pool.resize(1).unwrap()),
    ("shutdown", Pool::shutdown),
    ("shutdown_timeout", |pool| {
        assert!(pool.shutdown_timeout(Duration::from_millis(1)));
    }),
    ("kill", Pool::kill),
    ("drop", |pool| drop(pool.clone())),
    ("a new pool", |pool| {
        let own = Pool::builder().backend(pool.backend()).workers(1);
        let own = own.build().unwrap();
        assert_eq!(own.submit(add::task(1, 2)).join().unwrap(), 3);
        let sums = own.map((0..100).map(|n| add::task(n, 1)));
        assert!(sums.map(Result::unwrap).eq(1..101));
        // Waits for tasks of both.
        let handles = [pool.submit(add::task(1, 1)), own.submit(add::task(1, 1))];
        assert_eq!(as_completed(handles).count(), 2);
    }),
];

/// Runs `code` in a fork, and sees that the fork ends well.
fn in_a_fork(what: &str, code: impl FnOnce()) {
    let Some(child) = raw::fork() else {
        let done = catch_unwind(AssertUnwindSafe(code));
        raw::end_at_once(if done.is_ok() { WELL } else { 8 });
    };
    let child = Pid::from_raw(child.cast_signed());
    let mut code = None;
    until(&format!("the child that does \"{what}\" has ended"), || {
        let ended = waitpid(child, WaitOptions::NOHANG).unwrap();
        code = ended.map(|(_, status)| status.exit_status());
        ended.is_some()
    });
    assert_eq!(code.flatten(), Some(WELL), "{what}");
}

/// Forks a program whose pool is used by other threads without a pause, so that they hold locks of
/// it at some of those moments.
pub(crate) fn of_a_busy_pool(backend: &str, is_bounded: bool, rounds: &str) {
    let mut builder = Pool::builder().backend(backend.parse().unwrap()).workers(2);
    if is_bounded {
        builder = builder.queue(64).queue_bytes(1 << 20);
    }
    let pool = builder.build().unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let submitters: Vec<_> = (0..2)
        .map(|number| {
            let (pool, is_over) = (pool.clone(), Arc::clone(&is_over));
            thread::spawn(move || {
                while !is_over.load(Relaxed) {
                    let submit = |n| {
                        let task = add::task(n, 1);
                        pool.submit(task.queue_timeout(Duration::from_secs(60)))
                    };
                    let handles: Vec<_> = (0..50).map(submit).collect();
                    handles.into_iter().for_each(|handle| drop(handle.join()));
                    let sums = pool.map((0..50).map(|n| add::task(n, number)));
                    assert!(sums.map(Result::unwrap).eq(number..50 + number));
                    let _ = pool.stats();
                }
            })
        })
        .collect();
    for round in 0..rounds.parse().unwrap() {
        for (what, use_pool) in USES {
            thread::sleep(Duration::from_micros(round * 7_919 % 300));
            in_a_fork(what, || use_pool(&pool));
        }
    }
    is_over.store(true, Relaxed);
    for submitter in submitters {
        submitter.join().unwrap();
    }
    println!("all as it should be");
}

/// Forks a program whose pool has nothing to do, with handles, iterators and maps that were begun
/// before.
pub(crate) fn of_a_quiet_pool(backend: &str) {
    let pool = Pool::builder().backend(backend.parse().unwrap()).workers(2);
    let pool = pool.build().unwrap();
    for (what, use_pool) in USES {
        in_a_fork(what, || use_pool(&pool));
    }
    let tasks = || (0..1_000).map(|n| add::task(n, 0));
    let mut map = pool.map(tasks()).chunk(3);
    let mut unordered = pool.map(tasks()).unordered().chunk(3);
    assert_eq!(map.next().unwrap().unwrap(), 0);
    assert!(unordered.next().unwrap().is_ok());
    // These are taken up by the workers, and still run at the fork.
    let naps: Vec<_> = (0..4).map(|_| pool.submit(nap::task(1_000))).collect();
    let mut completed = as_completed((0..4).map(|_| pool.submit(nap::task(1_000))));
    in_a_fork("a map that was begun", || {
        assert_eq!(map.by_ref().count(), 999);
    });
    in_a_fork("an unordered map that was begun", || {
        assert_eq!(unordered.by_ref().count(), 999);
    });
    in_a_fork("as_completed that was begun", || {
        assert_eq!(
            completed.by_ref().map(|(_, done)| is_refused(done)).count(),
            4
        );
    });
    in_a_fork("handles that are looked at", || {
        until("they are resolved", || {
            naps.iter().all(|nap| nap.is_finished())
        });
        assert!(
            naps.iter()
                .all(|nap| nap.try_join().unwrap().unwrap_err().is_cancelled())
        );
    });
    in_a_fork("wait", || {
        assert_eq!(wait(&naps, Until::All, None), [0, 1, 2, 3]);
    });
    assert_eq!(map.map(Result::unwrap).count(), 999);
    assert_eq!(unordered.map(Result::unwrap).count(), 999);
    assert_eq!(completed.filter(|(_, done)| done.is_ok()).count(), 4);
    assert!(naps.into_iter().all(|nap| nap.join().is_ok()));
    println!("all as it should be");
}

/// Forks; the child asks for what it knows of its run, or returns as well. How the child ended.
#[pool_task]
fn forks(what: &str) -> Option<i32> {
    let current = pool_core::current();
    let Some(child) = raw::fork() else {
        match what {
            "asks" => {
                for current in [current, pool_core::current()] {
                    assert!(!current.is_cancelled());
                    assert!(format!("{current:?}").contains("forks"));
                    assert_eq!(current.attempt(), 1);
                }
                raw::end_at_once(WELL);
            }
            "waits" => {
                // Asks again and again whether it is to stop.
                let pool = Pool::builder().backend(Backend::Threads).workers(1);
                let pool = pool.build().unwrap();
                let awaits = async { pool.submit(nap::task(20)).await };
                pool_core::__private::block_on(awaits).unwrap();
                raw::end_at_once(WELL);
            }
            _ => return None,
        }
    };
    let child = Pid::from_raw(child.cast_signed()).unwrap();
    let mut status: Option<WaitStatus> = None;
    until("the child has ended", || {
        status = waitpid(Some(child), WaitOptions::NOHANG)
            .unwrap()
            .map(|(_, status)| status);
        status.is_some()
    });
    let status = status.unwrap();
    status
        .exit_status()
        .or(status.terminating_signal().map(|signal| 128 + signal))
}

pub(crate) fn of_a_task(backend: &str) {
    let pool = Pool::builder().backend(backend.parse().unwrap()).workers(1);
    let pool = pool.build().unwrap();
    for what in ["asks", "waits"] {
        let ended = pool.submit(forks::task(what)).join().unwrap();
        assert_eq!(ended, Some(WELL), "{what}");
    }
    if backend != "inline" {
        // Behind it there is more to do, which the child leaves alone.
        let forks = pool.submit(forks::task("returns"));
        let others: Vec<_> = (0..50).map(|n| pool.submit(add::task(n, 0))).collect();
        let ended = forks.join().unwrap();
        assert!([Some(0), Some(128 + 9)].contains(&ended), "{ended:?}");
        for (n, other) in (0..).zip(others) {
            assert_eq!(other.join().unwrap(), n);
        }
    }
    println!("all as it should be");
}
