//! One task API for inline, thread, process and cluster execution.

// Without a backend that sends tasks elsewhere, the parts that serve such backends are unused.
#![cfg_attr(not(feature = "processes"), allow(dead_code))]

mod backend;
mod bytes;
mod catalog;
// The task cell: its contents change hands without a lock.
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
#[allow(unsafe_code)]
mod cell;
mod codec;
mod current;
mod entry;
mod error;
mod handle;
mod map;
mod panics;
mod pool;
mod task;
mod task_error;

pub use backend::Backend;
pub use catalog::{Duplicate, TaskEntry, tasks};
pub use current::{Current, current};
pub use entry::init;
pub use error::{Error, StartFailure};
pub use handle::JoinHandle;
pub use map::Map;
pub use pool::{MAX_WORKERS, Pool, PoolBuilder};
#[cfg(feature = "macros")]
pub use pool_macros::{main, pool_task, test};
pub use task::{Task, TaskExt, WithOptions};
pub use task_error::{TaskError, TaskErrorKind};

/// How deep process pools can be nested: a worker's own pool is one deeper than the pool that
/// the worker belongs to.
pub const MAX_DEPTH: u32 = 4;
