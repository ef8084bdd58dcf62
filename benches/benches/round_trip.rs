//! One tiny task, there and back, on each backend.

use divan::Bencher;
use pool_core::{Backend, Pool, pool_task};

fn main() {
    pool_core::init();
    divan::main();
}

#[pool_task]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

const BACKENDS: [Backend; 3] = [Backend::Inline, Backend::Threads, Backend::Processes];

fn pool(backend: Backend) -> Pool {
    let pool = Pool::builder().backend(backend).workers(2).build();
    pool.expect("a pool of two workers starts")
}

fn trip(pool: &Pool) -> u64 {
    let handle = pool.submit(add::task(divan::black_box(1), 2));
    handle.join().expect("the task neither panics nor is lost")
}

#[divan::bench(args = BACKENDS)]
fn submit_and_join(bencher: Bencher<'_, '_>, backend: Backend) {
    let pool = pool(backend);
    bencher.bench_local(|| trip(&pool));
}

/// From a second thread, as a server would.
#[divan::bench(args = BACKENDS, threads = 2)]
fn from_two_threads(bencher: Bencher<'_, '_>, backend: Backend) {
    let pool = pool(backend);
    bencher.bench(|| trip(&pool));
}
