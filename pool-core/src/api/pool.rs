//! The pool: one API over every backend.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::api::builder::PoolBuilder;
use crate::api::handle::JoinHandle;
use crate::api::map::Map;
use crate::engine::description::{Description, summary};
use crate::engine::{self, ChunkLimits, Engine, EngineRef, Entry};
use crate::error::backend::Backend;
use crate::error::pool_error::{Error, MAX_WORKERS};
use crate::error::task_error::TaskError;
use crate::job::cell::{Handle, Job, JobCell};
use crate::job::checked;
use crate::job::checked::Checked;
use crate::job::work::Work;
use crate::metrics::recorder::Metrics;
use crate::metrics::stats::Stats;
use crate::task::Task;

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
    checks_serialization: bool,
    /// Its workers were given up: nobody waits for them.
    given_up: Arc<AtomicBool>,
}

/// Can look at a pool and end it, and does not keep it.
#[derive(Clone)]
pub(crate) struct WeakPool {
    engine: Weak<Box<dyn Engine>>,
    given_up: Arc<AtomicBool>,
}

impl WeakPool {
    /// How many workers are at work; of a pool that is gone, none.
    pub(crate) fn running(&self) -> usize {
        let engine = self.engine.upgrade();
        engine.map_or(0, |engine| engine.stats().running)
    }

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
        let adaptive_spin = self
            .warn_after
            .and_then(|after| Instant::now().checked_add(after));
        if adaptive_spin.is_some() && !self.engine.wait_until_ended(adaptive_spin) {
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
        crate::sync::stderr::say(format_args!(
            "a {} pool that is dropped waits for {named} \
             (PoolBuilder::warn_after switches this off)",
            self.engine.kind(),
        ));
    }
}

