//! The cluster backend: worker processes of other machines, over NATS JetStream.
//!
//! The protocol, with its states and a sketch of why each run starts at most once, is in the README
//! of this folder. [`coordinator`] decides for the submitter, [`submitter`] carries it out; [`agent`] is the
//! other side.

mod agent;
mod connection;
mod coordinator;
mod fetch;
mod names;
mod nats;
mod submitter;
mod wire;

use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::task::Waker;
use std::thread::{JoinHandle as Thread, ThreadId};
use std::time::Instant;

use tokio::sync::Notify;

pub use self::nats::Nats;

pub(crate) use self::agent::{is_asked_for, take_over};

use self::agent::Own;
use self::coordinator::{After, Cancelled, Coordinator, Phase};
use self::submitter::Submitter;
use super::ended::Ended;
use super::room::Room;
use super::{Backend, ChunkLimits, Config, Engine, EngineRef, Entry, FORKED};
use crate::codec::args::Args;
use crate::codec::bytes::Bytes;
use crate::engine::description::{Description, Phase as Told, WorkerInfo};
use crate::engine::home::Home;
use crate::error::pool_error::Error;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::job::cell::{Claimed, Effects, Job};
use crate::metrics::recorder::Metrics;
use crate::metrics::stats::{Part as Timed, Stats};

/// How much of a map goes into one message: it is under way for some tenths of a millisecond.
const FAR: ChunkLimits = ChunkLimits {
    time: std::time::Duration::from_millis(20),
    bytes: 64 * 1024,
};

/// What the threads of the pool share.
struct Shared {
    coordinator: Mutex<Coordinator>,
    /// There is something to be done for the submitter's thread.
    bell: Notify,
    metrics: Arc<Metrics>,
    room: Room,
    ended: Ended,
    effects: Arc<Effects>,
    thread: Mutex<Option<Thread<()>>>,
    thread_id: OnceLock<ThreadId>,
    queue_limit: Option<usize>,
    /// The agent that belongs to the pool.
    own: OnceLock<Own>,
    /// After how many tasks its workers are replaced.
    max_tasks: Option<u64>,
}

impl Shared {
    /// Works on the coordinator under its lock, then does what came out of it without the lock.
    fn with<R>(&self, work: impl FnOnce(&mut Coordinator, &mut After) -> R) -> R {
        let mut after = After::default();
        let result = {
            let mut coordinator = self
                .coordinator
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            work(&mut coordinator, &mut after)
        };
        if after.wake {
            self.bell.notify_one();
        }
        if after.room && self.room.is_wanted() {
            self.make_room();
        }
        // Last: callbacks may call into the pool again.
        after.wake_watchers(&self.effects);
        result
    }

    /// Wakes who waits for room, if there is enough.
    fn make_room(&self) {
        let (bounds, (tasks, bytes)) =
            self.with(|coordinator, _| (coordinator.bounds, coordinator.waiting_now()));
        if self.room.is_due(bounds, tasks, bytes) {
            self.room.was_made(&self.effects);
        }
    }

    /// The agent of the pool can do nothing more.
    fn breaks(&self, why: String) {
        self.with(|coordinator, after| coordinator.end(Phase::Broken(why), after));
        self.room.was_made(&self.effects);
    }

    fn wait_until_ended(&self, deadline: Option<Instant>) -> bool {
        if self.thread_id.get() == Some(&std::thread::current().id()) {
            return true;
        }
        let ended = self.ended.wait(deadline);
        if ended {
            // Others who wait here wait for the lock.
            let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(thread) = thread.take() {
                // A panic of it was printed; every handle is resolved all the same.
                let _ = thread.join();
            }
            drop(thread);
            self.effects.join();
        }
        ended
    }
}

/// The pool's side.
struct Cluster {
    shared: Arc<Shared>,
    /// The process that has the submitter's thread: one that is forked from it has not.
    home: Home,
}

