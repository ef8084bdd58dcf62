//! What a process pool says of itself. Under the scheduler's lock only what the parent knows is noted; the
//! system is asked about the processes after that.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::after::After;
use super::memory::{Watch, is_stopped};
use super::scheduler::{self, Scheduler};
use super::worker_queue::WorkerQueue;
use super::{ENDED, KILLED, Shared};
use crate::engine::description::{Description, Phase, WorkerInfo, WorkerState};
use crate::engine::{Backend, SHUT_DOWN};
use crate::metrics::stats::Stats;
use crate::sync::clock;

/// What others want to know of the worker lifecycle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Workers that have not said hello.
    pub(super) starting: usize,
    /// Workers that have ended for want of work.
    pub(super) resting: usize,
    /// Starts in a row that have failed, and why the last one has.
    pub(super) failures: u32,
    pub(super) failure: Option<String>,
}

impl Shared {
    pub(super) fn describe(&self) -> Description {
        let target = self.workers.load(Relaxed);
        if !self.home.is_here() {
            let mut described = Description::new(Backend::Processes, target, Stats::default());
            described.phase = Phase::Forked;
            return described;
        }
        let mut described = self.with(Scheduler::describe);
        described.waiting_for_room = self.room.waiting();
        let lost = self.relays.lost();
        (described.lost_lines, described.last_lost_line) = (lost.lines, lost.why);
        let watch = Watch::new();
        for worker in &mut described.workers {
            let Some(pid) = worker.pid else {
                continue;
            };
            // It may have ended since. Its number is none of another process: it is not reaped
            // before the scheduler has heard of its end, but for a moment.
            worker.memory = watch.resident(pid);
            if worker.state != WorkerState::Ending && is_stopped(pid) {
                worker.state = WorkerState::Stopped;
            }
        }
        described
    }
}

impl Scheduler {
    fn describe(&mut self, after: &mut After) -> Description {
        let stats = self.stats(after);
        let now = clock::now();
        let mut described = Description::new(Backend::Processes, self.target, stats);
        described.phase = match &self.phase {
            scheduler::Phase::Open => Phase::Open,
            scheduler::Phase::Draining | scheduler::Phase::Cancelling => Phase::Draining,
            scheduler::Phase::Ended(why) if why == KILLED => Phase::Killed,
            scheduler::Phase::Ended(why) if why == SHUT_DOWN || why == ENDED => Phase::Ended,
            scheduler::Phase::Ended(why) => Phase::Broken(why.clone()),
        };
        let worker_queues = self.worker_queues.iter_mut().flatten();
        described.workers = worker_queues
            .map(|worker_queue| worker_queue.describe(now))
            .collect();
        let wanted = |job: &crate::job::cell::Claimed| !job.head().is_resolved();
        described.retries = self.retries.iter().filter(|job| wanted(job)).count();
        let next = self.retries.next_if(wanted);
        described.next_retry = next.map(|at| at.saturating_duration_since(now));
        described.starting = self.worker_lifecycle.starting;
        described.resting = self.worker_lifecycle.resting;
        described.failed_starts = self.worker_lifecycle.failures;
        described.last_failed_start = self.worker_lifecycle.failure.clone();
        described
    }

    /// The tasks that workers are at are seen to be there.
    pub(super) fn note_tasks(&mut self, now: Instant) {
        for worker_queue in self.worker_queues.iter_mut().flatten() {
            worker_queue.note_task(now);
        }
    }
}

impl WorkerQueue {
    fn describe(&mut self, now: Instant) -> WorkerInfo {
        let mut info = WorkerInfo::new(self.index);
        info.pid = Some(self.pid);
        info.finished = self.finished();
        let is_at_one = self.runs(self.done);
        info.state = match is_at_one {
            _ if self.life.is_stopped() || self.life.condemned => WorkerState::Ending,
            _ if self.life.is_initializing() => WorkerState::Initializing,
            true if self.runs_unwanted() => WorkerState::Overdue,
            true => WorkerState::Running,
            false => WorkerState::Idle,
        };
        if is_at_one {
            // Of one that nobody waits for any more the name is forgotten.
            info.task = Some(
                self.job(self.done)
                    .map_or("(cancelled)", |job| job.info().name),
            );
            let (age, is_exact) = self.age(now);
            (info.age, info.age_is_exact) = (Some(age), is_exact);
        }
        info
    }
}
