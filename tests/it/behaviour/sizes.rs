//! Arguments and results from nothing to many megabytes, around every border there is.

use pool_core::{Pool, pool_task};
use pool_tests::tasks::echo;

use crate::harness::On;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Encoded, a byte string is one to four bytes longer than it is: the borders at 88 (in the slot),
/// 46 (in the handle) and 16 KiB (copied under the lock) are met from both sides, with and
/// without what is in front.
fn sizes() -> Vec<usize> {
    let around = |border: usize| border - 6..=border + 6;
    let mut sizes: Vec<usize> = (0..=4).collect();
    for border in [46, 64, 88, 127, KIB, 16 * KIB, 64 * KIB, MIB] {
        sizes.extend(around(border));
    }
    sizes.extend([3 * MIB + 1, 10 * MIB]);
    sizes
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8 ^ (i >> 8) as u8).collect()
}

#[pool_task]
fn make(len: usize) -> Vec<u8> {
    bytes(len)
}

/// So that a wrong byte does not print ten million.
#[track_caller]
fn assert_same(got: &[u8], expected: &[u8]) {
    assert_eq!(got.len(), expected.len());
    let wrong = got.iter().zip(expected).position(|(a, b)| a != b);
    assert_eq!(wrong, None, "the first wrong byte of {}", got.len());
}

#[pool_task]
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(17, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add((*byte).into())
    })
}

pub(crate) fn every_size_survives_both_ways(on: &On) {
    let pool = on.pool();
    for len in sizes() {
        let sent = bytes(len);
        assert_same(
            &pool.submit(echo::task(sent.clone())).join().unwrap(),
            &sent,
        );
    }
}

pub(crate) fn every_size_survives_each_way(on: &On) {
    let pool = on.pool();
    for len in sizes() {
        let sent = bytes(len);
        assert_eq!(
            pool.submit(checksum::task(&sent)).join().unwrap(),
            checksum(&sent)
        );
        assert_same(&pool.submit(make::task(len)).join().unwrap(), &sent);
    }
}

fn mixed(pool: &Pool, rounds: usize) {
    // Large ones among many small ones, submitted at once and joined from both ends.
    let lens: Vec<usize> = (0..rounds)
        .flat_map(|round| {
            [
                0,
                3,
                88,
                89,
                500 + round,
                16 * KIB - 1,
                16 * KIB + 1,
                64 * KIB,
                300 * KIB,
            ]
        })
        .collect();
    let handles: Vec<_> = lens
        .iter()
        .map(|len| pool.submit(echo::task(bytes(*len))))
        .collect();
    let mut pairs: std::collections::VecDeque<_> = lens.into_iter().zip(handles).collect();
    let mut front = true;
    while let Some((len, handle)) = if front {
        pairs.pop_front()
    } else {
        pairs.pop_back()
    } {
        assert_same(&handle.join().unwrap(), &bytes(len));
        front = !front;
    }
}

pub(crate) fn sizes_mix_in_one_pool(on: &On) {
    mixed(&on.pool(), 20);
}

pub(crate) fn sizes_mix_under_load(on: &On) {
    let pool = on.pool_of(3);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| mixed(&pool, 6));
        }
    });
}

pub(crate) fn large_results_wait_for_their_handles(on: &On) {
    let pool = on.pool();
    let handles: Vec<_> = (0..40).map(|_| pool.submit(make::task(2 * MIB))).collect();
    // All are done before the first is looked at, and the pool is gone before the last.
    for handle in &handles {
        pool_tests::until("it is finished", || handle.is_finished());
    }
    drop(pool);
    let expected = bytes(2 * MIB);
    for handle in handles {
        assert_same(&handle.join().unwrap(), &expected);
    }
}

pub(crate) fn large_arguments_wait_for_a_worker(on: &On) {
    let pool = on.pool_of(1);
    let sent = bytes(MIB + 5);
    let handles: Vec<_> = (0..60)
        .map(|_| pool.submit(checksum::task(&sent)))
        .collect();
    for handle in handles {
        assert_eq!(handle.join().unwrap(), checksum(&sent));
    }
}
