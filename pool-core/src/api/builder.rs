//! The options of a pool.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::api::pool::{Pool, checked_workers, global};
use crate::engine::output::Output;
use crate::engine::{self, Config, ProcessConfig};
use crate::error::backend::Backend;
use crate::error::pool_error::Error;
use crate::job::checked;
use crate::job::initializer::{Initialized, Initializer};
use crate::task::Task;

/// The environment variable that names the backend of [`Pool::new`].
const POOL_BACKEND: &str = "POOL_BACKEND";

/// How long a cancelled or overdue task may go on before its worker process is killed.
const DEFAULT_GRACE: Duration = Duration::from_millis(500);

/// How long a worker process may take to say hello.
const DEFAULT_START_TIMEOUT: Duration = Duration::from_secs(10);

/// The shortest idle timeout: each is a look at the clock.
const MIN_IDLE_TIMEOUT: Duration = Duration::from_millis(10);

/// After how long a pool that is dropped says what it waits for.
const WARN_AFTER: Duration = Duration::from_secs(5);

/// The options of a [`Pool`].
///
/// ```
/// use pool_core::{Backend, Pool};
///
/// let pool = Pool::builder().backend(Backend::Threads).workers(3).build()?;
/// assert_eq!(pool.workers(), 3);
/// # Ok::<(), pool_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct PoolBuilder {
    backend: Option<Backend>,
    workers: Option<usize>,
    grace: Duration,
    start_timeout: Duration,
    stack_size: Option<usize>,
    queue: Option<usize>,
    queue_bytes: Option<usize>,
    initializer: Option<Result<Initializer, String>>,
    processes: ProcessConfig,
    #[cfg(feature = "cluster")]
    nats: Option<crate::engine::cluster::Nats>,
    warn_after: Option<Duration>,
    checks_serialization: Option<bool>,
}

impl PoolBuilder {
    pub(crate) fn new() -> Self {
        Self {
            backend: None,
            workers: None,
            grace: DEFAULT_GRACE,
            start_timeout: DEFAULT_START_TIMEOUT,
            stack_size: None,
            queue: None,
            queue_bytes: None,
            initializer: None,
            processes: ProcessConfig::default(),
            #[cfg(feature = "cluster")]
            nats: None,
            warn_after: Some(WARN_AFTER),
            checks_serialization: None,
        }
    }

    /// The backend; else as for [`Pool::new`].
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// The number of workers, from 1 to [`MAX_WORKERS`](crate::MAX_WORKERS). The inline backend ignores
    /// it; on a cluster it is that of a local agent (`Nats::local_agent`), and each agent elsewhere
    /// decides for itself.
    ///
    /// Unless set it is what the environment variable `POOL_WORKERS` says, and without that as many
    /// as the process may use CPUs, by its affinity mask and the quotas of its control groups. In a
    /// task on a worker process it is that worker's part: what its parent has, divided by the
    /// number of workers of the pool.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// The stack on which each worker runs its tasks, in bytes, at least 256 KiB: that of a worker
    /// thread, and of the thread that runs the tasks in a worker process. Only address space is taken
    /// for it until it is used. Unless set it is as large as the main thread's may become
    /// (`ulimit -s`), or 8 MiB where that is less or unlimited, or what the environment variable
    /// `RUST_MIN_STACK` says where that is more: what runs in `main` runs in a worker.
    ///
    /// A task that needs more ends the program on threads; in a worker process it is
    /// [`WorkerLost`](crate::TaskErrorKind::WorkerLost), and the worker is replaced. Inline, a task
    /// runs on the stack of the thread that submits it. Agents of a cluster on other machines have
    /// their own default.
    ///
    /// ```
    /// use pool_core::{Backend, Pool, pool_task};
    ///
    /// #[pool_task]
    /// fn depth(n: u64) -> u64 {
    ///     let here = [n; 1_000];
    ///     if n == 0 { 0 } else { 1 + depth(std::hint::black_box(here)[0] - 1) }
    /// }
    ///
    /// let pool = Pool::builder().backend(Backend::Threads).stack_size(64 << 20).build()?;
    /// assert_eq!(pool.submit(depth::task(2_000)).join().unwrap(), 2_000);
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// The maximum number of tasks that wait for a worker, at least one. When the queue is full,
    /// [`submit`](Pool::submit) waits for room, [`try_submit`](Pool::try_submit) hands the task
    /// back, and [`submit_async`](Pool::submit_async) is not ready. Unless set it is 1,048,576; on
    /// threads that is for each submitting thread. A map keeps to it by itself.
    pub fn queue(mut self, tasks: usize) -> Self {
        self.queue = Some(tasks.max(1));
        self
    }

