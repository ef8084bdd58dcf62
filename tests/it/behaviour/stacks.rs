//! The stacks on which tasks run.

use pool_core::{Error, pool_task};
use pool_tests::tasks::add;

use crate::harness::On;

/// Calls itself until so many bytes of the stack are in use, and returns how many those are.
#[pool_task]
fn deep(bytes: usize) -> usize {
    fn go_on(from: usize, bytes: usize) -> usize {
        let here = [0_u8; 1 << 10];
        let used = std::hint::black_box(&here).as_ptr().addr().abs_diff(from);
        match used < bytes {
            true => std::hint::black_box(go_on(from, bytes)),
            false => used,
        }
    }
    let from = 0_u8;
    go_on(std::ptr::from_ref(&from).addr(), bytes)
}

#[track_caller]
fn has(pool: &pool_core::Pool, bytes: usize) {
    assert!(pool.submit(deep::task(bytes)).join().unwrap() >= bytes);
    let results = pool.map((0..8).map(|_| deep::task(bytes)));
    assert!(results.map(Result::unwrap).all(|used| used >= bytes));
}

pub(crate) fn a_worker_has_as_much_as_main(on: &On) {
    has(&on.pool(), 7 << 20);
}

pub(crate) fn a_pool_has_what_it_asks_for(on: &On) {
    let pool = on.builder().stack_size(64 << 20).build().unwrap();
    has(&pool, 60 << 20);
    pool.resize(4).unwrap();
    has(&pool, 60 << 20);
}

pub(crate) fn a_small_one_is_large_enough(on: &On) {
    for bytes in [0, 1] {
        let pool = on.builder().stack_size(bytes).build().unwrap();
        assert_eq!(pool.submit(add::task(1, 2)).join().unwrap(), 3);
        let sums = pool.map((0..100).map(|n| add::task(n, 1)));
        assert!(sums.map(Result::unwrap).eq(1..101));
        let error = pool.submit(pool_tests::tasks::boom::task("small")).join();
        assert_eq!(error.unwrap_err().message(), Some("small"));
    }
}

pub(crate) fn a_large_one_is_an_error_that_names_it(on: &On) {
    let error = on.builder().stack_size(usize::MAX).build().unwrap_err();
    assert!(
        matches!(
            error,
            Error::StackSize {
                asked: usize::MAX,
                ..
            }
        ),
        "{error}"
    );
    // The kernel may refuse this one.
    match on.builder().stack_size(1 << 40).build() {
        Ok(pool) => assert_eq!(pool.submit(add::task(1, 2)).join().unwrap(), 3),
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains("stack of 1099511627776 bytes"), "{said}");
        }
    }
}
