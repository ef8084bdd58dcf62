#![allow(unused)]

use pool_core::pool_task;

struct Page;

#[pool_task]
fn fetch(url: &str) -> Page {
    Page
}

fn main() {
    let _ = fetch::spawn("https://example.org");
}
