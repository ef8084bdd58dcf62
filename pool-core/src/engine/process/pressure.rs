//! Back-pressure: how much waits for a worker, how much may, and what `stats` says of it.
//!
//! *Queued* means in the backlog, or in a lane behind the task that its worker is
//! at.

use super::after::After;
use super::backlog::Backlog;
use super::scheduler::Scheduler;
use super::worker_queue::WorkerQueue;
use crate::engine::{Bounds, Config};
use crate::metrics::stats::{Part, Stats};

/// The bounds of the queue, and what there was in it.
pub(super) struct Queue {
    pub(super) bounds: Bounds,
    /// Whether the user has set them: then what is in the lanes counts at each submit.
    exact: bool,
    /// How many submitters have been promised room.
    pub(super) reserved: usize,
    /// How many jobs of the backlog were cancelled since it was last swept.
    pub(super) stale: usize,
    peak: (usize, usize),
}

impl Queue {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            bounds: config.bounds(),
            exact: config.is_bounded(),
            reserved: 0,
            stale: 0,
            peak: (0, 0),
        }
    }

    /// Whether it is worth a closer look.
    #[inline]
    pub(super) fn may_be_full(&self, backlog: &Backlog) -> bool {
        self.exact || self.bounds.are_reached(backlog.tasks(), backlog.bytes())
    }
}

impl Scheduler {
    /// Whether no task is to be taken now.
    pub(super) fn is_full(&mut self, after: &mut After) -> bool {
        let reached = |scheduler: &Self| {
            let (tasks, bytes) = scheduler.waiting();
            scheduler
                .queue
                .bounds
                .are_reached(tasks + scheduler.queue.reserved, bytes)
        };
        reached(self) && {
            // Finished and cancelled tasks may be in the way.
            self.turn(after);
            self.sweep(after);
            reached(self)
        }
    }

    /// Promises room to a submitter, if there is any. One that would be refused needs none.
    pub(super) fn reserve(&mut self, after: &mut After) -> bool {
        let full = self.is_open() && self.is_full(after);
        self.queue.reserved += usize::from(!full);
        !full
    }

    /// How many tasks wait for a worker, and how many bytes of arguments.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let (mut tasks, mut bytes) = (self.backlog().tasks(), self.backlog().bytes());
        for worker_queue in self.worker_queues.iter().flatten() {
            let (behind, len) = worker_queue.behind();
            tasks += behind;
            bytes += len;
        }
        (tasks, bytes)
    }

    /// There is more than before. Without a look into the lanes, as far as that goes: this is done
    /// at each submit.
    pub(super) fn note_peak(&mut self) {
        let (tasks, bytes) = if self.queue.exact {
            self.waiting()
        } else {
            let behind = |worker_queue: &WorkerQueue| worker_queue.ahead().saturating_sub(1);
            let behind: usize = self.worker_queues.iter().flatten().map(behind).sum();
            (self.backlog().tasks() + behind, self.backlog().bytes())
        };
        let peak = &mut self.queue.peak;
        *peak = (peak.0.max(tasks), peak.1.max(bytes));
    }

    pub(super) fn stats(&mut self, after: &mut After) -> Stats {
        self.turn(after);
        self.sweep(after);
        let (queued, queue_bytes) = self.waiting();
        let worker_queues = || self.worker_queues.iter().flatten();
        let busy = worker_queues()
            .filter(|worker_queue| worker_queue.runs(worker_queue.done))
            .count();
        let overdue = worker_queues()
            .filter(|worker_queue| worker_queue.runs_unwanted())
            .count();
        let mut stats = self.metrics.stats();
        let run = &mut stats.times.0[Part::Run as usize];
        for chunks in worker_queues()
            .map(|worker_queue| worker_queue.counts.chunks)
            .chain([self.before.1])
        {
            run.count += chunks.count;
            run.nanos += chunks.nanos;
        }
        Stats {
            finished: self.before.0 + worker_queues().map(WorkerQueue::finished).sum::<u64>(),
            workers: worker_queues()
                .filter(|worker_queue| !worker_queue.life.is_stopped())
                .count(),
            queued,
            // A worker may have written other states between the two looks.
            running: busy.saturating_sub(overdue),
            overdue,
            queue_peak: self.queue.peak.0,
            queue_bytes,
            queue_bytes_peak: self.queue.peak.1,
            workers_started: self.counts.started,
            workers_lost: self.counts.lost,
            retried: self.counts.retried,
            timed_out: self.counts.timed_out,
            ..stats
        }
    }
}

impl WorkerQueue {
    /// How many tasks are behind the one that the worker is at, and how many bytes of arguments.
    fn behind(&self) -> (usize, usize) {
        if self.ahead() < 2 {
            return (0, 0);
        }
        let behind = (self.done + 1 - self.tail) as usize;
        let behind = self.entries.range(behind..);
        // The others were cancelled, and are passed over.
        let wanted = behind.filter(|entry| entry.job.is_some() || entry.is_filling());
        wanted.fold((0, 0), |(tasks, bytes), entry| {
            let len = entry.region.map_or(0, |region| region.len as usize);
            (tasks + 1, bytes + len)
        })
    }

    /// Whether the worker runs a task for which nobody waits any more.
    pub(super) fn runs_unwanted(&self) -> bool {
        let entry = self.entries.get((self.done - self.tail) as usize);
        self.runs(self.done) && entry.is_some_and(|entry| entry.job.is_none() || entry.overdue)
    }
}
