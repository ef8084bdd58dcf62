//! The cluster backend against real servers, with agents as processes of their own, while one or the
//! other dies, hangs, is cut off, refuses, or talks nonsense.
//!
//! A test runs alone in a process, which is the submitter. Its agents are this binary once more, so
//! that they know the same tasks: with `POOL_WORKER` they come in through the door of [`agent`].

mod access;
mod agents;
mod noise;
mod servers;
mod sizes;
mod submitters;
mod support;
mod three;

use std::time::Duration;

/// After how long a test is stuck, unless it says otherwise.
const STUCK: Duration = Duration::from_secs(60);

/// Writes the tests of a module, each of which is a function `name()` in `cases`.
macro_rules! cases {
    ($($name:ident $(within $seconds:literal)?;)+) => {$(
        #[pool_core::test]
        fn $name() {
            #[allow(unused_mut, unused_assignments)]
            let mut stuck = $crate::cluster::STUCK;
            $(stuck = std::time::Duration::from_secs($seconds);)?
            $crate::harness::alone(module_path!(), stringify!($name), stuck, cases::$name);
        }
    )+};
}

use cases;

/// The door of the agents; as a test there is nothing to it.
#[pool_core::test]
fn agent() {}
