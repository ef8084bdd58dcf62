//! Tiny items through `map` with its default settings.

use divan::Bencher;
use divan::counter::ItemsCount;
use pool_core::Backend;

use self::common::{BACKENDS, add, pool};

mod common;

fn main() {
    pool_core::init();
    divan::main();
}

const ITEMS: u64 = 100_000;

#[divan::bench(args = BACKENDS)]
fn tiny(bencher: Bencher<'_, '_>, backend: Backend) {
    let pool = pool(backend);
    bencher.counter(ItemsCount::new(ITEMS)).bench_local(|| {
        let results = pool.map((0..ITEMS).map(|i| add::task(i, 1)));
        results
            .map(|result| result.expect("the task is not lost"))
            .sum::<u64>()
    });
}
