//! What a running task can learn of itself.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use crate::error::backend::Backend;
use crate::job::cell::{self, Job};
use crate::sync::local::{self, Local};
use crate::task::seed;

/// What a task knows of the run it is in. Got with [`current()`].
#[derive(Clone)]
pub struct Current {
    frame: Option<Frame>,
    /// The job that it is in, where that is one of this process.
    job: Option<Arc<Job>>,
}

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
    let frame = local::read(&FRAME);
    let job = match frame {
        Some(Frame { probe: None, .. }) => cell::running(),
        _ => None,
    };
    Current { frame, job }
}

impl Current {
    /// Whether the task should stop: its handle was cancelled, or its deadline has passed. Long
    /// tasks look at this now and then; on the process backend those that do not are killed.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let probe = self.frame.and_then(|frame| frame.probe);
        let asked = |job: &Arc<Job>| job.head().state.is_stopped();
        probe.is_some_and(|probe| (probe.is_stopped)()) || self.job.as_ref().is_some_and(asked)
    }

    /// Whether it is a run of a task, and not a direct call of its function.
    pub(crate) fn is_a_run(&self) -> bool {
        self.frame.is_some()
    }

    /// Waits for requests to stop that come from outside of the process, if they do.
    pub(crate) fn stop_bell(&self) -> Option<fn(u32) -> u32> {
        let probe = self.frame.and_then(|frame| frame.probe);
        probe.map(|probe| probe.next_stop)
    }

    /// Which run of the task this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.frame.map_or(1, |frame| frame.attempt)
    }

    /// The name of the task, as in [`Task::NAME`](crate::Task::NAME).
    #[must_use]
    pub fn task_name(&self) -> &'static str {
        self.frame.map_or("", |frame| frame.task)
    }

    /// The number of the worker that runs the task: from 0 to [`Pool::workers`](crate::Pool::workers) - 1.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.frame.map_or(0, |frame| frame.worker)
    }

    /// The seed for the random numbers of the task: the one that it was given with
    /// [`TaskExt::seed`](crate::TaskExt::seed), or that its index in a map and the root seed of
    /// [`Map::seed`](crate::Map::seed) make, the same on every backend, with any number of workers
    /// and in every retry. Without a seed it is another random number at each call.
    #[must_use]
    pub fn seed(&self) -> u64 {
        let given = self.frame.and_then(|frame| frame.seed);
        given.unwrap_or_else(seed::random)
    }

    /// The backend that runs the task.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.frame.map_or(Backend::Inline, |frame| frame.backend)
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

/// How a task that arrived as bytes learns that it should stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe {
    /// Whether it should.
    pub(crate) is_stopped: fn() -> bool,
    /// Waits until the count of requests is another one, which it returns.
    pub(crate) next_stop: fn(u32) -> u32,
}

/// One run of one task in one thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    task: &'static str,
    attempt: u32,
    seed: Option<u64>,
    worker: usize,
    backend: Backend,
    /// Tells what is asked of a task that arrived as bytes; others ask their job.
    probe: Option<Probe>,
}

impl Frame {
    /// The runs of one worker; the task is filled in for each.
    pub(crate) const fn new(backend: Backend, worker: usize) -> Self {
        Self {
            task: "",
            attempt: 1,
            seed: None,
            worker,
            backend,
            probe: None,
        }
    }

    /// The same for tasks that arrive as bytes.
    pub(crate) const fn probed(mut self, probe: Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// Which run of the task it is, from 1.
    #[inline]
    pub(crate) const fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// What it takes its random numbers from.
    #[inline]
    pub(crate) const fn seeded(mut self, seed: Option<u64>) -> Self {
        self.seed = seed;
        self
    }

    /// The run of this task.
    #[inline]
    pub(crate) const fn named(mut self, task: &'static str) -> Self {
        self.task = task;
        self
    }
}

thread_local! {
    static FRAME: Cell<Option<Frame>> = const { Cell::new(None) };
}

/// Runs code as the run `frame`; runs may nest. The code does not unwind.
#[inline]
pub(crate) fn enter<T>(frame: Frame, code: impl FnOnce() -> T) -> T {
    let outer = FRAME.swap(Some(frame));
    let result = code();
    FRAME.store(outer);
    result
}

/// The run that the calling thread is in goes on as that of another task, with this seed.
pub(crate) fn reseed(seed: u64) {
    FRAME.store(local::read(&FRAME).map(|frame| frame.seeded(Some(seed))));
}

/// Runs code that may [`reseed`]; afterwards the run that the calling thread is in is what it was.
pub(crate) fn keeping<T>(code: impl FnOnce() -> T) -> T {
    let frame = local::read(&FRAME);
    let result = code();
    FRAME.store(frame);
    result
}
