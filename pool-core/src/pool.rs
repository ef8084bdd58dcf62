//! The pool: one API over every backend.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::backend::{self, Config, Engine, EngineRef, Entry, ProcessConfig};
use crate::cell::{Handle, JobCell};
use crate::initializer::{Initialized, Initializer};
use crate::work::Work;
use crate::{Backend, Error, JoinHandle, Map, Output, Stats, Task, TaskError};

/// The most workers that a pool can have.
pub const MAX_WORKERS: usize = 1024;

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

/// How many tasks it names then.
const MAX_NAMED: usize = 8;

/// How long workers that were killed may take to be gone.
const KILL_TIME: Duration = Duration::from_secs(2);

/// A place to run tasks: inline, on threads, or in worker processes.
///
/// Clones are cheap and name the same pool. When the last clone is dropped, the pool waits for
/// everything that was submitted and then ends its workers, like [`shutdown`](Self::shutdown).
/// Handles do not keep a pool alive.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    engine: EngineRef,
    warn_after: Option<Duration>,
    /// Its workers were given up: nobody waits for them.
    given_up: Arc<AtomicBool>,
}

/// Can end a pool and does not keep it.
#[derive(Clone)]
pub(crate) struct WeakPool {
    engine: Weak<Box<dyn Engine>>,
    given_up: Arc<AtomicBool>,
}

impl WeakPool {
    /// As [`Pool::shutdown_timeout`]; of a pool that is gone nothing had to be killed.
    pub(crate) fn shutdown_timeout(&self, grace: Duration) -> bool {
        let Some(engine) = self.engine.upgrade() else {
            return true;
        };
        engine.close();
        engine.cancel_all_queued();
        if engine.wait_until_ended(Instant::now().checked_add(grace)) {
            return true;
        }
        engine.kill();
        if !engine.wait_until_ended(Instant::now().checked_add(KILL_TIME)) {
            self.given_up.store(true, Relaxed);
        }
        false
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.engine.close();
        if self.given_up.load(Relaxed) {
            return;
        }
        let patience = self
            .warn_after
            .and_then(|after| Instant::now().checked_add(after));
        if patience.is_some() && !self.engine.wait_until_ended(patience) {
            self.say_what_it_waits_for();
        }
        while !self
            .engine
            .wait_until_ended(Instant::now().checked_add(KILL_TIME))
        {
            // Meanwhile, by an interrupt.
            if self.given_up.load(Relaxed) {
                return;
            }
        }
    }
}

impl Inner {
    fn say_what_it_waits_for(&self) {
        let running = self.engine.running();
        let named = match running.len() {
            0 => "its workers to end".to_owned(),
            len => {
                let more = len.saturating_sub(MAX_NAMED);
                let mut named = running[..len - more].join(", ");
                if more > 0 {
                    named += &format!(" and {more} more");
                }
                named
            }
        };
        // Standard error may be closed.
        let _ = writeln!(
            std::io::stderr(),
            "pool-core: a {} pool that is dropped waits for {named} \
             (PoolBuilder::warn_after switches this off)",
            self.engine.kind(),
        );
    }
}

impl Pool {
    /// A pool on the backend that `POOL_BACKEND` names; without it, on worker processes if the
    /// Cargo feature `default-processes` is on, else on threads.
    ///
    /// # Errors
    /// [`Error::UnknownBackend`] for a name that is none, and what [`PoolBuilder::build`] says.
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// A pool that runs each task in the calling thread, inside [`submit`](Self::submit): for
    /// debugging, and as the baseline of measurements.
    #[must_use]
    pub fn inline() -> Self {
        Self::over(Arc::new(Box::new(backend::inline::Inline::new())), None)
    }

    /// A pool of threads, as many as the process may use CPUs.
    ///
    /// # Errors
    /// What [`PoolBuilder::build`] says.
    pub fn threads() -> Result<Self, Error> {
        Self::builder().backend(Backend::Threads).build()
    }

    /// A pool of worker processes, as many as the process may use CPUs.
    ///
    /// The workers are this executable, started again. They become workers at one of the three
    /// doors: [`#[pool_core::main]`](macro@crate::main), [`init`](crate::init) or
    /// [`#[pool_core::test]`](macro@crate::test).
    ///
    /// # Errors
    /// [`Error::NotInitialized`] in a program without a door, and what [`PoolBuilder::build`]
    /// says.
    pub fn processes() -> Result<Self, Error> {
        Self::builder().backend(Backend::Processes).build()
    }

    /// A pool with options.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }

    fn over(engine: EngineRef, warn_after: Option<Duration>) -> Self {
        Self {
            inner: Arc::new(Inner {
                engine,
                warn_after,
                given_up: Arc::default(),
            }),
        }
    }

