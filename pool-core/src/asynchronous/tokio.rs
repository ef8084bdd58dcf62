//! `runtime = "tokio"`: a reactor for futures that need one.
//!
//! The runtime's one thread, of the process, drives sockets and timers and what a task spawns; the
//! task's own future is polled by the thread that runs the task, as without a runtime. So a task may
//! wait for another in any way, also inside of a runtime of the program, where one that blocks
//! cannot be started.

use std::future::Future;
use std::sync::OnceLock;

use ::tokio::runtime::{Builder, Runtime};

use super::block_on as block_on_thread;
use crate::Task;
use crate::catalog::Entry;
use crate::codec;

/// Runs the future in this thread, inside of the runtime.
///
/// # Panics
/// When the runtime cannot be started, and as [`block_on`](super::block_on).
pub fn block_on<F: Future>(future: F) -> F::Output {
    let _inside = runtime().enter();
    block_on_thread(future)
}

/// The entry of a task whose arguments are decoded inside of the runtime.
#[must_use]
pub const fn entry<T: Task>() -> Entry {
    Entry::of::<T>(run_one::<T>)
}

fn run_one<T: Task>(call: &mut codec::Run<'_>) -> Result<(), postcard::Error> {
    let _inside = runtime().enter();
    codec::run_one::<T>(call)
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
