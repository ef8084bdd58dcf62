use pool_core::pool_task;

#[pool_task(task = "Title")]
fn title(url: &str) -> String {
    url.to_owned()
}

mod page {}

#[pool_task]
fn page(url: &str) -> String {
    url.to_owned()
}

#[pool_task(task = Body)]
fn body(url: &str) -> String {
    url.to_owned()
}

#[pool_task]
fn bool(text: &str) -> usize {
    text.len()
}

fn main() {
    let _ = body::task("…");
}
