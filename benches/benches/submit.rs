//! Many tasks with a handle each: submitting alone, and with the joins.

use divan::Bencher;
use divan::counter::ItemsCount;
use pool_core::{Backend, JoinHandle, Pool};

use self::common::{BACKENDS, add, pool};

mod common;

fn main() {
    pool_core::init();
    divan::main();
}

const TASKS: u64 = 10_000;

fn submit_all(pool: &Pool) -> Vec<JoinHandle<u64>> {
    (0..TASKS).map(|i| pool.submit(add::task(i, 1))).collect()
}

fn join_all(handles: Vec<JoinHandle<u64>>) -> u64 {
    let join = |handle: JoinHandle<u64>| handle.join().expect("the task is not lost");
    handles.into_iter().map(join).sum()
}

#[divan::bench(args = BACKENDS)]
fn submit(bencher: Bencher<'_, '_>, backend: Backend) {
    let pool = pool(backend);
    bencher
        .counter(ItemsCount::new(TASKS))
        // The handles are joined when the clock has stopped.
        .bench_local(|| Joined(submit_all(&pool)));
}

struct Joined(Vec<JoinHandle<u64>>);

impl Drop for Joined {
    fn drop(&mut self) {
        join_all(std::mem::take(&mut self.0));
    }
}

#[divan::bench(args = BACKENDS)]
fn submit_and_join(bencher: Bencher<'_, '_>, backend: Backend) {
    let pool = pool(backend);
    bencher
        .counter(ItemsCount::new(TASKS))
        .bench_local(|| join_all(submit_all(&pool)));
}
