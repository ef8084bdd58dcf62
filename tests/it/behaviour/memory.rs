//! The shared memory that a pool holds.

use std::time::Duration;

use pool_core::{Pool, Task, pool_task};
use pool_tests::until;

use crate::harness::On;

/// How many tasks are in flight at once.
const IN_FLIGHT: usize = 8;

/// The most bytes that each of them takes one way.
const MOST: usize = 512 << 10;

#[pool_task]
fn take(bytes: Vec<u8>, ms: u64) -> usize {
    std::thread::sleep(Duration::from_millis(ms));
    bytes.len()
}

#[pool_task]
fn give(len: usize, ms: u64) -> Vec<u8> {
    std::thread::sleep(Duration::from_millis(ms));
    vec![7; len]
}

/// A map that never lets its lanes run empty: the most bytes that they ever held.
fn peak<T: Task>(pool: &Pool, tasks: impl Iterator<Item = T>) -> u64 {
    let results = pool.map(tasks).in_flight(IN_FLIGHT);
    let held = results.map(|result| {
        assert!(result.is_ok());
        pool.stats().shared_bytes
    });
    held.max().unwrap()
}

/// Lengths that differ, none much smaller than [`MOST`].
fn lengths() -> impl Iterator<Item = usize> {
    (0..120).map(|i| MOST - i * 7919 % (MOST / 2))
}

pub(crate) fn is_bounded_by_what_is_in_flight(on: &On) {
    // Fragments, what is copied out at the moment, and 1 MiB that each lane keeps in each direction.
    let bound = (3 * IN_FLIGHT * MOST + (4 << 20)) as u64;
    for workers in [1, 2] {
        let pool = on.pool_of(workers);
        let arguments = peak(&pool, lengths().map(|len| take::task(vec![1; len], 1)));
        assert!(arguments <= bound, "{arguments} of arguments");
        let results = peak(&pool, lengths().map(|len| give::task(len, 1)));
        assert!(results <= bound, "{results} of results");
        let counted = arguments > 0 && results > 0;
        assert_eq!(counted, on.processes() && !on.cluster());
    }
}

/// Small tasks go on and on, so that no lane is ever empty.
pub(crate) fn of_large_values_goes_back_while_others_run(on: &On) {
    let pool = on.pool_of(1);
    let large = 32 << 20;
    let took = pool.submit(take::task(vec![1; large], 0)).join().unwrap();
    assert_eq!(took, large);
    let gave = pool.submit(give::task(large, 0)).join().unwrap();
    assert_eq!(gave.len(), large);
    let mut busy = pool.map(std::iter::repeat_with(|| give::task(200, 1)));
    until("it is given back", || {
        assert!(busy.next().unwrap().is_ok());
        pool.stats().shared_bytes < 4 << 20
    });
}

/// Nothing wakes a pool up in which a task was submitted and joined at once.
pub(crate) fn of_large_values_goes_back_afterwards(on: &On) {
    let pool = on.pool_of(1);
    // Its start is over.
    std::thread::sleep(Duration::from_millis(1_500));
    let large = 32 << 20;
    let took = pool.submit(take::task(vec![1; large], 0)).join().unwrap();
    assert_eq!(took, large);
    until("it is given back", || pool.stats().shared_bytes < 4 << 20);
}
