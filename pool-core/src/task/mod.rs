//! What can be submitted: the [`Task`] trait, per-call options, and the facts the macro records.

pub(crate) mod numbers;
pub(crate) mod retry;
pub(crate) mod seed;

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::backend::Backend;

/// A call that can be sent to a pool: its arguments, its result type and its name.
///
/// [`#[pool_task]`](macro@crate::pool_task) writes the implementation for an ordinary function.
/// One trait serves every backend, so a program that compiles on threads also runs in worker
/// processes: the arguments and the result are serializable everywhere, although only the
/// process and cluster backends serialize them.
///
/// A type that implements `Task` by hand runs inline and on threads as it is; to run in worker
/// processes it must also be entered in the catalog with [`register_task!`](crate::register_task).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a pool task",
    label = "this is not a task",
    note = "to submit a function marked `#[pool_task]`, write `fib::task(…)` instead of `fib(…)`: \
            `fib(…)` calls the function right here",
    note = "for a function that is not marked yet, put `#[pool_core::pool_task]` above it"
)]
pub trait Task: Serialize + DeserializeOwned + Send + 'static {
    /// What the task returns.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// The name under which a worker finds the task, unique in the program.
    const NAME: &'static str;

    /// What the catalog knows of the task.
    #[doc(hidden)]
    const INFO: TaskInfo = TaskInfo::manual(Self::NAME);

    /// Runs the task in the calling thread.
    fn run(self) -> Self::Output;

    /// Options of this one call.
    #[doc(hidden)]
    fn options(&self) -> Options {
        Self::INFO.options
    }

    /// Whether no user code writes the arguments: they are numbers, texts and vectors of numbers.
    #[doc(hidden)]
    fn is_plain() -> bool {
        false
    }
}

/// Options that any task value takes.
pub trait TaskExt: Task {
    /// Limits the run time of this call, counted from the moment the task starts to run; it
    /// replaces the `timeout = "…"` of the function.
    ///
    /// What happens at the deadline depends on the backend: processes kill the worker that runs
    /// the task (after the pool's grace), threads and inline cannot stop foreign code and only
    /// report it. On every backend the handle resolves with
    /// [`TaskErrorKind::TimedOut`](crate::TaskErrorKind::TimedOut).
    ///
    /// ```
    /// use pool_core::{Pool, TaskExt, pool_task};
    /// use std::time::Duration;
    ///
    /// #[pool_task]
    /// fn nap(ms: u64) {
    ///     std::thread::sleep(Duration::from_millis(ms));
    /// }
    ///
    /// let pool = Pool::threads()?;
    /// let late = pool.submit(nap::task(200).timeout(Duration::from_millis(20)));
    /// assert!(late.join().unwrap_err().is_timeout());
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    fn timeout(self, limit: Duration) -> WithOptions<Self> {
        let mut options = self.options();
        options.timeout = Some(limit);
        let task = self;
        WithOptions { task, options }
    }

    /// Limits how long this call may wait until it starts; it replaces the `queue_timeout = "…"` of
    /// the function. One that has not started by then never runs, and its handle resolves with
    /// [`TaskErrorKind::TimedOut`](crate::TaskErrorKind::TimedOut). A later run of a task that is
    /// retried is not limited.
    ///
    /// ```
    /// use pool_core::{Pool, TaskExt, pool_task};
    /// use std::time::Duration;
    ///
    /// #[pool_task]
    /// fn nap(ms: u64) {
    ///     std::thread::sleep(Duration::from_millis(ms));
    /// }
    ///
    /// let pool = Pool::builder().backend(pool_core::Backend::Threads).workers(1).build()?;
    /// let long = pool.submit(nap::task(300));
    /// let late = pool.submit(nap::task(0).queue_timeout(Duration::from_millis(20)));
    /// assert!(late.join().unwrap_err().is_timeout());
    /// assert!(long.join().is_ok());
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    fn queue_timeout(self, limit: Duration) -> WithOptions<Self> {
        let mut options = self.options();
        options.queue_timeout = Some(limit);
        let task = self;
        WithOptions { task, options }
    }

