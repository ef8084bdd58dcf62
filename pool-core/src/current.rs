//! What a running task can learn of itself.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use crate::Backend;
use crate::cell::Job;

/// What a task knows of the run it is in. Got with [`current()`].
#[derive(Clone)]
pub struct Current(Option<Frame>);

/// The run that the calling thread is in.
///
/// The function of a task may also be called directly, outside any pool; then this answers as
/// for an inline run: not cancelled, first attempt, worker 0, and an empty task name.
///
/// ```
/// use pool_core::{Pool, pool_task};
///
/// /// Stops early when nobody waits for it any more.
/// #[pool_task]
/// fn count_to(n: u64) -> u64 {
///     (0..n).take_while(|_| !pool_core::current().is_cancelled()).count() as u64
/// }
///
/// let pool = Pool::threads()?;
/// assert_eq!(pool.submit(count_to::task(1_000)).join().unwrap(), 1_000);
/// # Ok::<(), pool_core::Error>(())
/// ```
#[must_use]
pub fn current() -> Current {
    Current(FRAME.with_borrow(Clone::clone))
}

impl Current {
    /// Whether the task should stop: its handle was cancelled, or its deadline has passed. Long
    /// tasks look at this now and then; on the process backend those that do not are killed.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self.0.as_ref().map(|frame| &frame.cancel) {
            None | Some(Cancel::Never) => false,
            Some(Cancel::Job(job)) => job.head().state.is_stopped(),
            Some(Cancel::Probe(probe)) => probe(),
        }
    }

    /// Which run of the task this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.as_ref().map_or(1, |frame| frame.attempt)
    }

    /// The name of the task, as in [`Task::NAME`](crate::Task::NAME).
    #[must_use]
    pub fn task_name(&self) -> &'static str {
        self.0.as_ref().map_or("", |frame| frame.task)
    }

    /// The number of the worker that runs the task: from 0 to [`Pool::workers`](crate::Pool::workers) - 1.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.0.as_ref().map_or(0, |frame| frame.worker)
    }

    /// The backend that runs the task.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.0
            .as_ref()
            .map_or(Backend::Inline, |frame| frame.backend)
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current")
            .field("task_name", &self.task_name())
            .field("attempt", &self.attempt())
            .field("worker", &self.worker())
            .field("backend", &self.backend())
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

/// One run of one task in one thread.
#[derive(Clone)]
pub(crate) struct Frame {
    task: &'static str,
    attempt: u32,
    worker: usize,
    backend: Backend,
    cancel: Cancel,
}

/// Where a run learns that it should stop.
#[derive(Clone)]
enum Cancel {
    Never,
    Job(Arc<dyn Job>),
    Probe(fn() -> bool),
}

impl Frame {
    /// The runs of one worker; the task is filled in for each.
    pub(crate) const fn new(backend: Backend, worker: usize) -> Self {
        Self {
            task: "",
            attempt: 1,
            worker,
            backend,
            cancel: Cancel::Never,
        }
    }

    /// The run of a job of this process.
    pub(crate) fn of<J: Job + 'static>(self, job: &Arc<J>) -> Self {
        Self {
            task: job.info().name,
            cancel: Cancel::Job(Arc::clone(job) as Arc<dyn Job>),
            ..self
        }
    }

    /// The run of a task that arrived as bytes; `probe` tells whether it should stop.
    pub(crate) fn named(self, task: &'static str, probe: fn() -> bool) -> Self {
        Self {
            task,
            cancel: Cancel::Probe(probe),
            ..self
        }
    }
}

thread_local! {
    static FRAME: RefCell<Option<Frame>> = const { RefCell::new(None) };
}

/// Runs code as the run `frame`; runs may nest. The code does not unwind.
pub(crate) fn enter<T>(frame: Frame, code: impl FnOnce() -> T) -> T {
    let outer = FRAME.replace(Some(frame));
    let result = code();
    FRAME.set(outer);
    result
}
