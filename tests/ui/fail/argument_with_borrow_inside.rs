#![allow(unused)]

use pool_core::pool_task;
use std::borrow::Cow;

struct Parser<'a>(&'a str);

#[pool_task]
fn parse<'a>(cow: Cow<'a, str>, parser: Parser<'_>, names: Vec<&str>, twice: &&'a str) {}

fn main() {}