pub(super) fn start(config: Config, nats: Option<Nats>) -> Result<EngineRef, Error> {
    let nats = match nats {
        Some(nats) => nats,
        None => Nats::from_env()?,
    };
    nats.check()?;
    if config.initializer.is_some() && !nats.local_agent {
        let why = "an initializer runs in the workers of this program's own agent only, and there is \
                   none (Nats::local_agent); agents of other machines do what they need before their \
                   door";
        return Err(Error::cluster(why));
    }
    let catalog = crate::job::registry::Catalog::get()?;
    let abi = names::abi(catalog.digest(), &nats.version);
    let now = Instant::now();
    let metrics = Arc::new(Metrics::new());
    let coordinator = Coordinator::new(
        &config,
        nats.no_worker_timeout,
        &abi,
        Arc::clone(&metrics),
        now,
    );
    let shared = Arc::new(Shared {
        coordinator: Mutex::new(coordinator),
        bell: Notify::new(),
        metrics,
        room: Room::new(),
        ended: Ended::new(),
        effects: Effects::new(),
        thread: Mutex::new(None),
        thread_id: OnceLock::new(),
        queue_limit: config.queue_limit(),
        own: OnceLock::new(),
        max_tasks: config.processes.max_tasks.filter(|_| nats.local_agent),
    });
    let (built, result) = mpsc::sync_channel(1);
    let submitter = Submitter::new(Arc::clone(&shared), nats, abi, config, built);
    let thread = std::thread::Builder::new()
        .name("pool-cluster".into())
        .spawn(move || submitter.run())
        .map_err(|error| Error::spawn("no thread for the cluster", &error))?;
    let _ = shared.thread_id.set(thread.thread().id());
    *shared.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    let built = result
        .recv()
        .unwrap_or_else(|_| Err(Error::cluster("its thread has ended")));
    match built {
        Ok(()) => {
            let home = Home::new();
            Ok(Arc::new(Box::new(Cluster { shared, home })))
        }
        Err(error) => {
            shared.wait_until_ended(None);
            Err(error)
        }
    }
}

impl Cluster {
    fn is_home(&self) -> bool {
        self.home.is_here()
    }

    /// Works on the coordinator; in a process that was forked from the one that has it, does nothing.
    fn with<R: Default>(&self, work: impl FnOnce(&mut Coordinator, &mut After) -> R) -> R {
        match self.is_home() {
            true => self.shared.with(work),
            false => R::default(),
        }
    }

    /// The seats of agents that are not the pool's own.
    fn other_seats(&self) -> usize {
        let own = self.shared.own.get().map(|own| &*own.name);
        self.with(|coordinator, _| coordinator.seats_beside(own))
    }

    /// Nobody else will resolve it in a fork.
    fn resolve_in_fork(&self, job: &Job) -> bool {
        let forked = !self.is_home();
        if forked {
            job.head().resolve_in_fork();
        }
        forked
    }
}

impl Engine for Cluster {
    fn kind(&self) -> Backend {
        Backend::Cluster
    }

    fn workers(&self) -> usize {
        match self.shared.own.get() {
            Some(own) => own.engine.workers() + self.other_seats(),
            // Until there are agents.
            None => self.other_seats().max(1),
        }
    }

