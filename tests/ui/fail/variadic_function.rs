#![allow(unused)]

use pool_core::pool_task;

#[pool_task]
unsafe extern "C" fn sum(count: u32, rest: ...) -> u32 {
    count
}

fn main() {}
