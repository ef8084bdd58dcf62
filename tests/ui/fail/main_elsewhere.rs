#![allow(unused)]

#[pool_core::main]
fn start(args: Vec<String>) {}

#[pool_core::main(threads = 4)]
fn main() {}
