#![allow(unused)]

#[pool_core::test]
async fn fetches() {}

#[pool_core::test]
fn with_argument(n: u32) {}

fn main() {}
