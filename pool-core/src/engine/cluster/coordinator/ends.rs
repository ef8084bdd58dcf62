//! How jobs end otherwise than by an outcome: cancelled, failed for good, and with the pool.

use std::time::Instant;

use super::{After, Cancelled, Coordinator, Due, Entry, Phase, Say, State};
use crate::error::task_error::{Abandon, TaskError, TaskErrorKind};
use crate::job::cell::{Claimed, Job};
use crate::task::retry::Again;

impl Coordinator {
    /// Resolves a job with `Cancelled`, if it has no outcome yet; what runs only with `running`.
    pub(in super::super) fn cancel(
        &mut self,
        job: &Job,
        running: bool,
        after: &mut After,
    ) -> Cancelled {
        let Some(index) = self.find_job(job) else {
            return Cancelled::No;
        };
        let Some(entry) = self.entry(index) else {
            return Cancelled::No;
        };
        let State::Granted { agent, .. } = entry.state else {
            let error = TaskError::cancelled(job.name());
            self.give_up(index, error, after);
            return Cancelled::Yes;
        };
        self.stop(index, agent, running, after);
        match running && self.abandon(index, Abandon::Cancelled, after) {
            true => Cancelled::Yes,
            false => Cancelled::No,
        }
    }

    /// Tells an agent that nobody wants a job that it has; without `running` it goes on with what it has
    /// started.
    pub(super) fn stop(&mut self, index: u32, agent: usize, running: bool, after: &mut After) {
        let Some(entry) = self.entry_mut(index) else {
            return;
        };
        entry.is_cut = true;
        let part = entry.part;
        self.says.push(Say::Stop {
            agent: self.agents.name(agent),
            part,
            running,
        });
        after.wake = true;
    }

    /// Resolves the handle of a job that an agent has; whether it had no outcome.
    pub(super) fn abandon(&mut self, index: u32, reason: Abandon, after: &mut After) -> bool {
        self.is_unwanted_now(index);
        let Some(entry) = self.entry(index) else {
            return false;
        };
        let (head, tasks) = (entry.job.head(), entry.job.chunk());
        let Some(is_watched) = head.state.abandon(reason) else {
            return false;
        };
        if is_watched {
            after.abandoned.push(entry.job.job().clone());
        }
        if tasks == 0 {
            self.metrics.failed(
                match reason {
                    Abandon::Cancelled => TaskErrorKind::Cancelled,
                    Abandon::TimedOut | Abandon::Expired => TaskErrorKind::TimedOut,
                },
                1,
            );
        }
        true
    }

    /// Resolves a job that no agent has leave to run, and takes it out.
    pub(super) fn give_up(&mut self, index: u32, error: TaskError, after: &mut After) {
        let unacked = |entry: &Entry| self.unacked.contains_key(&entry.part.run);
        let is_unacked = self.entry(index).is_some_and(unacked);
        if let Some(entry) = self.remove(index, after) {
            if let Some(seq) = entry.seq {
                self.says.push(Say::Delete(seq));
                after.wake = true;
            } else if is_unacked {
                self.orphans.insert(entry.part.run, self.ticked);
            }
            self.fail(entry.job, error, after);
        }
    }

    /// Resolves a job that is in no place.
    pub(super) fn fail(&self, job: Claimed, error: TaskError, after: &mut After) {
        // Of one that was resolved early, that was counted then.
        if !job.head().is_resolved() {
            self.metrics.failed(error.kind(), job.chunk().max(1));
        }
        after.watched.extend(job.fail(error));
    }

    /// A run has failed: it runs again, if that is allowed; else the error is the outcome.
    pub(super) fn run_failed(
        &mut self,
        index: u32,
        again: Option<Again>,
        error: TaskError,
        now: Instant,
        after: &mut After,
    ) {
        let Some(entry) = self.entry(index) else {
            return;
        };
        let seq = entry.seq;
        let again = again.filter(|_| !entry.job.head().is_resolved());
        let error = match again {
            // Its next run is cancelled.
            Some(_) if self.is_cancelling => TaskError::cancelled(entry.job.info().name),
            _ => error,
        };
        let again = again.filter(|_| !self.is_cancelling);
        let Some(again) = again.filter(|_| matches!(self.phase, Phase::Open | Phase::Draining))
        else {
            if let Some(entry) = self.remove(index, after) {
                self.fail(entry.job, error, after);
            }
            return;
        };
        self.counts.retried += 1;
        let at = now.checked_add(again.after).unwrap_or(now);
        self.set_state(index, State::Backoff { at });
        let Some(entry) = self.entry_mut(index) else {
            return;
        };
        entry.job.set_options(again.options);
        entry.part.run.run += 1;
        entry.seq = None;
        entry.timed = None;
        let run = entry.part.run;
        self.says.extend(seq.map(Say::Delete));
        if again.after.is_zero() {
            self.publish_next(index, run);
        } else {
            self.at(at, Due::Again(run));
        }
        after.wake = true;
    }

    /// Takes no more tasks; those that it has are run.
    pub(in super::super) fn drain(&mut self, after: &mut After) {
        if self.phase == Phase::Open {
            self.phase = Phase::Draining;
        }
        after.wake = true;
    }

    pub(in super::super) fn cancel_all_queued(&mut self, after: &mut After) {
        self.is_cancelling = self.phase != Phase::Open;
        for index in self.indices() {
            let Some(entry) = self.entry(index) else {
                continue;
            };
            if let State::Granted { agent, .. } = entry.state {
                self.stop(index, agent, false, after);
                continue;
            }
            let error = TaskError::cancelled(entry.job.info().name);
            self.give_up(index, error, after);
        }
        after.wake = true;
    }

    /// Resolves everything, and ends.
    pub(in super::super) fn end(&mut self, phase: Phase, after: &mut After) {
        if matches!(self.phase, Phase::Killed | Phase::Broken(_)) {
            return;
        }
        self.phase = phase;
        for index in self.indices() {
            let Some(entry) = self.remove(index, after) else {
                continue;
            };
            let name = entry.job.info().name;
            if let State::Granted { agent, .. } = entry.state {
                let (agent, part) = (self.agents.name(agent), entry.part);
                self.says.push(Say::Stop {
                    agent,
                    part,
                    running: true,
                });
            }
            let error = match &self.phase {
                Phase::Broken(why) => TaskError::rejected(name, why.as_str()),
                _ => TaskError::killed(name),
            };
            self.fail(entry.job, error, after);
        }
        self.says.push(Say::Purge { before: None });
        after.wake = true;
    }

    /// Whether nothing will ever come any more.
    pub(in super::super) fn is_over(&self) -> bool {
        match self.phase {
            Phase::Open => false,
            Phase::Draining => self.free.len() == self.entries.len(),
            Phase::Killed | Phase::Broken(_) => true,
        }
    }

    pub(in super::super) fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Whether there is a task without an outcome.
    pub(in super::super) fn is_busy(&self) -> bool {
        self.free.len() < self.entries.len()
    }

    /// Whether it is to be looked what others do.
    pub(in super::super) fn is_watching(&self) -> bool {
        self.is_busy() || self.is_unsure
    }
}
