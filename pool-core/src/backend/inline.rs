//! The inline backend: a task runs in the calling thread, inside `submit`.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use super::{Backend, Engine, Entry};
use crate::cell::Job;
use crate::current::Frame;
use crate::initializer::Initializer;
use crate::{Error, Stats, TaskError};

/// No worker, no queue: a job is resolved when `submit` returns.
#[derive(Debug)]
pub(crate) struct Inline {
    closed: AtomicBool,
    /// Why it takes no tasks, if its initializer has failed.
    broken: Option<String>,
}

impl Inline {
    pub(crate) const fn new() -> Self {
        Self {
            closed: AtomicBool::new(false),
            broken: None,
        }
    }

    /// The same after this initializer has run.
    pub(crate) fn initialized(initializer: &Initializer) -> Self {
        let (handle, job) = initializer.job();
        job.run_here(Frame::new(Backend::Inline, 0), None);
        Self {
            broken: handle
                .into_outcome()
                .err()
                .map(|error| super::broken(&error)),
            ..Self::new()
        }
    }
}

impl Engine for Inline {
    fn kind(&self) -> Backend {
        Backend::Inline
    }

    fn workers(&self) -> usize {
        1
    }

    fn runs_at_once(&self) -> bool {
        true
    }

    fn submit(&self, job: Job, _: Entry) {
        if self.closed.load(Relaxed) {
            job.refuse(TaskError::rejected(job.name(), super::SHUT_DOWN));
        } else if let Some(why) = &self.broken {
            job.refuse(TaskError::rejected(job.name(), why));
        } else {
            job.run_here(Frame::new(Backend::Inline, 0), None);
        }
    }

    fn wait(&self, job: &Job, deadline: Option<Instant>) {
        // Resolved already, unless a task joins itself.
        job.head().park_until_resolved(deadline);
    }

    fn poll(&self, _: &Job) {}

    fn watch(&self, _: &Job) {}

    fn is_running(&self, job: &Job) -> bool {
        job.head().state.is_running()
    }

    fn cancel(&self, _: &Job) -> bool {
        false
    }

    fn cancel_queued(&self, _: &Job) {}

    fn stats(&self) -> Stats {
        Stats {
            workers: 1,
            workers_started: 1,
            ..Stats::default()
        }
    }

    fn resize(&self, _: usize) -> Result<(), Error> {
        Ok(())
    }

    fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    fn cancel_all_queued(&self) {}

    fn kill(&self) {
        self.close();
    }

    fn wait_until_ended(&self, _: Option<Instant>) -> bool {
        true
    }

    fn running(&self) -> Vec<String> {
        Vec::new()
    }
}
