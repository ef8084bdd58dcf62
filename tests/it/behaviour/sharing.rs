//! One pool, many threads.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use pool_core::Pool;
use pool_tests::tasks::{add, boom, echo, nap};

use crate::harness::On;

fn submits(pool: &Pool, seed: i64) {
    for i in 0..200 {
        assert_eq!(pool.submit(add::task(seed, i)).join().unwrap(), seed + i);
    }
}

fn maps(pool: &Pool, seed: i64) {
    for round in 1..8 {
        let results: Vec<_> = pool
            .map((0..60).map(|i| add::task(seed, i)))
            .in_flight(round)
            .map(Result::unwrap)
            .collect();
        assert_eq!(results, (seed..seed + 60).collect::<Vec<_>>());
    }
}

fn cancels(pool: &Pool, seed: i64) {
    for i in 0..100 {
        let handle = pool.submit(add::task(seed, i));
        let said = handle.cancel();
        match handle.join() {
            Ok(sum) => assert!(!said && sum == seed + i),
            Err(error) => assert!(said && error.is_cancelled(), "{error}"),
        }
    }
}

fn drops_maps(pool: &Pool, seed: i64) {
    for take in 0..20 {
        let mut map = pool.map((0..).map(|i| add::task(seed, i)));
        for i in 0..take {
            assert_eq!(map.next().unwrap().unwrap(), seed + i);
        }
    }
}

fn polls(pool: &Pool, seed: i64) {
    for i in 0..50 {
        let handle = pool.submit(echo::task(vec![seed as u8; 30_000]));
        loop {
            if let Some(outcome) = handle.try_join() {
                assert!(outcome.unwrap() == vec![seed as u8; 30_000]);
                break;
            }
            if i % 2 == 0
                && let Some(outcome) = handle.join_timeout(Duration::from_micros(50))
            {
                assert_eq!(outcome.unwrap().len(), 30_000);
                break;
            }
        }
    }
}

fn panics(pool: &Pool, seed: i64) {
    for i in 0..50 {
        let text = format!("{seed} {i}");
        let error = pool.submit(boom::task(&text)).join().unwrap_err();
        assert_eq!(error.message(), Some(&*text));
    }
}

fn detaches(pool: &Pool, _: i64) {
    for _ in 0..50 {
        drop(pool.submit(nap::task(0)));
    }
}

pub(crate) fn ten_threads_do_all_kinds_of_things(on: &On) {
    // A cancelled task that has just started must not cost the others their worker.
    let pool = on.builder().grace(Duration::from_secs(60)).build().unwrap();
    let users: [fn(&Pool, i64); 7] = [submits, maps, cancels, drops_maps, polls, panics, detaches];
    let ended = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..10 {
            let (pool, ended) = (pool.clone(), &ended);
            let user = users[thread % users.len()];
            scope.spawn(move || {
                user(&pool, thread as i64 * 1_000);
                ended.fetch_add(1, SeqCst);
            });
        }
    });
    assert_eq!(ended.into_inner(), 10);
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
}

pub(crate) fn one_handle_for_each_of_many_tasks(on: &On) {
    let pool = on.pool();
    // Each of them is several messages on a cluster.
    let count = if on.cluster() { 5_000 } else { 20_000 };
    let handles: Vec<_> = (0..count).map(|i| pool.submit(add::task(i, 1))).collect();
    for (i, handle) in (0..).zip(handles) {
        assert_eq!(handle.join().unwrap(), i + 1);
    }
}

/// A long task does not hold short ones behind it while another worker is idle.
pub(crate) fn short_tasks_pass_a_long_one(on: &On) {
    let gate = pool_tests::gate::Gate::new();
    let pool = on.pool();
    let long = pool.submit(gate.hold(1));
    let _ = gate.wait_for(1);
    let short: Vec<_> = (0..300).map(|i| pool.submit(add::task(i, 0))).collect();
    for (i, handle) in (0..).zip(short) {
        assert_eq!(handle.join().unwrap(), i);
    }
    assert!(!long.is_finished());
    gate.open();
    assert_eq!(long.join().unwrap(), 1);
}

/// Every worker gets work: as many tasks run at once as there are workers.
pub(crate) fn as_many_tasks_run_as_there_are_workers(on: &On) {
    let gate = pool_tests::gate::Gate::new();
    let pool = on.pool_of(4);
    let handles: Vec<_> = (0..4)
        .map(|number| pool.submit(gate.hold(number)))
        .collect();
    for number in 0..4 {
        let _ = gate.wait_for(number);
    }
    gate.open();
    for (number, handle) in (0..).zip(handles) {
        assert_eq!(handle.join().unwrap(), number);
    }
}
