//! Many tasks, one stream of results.
//!
//! Short tasks go together, since a job of its own costs more than they do: as a *batch* where
//! they stay in this process ([`cell::batch`](crate::job::cell)), as a *chunk* where they are sent to
//! another one ([`work`](crate::job::work)). How many is learnt from how long the last ones took
//! ([`Pace`]). Neither makes a task wait for another one: workers help each other with a batch, and
//! from a worker that is at one task of a chunk for long the others are taken back, the done ones
//! with their results.

mod adapters;
mod flow;
mod input_timer;
mod pace;
mod progress;
#[cfg(feature = "async")]
mod stream;
mod unordered;
mod waiting;

use std::collections::HashMap;
use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::time::Duration;

pub use self::adapters::{Failed, WithIndex, WithInput};
#[cfg(feature = "async")]
pub use self::stream::MapStream;

use self::flow::{Bytes, Flow};
use crate::api::pool::Pool;
use crate::error::task_error::TaskError;
use crate::progress::Progress;
use crate::task::Task;
use crate::task::seed::Seeds;

type Outcome<T> = Result<<T as Task>::Output, TaskError>;

/// The results of [`Pool::map`], in the order of the inputs.
///
/// It is lazy: nothing is submitted before the first `next`, the input is read one bounded window
/// ahead of the results, and it goes on after an error. Dropping it half-way reads no more input
/// and cancels what has not started.
///
/// Short tasks go to the workers many at a time, as many as run in a fraction of a millisecond by
/// what the last ones took. That changes nothing else: each task keeps its own outcome, a worker
/// process that dies loses the one task that it ran, and a task that takes long keeps back neither
/// the tasks that were sent with it nor their results for more than some milliseconds. Tasks with
/// options (a timeout, retries, …) are sent by themselves.
///
/// The input is read in the thread that asks for results. While the input is quick, the map fills its
/// window before it returns a result, so workers have work while the loop over the results is busy.
/// After the input has taken 50 ms, the map returns the results that are ready, and reads on when no
/// result is ready. So a slow input (a pipe, a channel, a network folder) delays a result that is ready
/// by about 50 ms, and by the call of the input's `next` during which the result becomes ready.
///
/// **That call may last for ever, so an input must not wait for results of its own map**, nor for
/// anything else that the loop over the results does. An input that takes its items from a channel which
/// that loop fills is called for the second item while the first task runs, and never returns. (Only
/// with [`in_flight(1)`](Self::in_flight) the loop has got all results before the input is called.)
///
/// Where results make new tasks, submit those yourself, in rounds:
///
/// ```
/// use pool_core::{Pool, as_completed, pool_task};
///
/// /// The pages that a page links to.
/// #[pool_task]
/// fn links(page: u32) -> Vec<u32> {
///     [2 * page, 2 * page + 1].into_iter().filter(|link| *link < 100).collect()
/// }
///
/// let pool = Pool::threads()?;
/// let (mut pages, mut seen) = (vec![1], 0);
/// while !pages.is_empty() {
///     seen += pages.len();
///     let visits: Vec<_> = pages.drain(..).map(|page| pool.submit(links::task(page))).collect();
///     for (_, found) in as_completed(visits) {
///         pages.extend(found.unwrap());
///     }
/// }
/// assert_eq!(seen, 99);
/// # Ok::<(), pool_core::Error>(())
/// ```
///
/// Where each result is needed as soon as it is ready, however long the next item takes, read the input
/// in another thread. The bound of the channel takes the place of the window:
///
/// ```
/// use pool_core::{Pool, pool_task};
/// use std::sync::mpsc;
///
/// #[pool_task]
/// fn shout(line: &str) -> String {
///     line.to_uppercase()
/// }
///
/// let pool = Pool::threads()?;
/// let (answered, answers) = mpsc::channel();
/// // Like a person at a terminal, who reads the first answer before writing the second line.
/// let lines = std::iter::once("who".to_owned()).chain(answers);
/// let (handles, submitted) = mpsc::sync_channel(64);
/// std::thread::scope(|scope| {
///     let pool = &pool;
///     scope.spawn(move || {
///         for line in lines {
///             if handles.send(pool.submit(shout::task(&line))).is_err() {
///                 break;
///             }
///         }
///     });
///     for handle in submitted {
///         let answer = handle.join().unwrap();
///         if answer.len() > 10 {
///             break;
///         }
///         answered.send(answer.repeat(2)).unwrap();
///     }
///     drop(answered);
/// });
/// # Ok::<(), pool_core::Error>(())
/// ```
///
/// An input iterator that panics does so in `next`; the pool and what was submitted are not touched,
/// and the map can be asked on. Several maps may share a pool: each has its own window, of a tenth of
/// a second of work for each worker at most (and four tasks at least), so none waits for the whole of
/// another. They share it by tasks, not by time: a map of long ones gets more of it. A map may run
/// inside of a task, on the task's own pool too.
///
/// How many results there will be is known (`size_hint`, `ExactSizeIterator`) where the input knows
/// it, unless the map may end early (`E` is [`Early`]).
///
/// There is no `reduce` on the workers. Results that are large, or many and tiny, are best folded
/// where they are made: let a task take many inputs and return one result. The `wordcount` example
/// does so. `Iterator`'s `fold`, `sum` and so on put those together.
pub struct Map<I: Iterator<Item: Task>, E = Whole> {
    flow: Flow<I>,
    ends: PhantomData<E>,
}

