#![allow(unused)]

use pool_core::pool_task;

#[pool_task(timeout = "5", retires = 3)]
async fn convert<T>(input: &mut Vec<T>) -> &str {
    ""
}

fn main() {}
