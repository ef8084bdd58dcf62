//! What can be submitted: the [`Task`] trait, per-call options, and the facts the macro records.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Backend;

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
        Options {
            timeout: Self::INFO.timeout,
            chunk: 0,
        }
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
        WithOptions {
            task: self,
            options,
        }
    }
}

impl<T: Task> TaskExt for T {}

/// A task with options of its own, made by [`TaskExt`].
#[derive(Debug, Clone)]
pub struct WithOptions<T> {
    task: T,
    options: Options,
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
}

/// Options of one call.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    pub(crate) timeout: Option<Duration>,
    /// How many tasks travel together; 0 for one that travels alone.
    pub(crate) chunk: u32,
}

impl Options {
    /// Whether there is nothing that a backend must know.
    pub(crate) fn is_none(&self) -> bool {
        self.timeout.is_none() && self.chunk == 0
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
    pub(crate) timeout: Option<Duration>,
}

impl TaskInfo {
    /// A task whose id is its name and its signature.
    #[must_use]
    pub const fn new(
        name: &'static str,
        signature: &'static str,
        file: &'static str,
        line: u32,
    ) -> Self {
        Self {
            name,
            signature,
            file,
            line,
            id: TaskId::of(name, signature),
            backend: None,
            timeout: None,
        }
    }

    /// A task implemented by hand: the name alone is the id.
    #[must_use]
    pub const fn manual(name: &'static str) -> Self {
        Self::new(name, "", "", 0).named()
    }

    /// The user chose the name: it alone is the id, whatever the signature.
    #[must_use]
    pub const fn named(mut self) -> Self {
        self.id = TaskId::of(self.name, "");
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
        self.timeout = Some(Duration::from_nanos(nanos));
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
    const fn of(name: &str, signature: &str) -> Self {
        let hash = fnv1a(FNV_OFFSET, name.as_bytes());
        if signature.is_empty() {
            return Self(hash);
        }
        // A zero byte between the two: it occurs in neither.
        Self(fnv1a(fnv1a(hash, &[0]), signature.as_bytes()))
    }
}

pub(crate) const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

pub(crate) const fn fnv1a(mut hash: u64, bytes: &[u8]) -> u64 {
    const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(FNV_PRIME);
        i += 1;
    }
    hash
}
