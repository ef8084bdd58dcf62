//! What becomes of the lane of a worker that has died.

use std::sync::Arc;

use super::after::After;
use super::count::fail;
use super::lane::slot::SlotState;
use super::worker_lifecycle::CameTo;
use super::worker_queue::WorkerQueue;
use crate::error::task_error::{Exit, TaskError, TaskErrorKind};
use crate::job::cell::Claimed;
use crate::metrics::stats::Mean;
use crate::task::retry::{self, Fate};

impl WorkerQueue {
    /// The worker is dead: what it did is delivered, what it ran is lost, what waited comes back
    /// in order. `why` is what is known of its end, in words.
    pub(super) fn settle(mut self, exit: Exit, why: Option<&str>, after: &mut After) -> Settled {
        self.collect(after);
        // The initializer is the first.
        let mut did_work = self.done > 0;
        let initializing = self.life.is_initializing();
        self.lane.header().turn_bell();
        let mut waiting = Vec::new();
        for seq in self.tail..self.head {
            let region = self.entry(seq).region;
            let state = self.lane.slot(seq).state();
            // Also one that nobody waits for any more: it was killed for it, perhaps.
            did_work |= !matches!(state, SlotState::Free | SlotState::Ready);
            let Some(job) = self.entry(seq).job.take() else {
                continue;
            };
            if initializing {
                // It is this worker's: the next one in its place has one of its own.
                let mut error = TaskError::new(TaskErrorKind::WorkerLost, job.info().name);
                if let Some(why) = why {
                    error = error.message_is(why);
                }
                after.watched.extend(job.fail(error.exit_is(exit)));
                continue;
            }
            let overdue = self.entry(seq).overdue;
            // An overdue one has started, whatever is written there.
            if state == SlotState::Ready && !overdue {
                waiting.push(Self::restore(&self.lane, job, region));
                continue;
            }
            let fate = match self.life.too_much {
                _ if overdue => Fate::TimedOut,
                Some(_) => Fate::OutOfMemory,
                None => Fate::Lost,
            };
            if let Some(again) = retry::again(&job.options(), fate) {
                self.run_again(seq, job, again, after);
                continue;
            }
            let name = job.info().name;
            let mut error = match self.life.too_much {
                _ if overdue => TaskError::new(TaskErrorKind::TimedOut, name),
                Some((peak, limit)) => TaskError::out_of_memory(name, peak, limit),
                None => TaskError::new(TaskErrorKind::WorkerLost, name).exit_is(exit),
            };
            error = error.worker_is(self.pid);
            if self.corrupt {
                error = error.message_is("the worker broke the protocol of its lane");
            } else if let Some(why) = why.filter(|_| error.is_worker_lost()) {
                error = error.message_is(why);
            }
            let salvaged = (state == SlotState::Running && job.is_chunk())
                .then(|| self.salvage(seq, &job, error.clone(), after));
            after.watched.extend(match salvaged {
                Some(Ok((answer, chunk))) => job.answer(answer, Some(chunk)),
                _ => fail(&self.metrics, job, error),
            });
        }
        after.ring.push(Arc::clone(&self.lane));
        let came_to = match (initializing, did_work) {
            (true, _) => CameTo::Initializer,
            (false, true) => CameTo::Work,
            (false, false) => CameTo::Nothing,
        };
        Settled {
            waiting,
            came_to,
            finished: self.finished(),
            chunks: self.counts.chunks,
        }
    }
}

/// The contents of a dead worker's lane.
pub(super) struct Settled {
    /// What had not started.
    pub(super) waiting: Vec<Claimed>,
    /// How far the worker had come.
    pub(super) came_to: CameTo,
    /// How many tasks came to a result there.
    pub(super) finished: u64,
    /// How long those of chunks took.
    pub(super) chunks: Mean,
}