    /// Submits a task; it starts as soon as a worker is free. Where the queue is full
    /// ([`PoolBuilder::queue`]) it waits for room first; a task of the thread pool itself does not,
    /// since it could be what the others wait for.
    ///
    /// A pool that was shut down takes no task: the handle then resolves with
    /// [`Rejected`](crate::TaskErrorKind::Rejected).
    pub fn submit<T: Task>(&self, task: T) -> JoinHandle<T::Output> {
        self.submit_work(task)
    }

    /// Submits a task if there is room for it in the queue.
    ///
    /// # Errors
    /// The task, where the queue is full.
    ///
    /// ```
    /// use pool_core::{Backend, Pool, pool_task};
    ///
    /// #[pool_task]
    /// fn work(n: u32) -> u32 {
    ///     n
    /// }
    ///
    /// let pool = Pool::builder().backend(Backend::Threads).queue(10).build()?;
    /// match pool.try_submit(work::task(1)) {
    ///     Ok(handle) => assert_eq!(handle.join().unwrap(), 1),
    ///     Err(task) => println!("later: {}", task.n),
    /// }
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    pub fn try_submit<T: Task>(&self, task: T) -> Result<JoinHandle<T::Output>, T> {
        if self.inner.engine.reserve() {
            Ok(self.enter(task, true))
        } else {
            Err(task)
        }
    }

    /// Submits a task as soon as there is room for it in the queue: a future of its handle, which
    /// is a future too.
    pub fn submit_async<T: Task>(&self, task: T) -> Submit<T> {
        Submit {
            pool: self.clone(),
            task: Some(task),
        }
    }

    /// What the pool is at, and what has happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.engine.stats()
    }

    pub(crate) fn queue_limit(&self) -> Option<usize> {
        self.inner.engine.queue_limit()
    }

    pub(crate) fn is_remote(&self) -> bool {
        self.inner.engine.is_remote()
    }

    pub(crate) fn submit_work<W: Work>(&self, task: W) -> JoinHandle<W::Output> {
        self.enter(task, false)
    }

    fn enter<W: Work>(&self, task: W, reserved: bool) -> JoinHandle<W::Output> {
        let engine = &self.inner.engine;
        let start_by = task
            .options()
            .queue_timeout
            .and_then(|limit| Instant::now().checked_add(limit));
        let entry = Entry {
            start_by,
            reserved,
            weight: if engine.weighs() { task.size() } else { 0 },
        };
        let (handle, job) = JobCell::new(task);
        engine.submit(job, entry);
        JoinHandle::new(handle, engine.clone())
    }

    pub(crate) fn runs_at_once(&self) -> bool {
        self.inner.engine.runs_at_once()
    }

    pub(crate) fn is_own_thread(&self) -> bool {
        self.inner.engine.is_own_thread()
    }

    pub(crate) fn max_chunk(&self) -> Option<usize> {
        self.inner.engine.max_chunk()
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.inner.engine.is_killed()
    }

    /// The handle of a job that this pool has already.
    pub(crate) fn handle<T>(&self, handle: Handle<T>) -> JoinHandle<T> {
        JoinHandle::new(handle, self.inner.engine.clone())
    }

    /// Runs many tasks and returns their results in the order of the inputs.
    ///
    /// Lazy and bounded: see [`Map`]. The tasks may be of any lifetime until they are submitted,
    /// so the input can borrow.
    ///
    /// ```
    /// use pool_core::{Pool, pool_task};
    ///
    /// #[pool_task]
    /// fn shout(word: &str) -> String {
    ///     word.to_uppercase()
    /// }
    ///
    /// let words = ["one".to_owned(), "two".to_owned()];
    /// let pool = Pool::threads()?;
    /// let loud: Result<Vec<_>, _> = pool.map(words.iter().map(|w| shout::task(w))).collect();
    /// assert_eq!(loud.unwrap(), ["ONE", "TWO"]);
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    pub fn map<I>(&self, tasks: I) -> Map<I::IntoIter>
    where
        I: IntoIterator,
        I::Item: Task,
    {
        Map::new(self.clone(), tasks.into_iter())
    }

    /// The backend of the pool.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.inner.engine.kind()
    }

    /// How many workers the pool has; 1 inline.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.inner.engine.workers()
    }

    /// Changes the number of workers, from 1 to [`MAX_WORKERS`]. New ones are started at once, and
    /// this does not wait for them; those that are too many end when they are done with the task
    /// that they run. The inline backend ignores it.
    ///
    /// # Errors
    /// [`Error::ZeroWorkers`], [`Error::TooManyWorkers`]; on threads, [`Error::Spawn`] when a
    /// thread cannot be started.
    pub fn resize(&self, workers: usize) -> Result<(), Error> {
        self.inner.engine.resize(checked_workers(workers)?)
    }

    /// Takes no more tasks, waits until every submitted one has an outcome, and ends the workers.
    ///
    /// Called from a task of this very pool it only closes the pool, since it would wait for
    /// itself. Calling it again is fine.
    pub fn shutdown(&self) {
        self.inner.engine.close();
        self.inner.engine.wait_until_ended(None);
    }

    /// Takes no more tasks, cancels those that have not started, waits for the running ones for
    /// `grace`, and then kills what is left. `true`: nothing had to be killed.
    ///
    /// It does not wait any longer than that, nor does a later drop of the pool: a task on a
    /// thread that was given up goes on until it returns or the program ends.
    ///
    /// ```
    /// use pool_core::{Pool, pool_task};
    /// use std::time::Duration;
    ///
    /// #[pool_task]
    /// fn nap(ms: u64) {
    ///     std::thread::sleep(Duration::from_millis(ms));
    /// }
    ///
    /// let pool = Pool::builder().backend(pool_core::Backend::Threads).workers(1).build()?;
    /// let naps: Vec<_> = (0..100).map(|_| pool.submit(nap::task(5))).collect();
    /// assert!(pool.shutdown_timeout(Duration::from_secs(10)));
    /// let cancelled = naps.into_iter().filter(|nap| nap.try_join().unwrap().is_err()).count();
    /// assert!(cancelled > 0);
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    pub fn shutdown_timeout(&self, grace: Duration) -> bool {
        self.downgrade().shutdown_timeout(grace)
    }

    pub(crate) fn downgrade(&self) -> WeakPool {
        WeakPool {
            engine: Arc::downgrade(&self.inner.engine),
            given_up: self.inner.given_up.clone(),
        }
    }

    /// Takes no more tasks, cancels every task that has no outcome, and ends the workers at once:
    /// worker processes are killed, threads end after the task they run.
    pub fn kill(&self) {
        self.inner.engine.kill();
        self.inner.engine.wait_until_ended(None);
    }
}

