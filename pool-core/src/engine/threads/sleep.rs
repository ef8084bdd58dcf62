//! How a worker without work sleeps, and how a new job wakes one.
//!
//! | worker | submitter |
//! |---|---|
//! | W1 enters the list and counts itself, under the list's lock | S1 pushes the job |
//! | W2 fence SeqCst | S2 fence SeqCst |
//! | W3 looks at all queues and at `closed`; parks only if there is nothing | S3 reads `sleeping`; if it is not 0, takes a sleeper out of the list and unparks it |
//!
//! That no wake-up is lost is proved in README.md, section "Sleeping and waking", and tried under
//! every interleaving in `model.rs`.

use std::sync::PoisonError;
use std::sync::atomic::Ordering::SeqCst;

use crossbeam_utils::Backoff;
use crossbeam_utils::sync::{Parker, Unparker};

use crate::sync::{AtomicUsize, Mutex, MutexGuard, fence};

/// How often a waiting thread yields to others before it sleeps.
const YIELDS: u32 = 20;

/// How a thread sleeps: crossbeam's parker, in whose place a model has one of its own.
pub(super) trait Park {
    type Unparker;

    fn unparker(&self) -> Self::Unparker;

    /// Blocks until the token is there, and takes it.
    fn park(&self);

    /// Leaves the token, for a sleep that has begun or for the next one.
    fn unpark(unparker: &Self::Unparker);
}

impl Park for Parker {
    type Unparker = Unparker;

    fn unparker(&self) -> Unparker {
        Self::unparker(self).clone()
    }

    fn park(&self) {
        Self::park(self);
    }

    fn unpark(unparker: &Unparker) {
        unparker.unpark();
    }
}

/// The workers that sleep, or are about to.
pub(super) struct Sleepers<P: Park = Parker> {
    /// The length of the list, for who does not hold its lock; changed under the lock only.
    sleeping: AtomicUsize,
    list: Mutex<Vec<Sleeper<P>>>,
}

struct Sleeper<P: Park> {
    worker: usize,
    unparker: P::Unparker,
}

impl<P: Park> Sleepers<P> {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            sleeping: AtomicUsize::new(0),
            list: Mutex::new(Vec::with_capacity(workers)),
        }
    }

    /// Sleeps until a job is announced, unless `ready` finds something to do.
    pub(super) fn sleep(&self, worker: usize, parker: &P, ready: impl Fn() -> bool) {
        {
            // W1.
            let mut list = self.lock();
            list.push(Sleeper {
                worker,
                unparker: parker.unparker(),
            });
            self.sleeping.store(list.len(), SeqCst);
        }
        // W2: pairs with the fence in `wake_one`.
        fence(SeqCst);
        // W3.
        if !ready() {
            parker.park();
        }
        self.leave(worker);
    }

    /// Whoever has taken this worker out of the list has done so before this returns: what they
    /// pushed is seen from here on.
    fn leave(&self, worker: usize) {
        let mut list = self.lock();
        list.retain(|sleeper| sleeper.worker != worker);
        self.sleeping.store(list.len(), SeqCst);
    }

    /// A job was pushed (S1): wakes one sleeper, the one that fell asleep last.
    pub(super) fn wake_one(&self) {
        // S2: pairs with the fence in `sleep`.
        fence(SeqCst);
        // S3.
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
            P::unpark(&sleeper.unparker);
        }
    }

    /// The pool was closed. Needs no fence: who enters the list after this has the lock after it.
    pub(super) fn wake_all(&self) {
        for sleeper in self.lock().iter() {
            P::unpark(&sleeper.unparker);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Sleeper<P>>> {
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
