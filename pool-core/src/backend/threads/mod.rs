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

#[cfg(all(test, loom))]
mod model;
mod queue;
mod sleep;
mod timer;
mod worker;

use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
    fence,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle as Thread;
use std::time::{Duration, Instant};

use crossbeam_deque::Steal;
use crossbeam_utils::CachePadded;

use self::queue::Queue;
use self::sleep::Sleepers;
use self::timer::Timer;
use self::worker::{Queues, Stealers};
use super::callbacks::Callbacks;
use super::ended::Ended;
use super::{Backend, Engine, EngineRef, SHUT_DOWN};
use crate::cell::{Abandon, Job, OnSeat, Paused, Seat};
use crate::current::Frame;
use crate::{Error, TaskError};

/// What the workers share.
struct Shared {
    queue: Queue,
    workers: Vec<CachePadded<Worker>>,
    sleepers: Sleepers,
    timer: Timer,
    closed: AtomicBool,
    killed: AtomicBool,
    /// What has not started is cancelled.
    cancelling: AtomicBool,
    /// Tasks that the timer keeps for another run.
    paused: AtomicUsize,
    retried: AtomicU64,
    timed_out: AtomicU64,
    /// Workers that have not ended.
    alive: AtomicUsize,
    ended: Ended,
    callbacks: Callbacks,
}

/// What others see of a worker.
struct Worker {
    stealers: Stealers,
    /// What it runs.
    seat: Seat,
    /// How many jobs it has begun.
    ran: AtomicU32,
}

/// The pool's side: `Shared` plus the threads to be joined.
struct Threads {
    shared: Arc<Shared>,
    threads: Mutex<Vec<Thread<()>>>,
}

pub(super) fn start(workers: usize) -> Result<EngineRef, Error> {
    let queues: Vec<_> = (0..workers).map(|_| Queues::new()).collect();
    let worker = |queues: &Queues| {
        CachePadded::new(Worker {
            stealers: queues.stealers(),
            seat: Seat::new(),
            ran: AtomicU32::new(0),
        })
    };
    let shared = Arc::new(Shared {
        queue: Queue::new(workers),
        workers: queues.iter().map(worker).collect(),
        sleepers: Sleepers::new(workers),
        timer: Timer::new(),
        closed: AtomicBool::new(false),
        killed: AtomicBool::new(false),
        cancelling: AtomicBool::new(false),
        paused: AtomicUsize::new(0),
        retried: AtomicU64::new(0),
        timed_out: AtomicU64::new(0),
        alive: AtomicUsize::new(workers),
        ended: Ended::new(),
        callbacks: Callbacks::new(),
    });
    let pool = Threads {
        shared,
        threads: Mutex::new(Vec::with_capacity(workers)),
    };
    for (index, queues) in queues.into_iter().enumerate() {
        let shared = pool.shared.clone();
        let thread = std::thread::Builder::new()
            .name(format!("pool-worker-{index}"))
            .spawn(move || {
                // Also after a panic of the worker's own, which would be a bug.
                let _ended = OneEnded(&shared);
                worker::run(&shared, queues, index);
            });
        match thread {
            Ok(thread) => pool.lock_threads().push(thread),
            Err(error) => {
                // Those that were not started have ended.
                for _ in index..workers {
                    pool.shared.one_ended();
                }
                pool.kill();
                pool.wait_until_ended(None);
                return Err(Error::spawn(format!("thread {index} of {workers}"), &error));
            }
        }
    }
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

    fn run_on_seat(
        self: &Arc<Self>,
        job: Job,
        worker: usize,
        later: Option<&dyn Fn(Duration, Paused)>,
    ) {
        let alarm = |at| self.timer.look_by(at, self);
        let on = OnSeat {
            seat: &self.workers[worker].seat,
            alarm: &alarm,
            later,
        };
        job.run_here(Frame::new(Backend::Threads, worker), Some(on));
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

    fn count_timeout(&self, timed_out: bool) {
        self.timed_out.fetch_add(u64::from(timed_out), Relaxed);
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
            self.refuse_queued(self.why_ended());
        }
    }

    fn has_work(&self) -> bool {
        !self.queue.is_empty() || self.workers.iter().any(|w| !w.stealers.is_empty())
    }

    /// A worker has ended; after the last one nobody runs what is still pushed.
    fn one_ended(&self) {
        if self.alive.fetch_sub(1, SeqCst) == 1 {
            self.refuse_queued(self.why_ended());
            self.timer.stop();
            self.ended.set();
        }
    }

    /// What becomes of a job that nobody will run.
    fn why_ended(&self) -> fn(&'static str) -> TaskError {
        match self.killed.load(SeqCst) {
            true => TaskError::killed,
            false => |name| TaskError::rejected(name, SHUT_DOWN),
        }
    }

    /// Empties the queues: the pool was killed, and its workers may be busy for long; or they have
    /// ended; or what has not started is cancelled.
    fn refuse_queued(&self, error: fn(&'static str) -> TaskError) {
        // Pairs with the one in `wake_one`: what `submit` has pushed is found here, or `submit`
        // sees why this was called.
        fence(SeqCst);
        let queued = || match self.queue.take(0) {
            Some(job) => Steal::Success(job),
            None => Steal::Empty,
        };
        let steal = || -> Steal<Job> {
            std::iter::once_with(queued)
                .chain(self.workers.iter().map(|worker| worker.stealers.steal()))
                .collect()
        };
        loop {
            match steal() {
                Steal::Success(job) => {
                    job.refuse(error(job.name()));
                }
                Steal::Retry => {}
                Steal::Empty => return,
            }
        }
    }

    fn close(&self) {
        self.closed.store(true, SeqCst);
        self.sleepers.wake_all();
    }

    /// What the workers run, and by when it should be done.
    fn on_seats(&self) -> impl Iterator<Item = (Job, Option<Instant>)> {
        self.workers.iter().flat_map(|worker| worker.seat.jobs())
    }
}

impl Threads {
    fn lock_threads(&self) -> std::sync::MutexGuard<'_, Vec<Thread<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join_workers(&self) {
        // Others who wait here wait for the lock.
        for thread in self.lock_threads().drain(..) {
            // A worker catches every panic of a task; one of its own is printed by the hook.
            let _ = thread.join();
        }
        if self.shared.timer.join() {
            self.shared.callbacks.join();
        }
    }
}