/// A task on its way into a full queue: what [`Pool::submit_async`] returns. Dropped before it is
/// ready, the task is not submitted.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Submit<T: Task> {
    pool: Pool,
    /// Until it is submitted.
    task: Option<T>,
}

// Nothing in it is pinned.
impl<T: Task> Unpin for Submit<T> {}

impl<T: Task> Future for Submit<T> {
    type Output = JoinHandle<T::Output>;

    /// # Panics
    /// When it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let engine = &this.pool.inner.engine;
        let mut reserved = engine.reserve();
        if !reserved {
            engine.watch_room(context.waker());
            // Room may have been made before the waker was there.
            reserved = engine.reserve();
        }
        if !reserved {
            return Poll::Pending;
        }
        let Some(task) = this.task.take() else {
            panic!("polled after it was ready");
        };
        Poll::Ready(this.pool.enter(task, true))
    }
}

impl<T: Task> fmt::Debug for Submit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submit")
            .field("task", &T::NAME)
            .field("pool", &self.pool)
            .finish()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("backend", &self.backend())
            .field("workers", &self.workers())
            .finish()
    }
}

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
    queue: Option<usize>,
    queue_bytes: Option<usize>,
    initializer: Option<Result<Initializer, String>>,
    processes: ProcessConfig,
    warn_after: Option<Duration>,
}

impl PoolBuilder {
    fn new() -> Self {
        Self {
            backend: None,
            workers: None,
            grace: DEFAULT_GRACE,
            start_timeout: DEFAULT_START_TIMEOUT,
            queue: None,
            queue_bytes: None,
            initializer: None,
            processes: ProcessConfig::default(),
            warn_after: Some(WARN_AFTER),
        }
    }

    /// The backend; else as for [`Pool::new`].
    pub fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// The number of workers, from 1 to [`MAX_WORKERS`]. The inline backend ignores it.
    ///
    /// Unless set it is what the environment variable `POOL_WORKERS` says, and without that as many
    /// as the process may use CPUs, by its affinity mask and the quotas of its control groups. In a
    /// task on a worker process it is that worker's part: what its parent has, divided by the
    /// number of workers of the pool.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// How many tasks may wait for a worker, at least one: when there are so many,
    /// [`submit`](Pool::submit) waits for room, [`try_submit`](Pool::try_submit) hands the task
    /// back, and [`submit_async`](Pool::submit_async) is not ready. Unless set it is 1,048,576; on
    /// threads that is for each submitting thread. A map keeps to it by itself.
    pub fn queue(mut self, tasks: usize) -> Self {
        self.queue = Some(tasks.max(1));
        self
    }

