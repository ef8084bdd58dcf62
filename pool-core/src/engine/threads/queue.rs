//! The queue of jobs that were submitted from outside the workers.
//!
//! It is cut into shards, each a ring buffer behind a lock; a submitting thread keeps to one
//! shard, so jobs of one thread come out in the order in which they went in, and threads that
//! submit at the same time do not meet. A buffer is reused, where a list of blocks (crossbeam's
//! injector) would have the workers free what the submitters allocate: with the allocator of the
//! C library that made both wait for each other's lock, and took a quarter of the submitter's
//! time. Workers take many jobs at once, so the locks are rarely contended.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_deque::Worker as Deque;
use crossbeam_utils::CachePadded;

use crate::job::cell::Job;
use crate::sync::local::{self, Local};

/// More shards than submitting threads are of no use.
const MAX_SHARDS: usize = 16;

/// An empty buffer with room for more jobs than this is given back.
const KEEP: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Queue {
    shards: Box<[CachePadded<Shard>]>,
}

#[derive(Default)]
struct Shard {
    /// How many jobs there are, for who does not hold the lock.
    len: AtomicUsize,
    jobs: Mutex<VecDeque<Job>>,
    /// The most that it ever held; written under the lock.
    peak: AtomicUsize,
}

thread_local! {
    /// The calling thread's shard, once it has one.
    static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
}

fn own_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    local::read(&SHARD).unwrap_or_else(|| {
        let shard = NEXT.fetch_add(1, Relaxed);
        SHARD.store(Some(shard));
        shard
    })
}

impl Queue {
    pub(super) fn new(workers: usize) -> Self {
        let shards = workers.next_power_of_two().min(MAX_SHARDS);
        Self {
            shards: (0..shards).map(|_| CachePadded::default()).collect(),
        }
    }

    pub(super) fn push(&self, job: Job) {
        // There is no limit that a length could reach.
        let _ = self.push_below(usize::MAX, job);
    }

    /// Whether the caller's shard holds fewer than `limit` jobs.
    pub(super) fn has_room(&self, limit: usize) -> bool {
        let shard = &self.shards[own_shard() % self.shards.len()];
        shard.len.load(Relaxed) < limit
    }

    /// Pushes a job if the shard holds fewer than `limit`; otherwise returns it.
    pub(super) fn push_below(&self, limit: usize, job: Job) -> Result<(), Job> {
        let shard = &self.shards[own_shard() % self.shards.len()];
        let mut jobs = shard.lock();
        if jobs.len() >= limit {
            return Err(job);
        }
        jobs.push_back(job);
        let len = jobs.len();
        // Relaxed: who may sleep because of it looks behind a fence (`sleep`).
        shard.len.store(len, Relaxed);
        if len > shard.peak.load(Relaxed) {
            shard.peak.store(len, Relaxed);
        }
        Ok(())
    }

    /// How many jobs wait, without those that were cancelled. Goes through all of them.
    pub(super) fn count(&self) -> usize {
        let queued = |job: &&Job| job.head().state.is_queued();
        let shards = self.shards.iter();
        shards
            .map(|shard| shard.lock().iter().filter(queued).count())
            .sum()
    }

    /// The most that there ever were in the shards, if not in all at the same moment.
    pub(super) fn peak(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.peak.load(Relaxed))
            .sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.is_empty())
    }

    /// Takes the oldest job of a shard; `first` is the one to begin with.
    pub(super) fn take(&self, first: usize) -> Option<Job> {
        self.take_and(first, |_| ())
    }

    /// The same, and up to `more` jobs after it, which go to `batch`; at most a share of what is
    /// there, if `takers` take in turn.
    pub(super) fn take_batch(
        &self,
        first: usize,
        more: usize,
        takers: usize,
        batch: &Deque<Job>,
    ) -> Option<Job> {
        self.take_and(first, |jobs| {
            let share = (1 + jobs.len()).div_ceil(takers);
            jobs.drain(..more.min(share - 1))
                .for_each(|job| batch.push(job));
        })
    }

    fn take_and(&self, first: usize, also: impl FnOnce(&mut VecDeque<Job>)) -> Option<Job> {
        let shards = self.shards.len();
        for i in 0..shards {
            let shard = &self.shards[(first + i) % shards];
            if shard.is_empty() {
                continue;
            }
            let mut jobs = shard.lock();
            let Some(job) = jobs.pop_front() else {
                continue;
            };
            also(&mut jobs);
            shard.len.store(jobs.len(), Relaxed);
            if jobs.is_empty() && jobs.capacity() > KEEP {
                *jobs = VecDeque::new();
            }
            return Some(job);
        }
        None
    }
}

impl Shard {
    fn is_empty(&self) -> bool {
        self.len.load(Relaxed) == 0
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Job>> {
        // Nothing that can panic runs under the lock.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
