//! Waiting for many tasks: [`wait`] and [`as_completed`].

use std::fmt;
use std::time::{Duration, Instant};

use crate::api::completions::Completions;
use crate::api::handle::JoinHandle;
use crate::error::task_error::TaskError;

/// What [`wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Until {
    /// All tasks.
    All,
    /// Any one of them.
    First,
    /// One that ends without a result, or all: what `FIRST_EXCEPTION` is in Python's
    /// `concurrent.futures`. A task's own `Err` is its result. A result that came and cannot be
    /// decoded is found only when it is joined.
    FirstError,
}

/// Waits for some tasks, of any mix of pools, at most for `limit`, and returns the indices of those
/// that are finished then, in ascending order. The handles stay the caller's: a finished one is
/// joined without waiting.
///
/// Each call looks at every handle; to take up many results one by one as they come, use
/// [`as_completed`].
///
/// ```
/// use pool_core::{Pool, Until, pool_task, wait};
/// use std::time::Duration;
///
/// #[pool_task]
/// fn nap(ms: u64) -> u64 {
///     std::thread::sleep(Duration::from_millis(ms));
///     ms
/// }
///
/// let pool = Pool::builder().backend(pool_core::Backend::Threads).workers(2).build()?;
/// let naps = [pool.submit(nap::task(2_000)), pool.submit(nap::task(1))];
/// assert_eq!(wait(&naps, Until::First, None), [1]);
/// assert_eq!(wait(&naps, Until::All, Some(Duration::from_millis(1))), [1]);
/// # naps[0].cancel();
/// # Ok::<(), pool_core::Error>(())
/// ```
pub fn wait<T>(handles: &[JoinHandle<T>], until: Until, limit: Option<Duration>) -> Vec<usize> {
    // A limit beyond the range of the clock is no limit.
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    let mut completions = Completions::new();
    for handle in handles {
        handle.enter(&mut completions);
    }
    while let Some(index) = completions.next(deadline) {
        match until {
            Until::First => break,
            Until::FirstError if handles[index].is_failed() => break,
            Until::FirstError | Until::All => {}
        }
    }
    let finished = |index: &usize| handles[*index].is_resolved();
    (0..handles.len()).filter(finished).collect()
}

/// The results of tasks as they come, whichever is finished first, each with the index of its
/// handle. The handles may be of any mix of pools; those that are finished already come at once. A
/// completion costs the same however many handles there are.
///
/// ```
/// use pool_core::{Pool, as_completed, pool_task};
///
/// #[pool_task]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// let pool = Pool::threads()?;
/// let handles = (0..100).map(|n| pool.submit(square::task(n)));
/// for (index, result) in as_completed(handles) {
///     assert_eq!(result.unwrap(), (index * index) as u64);
/// }
/// # Ok::<(), pool_core::Error>(())
/// ```
///
/// All results in the order of the handles need no function of their own:
/// `handles.into_iter().map(JoinHandle::join).collect::<Result<Vec<_>, _>>()`. What is to be done
/// with each result as soon as it is there is done in the loop, which may submit more; a closure
/// that is run on a result could not be sent to a worker, so there is no `then`.
pub fn as_completed<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) -> AsCompleted<T> {
    let mut completions = Completions::new();
    let enter = |handle: JoinHandle<T>| {
        handle.enter(&mut completions);
        Some(handle)
    };
    AsCompleted {
        handles: handles.into_iter().map(enter).collect(),
        completions,
        deadline: None,
    }
}

/// The iterator of [`as_completed`]: pairs of an index and a result. Dropping it detaches what is
/// not finished.
#[must_use = "iterators do nothing unless they are consumed"]
pub struct AsCompleted<T> {
    handles: Vec<Option<JoinHandle<T>>>,
    completions: Completions,
    deadline: Option<Instant>,
}

impl<T> AsCompleted<T> {
    /// Limits how long all of it may take, from now on: once the time is over, what is finished
    /// still comes, and then the iterator ends. [`into_unfinished`](Self::into_unfinished) has the
    /// others.
    ///
    /// ```
    /// use pool_core::{Pool, as_completed, pool_task};
    /// use std::time::Duration;
    ///
    /// #[pool_task]
    /// fn nap(ms: u64) {
    ///     std::thread::sleep(Duration::from_millis(ms));
    /// }
    ///
    /// let pool = Pool::builder().backend(pool_core::Backend::Threads).workers(2).build()?;
    /// let naps = [1, 3_000].map(|ms| pool.submit(nap::task(ms)));
    /// let mut results = as_completed(naps).timeout(Duration::from_secs(1));
    /// assert_eq!(results.by_ref().count(), 1);
    /// for (index, late) in results.into_unfinished() {
    ///     assert_eq!(index, 1);
    ///     late.cancel();
    /// }
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        // A limit beyond the range of the clock is no limit.
        self.deadline = Instant::now().checked_add(limit);
        self
    }

    /// The handles whose results were not returned, with their indices.
    pub fn into_unfinished(self) -> impl Iterator<Item = (usize, JoinHandle<T>)> {
        let some = |(index, handle): (usize, Option<_>)| Some((index, handle?));
        self.handles.into_iter().enumerate().filter_map(some)
    }
}

impl<T> Iterator for AsCompleted<T> {
    type Item = (usize, Result<T, TaskError>);

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.completions.next(self.deadline)?;
        let handle = self.handles[index].take()?;
        Some((index, handle.into_outcome()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.completions.len();
        match self.deadline {
            None => (left, Some(left)),
            Some(_) => (0, Some(left)),
        }
    }
}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("left", &self.completions.len())
            .field("of", &self.handles.len())
            .finish_non_exhaustive()
    }
}
