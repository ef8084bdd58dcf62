#![allow(unused)]

use pool_core::pool_task;

struct Config;

#[pool_task]
fn start(name: String, config: Config, more: Vec<Config>) {}

fn main() {
    start::task("a".into(), Config, vec![]);
}
