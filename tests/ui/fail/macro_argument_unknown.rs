use pool_core::pool_task;

#[pool_task(timeuot = "5s")]
fn unknown() {}

#[pool_task(retries = 3, types(f32, f64))]
fn not_yet() {}

#[pool_task(retries = "3", idempotent = true)]
fn wrong_values() {}

#[pool_task(timeout = "5s", timeout = "6s")]
fn twice() {}

#[pool_core::test(timeout = "5s")]
fn test() {}

fn main() {
    let _ = (unknown::task(), not_yet::task(), wrong_values::task(), twice::task());
}
