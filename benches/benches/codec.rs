//! What encoding and decoding cost: echoes on one worker process, whose difference from the
//! echo of nothing is the way through the codec, twice there and twice back.

use divan::Bencher;
use divan::counter::BytesCount;
use pool_core::{Backend, Pool, pool_task};
use serde::{Deserialize, Serialize};

fn main() {
    pool_core::init();
    divan::main();
}

#[derive(Clone, Serialize, Deserialize)]
struct Page {
    address: String,
    status: u16,
    headers: Vec<(String, String)>,
    took_ms: Option<f64>,
}

#[pool_task]
fn echo_nothing() {}

#[pool_task]
fn echo_bytes(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[pool_task]
fn echo_numbers(numbers: Vec<f64>) -> Vec<f64> {
    numbers
}

#[pool_task]
fn echo_text(text: String) -> String {
    text
}

#[pool_task]
fn echo_pages(pages: Vec<Page>) -> Vec<Page> {
    pages
}

const SIZES: [usize; 4] = [16, 1 << 10, 64 << 10, 1 << 20];

fn pool() -> Pool {
    let pool = Pool::builder()
        .backend(Backend::Processes)
        .workers(1)
        .build();
    pool.expect("a pool of one worker starts")
}

/// The echo of a value, whose making is not timed.
fn echo<T: pool_core::Task>(bencher: Bencher<'_, '_>, bytes: usize, task: impl Fn() -> T) {
    let pool = pool();
    bencher
        .counter(BytesCount::new(2 * bytes))
        .with_inputs(task)
        .bench_local_values(|task| pool.submit(task).join().expect("the task is not lost"));
}

#[divan::bench]
fn nothing(bencher: Bencher<'_, '_>) {
    echo(bencher, 0, echo_nothing::task);
}

#[divan::bench(args = SIZES)]
fn bytes(bencher: Bencher<'_, '_>, size: usize) {
    echo(bencher, size, || echo_bytes::task(vec![7; size]));
}

#[divan::bench(args = SIZES)]
fn numbers(bencher: Bencher<'_, '_>, size: usize) {
    echo(bencher, size, || echo_numbers::task(vec![0.5; size / 8]));
}

#[divan::bench(args = SIZES)]
fn text(bencher: Bencher<'_, '_>, size: usize) {
    echo(bencher, size, || echo_text::task("t".repeat(size)));
}

#[divan::bench(args = [1, 100])]
fn pages(bencher: Bencher<'_, '_>, count: usize) {
    let page = Page {
        address: "https://example.org/a/page".into(),
        status: 200,
        headers: vec![("content-type".into(), "text/html".into()); 4],
        took_ms: Some(1.5),
    };
    // About as many bytes as its text has.
    echo(bencher, 130 * count, || {
        echo_pages::task(vec![page.clone(); count])
    });
}
