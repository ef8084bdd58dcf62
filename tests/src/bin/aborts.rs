//! A program for `panic = "abort"`: what a task says in its panic is in the error, although its worker
//! is gone. Built with the profile `abort`; with any other one a panic is the task's alone.

// A failed `unwrap` is a failed test.
#![allow(clippy::unwrap_used)]

use pool_core::{Backend, Pool, TaskError, pool_task};
use pool_tests::tasks::{add, boom};

#[pool_task]
fn fails_to_begin() {
    panic!("no beginning");
}

fn pool() -> pool_core::PoolBuilder {
    Pool::builder().backend(Backend::Processes).workers(2)
}

fn check(error: &TaskError, text: &str, file: &str) {
    let said = error.to_string();
    if cfg!(panic = "abort") {
        assert!(error.is_worker_lost(), "{said}");
        assert_eq!(error.signal(), Some(6), "{said}");
    } else {
        assert!(error.is_panic(), "{said}");
    }
    assert!(said.contains(text) && said.contains(file), "{said}");
}

#[pool_core::main]
fn main() {
    let pool = pool().build().unwrap();
    for round in 0..10 {
        let text = format!("round {round}\nand no more");
        let error = pool.submit(boom::task(&text)).join().unwrap_err();
        check(&error, &format!("round {round}"), "tasks.rs:");
    }
    let long = "x".repeat(100_000);
    let error = pool.submit(boom::task(&long)).join().unwrap_err();
    check(&error, &long[..500], "tasks.rs:");
    let results: Vec<_> = pool.map((0..20).map(|n| add::task(n, 0))).collect();
    assert_eq!(results.len(), results.into_iter().flatten().count());
    drop(pool);

    let broken = self::pool().initializer(fails_to_begin::task()).build();
    let said = match broken {
        Err(error) => error.to_string(),
        // It has been built before the last one of its workers has ended.
        Ok(pool) => pool.submit(add::task(1, 2)).join().unwrap_err().to_string(),
    };
    let parts = ["no beginning", "aborts.rs:"];
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    println!("all as it should be");
}
