//! One tiny task, there and back, on each backend.

use divan::Bencher;
use pool_core::{Backend, Pool};

use self::common::{BACKENDS, add, pool};

mod common;

fn main() {
    pool_core::init();
    divan::main();
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
