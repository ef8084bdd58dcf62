use pool_core::pool_task;

#[pool_task]
async fn fetch(url: &str) -> String {
    url.to_owned()
}

fn main() {}
