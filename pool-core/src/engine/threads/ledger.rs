//! What one worker counts: it alone writes here, so a count is a load and a store.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::task_error::TaskErrorKind;
use crate::job::cell::{Count, Counts};
use crate::metrics::recorder::Metrics;
use crate::metrics::stats::Mean;

#[repr(align(128))]
pub(super) struct Ledger {
    pub(super) count: Count,
    /// Runs of the initializer, which no caller is told of.
    pub(super) initializer: Count,
    /// Tasks of batches, and how long they ran.
    batched: AtomicU64,
    nanos: AtomicU64,
    /// The number of a job, and when it was found to start, after `born`.
    job: AtomicU64,
    start: AtomicU64,
    born: Instant,
    /// Which job was seen to run at a look, and when first; by who looks.
    seen: Mutex<(u64, Instant)>,
    pool: Arc<Metrics>,
}

impl Ledger {
    pub(super) fn new(pool: Arc<Metrics>) -> Self {
        let born = Instant::now();
        Self {
            count: Count::default(),
            initializer: Count::default(),
            batched: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
            job: AtomicU64::new(0),
            start: AtomicU64::new(0),
            born,
            seen: Mutex::new((0, born)),
            pool,
        }
    }

    /// The worker starts this job now.
    pub(super) fn starts(&self, job: u64, now: Instant) {
        let start = nanos(now.saturating_duration_since(self.born));
        // Release: who reads the number reads this time or a later one.
        self.start.store(start, Relaxed);
        self.job.store(job, Release);
    }

    /// For how long the worker has been at this job, and whether that is so: if its start was not
    /// noted, it is for how long it has been seen.
    pub(super) fn age_of(&self, job: u64, now: Instant) -> (Duration, bool) {
        if self.job.load(Acquire) == job {
            let start = self.born + Duration::from_nanos(self.start.load(Relaxed));
            return (now.saturating_duration_since(start), true);
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != job {
            *seen = (job, now);
        }
        (now.saturating_duration_since(seen.1), false)
    }

    /// How long the tasks of batches took.
    pub(super) fn batched(&self) -> Mean {
        Mean {
            count: self.batched.load(Relaxed),
            nanos: self.nanos.load(Relaxed),
        }
    }
}

impl Counts for Ledger {
    fn ran(&self, tasks: usize, finished: usize, time: Duration) {
        self.count.add(finished as u64);
        let add = |word: &AtomicU64, more| word.store(word.load(Relaxed) + more, Relaxed);
        add(&self.batched, tasks as u64);
        add(&self.nanos, nanos(time));
    }

    fn failed(&self, kind: TaskErrorKind) {
        self.pool.failed(kind, 1);
    }
}

fn nanos(time: Duration) -> u64 {
    // Five hundred years fit.
    time.as_secs() * 1_000_000_000 + u64::from(time.subsec_nanos())
}
