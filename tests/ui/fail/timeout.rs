use pool_core::pool_task;

#[pool_task(timeout = "5")]
fn no_unit() {}

#[pool_task(timeout = "five seconds")]
fn words() {}

#[pool_task(timeout = "0s")]
fn zero() {}

#[pool_task(timeout = "99999999999h")]
fn too_long() {}

fn main() {}
