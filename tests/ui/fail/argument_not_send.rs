#![allow(unused)]

use pool_core::pool_task;

#[pool_task]
fn share(count: std::rc::Rc<u32>) {}

fn main() {}
