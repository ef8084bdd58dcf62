use pool_core::pool_task;

#[pool_task(timeout = 5)]
fn number() {}

#[pool_task(timeout)]
fn alone() {}

#[pool_task(timeout("5s"))]
fn call() {}

#[pool_task(name = "")]
fn empty() {}

#[pool_task(crate = "no path")]
fn no_path() {}

#[pool_task(timeout = "5s" name = "x")]
fn comma() {}

#[pool_task("5s")]
fn no_key() {}

fn main() {}
