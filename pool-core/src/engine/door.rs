//! The doors through which a re-executed program becomes a worker.

use std::cell::Cell;
#[cfg(feature = "cluster")]
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use crate::sync::local::{self, Local};

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

/// How many tests with a door run now.
static TESTS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The door of the test that runs in this thread.
    static TEST_DOOR: Cell<Option<Door>> = const { Cell::new(None) };
}

/// The door through which workers of a pool made by this thread come in.
pub(crate) fn door() -> Option<Door> {
    local::read(&TEST_DOOR).or_else(|| {
        let door = DOOR.get().copied()?;
        // A thread that a test has started uses the test's door, and so does its worker. Another test
        // has none of its own, and must not depend on whether one with a door came before it.
        let is_own = door == Door::Main || is_worker() || is_started_by_a_test();
        is_own.then_some(door)
    })
}

/// Whether this may be a thread that a test with a door has started, and not that of another test.
/// The harness runs tests in its main thread, or in threads that are named after them.
fn is_started_by_a_test() -> bool {
    let thread = std::thread::current();
    let is_of_the_harness = thread
        .name()
        .is_some_and(|name| name == "main" || name.contains("::"));
    TESTS.load(Relaxed) > 0 && !is_of_the_harness
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

/// The door of `#[pool_core::test]`; `path` is the test's, with the crate in front.
#[doc(hidden)]
pub fn test_door(path: &'static str) -> TestDoor {
    go_through(Door::Test(path));
    TESTS.fetch_add(1, Relaxed);
    TestDoor {
        before: TEST_DOOR.swap(Some(Door::Test(path))),
    }
}

/// A test with a door, from its first statement to its end.
#[doc(hidden)]
#[derive(Debug)]
#[must_use = "the door is the test's until this is dropped"]
pub struct TestDoor {
    before: Option<Door>,
}

impl Drop for TestDoor {
    fn drop(&mut self) {
        TEST_DOOR.store(self.before);
        TESTS.fetch_sub(1, Relaxed);
    }
}

/// Becomes a worker or an agent if this process is to be one. Returns in every other process.
pub(crate) fn go_through(door: Door) {
    #[cfg(feature = "processes")]
    {
        use crate::engine::process::spawn::Token;
        use crate::engine::process::worker::take_over;

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
    if DOOR.get().is_none() && crate::engine::cluster::is_asked_for() {
        let _ = DOOR.set(door);
        TEST_DOOR.store(Some(door));
        if let Err(why) = crate::engine::process::privilege::check() {
            // Standard error may be closed.
            let _ = writeln!(
                std::io::stderr(),
                "pool-core: this process was started as an agent and cannot be one: {why}"
            );
            std::process::exit(64);
        }
        crate::engine::cluster::take_over();
    }
    // A later door changes nothing.
    let _ = DOOR.set(door);
}