    /// Runs this call again, up to `retries` times, when it ends without a result: after a panic, a
    /// lost worker, a passed deadline, or too much memory; it replaces the `retries = …` of the
    /// function. A task's own `Err` is its result, and what was cancelled or could not be encoded
    /// is not tried again either. On threads a passed deadline is final, since the run that is late
    /// goes on.
    ///
    /// The first retry comes after 25 to 50 ms, each later one after twice as long, at most 10 s;
    /// in these limits the time is random. [`Current::attempt`](crate::Current::attempt) tells the
    /// task which run it is in, and [`TaskError::attempt`](crate::TaskError::attempt) which one
    /// failed last.
    ///
    /// ```
    /// use pool_core::{Pool, TaskExt, pool_task};
    ///
    /// #[pool_task]
    /// fn works_at_last() -> u32 {
    ///     let attempt = pool_core::current().attempt();
    ///     assert!(attempt == 3, "not yet");
    ///     attempt
    /// }
    ///
    /// let pool = Pool::threads()?;
    /// assert_eq!(pool.submit(works_at_last::task().retries(5)).join().unwrap(), 3);
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    fn retries(self, retries: u32) -> WithOptions<Self> {
        let mut options = self.options();
        options.retries = retries;
        let task = self;
        WithOptions { task, options }
    }

    /// Says that this call does no harm when it runs more than once, like the `idempotent` of the
    /// function: when its worker is lost it runs again on another one at once, without a retry
    /// being asked for. One that has lost three workers is taken for the cause, and fails.
    fn idempotent(self) -> WithOptions<Self> {
        let mut options = self.options();
        options.idempotent = true;
        let task = self;
        WithOptions { task, options }
    }

    /// Gives this call the seed that [`Current::seed`](crate::Current::seed) returns in it, on every
    /// backend and in every retry. [`Map::seed`](crate::Map::seed) gives each item of a map its own.
    ///
    /// ```
    /// use pool_core::{Pool, TaskExt, pool_task};
    ///
    /// #[pool_task]
    /// fn dice() -> u64 {
    ///     pool_core::current().seed() % 6 + 1
    /// }
    ///
    /// let pool = Pool::threads()?;
    /// assert_eq!(pool.submit(dice::task().seed(41)).join().unwrap(), 6);
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    fn seed(self, seed: u64) -> WithOptions<Self> {
        let mut options = self.options();
        options.seed = Some(seed);
        let task = self;
        WithOptions { task, options }
    }
}

impl<T: Task> TaskExt for T {}

/// A task with options of its own, made by [`TaskExt`].
#[derive(Debug, Clone)]
pub struct WithOptions<T> {
    task: T,
    options: Options,
}

impl<T> WithOptions<T> {
    pub(crate) fn new(task: T, options: Options) -> Self {
        Self { task, options }
    }
}

// The options steer the parent only: what travels is the task.
impl<T: Serialize> Serialize for WithOptions<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.task.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for WithOptions<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self {
            task: T::deserialize(deserializer)?,
            options: Options::default(),
        })
    }
}

impl<T: Task> Task for WithOptions<T> {
    type Output = T::Output;
    const NAME: &'static str = T::NAME;
    const INFO: TaskInfo = T::INFO;

    fn run(self) -> T::Output {
        self.task.run()
    }

    fn options(&self) -> Options {
        self.options
    }

    fn is_plain() -> bool {
        T::is_plain()
    }
}

/// Options of one call.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    pub(crate) timeout: Option<Duration>,
    pub(crate) queue_timeout: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) idempotent: bool,
    /// How many runs there were before.
    pub(crate) earlier: u32,
    /// How many of them were lost with their workers.
    pub(crate) lost: u32,
    /// How many tasks travel together; 0 for one that travels alone.
    pub(crate) chunk: u32,
    /// The seed of the task; of a chunk that there is one for each task.
    pub(crate) seed: Option<u64>,
}

