//! The process backend: worker processes, each with a private lane of shared memory.
//!
//! The contract: a task that ends its process costs exactly that task; everything else that was
//! submitted gets its own outcome; when the parent is gone, however, no worker stays. The
//! protocols are described in the README of this folder.

mod after;
mod alarms;
mod backlog;
mod child;
mod chunk;
mod count;
mod deadlines;
mod describe;
mod descriptors;
mod dispatch;
mod doubt;
#[cfg(all(any(test, fuzzing), not(loom)))]
pub mod fuzzing;
mod inherited;
mod join;
mod lane;
mod life;
mod memory;
mod pause;
mod place;
mod pressure;
pub(crate) mod privilege;
mod program;
mod recall;
mod relay;
mod scheduler;
mod settle;
pub(crate) mod spawn;
mod supervision;
mod supervisor;
mod surroundings;
mod terminal;
mod trim;
mod wire;
pub(crate) mod worker;
mod worker_lifecycle;
mod worker_queue;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::task::Waker;
use std::thread::{JoinHandle as Thread, ThreadId};
use std::time::{Duration, Instant};

use self::after::After;
use self::descriptors::refused;
use self::relay::Relays;
use self::scheduler::{Cancelled, Scheduler};
use self::spawn::Recipe;
use self::supervisor::Supervisor;
use self::wire::Identity;
use super::ended::Ended;
use super::room::Room;
use super::{Backend, Config, Engine, EngineRef, Entry, FORKED};
use crate::engine::description::Description;
use crate::engine::home::Home;
use crate::error::pool_error::Error;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::job::cell::{Claimed, Effects, Job};
use crate::metrics::recorder::Metrics;
use crate::metrics::stats::{Part, Stats};
use crate::sync::adaptive_spin::AdaptiveSpin;
use crate::sync::clock;

pub(crate) use self::descriptors::Reserved;
pub(crate) use self::lane::memory::{HomeMark, use_large_pages};

/// Of the protocol, for who starts workers that must not be taken for some.
#[cfg(feature = "conformance")]
pub(crate) use self::wire::VERSION;

/// How often the supervisor looks at a pool in which something waits.
const TICK: Duration = Duration::from_millis(1);

/// Why a pool that was killed takes no task.
const KILLED: &str = "the pool was killed";

/// Why a pool takes none whose supervisor has ended otherwise.
const ENDED: &str = "the pool has ended";

/// What the threads of the parent share.
struct Shared {
    /// The process that has the supervisor. One that is forked from it must not touch the scheduler, whose
    /// lock may be held for ever in the copy, nor the lanes, which are not copied.
    home: Home,
    metrics: Arc<Metrics>,
    scheduler: Mutex<Scheduler>,
    /// Wakes the supervisor.
    poke: OwnedFd,
    adaptive_spin: AdaptiveSpin,
    supervisor: OnceLock<ThreadId>,
    /// Until somebody has seen it end.
    thread: Mutex<Option<Thread<()>>>,
    ended: Ended,
    effects: Arc<Effects>,
    /// How many there are to be.
    workers: AtomicUsize,
    /// Whether the tasks of a map may go together.
    chunks: bool,
    room: Room,
    queue_limit: Option<usize>,
    relays: Relays,
}

impl Shared {
    /// Without a supervisor so far.
    fn new(config: &Config) -> Result<Self, Error> {
        let poke =
            descriptors::event_counter().map_err(|error| Error::spawn("no wake-ups", &error))?;
        let metrics = Arc::new(Metrics::new());
        Ok(Self {
            home: Home::new(),
            scheduler: Mutex::new(Scheduler::new(config, Arc::clone(&metrics))),
            metrics,
            poke,
            adaptive_spin: AdaptiveSpin::new(),
            supervisor: OnceLock::new(),
            thread: Mutex::new(None),
            ended: Ended::new(),
            effects: Effects::new(),
            workers: AtomicUsize::new(config.workers),
            chunks: config.processes.max_tasks.is_none(),
            room: Room::new(),
            queue_limit: config.queue_limit(),
            relays: Relays::new(),
        })
    }

    /// Works on the scheduler under its lock, then does what came out of it without the lock.
    fn with<R>(&self, work: impl FnOnce(&mut Scheduler, &mut After) -> R) -> R {
        let mut after = After::default();
        let result = {
            // No foreign code runs under the lock; a panic of ours would leave a scheduler that still
            // resolves its handles.
            let mut scheduler = self
                .scheduler
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            work(&mut scheduler, &mut after)
        };
        after.run(self);
        result
    }