/// A [`Map`] that returns as many results as it has inputs.
#[derive(Debug)]
pub enum Whole {}

/// A [`Map`] that may end before its input.
#[derive(Debug)]
pub enum Early {}

/// What a [`Map`] does after a task has run for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnTimeout {
    /// Goes on: the error is that item's result.
    #[default]
    Continue,
    /// Returns the error, cancels everything else, and ends.
    Stop,
}

impl<I: Iterator<Item: Task>> Map<I> {
    pub(crate) fn new(pool: Pool, input: I) -> Self {
        Self::over(Flow::new(pool, input))
    }
}

impl<I: Iterator<Item: Task>, E> Map<I, E> {
    fn over(flow: Flow<I>) -> Self {
        let ends = PhantomData;
        Self { flow, ends }
    }

    pub(crate) fn progress_mut(&mut self) -> &mut Progress {
        self.flow.progress.get_or_insert_default()
    }

    /// Returns each result as soon as it is there, whichever is first.
    /// [`TaskError::index`] says of an error which item it is; [`with_index`](Self::with_index) says
    /// it of all.
    ///
    /// ```
    /// use pool_core::{Pool, pool_task};
    ///
    /// #[pool_task]
    /// fn nap(ms: u64) -> u64 {
    ///     std::thread::sleep(std::time::Duration::from_millis(ms));
    ///     ms
    /// }
    ///
    /// let pool = Pool::builder().backend(pool_core::Backend::Threads).workers(2).build()?;
    /// let naps = pool.map([500, 1].map(|ms| nap::task(ms)));
    /// assert_eq!(naps.unordered().map(Result::unwrap).collect::<Vec<_>>(), [1, 500]);
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    #[must_use]
    pub fn unordered(mut self) -> Self {
        self.flow.unordered.get_or_insert_default();
        self
    }

    /// Sends this many tasks together (from 1 to 4,096), instead of as many as are found to run in
    /// a fraction of a millisecond; fewer where the window has no room for more, or the input is slow.
    /// With 1 each task is a job of its own.
    #[must_use]
    pub fn chunk(mut self, tasks: usize) -> Self {
        self.flow.chunk(tasks);
        self
    }

    /// Bounds how many tasks are submitted and not yet returned by `next`; at least one. Without it
    /// there are up to 64 for each worker, or as many as go in four chunks, and of tasks that take
    /// long as many as run in a tenth of a second, but four.
    #[must_use]
    pub fn in_flight(mut self, tasks: usize) -> Self {
        self.flow.in_flight = Some(tasks.max(1));
        self
    }

    /// Bounds how many bytes the arguments of those tasks take, encoded. A task that is larger by
    /// itself goes alone. The size of each is measured, which takes about as long as to encode it.
    #[must_use]
    pub fn in_flight_bytes(mut self, bytes: usize) -> Self {
        self.flow.bytes = Some(Bytes::new(bytes));
        self
    }

