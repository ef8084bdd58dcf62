//! What happens to jobs by the clock: deadlines, graces, retries, and jobs that do not start in
//! time. The supervisor looks when the first of them is due.

use std::time::{Duration, Instant};

use super::after::After;
use super::scheduler::Scheduler;
use crate::error::task_error::{Abandon, TaskError, TaskErrorKind};
use crate::job::cell::{Claimed, Job};
use crate::sync::clock;
use crate::task::retry::Again;

impl Scheduler {
    /// The newest task of the lane cannot be overdue before `timeout` from now.
    pub(super) fn set_deadline(&mut self, index: usize, timeout: Duration, after: &mut After) {
        if let Some(worker_queue) = &mut self.worker_queues[index]
            && let Some(at) = clock::now().checked_add(timeout)
        {
            worker_queue.look_by(at);
            self.supervisor_by(at, after);
        }
    }

    /// The job is to be started by then.
    pub(super) fn start_by(&mut self, at: Instant, job: Job, after: &mut After) {
        let unwanted = self.start_by.add(at, job, |job| !job.head().is_resolved());
        // Outcomes that came from a worker are bytes: nothing foreign is dropped here.
        drop(unwanted);
        self.supervisor_by(at, after);
    }

    /// A job has failed and runs again.
    pub(super) fn run_again(&mut self, mut job: Claimed, again: Again, after: &mut After) {
        self.counts.retried += 1;
        if again.options.earlier == 1 && again.options.queue_timeout.is_some() {
            // It has started in time.
            let head = job.job();
            self.start_by.take_if(|started| started.is(head));
        }
        job.set_options(again.options);
        match clock::now().checked_add(again.after) {
            Some(at) if !again.after.is_zero() && !self.ends_without_retries() => {
                let unwanted = self.retries.add(at, job, |_| true);
                debug_assert!(unwanted.is_empty());
                self.supervisor_by(at, after);
            }
            _ => self.put_back(vec![job], after),
        }
    }

    /// Looks at what is due; returns the workers that must be killed.
    pub(super) fn due(&mut self, now: Instant, after: &mut After) -> Vec<usize> {
        let mut kill = Vec::new();
        for index in 0..self.worker_queues.len() {
            let Some(worker_queue) = &mut self.worker_queues[index] else {
                continue;
            };
            if worker_queue.is_look_due(now) {
                for (seq, timeout) in worker_queue.overdue(now) {
                    self.stop_overdue(index, seq, timeout, after);
                }
            }
            let Some(worker_queue) = &mut self.worker_queues[index] else {
                continue;
            };
            if worker_queue.corrupt {
                kill.push(index);
            } else if let Some(seq) = worker_queue.take_grace_over(now) {
                kill.extend(self.condemn(index, seq, after).then_some(index));
            }
        }
        while let Some(job) = self.start_by.take_due(now) {
            self.expire(&job, after);
        }
        let mut back = Vec::new();
        while let Some(job) = self.retries.take_due(now) {
            back.push(job);
        }
        self.put_back(back, after);
        kill
    }

    /// The worker is to be killed for task `seq`, which it runs: what waits in its lane goes
    /// elsewhere. `false`: it has come to another one in this moment, and lives.
    pub(super) fn condemn(&mut self, index: usize, seq: u64, after: &mut After) -> bool {
        let Some(worker_queue) = &mut self.worker_queues[index] else {
            return false;
        };
        let waiting = worker_queue.condemn(seq, after);
        let condemned = worker_queue.life.condemned;
        self.put_back(waiting, after);
        condemned
    }

    /// Whether no job waits for another run but those that were cancelled.
    pub(super) fn wants_no_retry(&self) -> bool {
        let mut jobs = self.retries.iter();
        jobs.all(|job| job.head().is_resolved())
    }

    fn stop_overdue(&mut self, index: usize, seq: u64, timeout: Duration, after: &mut After) {
        let Some(worker_queue) = &mut self.worker_queues[index] else {
            return;
        };
        self.counts.timed_out += 1;
        if worker_queue.is_to_run_again(seq) {
            // Its handle waits for the next run.
            worker_queue.stop_for_another_run(seq, self.grace);
            if let Some(at) = worker_queue.next_look() {
                self.supervisor_by(at, after);
            }
            return;
        }
        let Some(name) = worker_queue.job(seq).map(|job| job.info().name) else {
            return;
        };
        let error = TaskError::new(TaskErrorKind::TimedOut, name)
            .message_is(format!("it ran for longer than {timeout:?}"));
        let generation = worker_queue.generation;
        self.stop_job(index, generation, seq, error, true, after);
    }

    /// The job should have started by now.
    fn expire(&mut self, job: &Job, after: &mut After) {
        let Some((worker_queue, seq)) = self.find(job) else {
            // In the backlog, or on its way into a lane. (On its way out it has an outcome, which
            // nobody can tell from here: it is being copied.)
            // (Or it is over, which the abandonment tells.)
            if !self.is_being_fetched(job) && job.head().state.abandon(Abandon::Expired).is_some() {
                self.metrics.failed(TaskErrorKind::TimedOut, 1);
                self.counts.timed_out += 1;
                self.queue.stale += 1;
                after.room = true;
                after.abandoned.push(job.clone());
            }
            return;
        };
        let (index, generation) = (worker_queue.index, worker_queue.generation);
        let error = TaskError::expired(job.name());
        if self.stop_job(index, generation, seq, error, false, after) {
            self.counts.timed_out += 1;
        }
    }

    /// The supervisor looks by then.
    pub(super) fn supervisor_by(&mut self, at: Instant, after: &mut After) {
        if self.sleeps_until.is_none_or(|until| until > at) {
            self.sleeps_until = Some(at);
            after.poke = true;
        }
    }

    /// When something is due next.
    pub(super) fn next_alarm(&self) -> Option<Instant> {
        let lanes = self
            .worker_queues
            .iter()
            .flatten()
            .filter_map(|b| b.next_look());
        lanes
            .chain(self.start_by.next())
            .chain(self.retries.next())
            .min()
    }
}
