//! Generated code passes the strictest lints that a user's crate may have.
#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_docs,
    missing_copy_implementations,
    missing_debug_implementations,
    non_camel_case_types,
    single_use_lifetimes,
    trivial_casts,
    unnameable_types,
    unreachable_pub,
    unused_lifetimes,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]
#![deny(clippy::all, clippy::pedantic)]

use pool_core::{Pool, pool_task};

/// The length of a text, `times` over.
#[pool_task(backend = "threads", timeout = "5s", name = "length")]
pub fn length(text: &str, times: usize) -> usize {
    text.len() * times
}

mod private {
    use pool_core::pool_task;

    #[pool_task]
    pub(crate) fn sum(numbers: &[u32]) -> u32 {
        numbers.iter().sum()
    }
}

/// The door, too.
#[pool_core::main]
fn main() {
    let pool = Pool::inline();
    assert_eq!(pool.submit(length::task("ab", 2)).join().unwrap(), 4);
    assert_eq!(pool.submit(private::sum::task(&[1, 2])).join().unwrap(), 3);
}