    /// Limits the run time of each task that has no timeout of its own, as
    /// [`TaskExt::timeout`](crate::TaskExt::timeout) does.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.flow.timeout = Some(limit);
        self
    }

    /// Gives each task a seed that follows from this one and from its index:
    /// [`Current::seed`](crate::Current::seed) returns it in the task, the same on every backend,
    /// with any number of workers and in every retry.
    ///
    /// ```
    /// use pool_core::{Pool, pool_task};
    ///
    /// #[pool_task]
    /// fn coin() -> bool {
    ///     pool_core::current().seed() % 2 == 0
    /// }
    ///
    /// let toss = |pool: Pool| -> Result<Vec<bool>, _> {
    ///     pool.map((0..100).map(|_| coin::task())).seed(7).collect()
    /// };
    /// assert_eq!(toss(Pool::inline()), toss(Pool::threads()?));
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    #[must_use]
    pub fn seed(mut self, root: u64) -> Self {
        self.flow.seeds = Some(Seeds::new(root));
        self
    }

    /// Ends after the first error: that is returned, and everything else is cancelled, what runs
    /// too. [`TaskError::index`] says which item it is. A task's own `Err` is its result, and does not
    /// end the map.
    ///
    /// ```
    /// use pool_core::{Pool, pool_task};
    ///
    /// #[pool_task]
    /// fn check(n: u32) {
    ///     assert!(n != 3, "not this one");
    /// }
    ///
    /// let pool = Pool::threads()?;
    /// let results: Vec<_> = pool.map((0..).map(|n| check::task(n))).stop_on_error().collect();
    /// assert_eq!(results.len(), 4);
    /// assert_eq!(results[3].as_ref().unwrap_err().index(), Some(3));
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    #[must_use]
    pub fn stop_on_error(mut self) -> Map<I, Early> {
        self.flow.stops.on_error = true;
        Map::over(self.flow)
    }

    /// What to do after a task has run past its deadline, or did not start within its
    /// `queue_timeout`.
    #[must_use]
    pub fn on_timeout(mut self, what: OnTimeout) -> Map<I, Early> {
        self.flow.stops.on_timeout = what == OnTimeout::Stop;
        Map::over(self.flow)
    }

    /// Returns each result with the index of its input, which in an [`unordered`](Self::unordered)
    /// map is not known otherwise. Comes last: the result has no more options.
    #[must_use]
    pub fn with_index(self) -> WithIndex<I, E> {
        WithIndex::new(self.flow)
    }

    /// Returns each error with the task that it is of. Comes last: the result has no more options.
    ///
    /// ```
    /// use pool_core::{Pool, pool_task};
    ///
    /// #[pool_task]
    /// fn parse(text: &str) -> i32 {
    ///     text.parse().unwrap()
    /// }
    ///
    /// let pool = Pool::threads()?;
    /// let numbers = pool.map(["1", "zwei", "3"].map(|text| parse::task(text))).with_input();
    /// let failed: Vec<_> = numbers.filter_map(Result::err).collect();
    /// assert_eq!(failed[0].input.as_ref().unwrap().text, "zwei");
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    #[must_use]
    pub fn with_input(mut self) -> WithInput<I, E> {
        self.flow.copies = Some(HashMap::new());
        WithInput::new(self.flow)
    }

    /// The results as a stream, for any executor. It is a map in every other way: ordered or not,
    /// bounded by what is in flight (nothing is submitted unless the stream is polled), and dropping
    /// it cancels what has not started. Polling it does not block, unless the input does, or the pool
    /// is inline; so an input must not wait for what other futures of the same thread do, and as with
    /// every [`Map`] not for results.
    ///
    /// ```
    /// use futures_core::Stream;
    /// use pool_core::{Pool, pool_task};
    /// use std::pin::pin;
    ///
    /// #[pool_task]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// let pool = Pool::threads()?;
    /// let mut squares = pin!(pool.map((0..10).map(|n| square::task(n))).into_stream());
    /// let sum = pollster::block_on(async {
    ///     let mut sum = 0;
    ///     while let Some(square) = std::future::poll_fn(|cx| squares.as_mut().poll_next(cx)).await {
    ///         sum += square.unwrap();
    ///     }
    ///     sum
    /// });
    /// assert_eq!(sum, 285);
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    #[cfg(feature = "async")]
    pub fn into_stream(mut self) -> MapStream<I, E> {
        self.flow.is_async = true;
        MapStream::new(self.flow)
    }
}

impl<I: Iterator<Item: Task>, E> Iterator for Map<I, E> {
    type Item = Result<<I::Item as Task>::Output, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.flow.next().map(|(_, outcome)| outcome)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.flow.size_hint()
    }
}

impl<I: ExactSizeIterator<Item: Task>> ExactSizeIterator for Map<I> {}

impl<I: Iterator<Item: Task>, E> FusedIterator for Map<I, E> {}

impl<I: Iterator<Item: Task>, E> fmt::Debug for Map<I, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.flow.describe(f.debug_struct("Map"))
    }
}
