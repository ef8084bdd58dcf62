//! Every number and every time of the interface at its ends: nothing, one, and the most there is.

use std::time::Duration;

use pool_core::{Error, Pool, PoolBuilder, TaskError, TaskExt, Until, as_completed, wait};
use pool_tests::tasks::add;

use crate::harness::On;

const TIMES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    // The seconds alone fit no clock.
    Duration::from_secs(u64::MAX / 2),
    Duration::MAX,
];

const NUMBERS: [usize; 3] = [0, 1, usize::MAX];

/// Whether a limit is one that anything may exceed.
fn is_short(time: Duration) -> bool {
    time <= Duration::from_nanos(1)
}

/// Everything is possible within a long limit; a short one may be kept or not, and says which.
#[track_caller]
fn is_sum_or_late(what: &str, time: Duration, result: Result<i64, TaskError>) {
    match result {
        Ok(sum) => assert_eq!(sum, 3, "{what} {time:?}"),
        Err(error) => assert!(
            is_short(time) && error.is_timeout(),
            "{what} {time:?}: {error}"
        ),
    }
}

#[track_caller]
fn works(what: &str, pool: &Pool) {
    assert_eq!(pool.submit(add::task(1, 2)).join().unwrap(), 3, "{what}");
    let sums = pool.map((0..20).map(|n| add::task(n, 1)));
    assert!(sums.map(Result::unwrap).eq(1..21), "{what}");
}

pub(crate) fn options_of_a_pool(on: &On) {
    let built = |what: &str, builder: PoolBuilder| {
        let pool = builder.build();
        works(
            what,
            &pool.unwrap_or_else(|error| panic!("{what}: {error}")),
        );
    };
    for time in TIMES {
        let what = format!("{time:?}");
        built(&format!("grace {what}"), on.builder().grace(time));
        built(
            &format!("idle_timeout {what}"),
            on.builder().idle_timeout(time),
        );
        built(
            &format!("warn_after {what}"),
            on.builder().warn_after(Some(time)),
        );
    }
    for number in NUMBERS {
        built(&format!("queue {number}"), on.builder().queue(number));
        built(
            &format!("queue_bytes {number}"),
            on.builder().queue_bytes(number),
        );
        built(
            &format!("max_tasks_per_worker {number}"),
            on.builder().max_tasks_per_worker(number as u64),
        );
    }
    built("memory_limit", on.builder().memory_limit(u64::MAX));
    for few in [0, 1] {
        let pool = on.builder().memory_limit(few).build().unwrap();
        // The look at it comes now and then, and may come too late for this one.
        if let Err(error) = pool.submit(add::task(1, 2)).join() {
            assert!(error.is_out_of_memory(), "memory_limit {few}: {error}");
        }
        pool.kill();
    }
}

/// No process that was started is left behind, which the harness counts.
pub(crate) fn the_time_to_start(on: &On) {
    for time in TIMES {
        match on.builder().start_timeout(time).build() {
            Ok(pool) => works(&format!("start_timeout {time:?}"), &pool),
            Err(Error::WorkerStart { reason, .. }) => {
                assert!(is_short(time) && on.processes(), "{time:?}: {reason}");
            }
            Err(error) => panic!("start_timeout {time:?}: {error}"),
        }
    }
}

pub(crate) fn numbers_of_workers(on: &On) {
    assert!(matches!(
        on.builder().workers(0).build(),
        Err(Error::ZeroWorkers)
    ));
    works("one worker", &on.pool_of(1));
    let most = on.builder().workers(usize::MAX).build();
    assert!(matches!(
        most,
        Err(Error::TooManyWorkers { asked: usize::MAX })
    ));
    let pool = on.pool();
    assert!(matches!(pool.resize(0), Err(Error::ZeroWorkers)));
    assert!(matches!(
        pool.resize(usize::MAX),
        Err(Error::TooManyWorkers { .. })
    ));
    works("after that", &pool);
}

pub(crate) fn options_of_a_task(on: &On) {
    let pool = on.pool();
    for time in TIMES {
        let join = |task| pool.submit(task).join();
        is_sum_or_late("timeout", time, join(add::task(1, 2).timeout(time)));
        is_sum_or_late(
            "queue_timeout",
            time,
            join(add::task(1, 2).queue_timeout(time)),
        );
        let both = add::task(1, 2).timeout(time).queue_timeout(time).retries(1);
        is_sum_or_late("with a retry", time, pool.submit(both).join());
    }
    for retries in [0, 1, u32::MAX] {
        let sum = pool.submit(add::task(1, 2).retries(retries)).join();
        assert_eq!(sum.unwrap(), 3);
    }
    for seed in [0, 1, u64::MAX] {
        assert_eq!(pool.submit(add::task(1, 2).seed(seed)).join().unwrap(), 3);
    }
}

pub(crate) fn options_of_a_map(on: &On) {
    let pool = on.pool();
    let tasks = || (0..50).map(|_| add::task(1, 2));
    for number in NUMBERS {
        for unordered in [false, true] {
            let maps = [
                pool.map(tasks()).chunk(number),
                pool.map(tasks()).in_flight(number),
                pool.map(tasks()).in_flight_bytes(number),
                pool.map(tasks())
                    .in_flight(number)
                    .chunk(number)
                    .in_flight_bytes(number),
                pool.map(tasks()).seed(number as u64),
            ];
            for (at, map) in maps.into_iter().enumerate() {
                let map = if unordered { map.unordered() } else { map };
                let sums: Vec<_> = map.map(Result::unwrap).collect();
                assert_eq!(sums, [3; 50], "{at} of {number}, unordered: {unordered}");
            }
        }
    }
    for time in TIMES {
        for unordered in [false, true] {
            let map = pool.map(tasks()).timeout(time);
            let map = if unordered { map.unordered() } else { map };
            let mut count = 0;
            for result in map {
                is_sum_or_late("a map's timeout", time, result);
                count += 1;
            }
            assert_eq!(count, 50);
        }
    }
}

pub(crate) fn limits_of_waiting(on: &On) {
    let pool = on.pool();
    for time in TIMES {
        let handle = pool.submit(add::task(1, 2));
        match handle.join_timeout(time) {
            Some(sum) => assert_eq!(sum.unwrap(), 3),
            None => assert!(is_short(time)),
        }
        let handles = [pool.submit(add::task(1, 2)), pool.submit(add::task(1, 2))];
        for until in [Until::First, Until::FirstError, Until::All] {
            let found = wait(&handles, until, Some(time));
            assert!(found.len() <= 2 && (!found.is_empty() || is_short(time)));
        }
        let mut completed = as_completed(handles).timeout(time);
        let count = completed.by_ref().filter(|(_, sum)| sum.is_ok()).count();
        assert!(
            count == 2 || is_short(time),
            "as_completed {time:?}: {count}"
        );
        let joined = pool.scope(|scope| {
            let handle = scope.submit(add::task(1, 2));
            handle.join_timeout(time)
        });
        match joined.unwrap() {
            Some(sum) => assert_eq!(sum.unwrap(), 3),
            None => assert!(is_short(time)),
        }
    }
}

pub(crate) fn the_time_to_end(on: &On) {
    for time in TIMES {
        let pool = on.pool();
        let handle = pool.submit(add::task(1, 2));
        let is_in_time = pool.shutdown_timeout(time);
        assert!(is_in_time || is_short(time), "shutdown_timeout {time:?}");
        if let Err(error) = handle.join() {
            assert!(error.is_cancelled(), "{error}");
        }
    }
}
