//! The thread backend: work-stealing threads that park when there is nothing to do.
//!
//! A job goes from `submit` to the shared injector. A worker takes from its own deque, then from the injector,
//! then from the others' deques; when it finds nothing for a while it sleeps ([`sleep`]).
//!
//! A worker that joins a task runs that task itself if nobody has started it, and otherwise
//! waits; it never runs a task that it does not wait for, since that task could need a lock that
//! the waiting one holds. So a nested wait always has somebody who makes progress: the task it
//! waits for is run here, or runs elsewhere, where the same holds.

mod sleep;
mod timer;
mod worker;

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle as Thread;
use std::time::Instant;

use crossbeam_deque::{Injector, Steal, Stealer};

use self::sleep::Sleepers;
use self::timer::Timer;
use super::{Backend, Engine, SHUT_DOWN};
use crate::cell::{Abandon, Job};
use crate::current::Frame;
use crate::{Error, TaskError};

/// What the workers share.
struct Shared {
    injector: Injector<Arc<dyn Job>>,
    stealers: Vec<Stealer<Arc<dyn Job>>>,
    sleepers: Sleepers,
    timer: Timer,
    /// What each worker runs, for a kill; the last entry is the innermost of nested runs.
    running: Vec<Mutex<Vec<Arc<dyn Job>>>>,
    /// Jobs that were accepted and are not done. The workers end when the pool is closed and
    /// this is zero.
    pending: AtomicUsize,
    closed: AtomicBool,
    killed: AtomicBool,
}

/// The pool's side: `Shared` plus the threads to be joined.
struct Threads {
    shared: Arc<Shared>,
    threads: Mutex<Vec<Thread<()>>>,
}

thread_local! {
    /// The pool whose worker this thread is, and its number there.
    static WORKER: Cell<(*const Shared, usize)> = const { Cell::new((ptr::null(), 0)) };
}

pub(super) fn start(workers: usize) -> Result<Arc<dyn Engine>, Error> {
    let deques: Vec<_> = (0..workers)
        .map(|_| crossbeam_deque::Worker::new_fifo())
        .collect();
    let shared = Arc::new(Shared {
        injector: Injector::new(),
        stealers: deques
            .iter()
            .map(crossbeam_deque::Worker::stealer)
            .collect(),
        sleepers: Sleepers::new(workers),
        timer: Timer::new(),
        running: (0..workers).map(|_| Mutex::default()).collect(),
        pending: AtomicUsize::new(0),
        closed: AtomicBool::new(false),
        killed: AtomicBool::new(false),
    });
    let pool = Threads {
        shared,
        threads: Mutex::new(Vec::with_capacity(workers)),
    };
    for (index, deque) in deques.into_iter().enumerate() {
        let shared = pool.shared.clone();
        let thread = std::thread::Builder::new()
            .name(format!("pool-worker-{index}"))
            .spawn(move || worker::run(&shared, &deque, index));
        match thread {
            Ok(thread) => pool.lock_threads().push(thread),
            Err(error) => {
                pool.kill();
                return Err(Error::spawn(format!("thread {index} of {workers}"), &error));
            }
        }
    }
    Ok(Arc::new(pool))
}

impl Shared {
    fn frame(worker: usize) -> Frame {
        Frame::new(Backend::Threads, worker)
    }

    /// The number of the calling thread among this pool's workers.
    fn own_worker(&self) -> Option<usize> {
        let (pool, index) = WORKER.get();
        ptr::eq(pool, self).then_some(index)
    }

    fn run(&self, job: Arc<dyn Job>, worker: usize) {
        if let Some(limit) = job.options().timeout {
            self.timer.watch(&job, limit);
        }
        let running = || {
            self.running[worker]
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        running().push(Arc::clone(&job));
        // After the entry: a kill either finds it there, or is seen here.
        if self.killed.load(SeqCst) {
            job.refuse(killed(&*job));
        } else {
            job.run_here(Self::frame(worker));
        }
        let done = running().pop();
        // Its destructor may be the user's: not under the lock.
        drop(done);
    }

    /// One accepted job fewer; the last one of a closed pool ends the workers.
    fn done(&self) {
        if self.pending.fetch_sub(1, SeqCst) == 1 && self.closed.load(SeqCst) {
            self.sleepers.wake_all();
        }
    }

    fn is_over(&self) -> bool {
        self.closed.load(SeqCst) && self.pending.load(SeqCst) == 0
    }

    /// Empties the queues of a killed pool, whose workers may be busy for long.
    fn refuse_queued(&self) {
        let steal = || {
            std::iter::once(self.injector.steal())
                .chain(self.stealers.iter().map(Stealer::steal))
                .collect()
        };
        loop {
            match steal() {
                Steal::Success(job) => {
                    job.refuse(killed(&*job));
                    self.done();
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
}

fn cancelled(job: &dyn Job) -> TaskError {
    TaskError::new(crate::TaskErrorKind::Cancelled, job.info().name)
}

fn killed(job: &dyn Job) -> TaskError {
    cancelled(job).message_is("the pool was killed")
}

impl Threads {
    fn lock_threads(&self) -> std::sync::MutexGuard<'_, Vec<Thread<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join_workers(&self) {
        if self.shared.own_worker().is_some() {
            return;
        }
        // Others who wait here wait for the lock.
        for thread in self.lock_threads().drain(..) {
            // A worker catches every panic of a task; one of its own is printed by the hook.
            let _ = thread.join();
        }
        self.shared.timer.stop();
    }
}

impl Engine for Threads {
    fn kind(&self) -> Backend {
        Backend::Threads
    }

    fn workers(&self) -> usize {
        self.shared.stealers.len()
    }

    fn submit(&self, job: Arc<dyn Job>) {
        let shared = &*self.shared;
        // Counted before `closed` is read, so that a pool which is closed at the same moment
        // either sees the job or refuses it.
        shared.pending.fetch_add(1, SeqCst);
        if shared.closed.load(SeqCst) {
            job.refuse(TaskError::rejected(job.info().name, SHUT_DOWN));
            shared.done();
            return;
        }
        shared.injector.push(job);
        shared.sleepers.wake_one();
    }

    fn wait(&self, job: &Arc<dyn Job>, deadline: Option<Instant>) {
        // Whoever waits for a limited time only cannot run a task for as long as it takes.
        if let (Some(worker), None) = (self.shared.own_worker(), deadline) {
            // `run_here` claims it; the copy in the deque is found claimed and dropped.
            self.shared.run(Arc::clone(job), worker);
        }
        if !sleep::spin_until(|| job.head().is_resolved()) {
            job.head().park_until_resolved(deadline);
        }
    }

    fn poll(&self, _: &dyn Job) {}

    fn watch(&self, _: &dyn Job) {}

    fn is_running(&self, job: &dyn Job) -> bool {
        job.head().state.is_claimed()
    }

    fn cancel(&self, job: &dyn Job) -> bool {
        job.refuse(cancelled(job)) || job.head().abandon(Abandon::Cancelled)
    }

    fn cancel_queued(&self, job: &dyn Job) {
        job.refuse(cancelled(job));
    }

    fn shutdown(&self) {
        self.shared.close();
        self.join_workers();
    }

    fn kill(&self) {
        self.shared.killed.store(true, SeqCst);
        self.shared.close();
        self.shared.refuse_queued();
        for running in &self.shared.running {
            let jobs = running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            for job in jobs {
                job.head().abandon(Abandon::Cancelled);
            }
        }
        self.join_workers();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // The last handle outlived the pool, whose own drop has closed it.
        self.shared.close();
    }
}
