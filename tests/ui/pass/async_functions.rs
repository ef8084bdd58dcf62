//! `async fn`, with the built-in executor and with tokio's reactor.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs)]

use std::time::Duration;

use pool_core::{Pool, pool_task};

/// Awaits another.
#[pool_task(backend = "threads")]
async fn twice(x: u32) -> u32 {
    double(x).await + double::spawn(x).await.unwrap()
}

#[pool_task]
async fn double(x: u32) -> u32 {
    2 * x
}

#[pool_task(runtime = "tokio", types(u8, u16))]
async fn later<T: Into<u64>>(ms: T, text: &str) -> Result<String, String> {
    tokio::time::sleep(Duration::from_millis(ms.into())).await;
    Ok(text.to_owned())
}

fn main() {
    assert_eq!(twice::spawn(3).join().unwrap(), 12);
    let pool = Pool::inline();
    assert_eq!(pool.submit(later::task(1_u8, "x")).join().unwrap().unwrap(), "x");
}
