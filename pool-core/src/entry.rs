//! The doors through which a re-executed program becomes a worker.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::local::{self, Local};

/// Where a re-executed program becomes a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// At the start of `main`.
    Main,
    /// At the start of the test with this path.
    Test(&'static str),
}

/// The first door that this process went through.
static DOOR: OnceLock<Door> = OnceLock::new();

static IS_WORKER: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The door of the test that runs in this thread.
    static TEST_DOOR: Cell<Option<Door>> = const { Cell::new(None) };
}

/// The door through which workers of a pool made by this thread come in.
pub(crate) fn door() -> Option<Door> {
    local::read(&TEST_DOOR).or_else(|| DOOR.get().copied())
}

/// From now on workers of pools that the calling thread makes come in through this door.
#[cfg(feature = "cluster")]
pub(crate) fn use_door(door: Option<Door>) {
    TEST_DOOR.store(door);
}

/// Whether this process is a worker.
pub(crate) fn is_worker() -> bool {
    IS_WORKER.load(Relaxed)
}

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
    go_through(Door::Main);
}

/// The end of `#[pool_core::main]`: waits for the global pools.
#[doc(hidden)]
pub fn finish() {
    crate::pool::shut_down_globals();
}

/// The door of `#[pool_core::test]`; `path` is the test's, with the crate in front.
#[doc(hidden)]
pub fn test_door(path: &'static str) {
    go_through(Door::Test(path));
    TEST_DOOR.store(Some(Door::Test(path)));
}

fn go_through(door: Door) {
    #[cfg(feature = "processes")]
    {
        use crate::backend::processes::{Token, take_over};

        // Through the first door only: a worker that calls it again, in a task, is one already.
        if DOOR.get().is_none()
            && let Some(token) = Token::of_this_process()
        {
            let _ = DOOR.set(door);
            IS_WORKER.store(true, Relaxed);
            take_over(token);
        }
    }
    #[cfg(feature = "cluster")]
    if DOOR.get().is_none() && crate::backend::cluster::is_asked_for() {
        let _ = DOOR.set(door);
        TEST_DOOR.store(Some(door));
        crate::backend::cluster::take_over();
    }
    // A later door changes nothing.
    let _ = DOOR.set(door);
}
