//! When agents were lost: only then may tasks be lost with them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long after its end a fault may still be the reason of something.
const AFTER: Duration = Duration::from_secs(5);

/// From when to when tasks may be lost.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<(Instant, Instant)>>);

impl Faults {
    /// Something was done that loses tasks, from `begin` for so long as it takes until that is found
    /// out.
    pub(crate) fn add(&self, begin: Instant, lasts: Duration) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.push((begin, begin + lasts + AFTER));
    }

    /// Whether a task that was submitted then may be lost now.
    pub(crate) fn explain(&self, submitted: Instant) -> bool {
        let now = Instant::now();
        let faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut faults = faults.iter();
        faults.any(|(begin, end)| *begin <= now && *end >= submitted)
    }
}
