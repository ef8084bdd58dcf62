//! What a thread pool says of itself.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Instant;

use super::worker_table::Worker;
use super::{Shared, Threads};
use crate::engine::Backend;
use crate::engine::description::{Description, Phase, WorkerInfo, WorkerState};
use crate::error::task_error::TaskErrorKind;
use crate::job::cell::{Job, OnSeat};
use crate::job::current::Frame;
use crate::metrics::recorder::Stamp;
use crate::metrics::stats::{Part, Stats};

/// For how many workers a thread that is about to sleep notes what they are at.
const MAX_NOTED: usize = 16;

impl Shared {
    pub(super) fn stats(&self) -> Stats {
        let counts = self.bounded.counts();
        let (queued, queue_peak) = if self.bounded.exact {
            (counts.items, counts.items_peak)
        } else {
            let own: usize = self.workers.iter().map(|w| w.stealers.len()).sum();
            let queued = self.queue.count() + own;
            (queued, self.queue.peak().max(queued))
        };
        let resolved = |worker: &Worker| {
            let jobs = worker.seat.jobs();
            let innermost = jobs.first().map(|(job, _)| job.head().is_resolved());
            jobs.into_iter().for_each(|(job, _)| self.drop_job(job));
            innermost
        };
        let states: Vec<bool> = self.workers.iter().filter_map(resolved).collect();
        let overdue = states.iter().filter(|resolved| **resolved).count();
        let mut stats = self.metrics.stats();
        let mut finished = self.guests_finished.load(Relaxed);
        for worker in self.workers.iter() {
            finished += worker.ledger.count.finished();
            let batched = worker.ledger.batched();
            let run = &mut stats.times.0[Part::Run as usize];
            run.count += batched.count;
            run.nanos += batched.nanos;
        }
        Stats {
            workers: self.alive.load(SeqCst),
            queued,
            running: states.len() - overdue,
            overdue,
            finished,
            queue_peak,
            queue_bytes: counts.bytes,
            queue_bytes_peak: counts.bytes_peak,
            workers_started: self.hired.load(Relaxed),
            retried: self.retried.load(Relaxed),
            timed_out: self.timed_out.load(Relaxed),
            ..stats
        }
    }

    /// Runs a job that is a sample.
    #[cold]
    pub(super) fn run_timed(
        &self,
        job: Job,
        stamp: Stamp,
        frame: Frame,
        on: OnSeat<'_>,
        place: &Worker,
    ) {
        // Retries are not sampled.
        job.head().note.store(0, Relaxed);
        let is_one = !job.is_many();
        let start = Instant::now();
        if place.seat.is_empty() {
            place.ledger.starts(place.ran.load(Relaxed), start);
        }
        let came = job.run_here(frame, Some(on));
        if is_one && came.has_run() {
            self.metrics.waited(stamp, start);
            self.metrics.ran(start.elapsed());
        }
    }

    /// Somebody is about to sleep until a task is done. If that is not timed and hangs, it is known
    /// at least since when.
    pub(super) fn note_tasks(&self) {
        if !self.metrics.times_all() {
            let now = Instant::now();
            for worker in self.workers.iter().take(MAX_NOTED) {
                worker.ledger.age_of(worker.ran.load(Relaxed), now);
            }
        }
    }

    /// A run has failed, and is not tried again.
    pub(super) fn count_failure(&self, kind: TaskErrorKind) {
        self.metrics.failed(kind, 1);
        if kind == TaskErrorKind::TimedOut {
            // On its return: nobody was told before.
            self.timed_out.fetch_add(1, Relaxed);
        }
    }

    /// A task is late, if it had no outcome yet.
    pub(super) fn count_late(&self, is_late: bool) {
        if is_late {
            self.count_failure(TaskErrorKind::TimedOut);
        }
    }

    fn phase(&self) -> Phase {
        if let Some(why) = self.broken.get() {
            Phase::Broken(why.clone())
        } else if self.killed.load(SeqCst) {
            Phase::Killed
        } else if !self.is_closed() {
            Phase::Open
        } else if self.alive.load(SeqCst) > 0 {
            Phase::Draining
        } else {
            Phase::Ended
        }
    }

    fn worker(&self, index: usize, now: Instant) -> Option<WorkerInfo> {
        let worker = self.workers.get(index)?;
        let mut info = WorkerInfo::new(index);
        info.finished = worker.ledger.count.finished();
        let job = worker.ran.load(Relaxed);
        let jobs = worker.seat.jobs();
        if let (Some((innermost, _)), Some((outermost, _))) = (jobs.first(), jobs.last()) {
            info.state = match innermost.head().is_resolved() {
                true => WorkerState::Overdue,
                // The initializer comes before all jobs.
                false if job == 0 => WorkerState::Initializing,
                false => WorkerState::Running,
            };
            info.task = Some(outermost.name());
            info.inside = (jobs.len() > 1).then(|| innermost.name());
            let (age, is_exact) = worker.ledger.age_of(job, now);
            (info.age, info.age_is_exact) = (Some(age), is_exact);
        }
        jobs.into_iter().for_each(|(job, _)| self.drop_job(job));
        Some(info)
    }
}

impl Threads {
    pub(super) fn describe(&self) -> Description {
        let shared = &*self.shared;
        let target = shared.workers.target();
        if !self.is_home() {
            let mut described = Description::new(Backend::Threads, target, Stats::default());
            described.phase = Phase::Forked;
            return described;
        }
        let mut described = Description::new(Backend::Threads, target, shared.stats());
        let now = Instant::now();
        described.phase = shared.phase();
        if shared.alive.load(SeqCst) > 0 {
            let vacancies = shared.workers.lock();
            let places = (0..shared.workers.len()).filter(|index| !vacancies.is_vacant(*index));
            described.workers = places.filter_map(|at| shared.worker(at, now)).collect();
        }
        described.waiting_inside = shared.blocked.load(SeqCst);
        described.waiting_for_room = shared.bounded.room.waiting();
        described.retries = shared.paused.load(SeqCst);
        let next = shared.timer.next_retry();
        described.next_retry =
            next.map(|at| at.saturating_duration_since(crate::sync::clock::now()));
        described
    }
}
