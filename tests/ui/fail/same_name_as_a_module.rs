use pool_core::pool_task;

mod config {}

#[pool_task]
fn config() {}

fn main() {}
