//! A program in an environment that gives less than usual, or that changes under it. What it does
//! is its first argument; what is right it says, what is wrong is a panic.

#![allow(clippy::unwrap_used)] // A failed `unwrap` is a failed test.

mod changes;
// System calls that fail, and descriptors that are closed.
#[allow(unsafe_code)]
mod raw;
mod refused;
mod streams;

use std::time::Duration;

use pool_core::{Backend, Pool, PoolBuilder, pool_task};
use pool_tests::watchdog::Watchdog;

/// A builder of process pools.
fn builder() -> PoolBuilder {
    Pool::builder()
        .backend(Backend::Processes)
        .start_timeout(Duration::from_secs(60))
}

#[pool_task]
fn identity() -> (u32, u32) {
    let [real, effective] = [rustix::process::getuid(), rustix::process::geteuid()];
    (real.as_raw(), effective.as_raw())
}

/// Whether pools can be used.
fn use_pool() {
    let pool = builder().workers(1).build().unwrap();
    let worker = pool.submit(pool_tests::tasks::pid::task()).join().unwrap();
    assert_ne!(worker, std::process::id());
    println!("works");
}

/// Builds a pool of another program's workers and says what comes of it.
fn worker_of(program: &str) {
    let built = builder().workers(1).worker_exe(program).build();
    match built.map(|pool| pool.submit(identity::task()).join()) {
        Ok(ran) => println!("a task ran as {ran:?}"),
        Err(error) => println!("error: {error}"),
    }
}

#[pool_core::main]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let _watchdog = Watchdog::start(Duration::from_secs(90));
    match arguments[..] {
        ["identity"] => println!("{:?}", identity()),
        ["worker of", program] => worker_of(program),
        ["touched"] => changes::touched(),
        ["touched in a map"] => changes::touched_in_a_map(),
        ["later workers", how] => changes::later_workers(how),
        ["deleted folder"] => changes::deleted_folder(),
        ["input"] => streams::input(),
        ["closed streams", log] => streams::closed(log),
        ["no null"] => streams::no_null(),
        ["refused", call, errno, when] => refused::refused(call, errno, when),
        // As what is executed where the loader takes the arguments for its own.
        [_, "use a pool", ..] | ["use a pool"] => use_pool(),
        _ => panic!("{arguments:?}"),
    }
}
