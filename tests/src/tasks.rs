//! Tasks that many tests use.

use std::process;
use std::thread::sleep;
use std::time::Duration;

use pool_core::pool_task;

/// The sum.
#[pool_task]
pub fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// What it was given.
#[pool_task]
pub fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// The number of the process it runs in.
#[pool_task]
pub fn pid() -> u32 {
    process::id()
}

/// Takes its time.
#[pool_task]
pub fn nap(ms: u64) {
    sleep(Duration::from_millis(ms));
}

/// Panics.
#[pool_task]
pub fn boom(text: &str) -> u32 {
    panic!("{text}")
}

/// Ends its process with this code.
#[pool_task]
pub fn exit(code: i32) -> u32 {
    process::exit(code)
}