    /// The same for the bytes of their encoded arguments: no task is taken while that many bytes or
    /// more wait. Each thread that submits can exceed the limit by one task, and a single task that is
    /// larger than the limit is taken, too. The default is 4 GiB in the process backend. On threads
    /// nothing is encoded, so there is no default; a limit makes `submit` go through the arguments to
    /// count their bytes.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = Some(bytes.max(1));
        self
    }

    /// Sends arguments and results through the codec on the inline and thread backends too, so that
    /// a test on threads finds a type that would not arrive in a worker process: its handle then has
    /// [`Encode`](crate::TaskErrorKind::Encode) or [`Decode`](crate::TaskErrorKind::Decode) there as
    /// well. Unless set, the environment variable `POOL_CHECK_SERIALIZATION` decides (`1`: on). On
    /// the other backends values always go through the codec.
    ///
    /// ```
    /// use pool_core::{Pool, pool_task};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Order {
    ///     item: String,
    ///     // Never sent, and yet expected.
    ///     #[serde(skip_serializing)]
    ///     price: u32,
    /// }
    ///
    /// #[pool_task]
    /// fn price(order: Order) -> u32 {
    ///     order.price
    /// }
    ///
    /// let pool = Pool::builder().check_serialization(true).build()?;
    /// let order = Order { item: "tea".into(), price: 3 };
    /// let error = pool.submit(price::task(order)).join().unwrap_err();
    /// assert!(error.is_codec());
    /// assert!(error.to_string().contains("missing field `price`"));
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    pub fn check_serialization(mut self, check: bool) -> Self {
        self.checks_serialization = Some(check);
        self
    }

    /// How long a cancelled or overdue task may go on in a worker process before the worker is
    /// killed; 500 ms unless set. Agents of a cluster on other machines have a grace of their own
    /// (`POOL_AGENT_KILL_AFTER`).
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How long a worker process may take from its start until it takes up its work; 10 s unless
    /// set.
    pub fn start_timeout(mut self, limit: Duration) -> Self {
        self.start_timeout = limit;
        self
    }

    /// The executable that worker processes run, instead of this one: a program with a door of
    /// its own that links the same tasks. A relative path is one in the folder that this program is
    /// in when the pool is built, and a name without a folder is looked up in `PATH` then.
    pub fn worker_exe(mut self, path: impl Into<PathBuf>) -> Self {
        self.processes.exe = Some(path.into());
        self
    }

    /// A task that every worker runs before any other; inline, the calling thread runs it while the
    /// pool is built. It returns nothing, or a `Result`.
    ///
    /// When it fails, by a panic, an `Err`, or a deadline, the pool is broken: everything that was
    /// submitted and all later submits are [`Rejected`](crate::TaskErrorKind::Rejected) with its
    /// text. Its deadline is its `timeout`, 60 s unless it has one. A worker process that dies in
    /// it is started again some times, like one that cannot be started. On a cluster it is for a local
    /// agent only, and an error without one.
    ///
    /// ```
    /// use pool_core::{Pool, TaskExt, pool_task};
    /// use std::sync::OnceLock;
    /// use std::time::Duration;
    ///
    /// static MODEL: OnceLock<Vec<u32>> = OnceLock::new();
    ///
    /// #[pool_task]
    /// fn load(len: u32) {
    ///     MODEL.get_or_init(|| (0..len).collect());
    /// }
    ///
    /// #[pool_task]
    /// fn look_up(index: usize) -> Option<u32> {
    ///     MODEL.get().unwrap().get(index).copied()
    /// }
    ///
    /// let pool = Pool::builder()
    ///     .backend(pool_core::Backend::Threads)
    ///     .initializer(load::task(100).timeout(Duration::from_secs(5)))
    ///     .build()?;
    /// assert_eq!(pool.submit(look_up::task(7)).join().unwrap(), Some(7));
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    pub fn initializer<T>(mut self, task: T) -> Self
    where
        T: Task<Output: Initialized>,
    {
        self.initializer = Some(Initializer::new(task));
        self
    }

    /// Replaces a worker process after `tasks` tasks (at least one), as a remedy for leaks. The tasks of a
    /// map are then sent one by one. Other backends ignore it.
    pub fn max_tasks_per_worker(mut self, tasks: u64) -> Self {
        self.processes.max_tasks = Some(tasks.max(1));
        self
    }

    /// Ends a worker process that was idle for this time, at the latest after twice the time. Workers are
    /// started again when there is work, which then waits for their start. Other backends ignore it.
    pub fn idle_timeout(mut self, after: Duration) -> Self {
        self.processes.idle_timeout = Some(after.max(MIN_IDLE_TIMEOUT));
        self
    }

    /// How many bytes of memory of its own a worker process may have. The pool looks every 10 ms at
    /// the resident memory that a busy worker does not share (`/proc/PID/statm`), so a task can be
    /// above the limit for that long. One that is has its worker killed and replaced, and resolves
    /// with [`OutOfMemory`](crate::TaskErrorKind::OutOfMemory), with
    /// [`peak`](crate::TaskError::memory_peak) and [`limit`](crate::TaskError::memory_limit); a
    /// worker that is above it between two tasks is replaced. Arguments and results on their way,
    /// and memory that other processes of the task's use, do not count. Other backends ignore it.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.processes.memory_limit = Some(bytes);
        self
    }

    /// A variable in the environment of worker processes, from before their first statement; the
    /// others are as in this program when the pool is built. Other backends ignore it.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.processes.env.push((key.into(), value.into()));
        self
    }

    /// The working folder of worker processes; else that of this program. It is the same for all of
    /// them, whenever they start: the folder that has this path when the pool is built, also if it is
    /// renamed or deleted. Other backends ignore it.
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.processes.current_dir = Some(folder.into());
        self
    }

    /// Where the standard output of worker processes goes. Other backends ignore it.
    pub fn stdout(mut self, output: Output) -> Self {
        self.processes.stdout = output;
        self
    }

    /// Where the standard error of worker processes goes. Other backends ignore it.
    pub fn stderr(mut self, output: Output) -> Self {
        self.processes.stderr = output;
        self
    }

    /// The servers of a [cluster](Pool::cluster); else those that `POOL_NATS` names. Other backends
    /// ignore it.
    #[cfg(feature = "cluster")]
    pub fn nats(mut self, nats: crate::engine::cluster::Nats) -> Self {
        self.nats = Some(nats);
        self
    }

    /// After how long a pool that is dropped, and waits for its tasks, says on standard error what
    /// it waits for, once; 5 s unless set, never with `None`.
    pub fn warn_after(mut self, after: Option<Duration>) -> Self {
        self.warn_after = after;
        self
    }

    /// Builds the pool. A process pool is returned when its workers have said hello.
    ///
    /// # Errors
    /// * [`Error::ZeroWorkers`], [`Error::TooManyWorkers`];
    /// * [`Error::UnknownBackend`] for an unknown name in `POOL_BACKEND`, [`Error::InvalidWorkers`] for
    ///   a `POOL_WORKERS` that is no number of workers;
    /// * [`Error::Unavailable`] for a backend that this build does not have;
    /// * [`Error::StackSize`] for a stack that no thread can have;
    /// * [`Error::DuplicateTask`] when two tasks have one name;
    /// * on a cluster, [`Error::Cluster`]: no server, no permission, or no sense in what is set;
    /// * on processes, [`Error::NotInitialized`], [`Error::TooDeep`], [`Error::Spawn`] and
    ///   [`Error::WorkerStart`]. No worker is left behind.
    pub fn build(self) -> Result<Pool, Error> {
        let kind = self.kind()?;
        self.build_on(kind)
    }

    /// Builds the pool and makes it the one that `spawn` uses for its backend.
    ///
    /// # Errors
    /// [`Error::GlobalExists`] when that backend has its global pool already, and what
    /// [`build`](Self::build) says.
    pub fn build_global(self) -> Result<(), Error> {
        let kind = self.kind()?;
        let mut made = false;
        let result = global(kind, || {
            made = true;
            self.build_on(kind)
        });
        match result {
            Ok(_) if made => Ok(()),
            Ok(_) => Err(Error::GlobalExists(kind)),
            Err(error) => Err(error),
        }
    }

    /// The pool of an agent: worker processes, with these options.
    #[cfg(feature = "cluster")]
    pub(crate) fn of_agent(config: Config) -> Self {
        let mut processes = config.processes;
        processes.agent = true;
        // What the tasks start must not become agents.
        processes.env.push(("POOL_WORKER".into(), OsString::new()));
        Self {
            backend: Some(Backend::Processes),
            workers: Some(config.workers),
            grace: config.grace,
            start_timeout: config.start_timeout,
            stack_size: Some(config.stack_size),
            initializer: config.initializer.map(Ok),
            processes,
            warn_after: None,
            ..Self::new()
        }
    }

    pub(crate) fn kind(&self) -> Result<Backend, Error> {
        if let Some(backend) = self.backend {
            return Ok(backend);
        }
        match env::var_os(POOL_BACKEND) {
            Some(name) if !name.is_empty() => name.to_string_lossy().parse(),
            _ if cfg!(feature = "default-processes") => Ok(Backend::Processes),
            _ => Ok(Backend::Threads),
        }
    }

    pub(crate) fn build_on(self, kind: Backend) -> Result<Pool, Error> {
        let workers = match self.workers {
            None => crate::engine::cpus::default_workers()?,
            Some(asked) => checked_workers(asked)?,
        };
        crate::job::registry::Catalog::get()?;
        let engine = engine::start(
            kind,
            Config {
                workers,
                grace: self.grace,
                start_timeout: self.start_timeout,
                stack_size: crate::engine::stack::size(self.stack_size)?,
                queue: self.queue,
                queue_bytes: self.queue_bytes,
                initializer: self.initializer.transpose().map_err(Error::Initializer)?,
                processes: self.processes,
                #[cfg(feature = "cluster")]
                nats: self.nats,
            },
        )?;
        let checks = self
            .checks_serialization
            .unwrap_or_else(checked::is_asked_for);
        Ok(Pool::over(engine, self.warn_after, checks))
    }
}