    fn cancel(&self, job: &Job, running: bool) -> bool {
        let cancelled = self.with(|scheduler, after| {
            // It may be done already.
            scheduler.turn(after);
            scheduler.cancel(job, running, after)
        });
        match cancelled {
            Cancelled::No => false,
            Cancelled::Yes { watched } => {
                if watched {
                    job.head().waiters.wake_all();
                }
                true
            }
        }
    }

    /// Wakes who waits for room, if there is enough.
    fn make_room(&self) {
        let (bounds, (tasks, bytes)) = self.with(|scheduler, after| {
            scheduler.sweep(after);
            let (tasks, bytes) = scheduler.waiting();
            (
                scheduler.queue.bounds,
                (tasks + scheduler.queue.reserved, bytes),
            )
        });
        if self.room.is_due(bounds, tasks, bytes) {
            self.room.was_made(&self.effects);
        }
    }

    fn poke(&self) {
        // A full counter wakes as well.
        let _ = rustix::io::write(&self.poke, &1_u64.to_ne_bytes());
    }

    fn hear_poke(&self) {
        let _ = rustix::io::read(&self.poke, &mut [0; 8]);
    }

    /// Waits until no worker is left and the supervisor has ended, at most until the deadline. The
    /// supervisor's own thread does not wait for itself.
    fn wait_until_ended(&self, deadline: Option<Instant>) -> bool {
        if self.supervisor.get() == Some(&std::thread::current().id()) {
            return true;
        }
        let ended = self.ended.wait(deadline);
        if ended {
            // Others who wait here wait for the lock.
            let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(thread) = thread.take() {
                // A panic of the supervisor was printed; every handle is resolved all the same.
                let _ = thread.join();
            }
            drop(thread);
            self.effects.join();
        }
        ended
    }
}

/// The pool's side.
struct Processes {
    shared: Arc<Shared>,
}

pub(super) fn start(config: Config) -> Result<EngineRef, Error> {
    let Some(door) = crate::engine::door::door() else {
        return Err(Error::NotInitialized);
    };
    let depth = worker::depth();
    if depth >= crate::error::pool_error::MAX_DEPTH {
        return Err(Error::TooDeep);
    }
    let catalog = crate::job::registry::Catalog::get()?;
    let sharers = crate::engine::cpus::sharers_of(config.workers);
    let recipe = Recipe::new(
        door,
        config.processes.clone(),
        depth,
        sharers,
        config.stack_size,
        Identity::of(catalog),
    )?;
    let shared = Arc::new(Shared::new(&config)?);
    let (built, result) = mpsc::sync_channel(1);
    let supervisor = Supervisor::new(shared.clone(), recipe, &config, built)
        .map_err(|error| Error::spawn("no wake-ups", &error))?;
    let thread = std::thread::Builder::new()
        .name("pool-supervisor".into())
        .spawn(move || supervisor.run())
        .map_err(|error| Error::spawn("no supervisor thread", &refused("clone", error)))?;
    // Set before any task exists, so before any callback can run on the supervisor's thread.
    let _ = shared.supervisor.set(thread.thread().id());
    *shared.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    let pool = Processes { shared };
    let built = result.recv().unwrap_or_else(|_| {
        Err(Error::spawn(
            "the supervisor",
            &std::io::ErrorKind::Other.into(),
        ))
    });
    match built {
        Ok(()) => Ok(Arc::new(Box::new(pool))),
        Err(error) => {
            pool.shared.wait_until_ended(None);
            Err(error)
        }
    }
}

impl Processes {
    #[inline]
    fn is_home(&self) -> bool {
        self.shared.home.is_here()
    }

    /// Works on the scheduler; in a process that was forked from the one that has it, does nothing.
    #[inline]
    fn with<R: Default>(&self, work: impl FnOnce(&mut Scheduler, &mut After) -> R) -> R {
        if self.is_home() {
            self.shared.with(work)
        } else {
            R::default()
        }
    }
}

impl Engine for Processes {
    fn kind(&self) -> Backend {
        Backend::Processes
    }

    fn workers(&self) -> usize {
        self.shared.workers.load(Relaxed)
    }

