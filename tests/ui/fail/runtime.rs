use pool_core::pool_task;

#[pool_task(runtime = "tokio")]
fn plain() {}

#[pool_task(runtime = "smol")]
async fn unknown() {}

#[pool_task(runtime)]
async fn no_value() {}

fn main() {}
