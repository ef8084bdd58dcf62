//! The first and the last statement of `main`.

use crate::api::pool;
use crate::engine::door::{self, Door};

/// Opens the door for worker processes: the first statement of `main`, for programs that do not
/// use [`#[pool_core::main]`](macro@crate::main).
///
/// In a process that was started as a worker it takes over and never returns: the process serves
/// tasks until its pool ends. In every other process it returns at once, and from then on
/// [`Pool::processes`](crate::Pool::processes) can start workers. What stands before it runs in
/// every worker too.
///
/// ```no_run
/// fn main() -> Result<(), pool_core::Error> {
///     pool_core::init();
///     let pool = pool_core::Pool::processes()?;
///     println!("{} workers", pool.workers());
///     Ok(())
/// }
/// ```
pub fn init() {
    door::go_through(Door::Main);
}

/// The end of `#[pool_core::main]`: waits for the global pools.
#[doc(hidden)]
pub fn finish() {
    pool::shut_down_globals();
}
