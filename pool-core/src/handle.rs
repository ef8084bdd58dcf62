//! The handle of a submitted task.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::backend::EngineRef;
use crate::cell::{Handle, Job};
use crate::{TaskError, asynchronous};

/// The handle of a submitted task: waits for its result, or cancels it.
///
/// A handle resolves exactly once, whatever happens to the worker that runs the task. Dropping it
/// detaches: the task runs all the same. It is also a future, for any executor.
///
/// ```
/// use pool_core::{Pool, pool_task};
///
/// #[pool_task]
/// fn add(a: i32, b: i32) -> i32 {
///     a + b
/// }
///
/// let pool = Pool::threads()?;
/// let handles: Vec<_> = (0..10).map(|i| pool.submit(add::task(i, 1))).collect();
/// let sum: i32 = handles.into_iter().map(|h| h.join().unwrap()).sum();
/// assert_eq!(sum, 55);
/// # Ok::<(), pool_core::Error>(())
/// ```
#[must_use = "dropping a handle detaches its task; call `join` for the result"]
pub struct JoinHandle<T> {
    cell: Handle<T>,
    engine: EngineRef,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(cell: Handle<T>, engine: EngineRef) -> Self {
        Self { cell, engine }
    }

    /// Waits for the task and returns its result.
    ///
    /// Called from inside a task of the same thread pool, it runs the awaited task right there if
    /// no worker has started it yet, so that tasks that wait for tasks cannot dead-lock; it never
    /// runs any other task.
    ///
    /// # Errors
    /// The [`TaskError`] says why there is no result.
    pub fn join(self) -> Result<T, TaskError> {
        self.wait(None);
        self.cell.into_outcome()
    }

    /// Waits for the task, at most for `limit`; `None` when it has no result by then. The task
    /// goes on, and the handle can be asked again.
    ///
    /// The result is handed out once; a later call gets
    /// [`AlreadyJoined`](crate::TaskErrorKind::AlreadyJoined).
    pub fn join_timeout(&self, limit: Duration) -> Option<Result<T, TaskError>> {
        // A limit that no clock can hold is none.
        self.wait(Instant::now().checked_add(limit));
        self.take_resolved()
    }

    /// Returns the result if there is one, without waiting.
    ///
    /// The result is handed out once; a later call gets
    /// [`AlreadyJoined`](crate::TaskErrorKind::AlreadyJoined).
    pub fn try_join(&self) -> Option<Result<T, TaskError>> {
        self.poll_engine();
        self.take_resolved()
    }

    /// Whether the task has an outcome: [`join`](Self::join) would not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.poll_engine();
        self.job().head().is_resolved()
    }

    /// Whether a worker runs the task now.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.is_finished() && self.engine.is_running(self.job())
    }

    /// Cancels the task: its handle resolves at once with
    /// [`Cancelled`](crate::TaskErrorKind::Cancelled). `false` when it had an outcome already.
    ///
    /// A task that has not started never runs. A running one is told
    /// ([`Current::is_cancelled`](crate::Current::is_cancelled)); on the process backend its
    /// worker is killed when it still runs after the pool's grace, on threads it goes on until it
    /// returns.
    pub fn cancel(&self) -> bool {
        self.engine.cancel(self.job())
    }

    /// Runs `callback` when the task has an outcome, at once if it has one. Callbacks run in the
    /// order added, on the thread that finds the task finished: one that looks at the pool, a
    /// worker of a thread pool, or one that the pool keeps for this. A panic in one is printed and
    /// harms nothing. A callback may submit and wait; others of the same thread wait for it
    /// meanwhile.
    pub fn on_finish(&self, callback: impl FnOnce() + Send + 'static) {
        let head = self.job().head();
        if head.waiters.add_callback(Box::new(callback), &head.state) {
            self.engine.watch(self.job());
        }
    }

    /// Cancels the task unless a worker runs it.
    pub(crate) fn cancel_queued(&self) {
        self.engine.cancel_queued(self.job());
    }

    /// Has the calling thread unparked when the task has an outcome; `false`: it has one.
    pub(crate) fn watch(&self) -> bool {
        let head = self.job().head();
        let watched = head.waiters.add_thread(&head.state);
        if watched {
            self.engine.watch(self.job());
        }
        watched
    }

    fn wait(&self, deadline: Option<Instant>) {
        if !self.job().head().is_resolved() {
            self.engine.wait(self.job(), deadline);
        }
    }

    fn poll_engine(&self) {
        if !self.job().head().is_resolved() {
            self.engine.poll(self.job());
        }
    }

    fn take_resolved(&self) -> Option<Result<T, TaskError>> {
        self.job().head().is_resolved().then(|| self.cell.take())
    }

    fn job(&self) -> &Job {
        self.cell.job()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let head = self.job().head();
        if !head.is_resolved() && head.waiters.add_waker(context.waker(), &head.state) {
            // May find it finished, and then wakes the waker just entered.
            self.engine.watch(self.job());
        }
        match self.take_resolved() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                asynchronous::awaits(&self.engine, self.job());
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_finished() {
            "finished"
        } else if self.is_running() {
            "running"
        } else {
            "queued"
        };
        f.debug_struct("JoinHandle")
            .field("task", &self.job().name())
            .field("state", &state)
            .finish()
    }
}
