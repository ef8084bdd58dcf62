use pool_core::pool_task;

#[pool_task(backend = "process")]
fn task() {}

fn main() {}
