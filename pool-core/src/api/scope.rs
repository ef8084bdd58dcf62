//! Tasks that end before a block of code does.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::api::completions::Completions;
use crate::api::handle::JoinHandle;
use crate::api::pool::Pool;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::task::Task;

impl Pool {
    /// Runs code that submits tasks, and returns when all of them have an outcome. One that was
    /// cancelled while it ran has it at once, as with [`JoinHandle::cancel`]: a worker process that
    /// does not heed that is killed after the pool's grace, a thread goes on until the task returns.
    ///
    /// The first task that is found to have ended without a result cancels all others of the scope,
    /// running ones too: as soon as the code joins it, or else when the code has returned. Its error
    /// is the scope's. A task's own `Err` is its result, and that of the code cancels nothing:
    /// [`Scope::cancel`] does. A task that the code itself [cancels](ScopedHandle::cancel) is no
    /// failure.
    ///
    /// Tasks own their arguments, so unlike those of `std::thread::scope` they borrow nothing.
    ///
    /// # Errors
    /// The error of the first task that was found to have failed.
    ///
    /// # Panics
    /// When the code panics: with its panic, after all tasks were cancelled and are finished.
    ///
    /// ```
    /// use pool_core::{Pool, pool_task};
    ///
    /// #[pool_task]
    /// fn square(n: u32) -> u32 {
    ///     n * n
    /// }
    ///
    /// let pool = Pool::threads()?;
    /// let sum = pool.scope(|s| {
    ///     s.submit(square::task(1)); // is waited for
    ///     let (three, four) = (s.submit(square::task(3)), s.submit(square::task(4)));
    ///     Ok::<_, pool_core::TaskError>(three.join()? + four.join()?)
    /// })??;
    /// assert_eq!(sum, 25);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scope<R>(&self, code: impl FnOnce(&Scope<'_>) -> R) -> Result<R, TaskError> {
        let scope = Scope {
            pool: self,
            group: Arc::default(),
        };
        let result = catch_unwind(AssertUnwindSafe(|| code(&scope)));
        if result.is_err() {
            scope.group.cancel_all();
        }
        let failed = scope.group.finish();
        match (result, failed) {
            (Err(panic), _) => resume_unwind(panic),
            (Ok(_), Some(error)) => Err(error),
            (Ok(result), None) => Ok(result),
        }
    }
}

/// Where the tasks of [`Pool::scope`] are submitted.
pub struct Scope<'a> {
    pool: &'a Pool,
    group: Arc<Group>,
}

/// The handle of a task in a [`Scope`]. Dropping it does nothing: the scope waits for the task.
pub struct ScopedHandle<T> {
    handle: JoinHandle<T>,
    group: Arc<Group>,
    index: usize,
}

/// The tasks of a scope.
#[derive(Default)]
struct Group(Mutex<State>);

#[derive(Default)]
struct State {
    members: Vec<Member>,
    /// The error of the first one that failed.
    failed: Option<TaskError>,
    is_cancelled: bool,
}

#[derive(Clone)]
struct Member {
    task: Arc<dyn Submitted>,
    /// The code itself has cancelled it.
    is_excused: bool,
}

/// The handle of a task whatever its result.
trait Submitted: Send + Sync {
    fn enter(&self, completions: &mut Completions);

    fn cancel(&self);

    /// The error, if it ended without a result and nobody has taken that.
    fn take_error(&self) -> Option<TaskError>;
}

impl<T> Submitted for JoinHandle<T> {
    fn enter(&self, completions: &mut Completions) {
        self.enter(completions);
    }

    fn cancel(&self) {
        self.cancel();
    }

    fn take_error(&self) -> Option<TaskError> {
        if !self.is_failed() {
            return None;
        }
        let error = self.try_join()?.err()?;
        (error.kind() != TaskErrorKind::AlreadyJoined).then_some(error)
    }
}

impl Scope<'_> {
    /// Submits a task, as [`Pool::submit`] does.
    pub fn submit<T: Task>(&self, task: T) -> ScopedHandle<T::Output> {
        let handle = self.pool.submit(task);
        let member = Arc::new(handle.twin());
        let (index, is_cancelled) = {
            let mut state = self.group.state();
            state.members.push(Member {
                task: Arc::<JoinHandle<T::Output>>::clone(&member),
                is_excused: false,
            });
            (state.members.len() - 1, state.is_cancelled)
        };
        if is_cancelled {
            member.cancel();
        }
        let group = Arc::clone(&self.group);
        ScopedHandle {
            handle,
            group,
            index,
        }
    }

    /// Cancels all tasks of the scope, and those that it submits from now on. That is no failure.
    pub fn cancel(&self) {
        for member in &mut self.group.state().members {
            member.is_excused = true;
        }
        self.group.cancel_all();
    }

    /// The pool that runs the tasks.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        self.pool
    }
}

impl Group {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cancel_all(&self) {
        let members = {
            let mut state = self.state();
            state.is_cancelled = true;
            state.members.clone()
        };
        // Without the lock: callbacks may submit.
        for member in members.iter().rev() {
            member.task.cancel();
        }
    }

    /// A task has ended without a result.
    fn fails(&self, index: usize, error: TaskError) {
        {
            let mut state = self.state();
            // What the code itself has cancelled, or a failure.
            let is_excused = state.is_cancelled || state.members[index].is_excused;
            if state.failed.is_some() || is_excused && error.is_cancelled() {
                return;
            }
            state.failed = Some(error);
        }
        self.cancel_all();
    }

    /// Waits for all tasks; the first error.
    fn finish(&self) -> Option<TaskError> {
        let members = self.state().members.clone();
        let mut completions = Completions::new();
        for member in &members {
            member.task.enter(&mut completions);
        }
        while let Some(index) = completions.next(None) {
            if let Some(error) = members[index].task.take_error() {
                self.fails(index, error);
            }
        }
        self.state().failed.take()
    }
}

impl<T> ScopedHandle<T> {
    /// Waits for the task and returns its result, as [`JoinHandle::join`] does.
    ///
    /// # Errors
    /// The [`TaskError`] says why there is no result. It fails the scope.
    pub fn join(self) -> Result<T, TaskError> {
        let outcome = self.handle.wait_and_take();
        self.heard(outcome)
    }

    /// Waits for the task, at most for `limit`, as [`JoinHandle::join_timeout`] does.
    pub fn join_timeout(&self, limit: Duration) -> Option<Result<T, TaskError>> {
        let outcome = self.handle.join_timeout(limit)?;
        Some(self.heard(outcome))
    }

    /// Returns the result if there is one, without waiting, as [`JoinHandle::try_join`] does.
    pub fn try_join(&self) -> Option<Result<T, TaskError>> {
        let outcome = self.handle.try_join()?;
        Some(self.heard(outcome))
    }

    /// Whether the task has an outcome.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Cancels the task, as [`JoinHandle::cancel`] does. That is no failure of the scope.
    pub fn cancel(&self) -> bool {
        self.group.state().members[self.index].is_excused = true;
        self.handle.cancel()
    }

    fn heard(&self, outcome: Result<T, TaskError>) -> Result<T, TaskError> {
        if let Err(error) = &outcome
            && error.kind() != TaskErrorKind::AlreadyJoined
        {
            self.group.fails(self.index, error.clone());
        }
        outcome
    }
}

impl<T> Future for ScopedHandle<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.handle).poll(context);
        polled.map(|outcome| self.heard(outcome))
    }
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("pool", self.pool)
            .field("tasks", &self.group.state().members.len())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ScopedHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ScopedHandle").field(&self.handle).finish()
    }
}