impl Options {
    const NONE: Self = Self {
        timeout: None,
        queue_timeout: None,
        retries: 0,
        idempotent: false,
        earlier: 0,
        lost: 0,
        chunk: 0,
        seed: None,
    };

    /// Whether there is nothing that a backend must know. What an agent runs for a pool elsewhere may
    /// have nothing but earlier runs, which the task is told.
    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.chunk == 0 && self.earlier == 0 && !self.needs_a_job()
    }

    /// Whether the task cannot go together with others.
    #[inline]
    pub(crate) fn needs_a_job(&self) -> bool {
        self.timeout.is_some()
            || self.queue_timeout.is_some()
            || self.retries > 0
            || self.idempotent
            || self.seed.is_some()
    }

    /// Which run it is, from 1.
    #[inline]
    pub(crate) fn attempt(&self) -> u32 {
        self.earlier.saturating_add(1)
    }
}

/// What the macro records of a task, known at compile time.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct TaskInfo {
    pub(crate) name: &'static str,
    pub(crate) signature: &'static str,
    pub(crate) file: &'static str,
    pub(crate) line: u32,
    pub(crate) id: TaskId,
    pub(crate) backend: Option<Backend>,
    pub(crate) options: Options,
}

impl TaskInfo {
    /// A task whose id is its name and its signature.
    #[must_use]
    pub const fn new(
        name: &'static str,
        signature: &'static str,
        signature_hash: u64,
        file: &'static str,
        line: u32,
    ) -> Self {
        Self {
            name,
            signature,
            file,
            line,
            id: TaskId::of(name, signature_hash),
            backend: None,
            options: Options::NONE,
        }
    }

    /// A task implemented by hand: the name alone is the id.
    #[must_use]
    pub const fn manual(name: &'static str) -> Self {
        Self::new(name, "", 0, "", 0)
    }

    /// The user chose the name: it alone is the id, whatever the signature.
    #[must_use]
    pub const fn named(mut self) -> Self {
        self.id = TaskId::of(self.name, 0);
        self
    }

    /// The backend of `spawn`.
    #[must_use]
    pub const fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// The default timeout.
    #[must_use]
    pub const fn timeout_nanos(mut self, nanos: u64) -> Self {
        self.options.timeout = Some(Duration::from_nanos(nanos));
        self
    }

    /// How long it may wait until it starts.
    #[must_use]
    pub const fn queue_timeout_nanos(mut self, nanos: u64) -> Self {
        self.options.queue_timeout = Some(Duration::from_nanos(nanos));
        self
    }

    /// How often it runs again when it fails.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.options.retries = retries;
        self
    }

    /// It does no harm when it runs more than once.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.options.idempotent = true;
        self
    }

    /// The place in the source, for a task implemented by hand.
    #[must_use]
    pub const fn at(mut self, file: &'static str, line: u32) -> Self {
        self.file = file;
        self.line = line;
        self
    }
}

/// The name and signature of a task as the 64 bits that cross the process boundary.
///
/// FNV-1a: the ids of one program are compared with each other at start (a collision is reported
/// like a duplicate name), so nothing stronger is needed.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub(crate) u64);

impl TaskId {
    /// The signature comes as a hash of its own, which the macro makes: here the compiler would
    /// interpret the loop, some microseconds for each byte.
    const fn of(name: &str, signature_hash: u64) -> Self {
        Self(fnv1a(FNV_OFFSET ^ signature_hash, name.as_bytes()))
    }
}

pub(crate) const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

pub(crate) const fn fnv1a(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut i = 0;
    while i < bytes.len() {
        // `wrapping_mul`, without the call: that takes the compiler as long as all the rest.
        hash = ((hash ^ bytes[i] as u64) as u128 * FNV_PRIME as u128) as u64;
        i += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_runs_alone_are_something() {
        let later = Options {
            earlier: 1,
            ..Options::NONE
        };
        assert!(Options::NONE.is_none());
        assert!(!later.is_none());
        assert_eq!(later.attempt(), 2);
    }
}
