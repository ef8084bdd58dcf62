//! Arguments, types and macros of the user may have the names that the generated code uses.
#![allow(unused, non_snake_case)]
#![no_implicit_prelude]

use ::pool_core::{Pool, pool_task};
use ::std::{assert_eq, string::String};

mod core {}
mod std {}
mod serde {}

struct Result;
struct Option;
struct Vec;
trait Clone {}
trait Serialize {}
trait Task {}

macro_rules! concat { () => {} }
macro_rules! module_path { () => {} }
macro_rules! line { () => {} }

#[pool_task]
fn arguments(task: u8, spawn: u8, run: u8, new: u8, lend: u8, out: u8, input: u8, encode: u8, A0: u8, __S: u8) -> u8 {
    task + spawn + run + new + lend + out + input + encode + A0 + __S
}

#[pool_task]
fn task(task: &str) -> usize {
    task.len()
}

#[pool_task]
fn spawn(spawn: &[u8], a0: u8) -> usize {
    spawn.len()
}

#[pool_task]
fn run(self_: u8, serializer: u8, deserializer: u8) -> u8 {
    self_
}

fn main() {
    let pool = Pool::inline();
    assert_eq!(pool.submit(arguments::task(1, 1, 1, 1, 1, 1, 1, 1, 1, 1)).join().unwrap(), 10);
    assert_eq!(pool.submit(task::task("ab")).join().unwrap(), 2);
    assert_eq!(pool.submit(spawn::task(&[1], 2)).join().unwrap(), 1);
    assert_eq!(pool.submit(run::task(1, 2, 3)).join().unwrap(), 1);
}
