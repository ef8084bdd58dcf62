#![allow(unused)]

use pool_core::pool_task;

#[derive(Clone)]
struct Config;

#[pool_task]
fn start(config: &Config, more: &[Config]) {}

fn main() {}
