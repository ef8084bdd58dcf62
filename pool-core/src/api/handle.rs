//! The handle of a submitted task.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::api::completions::Completions;
use crate::engine::{EngineRef, asynchronous};
use crate::error::task_error::TaskError;
use crate::job::cell::{self, Effect, Effects, Handle, Job};

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
        // A limit beyond the range of the clock is no limit.
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

    /// Runs `callback` when the task has an outcome. Where the handle is known to have one it runs at
    /// once, in the calling thread; callbacks that were added before run in the order added.
    ///
    /// Such a callback never runs in a thread that calls into a pool, whatever it calls: it runs on a
    /// worker of a thread pool that has come to the end of the task, or on a thread that the pool
    /// keeps for callbacks. So it can take a lock that other threads hold while they join, cancel or
    /// print handles. (Inline, every task has its outcome when `submit` returns.) Callbacks never run
    /// inside of each other: one that would run at once, and is added by another one, runs after that.
    ///
    /// A panic in a callback is printed and harms nothing. A callback may submit and wait; others of
    /// the same pool may have to wait for it meanwhile. The same holds for the wakers of futures,
    /// which have a thread of their own.
    pub fn on_finish(&self, callback: impl FnOnce() + Send + 'static) {
        let callback = Box::new(callback);
        let head = self.job().head();
        if head.is_resolved() {
            return match self.effects() {
                Some(effects) if cell::is_inside() => effects.run(Effect::Callback(callback)),
                _ => cell::run_here(Effect::Callback(callback)),
            };
        }
        let effects = self.effects().cloned();
        if head.waiters.add_callback(callback, effects, &head.state) {
            self.engine.watch(self.job());
        }
    }

    /// Makes a future that cancels the task when it is dropped before the task has an outcome, for
    /// futures that are dropped to give up: in a `select!`, or at the end of a request. The future of
    /// a plain handle detaches when it is dropped.
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
    /// let sum = pool.submit(add::task(1, 2)).cancel_on_drop();
    /// assert_eq!(pollster::block_on(sum).unwrap(), 3);
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    pub fn cancel_on_drop(self) -> CancelOnDrop<T> {
        CancelOnDrop { handle: Some(self) }
    }

    /// Another handle of the same task; the outcome is handed out once.
    pub(crate) fn twin(&self) -> Self {
        Self::new(self.cell.twin(), self.engine.clone())
    }

    /// As [`join`](Self::join), with a handle that is kept.
    pub(crate) fn wait_and_take(&self) -> Result<T, TaskError> {
        self.wait(None);
        self.cell.take()
    }

    /// Cancels the task unless a worker runs it.
    pub(crate) fn cancel_queued(&self) {
        self.engine.cancel_queued(self.job());
    }

    /// Cancels the task; if a worker runs it, only with `running`.
    pub(crate) fn give_up(&self, running: bool) {
        match running {
            true => drop(self.cancel()),
            false => self.cancel_queued(),
        }
    }

    /// Has the completions tell when the task has an outcome; its number there.
    pub(crate) fn enter(&self, completions: &mut Completions) -> usize {
        completions.add(&self.engine, self.job())
    }

    /// Whether there is an outcome, as far as the cell knows.
    pub(crate) fn is_resolved(&self) -> bool {
        self.job().head().is_resolved()
    }

    /// Whether the outcome, which there is, is an error, as far as is known without decoding.
    pub(crate) fn is_failed(&self) -> bool {
        self.job().head().state.is_failed()
    }

    /// The outcome, which there is.
    pub(crate) fn into_outcome(self) -> Result<T, TaskError> {
        self.cell.into_outcome()
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

    fn effects(&self) -> Option<&Arc<Effects>> {
        self.engine.effects()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let head = self.job().head();
        if !head.is_resolved() {
            let effects = self.effects().cloned();
            if head
                .waiters
                .add_waker(context.waker(), effects, &head.state)
            {
                // May find it finished, and then wakes the waker just entered.
                self.engine.watch(self.job());
            }
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

/// A handle that cancels its task when it is dropped: made by [`JoinHandle::cancel_on_drop`].
#[must_use = "dropping it cancels the task"]
pub struct CancelOnDrop<T> {
    /// Until it is detached.
    handle: Option<JoinHandle<T>>,
}

impl<T> CancelOnDrop<T> {
    /// The handle as it was: dropping that detaches.
    #[must_use = "dropping a handle detaches its task"]
    pub fn into_inner(mut self) -> JoinHandle<T> {
        let Some(handle) = self.handle.take() else {
            unreachable!("it is there until this is gone");
        };
        handle
    }
}

impl<T> Deref for CancelOnDrop<T> {
    type Target = JoinHandle<T>;

    fn deref(&self) -> &JoinHandle<T> {
        let Some(handle) = &self.handle else {
            unreachable!("it is there until this is gone");
        };
        handle
    }
}

impl<T> Future for CancelOnDrop<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(handle) = &mut self.handle else {
            unreachable!("it is there until this is gone");
        };
        Pin::new(handle).poll(context)
    }
}

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.cancel();
        }
    }
}

impl<T> fmt::Debug for CancelOnDrop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelOnDrop").field(&self.handle).finish()
    }
}
