//! What the scheduler counts. Of a task that comes to a result nothing is: the numbers of a lane tell how
//! many were done, so only the others are counted, and chunks.

use std::time::{Duration, Instant};

use super::deadlines::counted_since;
use super::lane::monotonic_nanos;
use super::wire::Finished;
use super::worker_queue::WorkerQueue;
use crate::codec::{self, Reply};
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::job::cell::{Claimed, Watched};
use crate::metrics::recorder::{Metrics, Stamp};
use crate::metrics::stats::Mean;
use crate::sync::clock;

/// What a lane's own numbers do not tell.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// What is done and is no task with a result: failed, passed over, told to run again, a chunk.
    pub(super) others: u64,
    /// Tasks of chunks that have a result.
    in_chunks: u64,
    /// How long the tasks of chunks took.
    pub(super) chunks: Mean,
    /// Which task was seen to run, since when, and whether that is when it started.
    at: Option<(u64, Instant, bool)>,
}

/// Finishes a job without an answer, and counts that.
pub(super) fn fail(metrics: &Metrics, job: Claimed, error: TaskError) -> Option<Watched> {
    let unstarted = matches!(
        error.kind(),
        TaskErrorKind::Cancelled | TaskErrorKind::Rejected
    );
    // One that is resolved was counted by who did that.
    let counted = job.head().is_resolved();
    let passed_over = job.is_chunk() && unstarted;
    if !counted && !passed_over {
        metrics.failed(error.kind(), job.chunk().max(1));
    }
    job.fail(error)
}

impl WorkerQueue {
    /// How many tasks have come to a result in this lane.
    pub(super) fn finished(&self) -> u64 {
        match self.life.is_initializing() {
            true => 0,
            false => self.done.saturating_sub(self.counts.others) + self.counts.in_chunks,
        }
    }

    /// The worker has answered something else than a result.
    #[cold]
    pub(super) fn count_failure(&mut self, reply: Reply, job: &Claimed) {
        if self.life.is_initializing() {
            return;
        }
        self.counts.others += u64::from(!job.is_chunk());
        if let Some(kind) = reply.failure() {
            self.metrics.failed(kind, job.chunk().max(1));
        }
    }

    /// Counts tasks of a chunk that have run since the last check, and those of them without a result.
    pub(super) fn count_chunk(&mut self, ran: usize, failed: usize) {
        self.counts.in_chunks += ran.saturating_sub(failed) as u64;
    }

    /// A chunk is done.
    pub(super) fn time_chunk(&mut self, finished: Finished) {
        // More does not fit.
        if finished.nanos < u32::MAX {
            self.counts.chunks.count += u64::from(finished.ran);
            self.counts.chunks.nanos += u64::from(finished.nanos);
        }
    }

    /// These replies of a chunk were read; how many are no results.
    pub(super) fn count_failures(&self, replies: &[u8]) -> usize {
        count_failures(&self.metrics, replies)
    }

    /// A sample has run: when it began is noted in its slot, and it says for how long it ran.
    #[cold]
    pub(super) fn take_sample(&self, seq: u64, stamp: Stamp, ran: u64) {
        let (now, clock) = (Instant::now(), monotonic_nanos());
        let age = clock.checked_sub(self.lane.slot(seq).note());
        // It is no older than its worker.
        let oldest = self.life.age(now);
        let Some(age) = age.filter(|age| ran <= *age && Duration::from_nanos(*age) <= oldest)
        else {
            return;
        };
        if let Some(start) = now.checked_sub(Duration::from_nanos(age)) {
            self.metrics.waited(stamp, start);
            self.metrics.ran(Duration::from_nanos(ran));
        }
    }

    /// The worker sleeps, and is woken for its oldest task.
    #[cold]
    pub(super) fn note_start(&mut self) {
        self.counts.at = Some((self.done, clock::now(), true));
    }

    /// The oldest task is seen to be there.
    pub(super) fn note_task(&mut self, now: Instant) {
        if self.ahead() > 0 && self.counts.at.is_none_or(|(seq, ..)| seq != self.done) {
            self.counts.at = Some((self.done, now, false));
        }
    }

    /// For how long the worker has been at its task, and whether that is so: it may be longer.
    pub(super) fn age(&mut self, now: Instant) -> (Duration, bool) {
        self.note_task(now);
        let seen = match self.counts.at {
            Some((_, since, is_start)) => (now.saturating_duration_since(since), is_start),
            None => (Duration::ZERO, false),
        };
        match self.is_noted(self.done) {
            false => seen,
            true => match self.lane.slot(self.done).note() {
                0 => seen,
                start => {
                    // It cannot be older than its worker.
                    (counted_since(start).min(self.life.age(now)), true)
                }
            },
        }
    }
}

/// Counts those replies of a chunk that are no results; how many there are.
pub(super) fn count_failures(metrics: &Metrics, replies: &[u8]) -> usize {
    codec::failures(replies)
        .map(|kind| metrics.failed(kind, 1))
        .count()
}
