//! A program whose `main` is asynchronous: its workers never start the runtime.

use std::error::Error;
use std::process::ExitCode;

use pool_core::{Pool, pool_task};

#[pool_task]
fn arguments() -> Vec<String> {
    std::env::args().collect()
}

#[pool_task]
fn is_in_a_runtime() -> bool {
    tokio::runtime::Handle::try_current().is_ok()
}

#[pool_task(backend = "processes")]
async fn later(text: String) {
    println!("{text}");
}

#[pool_core::main]
#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    println!("{:?}", arguments());
    let pool = Pool::processes()?;
    // In several tasks of the runtime, on threads of its own.
    let asked: Vec<_> = (0..4)
        .map(|_| pool.submit(is_in_a_runtime::task()))
        .map(|handle| tokio::spawn(async move { (is_in_a_runtime(), handle.await) }))
        .collect();
    for asked in asked {
        let (here, there) = asked.await?;
        println!("in a runtime: {here}, {}", there?);
    }
    let [here, there] = [arguments(), pool.submit(arguments::task()).await?];
    println!("{:?}", &there[1..]);
    println!("{}, {}", here[0] == there[0], there[0]);
    drop(later::spawn("at the end".to_owned()));
    match here.get(1).map(String::as_str) {
        Some("fail") => Err("on purpose")?,
        Some("code") => Ok(ExitCode::from(7)),
        _ => Ok(ExitCode::SUCCESS),
    }
}
