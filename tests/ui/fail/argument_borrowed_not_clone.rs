#![allow(unused)]

use pool_core::pool_task;

#[derive(serde::Serialize, serde::Deserialize)]
struct Config;

#[pool_task]
fn start(config: &Config) {}

fn main() {}
