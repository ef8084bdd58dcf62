//! The thread backend: work-stealing threads that park when there is nothing to do.
//!
//! A job that is submitted from outside goes to the shared queue, one that a worker's task submits
//! to that worker's own stack; [`worker`] says in which order they are run. A worker that finds
//! nothing for a while sleeps ([`sleep`]).
//!
//! A worker that joins a task runs that task itself if nobody has started it, and otherwise
//! waits; it never runs a task that it does not wait for, since that task could need a lock that
//! the waiting one holds. So a nested wait always has somebody who makes progress: the task it
//! waits for is run here, or runs elsewhere, where the same holds.
//!
//! The end of a pool needs no count of its jobs. A worker ends when it has seen the pool closed
//! and then found every queue empty. A job that is pushed later, because its submitter had looked
//! just before the pool was closed, is found by the last worker to end, or by that submitter, who
//! looks again after its push.

mod bounds;
mod guests;
mod hire;
mod ledger;
#[cfg(all(test, loom))]
mod model;
mod queue;
mod refuse;
mod sleep;
mod stats;
mod timer;
mod worker;
mod worker_table;

use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Waker;
use std::thread::JoinHandle as Thread;
use std::time::{Duration, Instant};

use self::bounds::Bounded;
use self::queue::Queue;
use self::sleep::Sleepers;
use self::timer::Timer;
use self::worker_table::WorkerTable;
use super::ended::Ended;
use super::{Backend, Config, Engine, EngineRef, Entry, FORKED, Help, SHUT_DOWN, broken};
use crate::engine::description::Description;
use crate::engine::home::Home;
use crate::error::pool_error::Error;
use crate::error::task_error::{Abandon, TaskError, TaskErrorKind};
use crate::job::cell::{Effects, Job, OnSeat, Paused};
use crate::job::current::Frame;
use crate::job::initializer::Initializer;
use crate::metrics::recorder::{Metrics, Stamp};
use crate::metrics::stats::Stats;
use crate::sync::{blocked, clock};

/// What the workers share.
struct Shared {
    /// The process that has the threads. In a fork there is none of them, and a lock that one of
    /// them held stays locked: so this is asked first.
    home: Home,
    metrics: Arc<Metrics>,
    /// Tasks that came to a result on threads of others.
    guests_finished: AtomicU64,
    queue: Queue,
    bounded: Bounded,
    workers: WorkerTable,
    sleepers: Sleepers,
    timer: Timer,
    initializer: Option<Initializer>,
    /// In bytes, of each worker.
    stack_size: usize,
    closed: AtomicBool,
    killed: AtomicBool,
    /// What has not started is cancelled.
    cancelling: AtomicBool,
    /// Why it takes no jobs, once its initializer has failed.
    broken: OnceLock<String>,
    /// Tasks that the timer keeps for another run.
    paused: AtomicUsize,
    retried: AtomicU64,
    timed_out: AtomicU64,
    hired: AtomicU64,
    /// Workers that have not ended.
    alive: AtomicUsize,
    /// Workers that wait for something.
    blocked: Arc<AtomicUsize>,
    ended: Ended,
    effects: Arc<Effects>,
}

/// The pool's side: `Shared` plus the threads to be joined.
struct Threads {
    shared: Arc<Shared>,
    threads: Mutex<Vec<Thread<()>>>,
}

pub(super) fn start(config: &Config) -> Result<EngineRef, Error> {
    let workers = config.workers;
    let metrics = Arc::new(Metrics::new());
    let effects = Effects::new();
    let shared = Arc::new(Shared {
        home: Home::new(),
        metrics: Arc::clone(&metrics),
        guests_finished: AtomicU64::new(0),
        queue: Queue::new(workers),
        bounded: Bounded::new(config, Arc::clone(&effects)),
        workers: WorkerTable::new(workers, metrics),
        sleepers: Sleepers::new(workers),
        timer: Timer::new(),
        initializer: config.initializer.clone(),
        stack_size: config.stack_size,
        closed: AtomicBool::new(false),
        killed: AtomicBool::new(false),
        cancelling: AtomicBool::new(false),
        broken: OnceLock::new(),
        paused: AtomicUsize::new(0),
        retried: AtomicU64::new(0),
        timed_out: AtomicU64::new(0),
        hired: AtomicU64::new(0),
        // The builder's, so that none of the first to end is the last.
        alive: AtomicUsize::new(1),
        blocked: Arc::new(AtomicUsize::new(0)),
        ended: Ended::new(),
        effects,
    });
    let pool = Threads {
        shared,
        threads: Mutex::new(Vec::with_capacity(workers)),
    };
    let hired = pool.hire();
    if hired.is_err() {
        pool.kill();
    }
    pool.shared.one_ended();
    if hired.is_err() {
        pool.wait_until_ended(None);
    }
    hired?;
    Ok(Arc::new(Box::new(pool)))
}