impl Engine for Threads {
    fn kind(&self) -> Backend {
        Backend::Threads
    }

    fn workers(&self) -> usize {
        self.shared.workers.len()
    }

    fn is_own_thread(&self) -> bool {
        worker::is_own(&self.shared)
    }

    fn is_killed(&self) -> bool {
        self.shared.killed.load(SeqCst)
    }

    fn submit(&self, job: Job, start_by: Option<Instant>) {
        let shared = &*self.shared;
        if shared.is_closed() {
            job.refuse(TaskError::rejected(job.name(), SHUT_DOWN));
            return;
        }
        if let Some(at) = start_by {
            shared.timer.start_by(at, job.clone(), &self.shared);
        }
        match worker::push(shared, job) {
            Err(job) => shared.enter(job),
            Ok(()) => shared.announce(),
        }
    }

    fn wait(&self, job: &Job, deadline: Option<Instant>) {
        let head = job.head();
        loop {
            // Whoever waits for a limited time only cannot run a task for as long as it takes.
            let joined = deadline
                .is_none()
                .then(|| worker::take(&self.shared, job))
                .flatten();
            let Some((job, worker)) = joined else {
                if !sleep::spin_until(|| head.is_resolved()) {
                    head.park_until_resolved(deadline);
                }
                return;
            };
            self.shared.run_joined(job, worker);
            if sleep::spin_until(|| head.is_resolved()) || !head.waiters.add_thread(&head.state) {
                return;
            }
            // It runs elsewhere. If it fails there, it may come back to be run by whoever is free.
            while !head.is_resolved() && !head.state.is_queued() {
                std::thread::park();
            }
        }
    }

    fn poll(&self, _: &Job) {}

    fn watch(&self, _: &Job) {}

    fn is_running(&self, job: &Job) -> bool {
        job.head().state.is_running()
    }

    fn cancel(&self, job: &Job) -> bool {
        job.refuse(TaskError::cancelled(job.name())) || job.head().abandon(Abandon::Cancelled)
    }

    fn cancel_queued(&self, job: &Job) {
        job.refuse(TaskError::cancelled(job.name()));
    }

    fn close(&self) {
        self.shared.close();
    }

    fn cancel_all_queued(&self) {
        self.shared.cancelling.store(true, SeqCst);
        self.shared.timer.drop_retries(&self.shared);
        self.shared.refuse_queued(TaskError::cancelled);
        // The rest of a map's batch is cancelled by its worker.
        for (job, _) in self.shared.on_seats() {
            job.ask_to_stop_between_tasks();
        }
    }

    fn kill(&self) {
        self.shared.killed.store(true, SeqCst);
        for worker in &self.shared.workers {
            worker.seat.close();
        }
        self.shared.close();
        self.shared.timer.drop_retries(&self.shared);
        self.shared.refuse_queued(TaskError::killed);
        for (job, _) in self.shared.on_seats() {
            job.head().abandon(Abandon::Cancelled);
        }
    }

    fn wait_until_ended(&self, deadline: Option<Instant>) -> bool {
        if self.is_own_thread() {
            return true;
        }
        let ended = self.shared.ended.wait(deadline);
        if ended {
            self.join_workers();
        }
        ended
    }

    fn running(&self) -> Vec<String> {
        let on_seats = self.shared.on_seats();
        on_seats.map(|(job, _)| job.name().to_owned()).collect()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // The last handle outlived the pool, whose own drop has closed it.
        self.shared.close();
    }
}
