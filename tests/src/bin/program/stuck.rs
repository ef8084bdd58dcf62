//! Tests of the watchdog.

use std::sync::Mutex;
use std::time::Duration;

use pool_core::{Backend, Pool};
use pool_tests::gate::Gate;
use pool_tests::watchdog::Watchdog;

#[inline(never)]
fn waits_for_a_lock(lock: &Mutex<()>) {
    drop(lock.lock());
}

/// Waits for ever in two threads, with a worker that is busy for ever.
pub(crate) fn stuck() {
    let _watchdog = Watchdog::start(Duration::from_millis(500));
    let gate = Gate::new();
    let pool = Pool::builder()
        .backend(Backend::Processes)
        .workers(1)
        .build()
        .unwrap();
    let handle = pool.submit(gate.never(1));
    println!("worker {}", gate.wait_for(1));
    let lock = Mutex::new(());
    let guard = lock.lock();
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("locked-out".into())
            .spawn_scoped(scope, || waits_for_a_lock(&lock))
            .unwrap();
        let _ = handle.join();
    });
    drop(guard);
}

/// Is done in time.
pub(crate) fn calm() {
    let watchdog = Watchdog::start(Duration::from_secs(600));
    let pool = Pool::builder()
        .backend(Backend::Processes)
        .workers(1)
        .build()
        .unwrap();
    drop(pool);
    drop(watchdog);
    println!("done");
}
