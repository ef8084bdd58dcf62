//! Jobs that are not run: cancelled, too late, or of a pool that takes no more.

use std::sync::atomic::{Ordering::SeqCst, fence};

use crossbeam_deque::Steal;

use super::{Shared, broken};
use crate::error::task_error::TaskError;
use crate::job::cell::Job;

impl Shared {
    /// Resolves a job that nobody has begun.
    pub(super) fn refuse(&self, job: &Job, error: TaskError) -> bool {
        let kind = error.kind();
        let count = || {
            if !job.is_many() {
                self.metrics.failed(kind, 1);
            }
        };
        let Some(unused) = job.refuse_unused(error, count) else {
            return false;
        };
        if let Some(unused) = unused {
            // A timer or whoever cancels is not to wait for the user's destructor.
            self.effects.drop_value(unused);
        }
        self.bounded.leaves(job);
        true
    }

    /// Gives up a pointer to a job on a thread that is not to run the user's destructors.
    pub(super) fn drop_job(&self, job: Job) {
        if let Some(last) = job.release() {
            self.effects.drop_value(last);
        }
    }

    /// The initializer has failed.
    pub(super) fn break_up(&self, error: &TaskError) {
        // The first reason stays.
        let _ = self.broken.set(broken(error));
        self.close();
        self.timer.drop_retries(self);
        self.refuse_queued(|name| self.refusal(name));
    }

    /// Empties the queues: the pool was killed, and its workers may be busy for long; or they have
    /// ended; or what has not started is cancelled.
    pub(super) fn refuse_queued(&self, error: impl Fn(&'static str) -> TaskError) {
        // Pairs with the one in `wake_one`: what `submit` has pushed is found here, or `submit`
        // sees why this was called.
        fence(SeqCst);
        let queued = || match self.queue.take(0) {
            Some(job) => Steal::Success(job),
            None => Steal::Empty,
        };
        let steal = || -> Steal<Job> {
            std::iter::once_with(queued)
                .chain(self.workers.iter().map(|worker| worker.stealers.steal()))
                .collect()
        };
        loop {
            match steal() {
                Steal::Success(job) => {
                    self.refuse(&job, error(job.name()));
                }
                Steal::Retry => {}
                Steal::Empty => return,
            }
        }
    }
}