    fn max_chunk(&self) -> Option<usize> {
        // The others would run in a worker that is to be replaced.
        self.shared.max_tasks.map(|_| 1)
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn chunk_limits(&self) -> ChunkLimits {
        FAR
    }

    fn reserve(&self) -> bool {
        // In a fork there is room to be rejected.
        !self.is_home() || self.shared.with(|coordinator, _| coordinator.reserve())
    }

    fn watch_room(&self, waker: &Waker) {
        if self.is_home() {
            self.shared.room.watch(waker);
        }
    }

    fn queue_limit(&self) -> Option<usize> {
        self.shared.queue_limit
    }

    fn submit(&self, job: Job, entry: Entry) {
        if !self.is_home() {
            job.refuse(TaskError::rejected(job.name(), FORKED));
            return;
        }
        let shared = &self.shared;
        let start = shared.metrics.takes_a_sample().then(Instant::now);
        // Encodes in the caller's thread and without a lock: that is the user's code.
        let encoded = Claimed::new(job).and_then(|job| match written(job) {
            Ok(job) => Some(job),
            Err((job, error)) => {
                drop(job.fail(error));
                None
            }
        });
        let Some(mut job) = encoded else {
            shared.metrics.failed(TaskErrorKind::Encode, 1);
            shared.with(|coordinator, after| {
                coordinator.reserved -= usize::from(entry.reserved);
                after.room = true;
            });
            return;
        };
        let timed = start.map(|_| Instant::now());
        if let (Some(start), Some(end), false) = (start, timed, job.is_chunk()) {
            shared.metrics.took(Timed::Encode, 1, end - start);
        }
        loop {
            let submitted = shared.with(|coordinator, after| {
                coordinator.submit(job, entry.reserved, entry.start_by, timed, after)
            });
            match submitted {
                Ok(()) => return,
                Err(back) => job = back,
            }
            shared.room.wait();
        }
    }

    fn wait(&self, job: &Job, deadline: Option<Instant>) {
        if !self.resolve_in_fork(job) {
            crate::sync::blocked::during(|| job.head().park_until_resolved(deadline));
        }
    }

    fn poll(&self, job: &Job) {
        self.resolve_in_fork(job);
    }

    fn watch(&self, job: &Job) {
        self.resolve_in_fork(job);
    }

    fn is_forked(&self) -> bool {
        !self.is_home()
    }

    fn is_running(&self, job: &Job) -> bool {
        self.with(|coordinator, _| coordinator.is_running(job))
    }

    fn cancel(&self, job: &Job) -> bool {
        self.is_home()
            && self
                .shared
                .with(|coordinator, after| coordinator.cancel(job, true, after))
                == Cancelled::Yes
    }

    fn cancel_queued(&self, job: &Job) {
        if self.is_home() {
            self.shared
                .with(|coordinator, after| coordinator.cancel(job, false, after));
        }
    }

    fn effects(&self) -> Option<&Arc<Effects>> {
        Some(&self.shared.effects)
    }

    fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    fn stats(&self) -> Stats {
        let stats = self.with(|coordinator, _| coordinator.stats());
        match self.shared.own.get() {
            Some(own) if self.is_home() => {
                let workers = own.engine.stats();
                Stats {
                    workers: workers.workers + self.other_seats(),
                    // It has been seen itself.
                    workers_started: workers.workers_started
                        + stats.workers_started.saturating_sub(1),
                    workers_lost: workers.workers_lost + stats.workers_lost,
                    // An agent says that a task is over when nobody waits for it any more.
                    overdue: stats.overdue.max(workers.overdue),
                    ..stats
                }
            }
            _ => stats,
        }
    }

    fn describe(&self) -> Description {
        let now = Instant::now();
        let mut described = Description::new(Backend::Cluster, self.workers(), self.stats());
        if !self.is_home() {
            described.phase = Told::Forked;
            return described;
        }
        if let Some(own) = self.shared.own.get() {
            own.describe(&mut described);
            if let Told::Broken(why) = &described.phase {
                self.shared.breaks(why.clone());
            }
        }
        let (phase, (retries, next), is_over) = self.shared.with(|coordinator, _| {
            (
                coordinator.phase().clone(),
                coordinator.retries(),
                coordinator.is_over(),
            )
        });
        described.phase = match phase {
            Phase::Open => Told::Open,
            Phase::Draining if is_over => Told::Ended,
            Phase::Draining => Told::Draining,
            Phase::Killed => Told::Killed,
            Phase::Broken(why) => Told::Broken(why),
        };
        described.retries = retries;
        described.next_retry = next.map(|at| at.saturating_duration_since(now));
        described.waiting_for_room = self.shared.room.waiting();
        let seats = self.other_seats();
        add_seats(&mut described, seats);
        described
    }

    fn resize(&self, workers: usize) -> Result<(), Error> {
        if !self.is_home() {
            return Ok(());
        }
        match self.shared.own.get() {
            Some(own) => own.resize(workers),
            // Agents have as many seats as whoever started them wants.
            None => Ok(()),
        }
    }

    fn close(&self) {
        if self.is_home() {
            self.shared
                .with(|coordinator, after| coordinator.drain(after));
            // Who waits for room is refused now.
            self.shared.room.was_made(&self.shared.effects);
        }
    }

    fn cancel_all_queued(&self) {
        self.with(|coordinator, after| coordinator.cancel_all_queued(after));
    }

    fn kill(&self) {
        if self.is_home() {
            self.shared
                .with(|coordinator, after| coordinator.end(Phase::Killed, after));
            self.shared.room.was_made(&self.shared.effects);
        }
    }

    fn wait_until_ended(&self, deadline: Option<Instant>) -> bool {
        !self.is_home() || self.shared.wait_until_ended(deadline)
    }

    fn running(&self) -> Vec<String> {
        self.with(|coordinator, _| coordinator.running())
    }
}

/// The seats of agents elsewhere: which of them does what is not known here.
fn add_seats(described: &mut Description, seats: usize) {
    use crate::engine::description::WorkerState::{Idle, Running};
    let is_busy = |worker: &&WorkerInfo| worker.state == Running;
    let known = described.workers.iter().filter(is_busy).count();
    let busy = described.stats.running.saturating_sub(known);
    let first = described.workers.len();
    described.workers.extend((0..seats).map(|seat| WorkerInfo {
        state: if seat < busy { Running } else { Idle },
        ..WorkerInfo::new(first + seat)
    }));
}

/// The job with its arguments in one piece; they are kept until it has an outcome.
fn written(mut job: Claimed) -> Result<Claimed, (Claimed, TaskError)> {
    let args = job.take_args();
    let args = match args {
        Args::Later(later) => {
            let mut out = Vec::with_capacity(later.len());
            match later.write(&mut |bytes| out.extend_from_slice(bytes)) {
                Ok(()) => Args::from(Bytes::from(out)),
                Err(message) => {
                    let error = TaskError::not_encoded(job.info().name, &message);
                    return Err((job, error));
                }
            }
        }
        args => args,
    };
    job.put_args(args);
    Ok(job)
}
