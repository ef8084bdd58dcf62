//! Tiny items through `map` with its default settings.

use divan::Bencher;
use divan::counter::ItemsCount;
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
const ITEMS: u64 = 100_000;

#[divan::bench(args = BACKENDS)]
fn tiny(bencher: Bencher<'_, '_>, backend: Backend) {
    let pool = Pool::builder().backend(backend).workers(2).build();
    let pool = pool.expect("a pool of two workers starts");
    bencher.counter(ItemsCount::new(ITEMS)).bench_local(|| {
        let results = pool.map((0..ITEMS).map(|i| add::task(i, 1)));
        results
            .map(|result| result.expect("the task is not lost"))
            .sum::<u64>()
    });
}
