#![allow(unused)]

use pool_core::pool_task;

#[pool_task]
unsafe fn read(address: usize) -> u8 {
    0
}

fn main() {}
