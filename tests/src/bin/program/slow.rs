//! A pool that is dropped while a task still runs.

use std::path::Path;
use std::time::Duration;

use pool_core::Pool;
use pool_tests::gate::hold;

/// Drops a pool whose task waits at the gate in this folder.
pub(crate) fn drop_slowly(backend: &str, warns: bool, folder: &str) {
    let pool = Pool::builder()
        .backend(backend.parse().unwrap())
        .workers(2)
        .warn_after(warns.then_some(Duration::from_millis(20)))
        .build()
        .unwrap();
    drop(pool.submit(hold::task(Path::new(folder), 7)));
    drop(pool);
    println!("dropped");
}
