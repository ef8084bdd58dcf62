//! `runtime = "tokio"`: a reactor for futures that need one.
//!
//! The runtime's one thread, of the process, drives sockets and timers and what a task spawns; the
//! task's own future is polled by the thread that runs the task, as without a runtime. So tasks run also
//! inside of a runtime of the program, where one that blocks cannot be started. What a task spawns is
//! polled by the runtime's thread, which is no worker: it does not run tasks that are awaited there.

use std::future::Future;
use std::sync::OnceLock;

use ::tokio::runtime::{Builder, EnterGuard, Runtime};

use super::block_on as block_on_thread;

/// Runs the future in this thread, inside of the runtime.
///
/// # Panics
/// When the runtime cannot be started, and as [`block_on`](super::block_on).
pub fn block_on<F: Future>(future: F) -> F::Output {
    let _inside = enter();
    block_on_thread(future)
}

/// Inside of the runtime, as long as the guard lives: arguments are decoded in it.
///
/// # Panics
/// When the runtime cannot be started.
pub fn enter() -> EnterGuard<'static> {
    runtime().enter()
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("pool-tokio")
            .enable_all()
            .build()
            .unwrap_or_else(|error| panic!("tokio's runtime cannot be started: {error}"))
    })
}
