//! What the tests and their helper programs share.

// A failed `unwrap` is a failed test.
#![allow(clippy::unwrap_used)]

pub mod chance;
#[cfg(doctest)]
pub mod doctests;
pub mod gate;
pub mod held;
#[cfg(feature = "cluster")]
pub mod nats;
pub mod options;
pub mod proc;
pub mod sealed;
pub mod tasks;
// Signals every thread to print its stack.
#[allow(unsafe_code)]
pub mod watchdog;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The code in the README, as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// How long a test waits for what must happen before it fails. Nothing passes because it was
/// quick, and nothing fails because the machine was busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the condition holds.
///
/// # Panics
/// When it does not within [`PATIENCE`].
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The same for what `look` finds.
///
/// # Panics
/// When it finds nothing within [`PATIENCE`].
#[track_caller]
pub fn until_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    until(what, || {
        found = look();
        found.is_some()
    });
    found.unwrap()
}

/// An executor for one thread: polls when it is woken, and sleeps otherwise.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
