#![allow(unused)]

use pool_core::pool_task;

#[pool_task]
fn print(text: impl AsRef<str>, all: Vec<impl AsRef<str>>, one: &impl AsRef<str>) {}

fn main() {}
