//! Global pools, and which backend is the default.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use pool_core::{Backend, Error, Pool, pool_task};
use pool_tests::gate::pass;

/// Says which backend `Pool::new` and `spawn` choose, or why they do not.
pub(crate) fn backend() {
    match Pool::new() {
        Ok(pool) => println!("new: {}", pool.backend()),
        Err(error) => println!("new: {error}"),
    }
    match which::spawn().join() {
        Ok(backend) => println!("spawn: {backend}"),
        Err(error) => println!("spawn: {error}"),
    }
    // What the function says comes first, and what the code says before that.
    println!("marked: {}", marked::spawn().join().unwrap());
    let named = Pool::builder().backend(Backend::Inline).build().unwrap();
    println!("named: {}", named.submit(marked::task()).join().unwrap());
}

#[pool_task]
fn which() -> String {
    pool_core::current().backend().to_string()
}

#[pool_task(backend = "threads")]
fn marked() -> String {
    pool_core::current().backend().to_string()
}

#[pool_task(backend = "processes")]
fn elsewhere() -> u32 {
    std::process::id()
}

#[pool_task(backend = "inline")]
fn here() -> String {
    format!("{:?}", std::thread::current().id())
}

pub(crate) fn globals() {
    let builder = || Pool::builder().backend(Backend::Processes).workers(1);
    builder().build_global().unwrap();
    let error = builder().build_global().unwrap_err();
    assert_eq!(error, Error::GlobalExists(Backend::Processes));
    println!("{error}");
    // One worker: always the same process.
    let pids: Vec<_> = (0..20).map(|_| elsewhere::spawn()).collect();
    let mut pids: Vec<_> = pids
        .into_iter()
        .map(|handle| handle.join().unwrap())
        .collect();
    pids.dedup();
    assert_eq!(pids.len(), 1);
    assert_ne!(pids[0], std::process::id());
    // Made at first use; then it is there.
    assert_eq!(marked::spawn().join().unwrap(), "threads");
    let threads = Pool::builder().backend(Backend::Threads);
    assert_eq!(
        threads.build_global().unwrap_err(),
        Error::GlobalExists(Backend::Threads)
    );
    let own = format!("{:?}", std::thread::current().id());
    assert_eq!(here::spawn().join().unwrap(), own);
    // A failed attempt leaves room for another one.
    let inline = || Pool::builder().backend(Backend::Cluster);
    assert!(matches!(
        inline().build_global(),
        Err(Error::Unavailable { .. })
    ));
    assert!(matches!(
        inline().build_global(),
        Err(Error::Unavailable { .. })
    ));
    println!("all as it should be");
}

#[pool_task(backend = "threads")]
fn slowly_on_threads(folder: &Path, number: u32) {
    sleep(Duration::from_millis(100));
    pass(folder, number);
}

#[pool_task(backend = "processes")]
fn slowly_on_processes(folder: &Path, number: u32) {
    sleep(Duration::from_millis(100));
    pass(folder, number);
}

/// Nobody joins, and `main` ends at once.
pub(crate) fn drain(folder: &str) {
    for number in 0..4 {
        drop(slowly_on_threads::spawn(folder.as_ref(), number));
        drop(slowly_on_processes::spawn(folder.as_ref(), 10 + number));
    }
}

#[pool_task(backend = "threads")]
fn chain(folder: &Path, left: u32) {
    sleep(Duration::from_millis(50));
    pass(folder, left);
    if left > 0 {
        drop(chain::spawn(folder, left - 1));
    }
}

/// A task that is drained spawns another one.
pub(crate) fn drain_chain(folder: &str) {
    drop(chain::spawn(folder.as_ref(), 3));
}
