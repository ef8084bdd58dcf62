//! How a worker without work sleeps, and how a new job wakes one.
//!
//! No wake-up is lost:
//! * a worker enters the list of sleepers and counts itself (`sleeping += 1`, SeqCst), then looks
//!   at all queues once more, and parks only if they are empty;
//! * a submitter pushes the job, then (behind a SeqCst fence) reads `sleeping`.
//!
//! The two orders cross: if the submitter reads 0, the worker counted itself later in the single
//! order of SeqCst operations, and its last look at the queues finds the job. If the submitter
//! reads more, it takes a sleeper out of the list and unparks it; a sleeper that is taken out
//! while it is still looking finds the token of its parker set and does not block.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst, fence};
use std::sync::{Mutex, PoisonError};

use crossbeam_utils::Backoff;
use crossbeam_utils::sync::{Parker, Unparker};

/// How often a waiting thread yields to others before it sleeps.
const YIELDS: u32 = 20;

/// The workers that sleep, or are about to.
pub(super) struct Sleepers {
    sleeping: AtomicUsize,
    list: Mutex<Vec<Sleeper>>,
}

struct Sleeper {
    worker: usize,
    unparker: Unparker,
}

impl Sleepers {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            sleeping: AtomicUsize::new(0),
            list: Mutex::new(Vec::with_capacity(workers)),
        }
    }

    /// Sleeps until a job is announced, unless `ready` finds something to do.
    pub(super) fn sleep(&self, worker: usize, parker: &Parker, ready: impl Fn() -> bool) {
        {
            let mut list = self.lock();
            list.push(Sleeper {
                worker,
                unparker: parker.unparker().clone(),
            });
            self.sleeping.store(list.len(), SeqCst);
        }
        fence(SeqCst);
        if ready() {
            self.leave(worker);
            return;
        }
        parker.park();
        self.leave(worker);
    }

    fn leave(&self, worker: usize) {
        let mut list = self.lock();
        list.retain(|sleeper| sleeper.worker != worker);
        self.sleeping.store(list.len(), SeqCst);
    }

    /// A job was pushed: wakes one sleeper, the one that fell asleep last.
    pub(super) fn wake_one(&self) {
        fence(SeqCst);
        if self.sleeping.load(SeqCst) == 0 {
            return;
        }
        let sleeper = {
            let mut list = self.lock();
            let sleeper = list.pop();
            self.sleeping.store(list.len(), SeqCst);
            sleeper
        };
        if let Some(sleeper) = sleeper {
            sleeper.unparker.unpark();
        }
    }

    pub(super) fn wake_all(&self) {
        for sleeper in self.lock().iter() {
            sleeper.unparker.unpark();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Sleeper>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits a short, bounded time without sleeping; says whether the condition came true.
pub(super) fn spin_until(condition: impl Fn() -> bool) -> bool {
    let backoff = Backoff::new();
    while !backoff.is_completed() {
        if condition() {
            return true;
        }
        backoff.snooze();
    }
    for _ in 0..YIELDS {
        if condition() {
            return true;
        }
        std::thread::yield_now();
    }
    condition()
}
