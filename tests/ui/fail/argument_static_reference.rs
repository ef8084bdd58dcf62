#![allow(unused)]

use pool_core::pool_task;

#[pool_task]
fn keep(text: &'static str) {}

fn main() {}