    /// The same for the bytes of their encoded arguments: no task is taken while so many wait, or
    /// more. So it can be exceeded by one task for each thread that submits, and a task that is
    /// larger by itself is taken too. Unless set it is 4 GiB in the process backend; on threads,
    /// where nothing is encoded, there is none, and one that is set makes `submit` go through the
    /// arguments to count them.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = Some(bytes.max(1));
        self
    }

    /// How long a cancelled or overdue task may go on in a worker process before the worker is
    /// killed; 500 ms unless set.
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
    /// its own that links the same tasks.
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
    /// it is started again some times, like one that cannot be started.
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

    /// Replaces a worker process after so many tasks (at least one), against leaks in what they
    /// call. The tasks of a map then go one by one. Other backends ignore it.
    pub fn max_tasks_per_worker(mut self, tasks: u64) -> Self {
        self.processes.max_tasks = Some(tasks.max(1));
        self
    }

    /// Ends a worker process that has had nothing to do for so long, or for up to twice as long;
    /// workers come back with work, which then waits for their start. Other backends ignore it.
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
    /// others are as in this program. Other backends ignore it.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.processes.env.push((key.into(), value.into()));
        self
    }

    /// The working folder of worker processes; else that of this program. Other backends ignore it.
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
    /// * [`Error::UnknownBackend`] for a `POOL_BACKEND` that is none, [`Error::InvalidWorkers`] for
    ///   a `POOL_WORKERS` that is no number of workers;
    /// * [`Error::Unavailable`] for a backend that this build does not have;
    /// * [`Error::DuplicateTask`] when two tasks have one name;
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

    fn kind(&self) -> Result<Backend, Error> {
        if let Some(backend) = self.backend {
            return Ok(backend);
        }
        match env::var_os(POOL_BACKEND) {
            Some(name) if !name.is_empty() => name.to_string_lossy().parse(),
            _ if cfg!(feature = "default-processes") => Ok(Backend::Processes),
            _ => Ok(Backend::Threads),
        }
    }

    fn build_on(self, kind: Backend) -> Result<Pool, Error> {
        let workers = match self.workers {
            None => crate::cpus::default_workers()?,
            Some(asked) => checked_workers(asked)?,
        };
        crate::catalog::Catalog::get()?;
        let engine = backend::start(
            kind,
            Config {
                workers,
                grace: self.grace,
                start_timeout: self.start_timeout,
                queue: self.queue,
                queue_bytes: self.queue_bytes,
                initializer: self.initializer.transpose().map_err(Error::Initializer)?,
                processes: self.processes,
            },
        )?;
        Ok(Pool::over(engine, self.warn_after))
    }
}

fn checked_workers(asked: usize) -> Result<usize, Error> {
    match asked {
        0 => Err(Error::ZeroWorkers),
        _ if asked > MAX_WORKERS => Err(Error::TooManyWorkers { asked }),
        _ => Ok(asked),
    }
}

/// The global pools, one a backend, made at first use.
static GLOBALS: [Mutex<Option<Pool>>; Backend::ALL.len()] =
    [const { Mutex::new(None) }; Backend::ALL.len()];

fn global(kind: Backend, build: impl FnOnce() -> Result<Pool, Error>) -> Result<Pool, Error> {
    let mut slot = GLOBALS[kind as usize]
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    match &*slot {
        Some(pool) => Ok(pool.clone()),
        None => {
            let pool = build()?;
            Ok(slot.insert(pool).clone())
        }
    }
}

/// Waits for what runs on the global pools and ends them: the end of `#[pool_core::main]`.
pub(crate) fn shut_down_globals() {
    let take_one = || {
        GLOBALS
            .iter()
            .find_map(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).take())
    };
    // A task that is waited for may spawn others, for which there is a new pool.
    while let Some(pool) = take_one() {
        pool.shutdown();
    }
}

/// `f::spawn(…)`: the global pool of the task's backend. A pool that cannot be built resolves the
/// handle with the reason.
#[doc(hidden)]
pub fn spawn<T: Task>(task: T) -> JoinHandle<T::Output> {
    let builder = Pool::builder();
    let kind = match T::INFO.backend {
        Some(kind) => Ok(kind),
        None => builder.kind(),
    };
    let pool = kind.and_then(|kind| global(kind, || builder.build_on(kind)));
    match pool {
        Ok(pool) => pool.submit(task),
        Err(error) => rejected(task, &error),
    }
}

/// A handle that resolved at once: there is no pool.
fn rejected<T: Task>(task: T, error: &Error) -> JoinHandle<T::Output> {
    static NOWHERE: OnceLock<EngineRef> = OnceLock::new();
    let nowhere = NOWHERE.get_or_init(|| Arc::new(Box::new(backend::inline::Inline::new())));
    let (handle, job) = JobCell::new(task);
    job.refuse(TaskError::rejected(T::NAME, error.to_string()));
    JoinHandle::new(handle, nowhere.clone())
}
