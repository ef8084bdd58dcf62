//! What the benchmarks of tiny tasks share.

use pool_core::{Backend, Pool, pool_task};

#[pool_task]
pub(crate) fn add(a: u64, b: u64) -> u64 {
    a + b
}

pub(crate) const BACKENDS: [Backend; 3] = [Backend::Inline, Backend::Threads, Backend::Processes];

pub(crate) fn pool(backend: Backend) -> Pool {
    let pool = Pool::builder().backend(backend).workers(2).build();
    pool.expect("a pool of two workers starts")
}
