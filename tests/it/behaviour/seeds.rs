//! `current().seed()`: the same on every backend, with any number of workers and after a retry.

use std::collections::HashSet;

use pool_core::{Pool, TaskExt, pool_task};

use crate::harness::On;

#[pool_task]
fn seed(pad: u64) -> u64 {
    let seed = pool_core::current().seed();
    assert_eq!(pool_core::current().seed(), seed, "it was given one");
    seed ^ pad
}

/// Takes long enough now and then that chunks are divided.
#[pool_task]
fn uneven(i: u64) -> u64 {
    if i.is_multiple_of(1_000) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    pool_core::current().seed()
}

#[pool_task]
fn at_last(fails: u32) -> u64 {
    assert!(pool_core::current().attempt() > fails, "not yet");
    pool_core::current().seed()
}

#[pool_task]
fn large(bytes: Vec<u8>) -> u64 {
    bytes.len() as u64 ^ pool_core::current().seed()
}

fn expected(root: u64, items: u64) -> Vec<u64> {
    let map = Pool::inline();
    let seeds = map.map((0..items).map(|_| seed::task(0))).seed(root);
    seeds.map(Result::unwrap).collect()
}

pub(crate) fn are_the_same_everywhere(on: &On) {
    // Each of those that go alone is several messages on a cluster.
    let items = if on.cluster() { 1_000 } else { 5_000 };
    let expected = expected(42, items);
    let distinct: HashSet<_> = expected.iter().collect();
    assert_eq!(distinct.len(), expected.len());
    for workers in [1, 3] {
        let pool = on.pool_of(workers);
        for chunk in [None, Some(1), Some(7), Some(1_000)] {
            let map = pool.map((0..items).map(uneven::task)).seed(42);
            let map = match chunk {
                None => map,
                Some(tasks) => map.chunk(tasks),
            };
            let seeds: Vec<_> = map.map(Result::unwrap).collect();
            assert_eq!(seeds, expected, "{workers} workers, chunks of {chunk:?}");
        }
        let unordered = pool.map((0..items).map(uneven::task)).seed(42).unordered();
        for (index, seed) in unordered.with_index() {
            assert_eq!(seed.unwrap(), expected[index]);
        }
    }
    assert_ne!(self::expected(43, 1), expected[..1]);
}

pub(crate) fn stay_in_a_retry(on: &On) {
    let expected = expected(1, 4);
    let pool = on.pool();
    let tasks = [0, 1, 0, 2].map(|fails| at_last::task(fails).retries(2));
    let seeds: Vec<_> = pool.map(tasks).seed(1).map(Result::unwrap).collect();
    assert_eq!(seeds, expected);
}

pub(crate) fn travel_with_large_arguments(on: &On) {
    let expected = expected(9, 6);
    let pool = on.pool();
    for len in [0, 60, 80, 100_000, 3 << 20] {
        let tasks = (0..6).map(|_| large::task(vec![1; len]));
        let seeds = pool
            .map(tasks)
            .seed(9)
            .map(|seed| seed.unwrap() ^ len as u64);
        assert_eq!(seeds.collect::<Vec<_>>(), expected, "{len} bytes");
    }
}

pub(crate) fn of_a_task_are_its_own(on: &On) {
    let pool = on.pool();
    assert_eq!(pool.submit(seed::task(0).seed(5)).join().unwrap(), 5);
    let both = pool
        .map([seed::task(0).seed(5), seed::task(0).seed(6)])
        .seed(1);
    assert_eq!(both.map(Result::unwrap).collect::<Vec<_>>(), [5, 6]);
}

pub(crate) fn that_were_not_given_are_random(on: &On) {
    #[pool_task]
    fn random() -> u64 {
        pool_core::current().seed()
    }
    let pool = on.pool();
    let mut seen = HashSet::new();
    for seed in pool.map((0..100).map(|_| random::task())) {
        assert!(seen.insert(seed.unwrap()));
    }
    // One that was given does not stay for the next task.
    assert_eq!(pool.submit(seed::task(0).seed(5)).join().unwrap(), 5);
    assert_ne!(pool.submit(random::task()).join().unwrap(), 5);
}