impl Pool {
    /// A pool on the backend that `POOL_BACKEND` names; without it, on worker processes if the
    /// Cargo feature `default-processes` is on, else on threads.
    ///
    /// # Errors
    /// [`Error::UnknownBackend`] for an unknown name, and those of [`PoolBuilder::build`].
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// A pool that runs each task in the calling thread, inside [`submit`](Self::submit): for
    /// debugging, and as the baseline of measurements.
    #[must_use]
    pub fn inline() -> Self {
        Self::over(
            Arc::new(Box::new(engine::inline::Inline::new())),
            None,
            checked::is_asked_for(),
        )
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

    /// A pool of worker processes on other machines: agents, which are this executable, started there
    /// with `POOL_WORKER=nats://…`. The servers are named like `nats://host:4222`, several with
    /// commas between them; [`PoolBuilder::nats`] says more about them.
    ///
    /// ```no_run
    /// let pool = pool_core::Pool::cluster("nats://127.0.0.1:4222")?;
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Cluster`] where there is no server, and what [`PoolBuilder::build`] says.
    #[cfg(feature = "cluster")]
    pub fn cluster(url: impl Into<String>) -> Result<Self, Error> {
        Self::builder()
            .backend(Backend::Cluster)
            .nats(crate::engine::cluster::Nats::at(url))
            .build()
    }

    /// A pool with options.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }

    pub(crate) fn over(
        engine: EngineRef,
        warn_after: Option<Duration>,
        checks_serialization: bool,
    ) -> Self {
        // Elsewhere everything is encoded anyway.
        let checks_serialization = checks_serialization && !engine.is_remote();
        Self {
            inner: Arc::new(Inner {
                engine,
                warn_after,
                checks_serialization,
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
        self.submit_task(task, false)
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
        if self.reserve() {
            Ok(self.submit_task(task, true))
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

    /// What the pool is at, and what has happened so far, in numbers. It costs some microseconds.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.engine.stats()
    }

    /// What each worker does, and why nothing moves: to be printed. It costs more than
    /// [`stats`](Self::stats), since it asks the system about each worker process.
    ///
    /// ```
    /// use pool_core::{Finding, Pool};
    ///
    /// let pool = Pool::threads()?;
    /// let description = pool.describe();
    /// assert_eq!(description.findings, [Finding::Unused]);
    /// println!("{description}"); // … * idle: nothing was submitted …
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    #[must_use]
    pub fn describe(&self) -> Description {
        self.inner.engine.describe().concluded()
    }

    /// What is counted of the tasks of every backend.
    pub(crate) fn metrics(&self) -> &Metrics {
        self.inner.engine.metrics()
    }

    pub(crate) fn queue_limit(&self) -> Option<usize> {
        self.inner.engine.queue_limit()
    }

    pub(crate) fn is_remote(&self) -> bool {
        self.inner.engine.is_remote()
    }

    /// Reserves room for one job, if there is any.
    pub(crate) fn reserve(&self) -> bool {
        self.inner.engine.reserve()
    }

    /// Reserves room for one job; without any the waker is woken when there is.
    pub(crate) fn reserve_or_wake(&self, waker: &Waker) -> bool {
        self.reserve() || {
            self.inner.engine.watch_room(waker);
            // Room may have been made before the waker was there.
            self.reserve()
        }
    }

    /// Submits a task, for which room is reserved or not.
    pub(crate) fn submit_task<T: Task>(&self, task: T, reserved: bool) -> JoinHandle<T::Output> {
        match self.inner.checks_serialization {
            true => self.submit_work(Checked::new(task), reserved),
            false => self.submit_work(task, reserved),
        }
    }

    /// Whether tasks go through the codec although they run in this process.
    pub(crate) fn checks_serialization(&self) -> bool {
        self.inner.checks_serialization
    }

    /// Submits a job, for which room is reserved or not.
    pub(crate) fn submit_work<W: Work>(&self, task: W, reserved: bool) -> JoinHandle<W::Output> {
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
        self.enter(JobCell::new(task), entry)
    }

    /// Submits the job of a new cell.
    pub(crate) fn enter<T>(&self, (handle, job): (Handle<T>, Job), entry: Entry) -> JoinHandle<T> {
        let engine = &self.inner.engine;
        engine.submit(job, entry);
        JoinHandle::new(handle, engine.clone())
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn engine(&self) -> &EngineRef {
        &self.inner.engine
    }

    pub(crate) fn runs_at_once(&self) -> bool {
        self.inner.engine.runs_at_once()
    }

    /// Whether the calling thread may be the only one that can run what it waits for.
    pub(crate) fn needs_this_thread(&self) -> bool {
        self.inner.engine.is_own_thread() || self.inner.engine.is_stuck()
    }

    pub(crate) fn chunk_limits(&self) -> ChunkLimits {
        self.inner.engine.chunk_limits()
    }

    pub(crate) fn max_chunk(&self) -> Option<usize> {
        self.inner.engine.max_chunk()
    }

    /// Whether the pool belongs to a process that this one was forked from.
    pub(crate) fn is_forked(&self) -> bool {
        self.inner.engine.is_forked()
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
    /// so the input can borrow. It is read in the thread that asks for results, so it must not wait
    /// for them; [`Map`] shows what to write instead.
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
    /// that they run. The inline backend ignores it. On a cluster it is for the agent of the pool, if
    /// that has one: others have as many workers as they were started with.
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
    /// After the kill it waits for up to two seconds more until the workers are gone, and then no
    /// longer, nor does a later drop of the pool: a task on a thread that was given up goes on until
    /// it returns or the program ends.
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
    /// worker processes are killed, threads end after the task they run. Waits until they have ended,
    /// however long the task of a thread takes; [`shutdown_timeout`](Self::shutdown_timeout) gives up.
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
        if !this.pool.reserve_or_wake(context.waker()) {
            return Poll::Pending;
        }
        let Some(task) = this.task.take() else {
            panic!("polled after it was ready");
        };
        Poll::Ready(this.pool.submit_task(task, true))
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

/// One line: "processes pool: 4 workers, 2 running, 17 queued, 1,204 finished, 3 failed".
impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&summary(self.backend(), &self.stats()))
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

pub(crate) fn checked_workers(asked: usize) -> Result<usize, Error> {
    match asked {
        0 => Err(Error::ZeroWorkers),
        _ if asked > MAX_WORKERS => Err(Error::TooManyWorkers { asked }),
        _ => Ok(asked),
    }
}

/// The global pools, one a backend, made at first use.
static GLOBALS: [Mutex<Option<Pool>>; Backend::ALL.len()] =
    [const { Mutex::new(None) }; Backend::ALL.len()];

pub(crate) fn global(
    kind: Backend,
    build: impl FnOnce() -> Result<Pool, Error>,
) -> Result<Pool, Error> {
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
    let nowhere = NOWHERE.get_or_init(|| Arc::new(Box::new(engine::inline::Inline::new())));
    let (handle, job) = JobCell::new(task);
    job.refuse(TaskError::rejected(T::NAME, error.to_string()));
    JoinHandle::new(handle, nowhere.clone())
}
