//! The supervisor's part of the scheduler: its looks, workers that come and go, the end.

use std::sync::Arc;
use std::time::Instant;

use super::after::After;
use super::count::fail;
use super::lane::Lane;
use super::place::Place;
use super::scheduler::{Phase, Scheduler, cancel};
use super::settle::Settled;
use super::worker_lifecycle::CameTo;
use super::worker_queue::WorkerQueue;
use super::{TICK, dispatch};
use crate::error::task_error::{Exit, TaskError, TaskErrorKind};
use crate::job::cell::Job;
use crate::metrics::stats::Mean;

impl Scheduler {
    /// A tick: a turn, and the tasks behind a long one go elsewhere if anybody else moves.
    pub(super) fn tick(&mut self, now: Instant, after: &mut After) {
        self.turn(after);
        let mut moving = false;
        let mut stuck = Vec::new();
        let mut behind = Vec::new();
        for worker_queue in self.worker_queues.iter_mut().flatten() {
            let stuck_now = worker_queue.look(now);
            if stuck_now {
                let robbed = after.again.len();
                worker_queue.rob(after);
                if after.again.len() > robbed {
                    // What was taken from the chunk comes before what waits behind it.
                    behind.extend(worker_queue.take_all_back(after));
                }
            }
            match stuck_now {
                true if worker_queue.ahead() > 1 => stuck.push(worker_queue.index),
                true => {}
                false => moving = true,
            }
        }
        if !after.again.is_empty() {
            self.put_back(behind, after);
            self.take_again(after);
            self.turn(after);
        }
        if !moving || stuck.is_empty() {
            return;
        }
        for index in stuck {
            if let Some(worker_queue) = &mut self.worker_queues[index] {
                worker_queue.depth = dispatch::FIRST_DEPTH;
                let jobs = worker_queue.take_all_back(after);
                self.put_back(jobs, after);
            }
        }
        self.turn(after);
    }

    /// When the supervisor has to look again; it sleeps until then.
    pub(super) fn next_look(&mut self, now: Instant) -> Option<Instant> {
        self.ticking = self.is_restless();
        let tick = self.ticking.then(|| now + TICK);
        let alarms = self.next_alarm().into_iter().chain(self.next_retirement());
        let next = tick.into_iter().chain(alarms).min();
        self.sleeps_until = next;
        next
    }

    /// A worker has said hello.
    pub(super) fn serve(&mut self, index: usize, lane: Arc<Lane>, pid: u32, after: &mut After) {
        self.generations += 1;
        let life = self.rules.life(index >= self.target);
        let metrics = Arc::clone(&self.metrics);
        let mut worker_queue = WorkerQueue::new(lane, pid, index, self.generations, life, metrics);
        worker_queue.has_sleepers = self.sleepers > 0;
        self.worker_queues[index] = Some(worker_queue);
        self.counts.started += 1;
        self.initialize(index, after);
        self.turn(after);
    }

    /// What a worker that has ended counted is kept.
    pub(super) fn keep_counts(&mut self, finished: u64, chunks: Mean) {
        self.before.0 += finished;
        self.before.1.count += chunks.count;
        self.before.1.nanos += chunks.nanos;
    }

    /// A worker is dead; says how far it had come.
    pub(super) fn settle(
        &mut self,
        index: usize,
        exit: Exit,
        killed_for: Option<&'static str>,
        last_words: Option<&str>,
        after: &mut After,
    ) -> CameTo {
        let Some(worker_queue) = self.worker_queues[index].take() else {
            return CameTo::Nothing;
        };
        self.counts.lost += u64::from(!worker_queue.life.is_stopped());
        let Settled {
            waiting,
            came_to,
            finished,
            chunks,
        } = worker_queue.settle(exit, killed_for.or(last_words), after);
        self.keep_counts(finished, chunks);
        self.put_back(waiting, after);
        self.take_again(after);
        self.turn(after);
        came_to
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_drained(&self) -> bool {
        self.backlog.is_empty()
            && self.wants_no_retry()
            && self.filling == 0
            && self
                .worker_queues
                .iter()
                .flatten()
                .all(WorkerQueue::is_idle)
    }

    /// Tells every worker to end; the pool is drained.
    pub(super) fn put_stops(&mut self, after: &mut After) {
        for worker_queue in self.worker_queues.iter_mut().flatten() {
            worker_queue.put_stop(after);
        }
    }

    pub(super) fn drain(&mut self, after: &mut After) {
        if self.phase == Phase::Open {
            self.phase = Phase::Draining;
            self.turn(after);
            after.poke = true;
        }
    }

    /// What has not started is cancelled; takes no more jobs.
    pub(super) fn cancel_all_queued(&mut self, after: &mut After) {
        if !self.is_draining() {
            return;
        }
        self.phase = Phase::Cancelling;
        self.collect(after);
        for job in self.retries.take_if(|_| true) {
            cancel(job, &self.metrics, after);
        }
        for job in self.backlog.take() {
            cancel(job, &self.metrics, after);
        }
        for worker_queue in self.worker_queues.iter_mut().flatten() {
            worker_queue.cancel_queued(after);
        }
        self.turn(after);
        after.poke = true;
    }

    /// What the workers run, in words.
    pub(super) fn running(&self) -> Vec<String> {
        self.worker_queues
            .iter()
            .flatten()
            .filter_map(WorkerQueue::running)
            .collect()
    }

    /// Takes no more jobs and ends all there are: with `Cancelled` after a kill, with `Rejected`
    /// when the pool is broken.
    pub(super) fn end(&mut self, kind: TaskErrorKind, why: &str, after: &mut After) {
        if matches!(self.phase, Phase::Ended(_)) {
            return;
        }
        self.phase = Phase::Ended(why.to_owned());
        let error = |name| TaskError::new(kind, name).message_is(why);
        for worker_queue in self.worker_queues.iter_mut().flatten() {
            worker_queue.collect(after);
            worker_queue.abandon_all(error, after);
        }
        let mut rest = self.backlog.take();
        rest.extend(std::mem::take(&mut after.again));
        let retries = std::mem::take(&mut after.retry);
        rest.extend(retries.into_iter().map(|(job, _)| job));
        rest.extend(self.retries.take_if(|_| true));
        self.start_by.take_if(|_| true);
        after.room = true;
        for job in rest {
            let error = error(job.info().name);
            after.watched.extend(fail(&self.metrics, job, error));
        }
        after.poke = true;
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(super) fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining | Phase::Cancelling)
    }

    /// What fails does not run again.
    pub(super) fn ends_without_retries(&self) -> bool {
        matches!(self.phase, Phase::Cancelling | Phase::Ended(_))
    }

    /// Whether the job has run, and its result is being copied out.
    pub(super) fn is_being_fetched(&self, job: &Job) -> bool {
        Place::of(job) == Place::LEAVING
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }
}