    fn max_chunk(&self) -> Option<usize> {
        (!self.shared.chunks).then_some(1)
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn reserve(&self) -> bool {
        // In a fork there is room to be rejected.
        !self.is_home() || self.shared.with(Scheduler::reserve)
    }

    fn watch_room(&self, waker: &Waker) {
        if !self.is_home() {
            return;
        }
        self.shared.room.watch(waker);
        // It looks as long as somebody watches, as threads that wait do for themselves.
        self.shared.poke();
    }

    fn queue_limit(&self) -> Option<usize> {
        self.shared.queue_limit
    }

    fn submit(&self, job: Job, entry: Entry) {
        if !self.is_home() {
            job.refuse(TaskError::rejected(job.name(), FORKED));
            return;
        }
        let metrics = &self.shared.metrics;
        let start = metrics.takes_a_sample().then(Instant::now);
        // Encodes in the caller's thread and without a lock: that is the user's code.
        let Some(mut job) = Claimed::new(job) else {
            metrics.failed(TaskErrorKind::Encode, 1);
            self.shared.with(|scheduler, after| {
                scheduler.queue.reserved -= usize::from(entry.reserved);
                after.room = true;
            });
            return;
        };
        if let Some(start) = start {
            let encoded = Instant::now();
            if !job.is_chunk() {
                metrics.took(Part::Encode, 1, encoded - start);
            }
            job.head()
                .note
                .store(metrics.stamp(encoded).to_note(), Relaxed);
        }
        let mut start_by = entry.start_by;
        loop {
            let submitted = self.shared.with(|scheduler, after| {
                if let Some(at) = start_by.take() {
                    scheduler.start_by(clock::of(at), job.job().clone(), after);
                }
                scheduler.submit(job, entry.reserved, after)
            });
            match submitted {
                Ok(()) => return,
                Err(back) => job = back,
            }
            self.shared.room.wait();
        }
    }

    fn wait(&self, job: &Job, deadline: Option<Instant>) {
        if self.is_home() {
            self.shared.wait(job, deadline);
        } else {
            job.head().resolve_in_fork();
        }
    }

    fn poll(&self, job: &Job) {
        match self.is_home() {
            true => self.shared.with(Scheduler::turn),
            false => job.head().resolve_in_fork(),
        }
    }

    fn watch(&self, job: &Job) {
        if self.is_home() {
            self.with(|scheduler, after| scheduler.watch(job, after));
        } else {
            job.head().resolve_in_fork();
        }
    }

    fn sleeps(&self, sleeps: bool) {
        self.with(|scheduler, after| scheduler.sleeps(sleeps, after));
    }

    fn is_forked(&self) -> bool {
        !self.is_home()
    }

    fn is_running(&self, job: &Job) -> bool {
        self.with(|scheduler, _| scheduler.is_running(job))
    }

    fn cancel(&self, job: &Job) -> bool {
        self.is_home() && self.shared.cancel(job, true)
    }

    fn cancel_queued(&self, job: &Job) {
        if self.is_home() {
            self.shared.cancel(job, false);
        }
    }

    fn effects(&self) -> Option<&Arc<Effects>> {
        Some(&self.shared.effects)
    }

    fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    fn stats(&self) -> Stats {
        let (mut stats, (lanes, touched)) =
            self.with(|scheduler, after| (scheduler.stats(after), scheduler.lanes()));
        // The system is asked without the lock.
        let replies = lanes.iter().map(|lane| lane.reply.held()).sum::<u64>();
        stats.shared_bytes = touched + replies;
        stats
    }

    fn describe(&self) -> Description {
        self.shared.describe()
    }

    fn resize(&self, workers: usize) -> Result<(), Error> {
        self.with(|scheduler, after| {
            self.shared.workers.store(workers, Relaxed);
            scheduler.resize(workers, after);
        });
        Ok(())
    }

    fn close(&self) {
        if self.is_home() {
            self.shared.with(Scheduler::drain);
            // Who waits for room is refused now.
            self.shared.room.was_made(&self.shared.effects);
        }
    }

    fn cancel_all_queued(&self) {
        self.with(Scheduler::cancel_all_queued);
    }

    fn kill(&self) {
        self.with(|scheduler, after| scheduler.end(TaskErrorKind::Cancelled, KILLED, after));
    }

    fn wait_until_ended(&self, deadline: Option<Instant>) -> bool {
        !self.is_home() || self.shared.wait_until_ended(deadline)
    }

    fn running(&self) -> Vec<String> {
        self.with(|scheduler, _| scheduler.running())
    }
}
