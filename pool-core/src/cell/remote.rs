//! The claim of a backend that runs a task elsewhere.

use std::mem::ManuallyDrop;

use super::{Head, Job, Remote, finish};
use crate::bytes::Bytes;
use crate::codec::{Answer, ChunkFacts};
use crate::task::{Options, TaskInfo};
use crate::{TaskError, TaskErrorKind};

/// A job that was claimed for a remote run, with its arguments encoded.
///
/// There is one `Claimed` for a claim, it cannot be copied, and its methods take it by reference
/// or by value: that makes it the one door to the contents of the cell. Dropping it unfinished
/// resolves the handle too, so no path through a backend can leave a handle waiting for ever.
pub(crate) struct Claimed {
    job: Job,
}

/// A finished job whose handle somebody watches. Waking runs foreign code (wakers, callbacks),
/// so it is put off until no lock is held; a dropped one wakes too.
#[must_use]
pub(crate) struct Watched {
    job: Job,
}

impl Claimed {
    /// Claims a job; `None` when there is nothing to send.
    #[inline]
    pub(crate) fn new(job: Job) -> Option<Self> {
        if !job.head().state.claim() {
            return None;
        }
        // SAFETY: `claim` was won above.
        if unsafe { (job.head().vtable.encode)(job.0) } {
            Some(Self { job })
        } else {
            // SAFETY: the claim is given up; the error is stored.
            unsafe { job.finish() };
            None
        }
    }

    /// A job of the same type with other arguments; the pointer is for its handle.
    pub(crate) fn sibling(&self, args: Bytes, options: Options) -> (Job, Self) {
        let cell = (self.head().vtable.sibling)(args, options);
        (Job(cell), Self { job: Job(cell) })
    }

    #[inline]
    pub(crate) fn head(&self) -> &Head {
        self.job.head()
    }

    #[inline]
    pub(crate) fn info(&self) -> &'static TaskInfo {
        self.job.info()
    }

    /// How the task is to be run; of an answered one nothing is known any more.
    #[inline]
    pub(crate) fn options(&self) -> Options {
        match self.remote() {
            Remote::ArgsWith(with) => with.1,
            _ => Options::default(),
        }
    }

    #[inline]
    pub(crate) fn is_chunk(&self) -> bool {
        self.chunk() > 0
    }

    /// How many tasks the job is; 0 for one that is no chunk.
    pub(crate) fn chunk(&self) -> usize {
        self.options().chunk as usize
    }

    #[inline]
    pub(crate) fn is(&self, job: &Job) -> bool {
        self.job.is(job)
    }

    /// The encoded arguments; empty when they were taken.
    #[inline]
    pub(crate) fn args(&self) -> &[u8] {
        match self.remote() {
            Remote::Args(args) => args.as_slice(),
            Remote::ArgsWith(with) => with.0.as_slice(),
            _ => &[],
        }
    }

    /// Moves the arguments out, for a copy that is made without the lock.
    pub(crate) fn take_args(&mut self) -> Bytes {
        self.args_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Puts arguments back that were taken out, for another run.
    pub(crate) fn put_args(&mut self, args: Bytes) {
        if let Some(old) = self.args_mut() {
            *old = args;
        }
    }

    fn args_mut(&mut self) -> Option<&mut Bytes> {
        match self.remote_mut() {
            Remote::Args(args) => Some(args),
            Remote::ArgsWith(with) => Some(&mut with.0),
            _ => None,
        }
    }

    /// Finishes with a worker's answer.
    #[inline]
    pub(crate) fn answer(mut self, answer: Answer, chunk: Option<ChunkFacts>) -> Option<Watched> {
        *self.remote_mut() = match chunk {
            None => Remote::Answer(answer),
            Some(chunk) => Remote::ChunkAnswer(Box::new((answer, chunk))),
        };
        self.finish()
    }

    /// Finishes without an answer.
    pub(crate) fn fail(mut self, error: TaskError) -> Option<Watched> {
        *self.remote_mut() = Remote::Failed(error);
        self.finish()
    }

    #[inline]
    fn remote(&self) -> &Remote {
        // SAFETY: the claim is this value's, and the arguments were encoded in `new`.
        let remote = unsafe { (self.job.head().vtable.remote)(self.job.0) };
        // SAFETY: this is the only `Claimed` of the claim and it is borrowed, so nobody changes
        // the contents; it ends with `finish`.
        unsafe { remote.as_ref() }
    }

    #[inline]
    fn remote_mut(&mut self) -> &mut Remote {
        // SAFETY: as in `remote`.
        let mut remote = unsafe { (self.job.head().vtable.remote)(self.job.0) };
        // SAFETY: this is the only `Claimed` of the claim, it is borrowed mutably, and it ends
        // with `finish`.
        unsafe { remote.as_mut() }
    }

    fn finish(self) -> Option<Watched> {
        let cell = ManuallyDrop::new(self).job.0;
        // SAFETY: the value is never touched again: claim and pointer end here.
        unsafe { finish(cell) }.map(|job| Watched { job })
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let error = TaskError::new(TaskErrorKind::Cancelled, self.info().name)
            .message_is("the pool ended before the task did");
        *self.remote_mut() = Remote::Failed(error);
        // SAFETY: the claim ends with this value; the pointer is dropped after this.
        unsafe { self.job.clone().finish() };
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.job.head().waiters.wake_all();
    }
}
