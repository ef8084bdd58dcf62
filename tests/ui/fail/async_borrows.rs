use pool_core::pool_task;

#[pool_task]
async fn head(text: &str) -> &str {
    text
}

#[pool_task]
async fn stream(url: String) -> impl Iterator<Item = u8> {
    url.into_bytes().into_iter()
}

fn main() {}