/// Says so when it is dropped.
struct OneEnded<'a>(&'a Shared);

impl Drop for OneEnded<'_> {
    fn drop(&mut self) {
        self.0.one_ended();
    }
}

impl Shared {
    /// Runs a job that came out of a queue.
    fn run(self: &Arc<Self>, job: Job, worker: usize) {
        let later = |after, paused| {
            self.retried.fetch_add(1, Relaxed);
            self.timer.keep(after, paused, self);
        };
        self.run_on_seat(job, worker, Some(&later));
    }

    /// Runs a job that its joiner waits for.
    fn run_joined(self: &Arc<Self>, job: Job, worker: usize) {
        // It has nothing else to do while a retry waits.
        self.run_on_seat(job, worker, None);
    }

    /// Whether every worker waits, so that a job in the queue may never be begun.
    fn is_stuck(&self) -> bool {
        let alive = self.alive.load(SeqCst);
        alive > 0 && self.blocked.load(SeqCst) >= alive
    }

    fn run_on_seat(
        self: &Arc<Self>,
        job: Job,
        worker: usize,
        later: Option<&dyn Fn(Duration, Paused)>,
    ) {
        self.seat(job, worker, &|job| self.bounded.leaves(job), later, true);
    }

    fn seat(
        self: &Arc<Self>,
        job: Job,
        worker: usize,
        begins: &dyn Fn(&Job),
        later: Option<&dyn Fn(Duration, Paused)>,
        counted: bool,
    ) {
        let Some(place) = self.workers.get(worker) else {
            unreachable!("a worker has its place");
        };
        let alarm = |at| self.timer.look_by(at, self);
        let on = OnSeat {
            begins,
            seat: &place.seat,
            alarm: &alarm,
            later,
            count: match counted {
                true => &place.ledger.count,
                false => &place.ledger.initializer,
            },
            failed: &|kind| {
                if counted {
                    self.count_failure(kind);
                }
            },
        };
        let frame = Frame::new(Backend::Threads, worker);
        let stamp = Stamp::of_note(job.head().note.load(Relaxed));
        // Where jobs are weighed, it is a weight.
        match stamp.filter(|_| !self.bounded.weighs) {
            None => {
                job.run_here(frame, Some(on));
            }
            Some(stamp) => self.run_timed(job, stamp, frame, on, place),
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// Whether nothing will come any more, once the queues are empty.
    fn is_ending(&self) -> bool {
        self.is_closed() && self.paused.load(SeqCst) == 0
    }

    fn wants_no_retries(&self) -> bool {
        self.killed.load(SeqCst) || self.cancelling.load(SeqCst)
    }

    /// A task that was kept for another run is in a queue, or is not run again.
    fn one_resumed(&self) {
        if self.paused.fetch_sub(1, SeqCst) == 1 && self.is_closed() {
            self.sleepers.wake_all();
        }
    }

    /// Puts a job into the shared queue.
    fn enter(&self, job: Job) {
        self.queue.push(job);
        self.announce();
    }

    /// A job was put into a queue.
    fn announce(&self) {
        // There is a fence in it: if `closed` is not seen below, whoever empties the queues comes
        // later, and finds the job.
        self.sleepers.wake_one();
        let nobody_runs_it = || self.killed.load(SeqCst) || self.alive.load(SeqCst) == 0;
        if self.is_closed() && nobody_runs_it() {
            self.refuse_queued(|name| self.refusal(name));
        }
    }

    fn has_work(&self) -> bool {
        !self.queue.is_empty() || self.workers.iter().any(|w| !w.stealers.is_empty())
    }

    /// A worker has ended; after the last one nobody runs what is still pushed.
    fn one_ended(&self) {
        if self.home.is_here() && self.alive.fetch_sub(1, SeqCst) == 1 {
            self.refuse_queued(|name| self.refusal(name));
            self.timer.stop();
            self.ended.set();
        }
    }

    /// What becomes of a job that nobody will run.
    fn refusal(&self, name: &'static str) -> TaskError {
        match self.killed.load(SeqCst) {
            true => TaskError::killed(name),
            false => self.rejection(name),
        }
    }

    /// What a job hears that comes too late.
    fn rejection(&self, name: &'static str) -> TaskError {
        TaskError::rejected(name, self.broken.get().map_or(SHUT_DOWN, String::as_str))
    }

    /// Runs the initializer, if there is one; says whether the worker can work.
    fn initialize(self: &Arc<Self>, worker: usize) -> bool {
        let Some(initializer) = &self.initializer else {
            return true;
        };
        let (handle, job) = initializer.job();
        let head = job.head();
        // Its deadline may end it from elsewhere, while it goes on here.
        let (pool, watched) = (Arc::clone(self), handle.job().clone());
        let callback = move || {
            // The outcome is read below where it is there.
            if watched.head().state.is_abandoned() {
                pool.break_up(&TaskError::abandoned(Abandon::TimedOut, watched.name()));
            }
        };
        let effects = Some(Arc::clone(&self.effects));
        head.waiters
            .add_callback(Box::new(callback), effects, &head.state);
        // It was never in the queue.
        self.seat(job, worker, &|_| {}, None, false);
        match handle.into_outcome() {
            Ok(()) => true,
            Err(error) => {
                self.break_up(&error);
                false
            }
        }
    }

    fn close(&self) {
        {
            // Nobody is hired from here on.
            let _nobody_comes = self.workers.lock();
            self.closed.store(true, SeqCst);
        }
        self.sleepers.wake_all();
        // Who waits for room is refused now.
        self.bounded.make_room();
    }

    /// What the workers run, and by when it should be done.
    fn on_seats(&self) -> impl Iterator<Item = (Job, Option<Instant>)> {
        self.workers.iter().flat_map(|worker| worker.seat.jobs())
    }
}

impl Threads {
    #[inline]
    fn is_home(&self) -> bool {
        self.shared.home.is_here()
    }

    /// Resolves the job if this is a fork, where no worker will; returns whether it is one.
    fn resolve_in_fork(&self, job: &Job) -> bool {
        let forked = !self.is_home();
        if forked {
            job.head().resolve_in_fork();
        }
        forked
    }
}

impl Engine for Threads {
    fn kind(&self) -> Backend {
        Backend::Threads
    }

    fn workers(&self) -> usize {
        self.shared.workers.target()
    }

    fn effects(&self) -> Option<&Arc<Effects>> {
        Some(&self.shared.effects)
    }

    fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    fn stats(&self) -> Stats {
        match self.is_home() {
            true => self.shared.stats(),
            false => Stats::default(),
        }
    }

    fn describe(&self) -> Description {
        Self::describe(self)
    }

    fn resize(&self, workers: usize) -> Result<(), Error> {
        if !self.is_home() {
            return Ok(());
        }
        self.shared.workers.lock().set_target(workers);
        // Surplus workers exit.
        self.shared.sleepers.wake_all();
        self.hire()
    }

    fn is_own_thread(&self) -> bool {
        worker::is_own(&self.shared)
    }

    fn is_stuck(&self) -> bool {
        self.is_home() && blocked::is_worker() && self.shared.is_stuck()
    }

    fn is_killed(&self) -> bool {
        self.shared.killed.load(SeqCst)
    }

    fn reserve(&self) -> bool {
        let shared = &self.shared;
        if !self.is_home() {
            // In a fork there is room to be rejected.
            return true;
        }
        // What would be refused needs no room.
        let admitted = shared.bounded.admit()
            && (shared.bounded.exact || shared.queue.has_room(shared.bounded.most_in_shard()));
        if !admitted && (shared.is_closed() || self.is_own_thread()) {
            shared.bounded.admit_anyway();
            return true;
        }
        admitted
    }

    fn watch_room(&self, waker: &Waker) {
        if self.is_home() {
            self.shared.bounded.room.watch(waker);
        }
    }

    fn queue_limit(&self) -> Option<usize> {
        self.shared.bounded.limit
    }

    fn weighs(&self) -> bool {
        self.shared.bounded.weighs
    }

    fn submit(&self, job: Job, entry: Entry) {
        let shared = &*self.shared;
        if !self.is_home() {
            job.refuse(TaskError::rejected(job.name(), FORKED));
            return;
        }
        if shared.bounded.exact {
            while !entry.reserved && !self.reserve() {
                blocked::during(|| shared.bounded.room.wait());
            }
            shared.bounded.weigh(&job, entry.weight);
        }
        if shared.metrics.takes_a_sample() && !shared.bounded.weighs {
            let stamp = shared.metrics.stamp(Instant::now());
            job.head().note.store(stamp.to_note(), Relaxed);
        }
        if shared.is_closed() {
            shared.refuse(&job, shared.rejection(job.name()));
            return;
        }
        if let Some(at) = entry.start_by {
            shared
                .timer
                .start_by(clock::of(at), job.clone(), &self.shared);
        }
        let Err(mut job) = worker::push(shared, job) else {
            return shared.announce();
        };
        let most = match entry.reserved {
            true => usize::MAX,
            false => shared.bounded.most_in_shard(),
        };
        while let Err(back) = shared.queue.push_below(most, job) {
            job = back;
            blocked::during(|| shared.bounded.room.wait());
        }
        shared.announce();
    }

    fn wait(&self, job: &Job, deadline: Option<Instant>) {
        let head = job.head();
        if self.resolve_in_fork(job) {
            return;
        }
        loop {
            // Whoever waits for a limited time only cannot run a task for as long as it takes.
            let joined = deadline
                .is_none()
                .then(|| worker::take(&self.shared, job))
                .flatten();
            let Some((job, worker)) = joined else {
                if sleep::spin_until(|| head.is_resolved()) {
                    return;
                }
                if deadline.is_none() && blocked::is_worker() && !self.is_own_thread() {
                    return self.shared.wait_as_guest(job);
                }
                self.shared.note_tasks();
                return blocked::during(|| head.park_until_resolved(deadline));
            };
            self.shared.run_joined(job, worker);
            if sleep::spin_until(|| head.is_resolved()) || !head.waiters.add_thread(&head.state) {
                return;
            }
            // It runs elsewhere. If it fails there, it may come back to be run by whoever is free.
            while !head.is_resolved() && !head.state.is_queued() {
                blocked::during(std::thread::park);
            }
        }
    }

    fn needs_help(&self, job: &Job) -> Help {
        let head = job.head();
        match self.is_home() && blocked::is_worker() && !head.is_resolved() {
            false => Help::Never,
            true if head.state.is_queued() && self.shared.is_stuck() => Help::Now,
            true => Help::Perhaps,
        }
    }

    fn help(&self, job: &Job) {
        match worker::take(&self.shared, job) {
            Some((job, worker)) => self.shared.run_joined(job, worker),
            None => {
                self.shared.run_as_guest(job);
            }
        }
    }

    #[inline]
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
        job.head().state.is_running()
    }

    fn cancel(&self, job: &Job) -> bool {
        let error = TaskError::cancelled(job.name());
        if !self.is_home() {
            return false;
        }
        if self.shared.refuse(job, error) {
            return true;
        }
        let abandoned = job.head().abandon(Abandon::Cancelled);
        if abandoned && !job.is_many() {
            self.shared.metrics.failed(TaskErrorKind::Cancelled, 1);
        }
        if abandoned && self.shared.is_closed() && self.shared.paused.load(SeqCst) > 0 {
            self.shared.timer.drop_cancelled_retries(&self.shared);
        }
        abandoned
    }

    fn cancel_queued(&self, job: &Job) {
        if self.is_home() {
            self.shared.refuse(job, TaskError::cancelled(job.name()));
        }
    }

    fn close(&self) {
        if self.is_home() {
            self.shared.close();
            self.shared.timer.drop_cancelled_retries(&self.shared);
        }
    }

    fn cancel_all_queued(&self) {
        if !self.is_home() {
            return;
        }
        self.shared.cancelling.store(true, SeqCst);
        self.shared.timer.drop_retries(&self.shared);
        self.shared.refuse_queued(TaskError::cancelled);
        // The rest of a map's batch is cancelled by its worker.
        for (job, _) in self.shared.on_seats() {
            job.ask_to_stop_between_tasks();
            self.shared.drop_job(job);
        }
    }

    fn kill(&self) {
        if !self.is_home() {
            return;
        }
        self.shared.killed.store(true, SeqCst);
        for worker in self.shared.workers.iter() {
            worker.seat.close();
        }
        self.shared.close();
        self.shared.timer.drop_retries(&self.shared);
        self.shared.refuse_queued(TaskError::killed);
        for (job, _) in self.shared.on_seats() {
            if job.head().abandon(Abandon::Cancelled) && !job.is_many() {
                self.shared.metrics.failed(TaskErrorKind::Cancelled, 1);
            }
            self.shared.drop_job(job);
        }
    }

    fn wait_until_ended(&self, deadline: Option<Instant>) -> bool {
        if self.is_own_thread() || !self.is_home() {
            return true;
        }
        let ended = blocked::during(|| self.shared.ended.wait(deadline));
        if ended {
            self.join_workers();
        }
        ended
    }

    fn running(&self) -> Vec<String> {
        if !self.is_home() {
            return Vec::new();
        }
        let on_seats = self.shared.on_seats();
        let name = |(job, _): (Job, _)| {
            let name = job.name().to_owned();
            self.shared.drop_job(job);
            name
        };
        on_seats.map(name).collect()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // The last handle outlived the pool, whose own drop has closed it.
        if self.is_home() {
            self.shared.close();
        }
    }
}
