//! Deadlines and graces: the moments at which the supervisor looks at a running task.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use super::TICK;
use super::after::After;
use super::hub::Hub;
use crate::{TaskError, TaskErrorKind};

/// A moment at which the supervisor looks at a running task.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alarm {
    pub(super) at: Instant,
    index: usize,
    generation: u64,
    seq: u64,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// It may have run for its whole time.
    Deadline,
    /// It was asked to stop, and its grace is over.
    Grace,
}

impl Hub {
    /// The newest task of the lane cannot be overdue before `timeout` from now.
    pub(super) fn set_deadline(&mut self, index: usize, timeout: Duration, after: &mut After) {
        let Some(book) = &self.books[index] else {
            return;
        };
        let (generation, seq) = (book.generation, book.newest());
        if let Some(at) = Instant::now().checked_add(timeout) {
            self.set_alarm(at, index, generation, seq, What::Deadline, after);
        }
    }

    pub(super) fn set_alarm(
        &mut self,
        at: Instant,
        index: usize,
        generation: u64,
        seq: u64,
        what: What,
        after: &mut After,
    ) {
        self.alarms.push(Reverse(Alarm {
            at,
            index,
            generation,
            seq,
            what,
        }));
        self.supervisor_by(at, after);
    }

    /// Looks at what is due; returns the workers that must be killed.
    pub(super) fn due(&mut self, now: Instant, after: &mut After) -> Vec<usize> {
        let mut kill: Vec<usize> = Vec::new();
        while let Some(Reverse(alarm)) = self.alarms.peek() {
            if alarm.at > now {
                break;
            }
            let Some(Reverse(alarm)) = self.alarms.pop() else {
                break;
            };
            let Alarm {
                index,
                generation,
                seq,
                ..
            } = alarm;
            match alarm.what {
                What::Deadline => self.check_deadline(index, generation, seq, now, after),
                What::Grace => {
                    if self
                        .book(index, generation)
                        .is_some_and(|book| book.runs(seq))
                    {
                        kill.push(index);
                    }
                }
            }
        }
        kill.extend(
            self.books
                .iter()
                .flatten()
                .filter(|b| b.corrupt)
                .map(|b| b.index),
        );
        kill
    }

    fn check_deadline(
        &mut self,
        index: usize,
        generation: u64,
        seq: u64,
        now: Instant,
        after: &mut After,
    ) {
        let Some(book) = self.book(index, generation) else {
            return;
        };
        if book.is_filling(seq) {
            // Its arguments are being copied: it has not started.
            if let Some(at) = now.checked_add(TICK) {
                self.set_alarm(at, index, generation, seq, What::Deadline, after);
            }
            return;
        }
        let Some((timeout, name)) = book
            .job(seq)
            .and_then(|job| Some((job.options().timeout?, job.info().name)))
        else {
            return;
        };
        let ran = book.ran_for(seq, now);
        if ran >= timeout {
            let error = TaskError::new(TaskErrorKind::TimedOut, name)
                .message_is(format!("the limit is {timeout:?}"));
            self.stop_job(index, generation, seq, error, true, after);
        } else if let Some(at) = now.checked_add(timeout - ran) {
            self.set_alarm(at, index, generation, seq, What::Deadline, after);
        }
    }

    fn supervisor_by(&mut self, at: Instant, after: &mut After) {
        if self.sleeps_until.is_none_or(|until| until > at) {
            self.sleeps_until = Some(at);
            after.poke = true;
        }
    }
}
