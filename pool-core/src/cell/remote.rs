//! The claim of a backend that runs a task elsewhere.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use super::{Head, Job, Remote};
use crate::bytes::Bytes;
use crate::codec::Answer;
use crate::task::{Options, TaskInfo};
use crate::{TaskError, TaskErrorKind};

/// A job that was claimed for a remote run, with its arguments encoded.
///
/// There is one `Claimed` for a claim, it cannot be copied, and its methods take it by reference
/// or by value: that makes it the one door to the contents of the cell. Dropping it unfinished
/// resolves the handle too, so no path through a backend can leave a handle waiting for ever.
pub(crate) struct Claimed {
    job: Arc<dyn Job>,
}

/// A finished job whose handle somebody watches. Waking runs foreign code (wakers, callbacks),
/// so it is put off until no lock is held; a dropped one wakes too.
#[must_use]
pub(crate) struct Watched {
    job: Arc<dyn Job>,
}

impl Claimed {
    /// Claims a job; `None` when there is nothing to send.
    pub(crate) fn new(job: Arc<dyn Job>) -> Option<Self> {
        // Not `then_some`: a `Claimed` without a claim must not be made, not even to be dropped.
        if job.claim_encoded() {
            Some(Self { job })
        } else {
            None
        }
    }

    pub(crate) fn head(&self) -> &Head {
        self.job.head()
    }

    pub(crate) fn info(&self) -> &'static TaskInfo {
        self.job.info()
    }

    pub(crate) fn options(&self) -> Options {
        self.job.options()
    }

    pub(crate) fn is_chunk(&self) -> bool {
        self.options().chunk > 0
    }

    pub(crate) fn is(&self, job: &dyn Job) -> bool {
        std::ptr::eq(self.job.head(), job.head())
    }

    /// The encoded arguments; empty when they were taken.
    pub(crate) fn args(&self) -> &[u8] {
        match self.remote() {
            Remote::Args(args) => args.as_slice(),
            _ => &[],
        }
    }

    /// Moves the arguments out, for a copy that is made without the lock.
    pub(crate) fn take_args(&mut self) -> Bytes {
        match self.remote_mut() {
            Remote::Args(args) => std::mem::replace(args, Bytes::new()),
            _ => Bytes::new(),
        }
    }

    /// Puts arguments back that were taken out, for another run.
    pub(crate) fn put_args(&mut self, args: Bytes) {
        *self.remote_mut() = Remote::Args(args);
    }

    /// Finishes with a worker's answer.
    pub(crate) fn answer(mut self, answer: Answer) -> Option<Watched> {
        *self.remote_mut() = Remote::Answer(answer);
        self.finish()
    }

    /// Finishes without an answer.
    pub(crate) fn fail(mut self, error: TaskError) -> Option<Watched> {
        *self.remote_mut() = Remote::Failed(error);
        self.finish()
    }

    fn remote(&self) -> &Remote {
        // SAFETY: this is the only `Claimed` of the claim and it is borrowed, so nobody changes
        // the contents; it ends with `finish`.
        unsafe { self.job.remote() }
    }

    fn remote_mut(&mut self) -> &mut Remote {
        // SAFETY: this is the only `Claimed` of the claim, it is borrowed mutably, and it ends
        // with `finish`.
        unsafe { self.job.remote_mut() }
    }

    fn finish(self) -> Option<Watched> {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is never touched again but for moving the pointer out, so the claim
        // ends here.
        let watched = unsafe { this.job.finish_remote() };
        // SAFETY: `this` is not dropped, so the pointer is moved out exactly once.
        let job = unsafe { std::ptr::read(&raw const this.job) };
        watched.then_some(Watched { job })
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let error = TaskError::new(TaskErrorKind::Cancelled, self.info().name)
            .message_is("the pool ended before the task did");
        *self.remote_mut() = Remote::Failed(error);
        // SAFETY: the claim ends with this value.
        if unsafe { self.job.finish_remote() } {
            self.head().waiters.wake_all();
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.job.head().waiters.wake_all();
    }
}
