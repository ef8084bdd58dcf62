//! The shapes of functions in the tests of other crates' attributes that cannot be tasks.
#![allow(unused)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use pool_core::pool_task;
use serde::{Deserialize, Serialize};

// tracing, `async_fn.rs`: a plain function that returns a future.
#[pool_task]
fn boxed(x: u8) -> Pin<Box<dyn Future<Output = u8> + Send>> {
    Box::pin(async move { x })
}

#[pool_task]
fn unboxed(x: u8) -> impl Future<Output = u8> {
    async move { x }
}

// rstest, `impl.rs`: a type without a name inside of another.
#[pool_task]
fn pair() -> (impl Iterator<Item = impl ToString>, u8) {
    (std::iter::once(1), 2)
}

// wasm-bindgen, `closures.rs`: closures as arguments, and as a result.
#[pool_task]
fn calls(f: &dyn Fn(u32) -> u32, g: Box<dyn FnMut(u32) + Send>, h: fn(u32) -> u32) {}

#[pool_task]
fn adder(x: u32) -> Box<dyn Fn(u32) -> u32 + Send> {
    Box::new(move |y| x + y)
}

// pyo3, `test_pyfunction.rs`: a reference inside of an option, a lifetime inside of a type.
#[pool_task]
fn optional<'a>(text: Option<&'a str>, all: std::slice::Iter<'_, u8>) -> &'a str {
    text.unwrap_or("")
}

// pyo3, `test_pyfunction.rs`: a function for C.
#[pool_task]
unsafe extern "C" fn for_c(args: *mut u8) -> *mut u8 {
    args
}

// async-trait, `test.rs`: every kind of `self`.
#[derive(Clone, Serialize, Deserialize)]
struct Kinds;

#[pool_task]
impl Kinds {
    fn shared(self: Arc<Self>) {}
    fn pinned(self: Pin<&mut Self>) {}
    fn lent(self: &Self) {}
    fn changed(&mut self) {}
}

// salsa, `tracked-methods.rs`: an `impl` for any lifetime.
#[derive(Clone)]
struct Things<'db>(&'db str);

#[pool_task]
impl Things<'_> {
    fn count(&self) -> usize {
        0
    }
}

// test-case, `cases_can_be_declared_on_async_methods`: above what makes a plain function of it.
#[pool_task]
#[tokio::main(flavor = "current_thread")]
async fn runtime(x: i32) -> usize {
    0
}

// celery, `task_codegen`: the task itself as an argument.
#[pool_task]
fn bound(task: &Self) {}

fn main() {}
