//! The inline backend: a task runs in the calling thread, inside `submit`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use super::{Backend, Engine};
use crate::TaskError;
use crate::cell::Job;
use crate::current::Frame;

/// No worker, no queue: a job is resolved when `submit` returns.
#[derive(Debug)]
pub(crate) struct Inline {
    closed: AtomicBool,
}

impl Inline {
    pub(crate) const fn new() -> Self {
        Self {
            closed: AtomicBool::new(false),
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

    fn submit(&self, job: Arc<dyn Job>) {
        if self.closed.load(Relaxed) {
            job.refuse(TaskError::rejected(job.info().name, super::SHUT_DOWN));
        } else {
            job.run_here(Frame::new(Backend::Inline, 0));
        }
    }

    fn wait(&self, job: &Arc<dyn Job>, deadline: Option<Instant>) {
        // Resolved already, unless a task joins itself.
        job.head().park_until_resolved(deadline);
    }

    fn poll(&self, _: &dyn Job) {}

    fn watch(&self, _: &dyn Job) {}

    fn is_running(&self, job: &dyn Job) -> bool {
        job.head().state.is_claimed()
    }

    fn cancel(&self, _: &dyn Job) -> bool {
        false
    }

    fn cancel_queued(&self, _: &dyn Job) {}

    fn shutdown(&self) {
        self.closed.store(true, Relaxed);
    }

    fn kill(&self) {
        self.shutdown();
    }
}
