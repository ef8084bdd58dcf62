//! Waiting for the end of a pool's threads, with a limit.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::sync::clock;

/// Set once, when the last thread of a pool ends.
#[derive(Debug)]
pub(super) struct Ended {
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Ended {
    pub(super) fn new() -> Self {
        Self {
            ended: Mutex::new(false),
            changed: Condvar::new(),
        }
    }

    pub(super) fn set(&self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits, at most until the deadline; says whether it is set.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> bool {
        // The time in which the program is stopped does not count.
        let _watch = deadline.and_then(|_| clock::Watch::new());
        let deadline = deadline.map(clock::of);
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        while !*ended {
            ended = match deadline {
                None => self
                    .changed
                    .wait(ended)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(clock::look());
                    if left.is_zero() {
                        return false;
                    }
                    self.changed
                        .wait_timeout(ended, left.min(clock::BEAT))
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
        true
    }
}
