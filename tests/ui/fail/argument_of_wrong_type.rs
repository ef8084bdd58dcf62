use pool_core::pool_task;

#[pool_task]
fn repeat(text: &str, times: usize) -> String {
    text.repeat(times)
}

fn main() {
    repeat::task("ab", "2");
    repeat::task("ab");
}
