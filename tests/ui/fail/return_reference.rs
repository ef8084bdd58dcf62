use pool_core::pool_task;
use std::borrow::Cow;

#[pool_task]
fn first<'a>(text: &'a str) -> &'a str {
    text
}

#[pool_task]
fn slices(bytes: &[u8]) -> Option<&[u8]> {
    Some(bytes)
}

#[pool_task]
fn constant() -> &'static str {
    "a"
}

#[pool_task]
fn cow<'a>(text: &'a str) -> Cow<'a, str> {
    text.into()
}

fn main() {}
