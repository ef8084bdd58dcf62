#![allow(unused)]

use pool_core::pool_task;

#[pool_task]
fn call(text: &dyn AsRef<str>) {}

fn main() {}
