//! The claim of a backend that runs a task elsewhere.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use super::{Effects, Head, Job, Remote, finish};
use crate::codec::args::Args;
use crate::codec::{Answer, Reply};
use crate::error::task_error::TaskError;
use crate::job::work::ChunkFacts;
use crate::metrics::recorder::Metrics;
use crate::task::{Options, TaskInfo};

/// A job that was claimed for a remote run, with its arguments encoded.
///
/// There is one `Claimed` for a claim, it cannot be copied, and its methods take it by reference
/// or by value: that makes it the one door to the contents of the cell. Dropping it unfinished
/// resolves the handle too, so no path through a backend can leave a handle waiting for ever.
pub(crate) struct Claimed {
    job: Job,
}

/// What is left of a job that is finished: a handle that somebody watches, or arguments that are
/// the user's values. Waking runs foreign code (wakers, callbacks), and so does dropping them, so
/// it is put off until no lock is held; it happens when this is dropped.
#[must_use]
pub(crate) struct Watched {
    job: Option<Job>,
    args: Args,
}

impl Watched {
    /// Wakes who waits; arguments that are the user's values are dropped elsewhere.
    pub(crate) fn end(mut self, effects: &Effects) {
        drop_args(std::mem::take(&mut self.args), effects);
    }
}

/// Drops arguments: where they are the user's values on a thread of the pool, since their destructor
/// may take its time.
pub(crate) fn drop_args(args: Args, effects: &Effects) {
    if matches!(args, Args::Later(_)) {
        effects.drop_value(args);
    }
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
    pub(crate) fn sibling(&self, args: Args, options: Options) -> (Job, Self) {
        let vtable = self.head().vtable;
        let cell = (vtable.sibling)(vtable, args, options);
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

    /// Has it run again, with these options. Its arguments are in it.
    pub(crate) fn set_options(&mut self, new: Options) {
        if let Remote::ArgsWith(with) = self.remote_mut() {
            with.1 = new;
        }
    }

    /// A pointer to the job.
    pub(crate) fn job(&self) -> &Job {
        &self.job
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

    /// The encoded arguments; empty when they were taken, or are not encoded yet.
    #[inline]
    pub(crate) fn args(&self) -> &[u8] {
        match self.remote() {
            Remote::Args(args) => args.as_slice(),
            Remote::ArgsWith(with) => with.0.as_slice(),
            _ => &[],
        }
    }

    /// How many bytes the arguments are, encoded or not.
    #[inline]
    pub(crate) fn args_len(&self) -> usize {
        match self.remote() {
            Remote::Args(args) => args.len(),
            Remote::ArgsWith(with) => with.0.len(),
            _ => 0,
        }
    }

    /// Moves the arguments out, for a copy that is made without the lock.
    pub(crate) fn take_args(&mut self) -> Args {
        self.args_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Puts arguments back that were taken out, for another run.
    pub(crate) fn put_args(&mut self, args: Args) {
        if let Some(old) = self.args_mut() {
            *old = args;
        }
    }

    fn args_mut(&mut self) -> Option<&mut Args> {
        match self.remote_mut() {
            Remote::Args(args) => Some(args),
            Remote::ArgsWith(with) => Some(&mut with.0),
            _ => None,
        }
    }

    /// Finishes with a worker's answer.
    #[inline]
    pub(crate) fn answer(mut self, answer: Answer, chunk: Option<ChunkFacts>) -> Option<Watched> {
        if answer.reply != Reply::Output {
            self.head().state.mark_failed();
        }
        let attempt = self.options().attempt();
        *self.remote_mut() = match chunk {
            None if attempt > 1 => Remote::LaterAnswer(Box::new((answer, attempt))),
            None => Remote::Answer(answer),
            Some(chunk) => Remote::ChunkAnswer(Box::new((answer, chunk))),
        };
        self.finish_with(Args::default())
    }

    /// The same of one that is no chunk: how long its reading takes is counted there.
    pub(crate) fn answer_timed(mut self, answer: Answer, metrics: Arc<Metrics>) -> Option<Watched> {
        if self.options().attempt() > 1 {
            return self.answer(answer, None);
        }
        if answer.reply != Reply::Output {
            self.head().state.mark_failed();
        }
        *self.remote_mut() = Remote::TimedAnswer(Box::new((answer, metrics)));
        self.finish_with(Args::default())
    }

    /// Finishes without an answer.
    pub(crate) fn fail(mut self, error: TaskError) -> Option<Watched> {
        self.head().state.mark_failed();
        let error = error.attempt_is(self.options().attempt());
        let args = self.take_args();
        *self.remote_mut() = Remote::Failed(error);
        self.finish_with(args)
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

    #[inline]
    fn finish_with(self, args: Args) -> Option<Watched> {
        let cell = ManuallyDrop::new(self).job.0;
        // SAFETY: the value is never touched again: claim and pointer end here.
        let job = unsafe { finish(cell) };
        let foreign = job.is_some() || matches!(args, Args::Later(_));
        foreign.then_some(Watched { job, args })
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let error =
            TaskError::cancelled(self.info().name).message_is("the pool ended before the task did");
        self.head().state.mark_failed();
        *self.remote_mut() = Remote::Failed(error);
        // SAFETY: the claim ends with this value; the pointer is dropped after this.
        unsafe { self.job.clone().finish() };
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(job) = &self.job {
            job.head().waiters.wake_all();
        }
    }
}
