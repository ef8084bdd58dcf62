//! Waiting for room in a bounded queue: by threads, and by futures.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use crate::job::cell::{Effect, Effects};

/// How long a thread waits before it looks for itself. It is woken when the queue is half empty, so
/// that it does not have to wait for each place in it.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Who waits for room.
#[derive(Debug)]
pub(super) struct Room {
    /// Threads and wakers.
    waiting: AtomicUsize,
    /// Wakers, which cannot look for themselves.
    watching: AtomicUsize,
    wakers: Mutex<Vec<Waker>>,
    made: Condvar,
}

/// How much may wait in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) items: usize,
    /// The number of waiting bytes of arguments from which on no task is taken.
    pub(crate) bytes: usize,
}

impl Bounds {
    /// Whether nothing more is to be taken.
    pub(super) fn are_reached(self, items: usize, bytes: usize) -> bool {
        items >= self.items || bytes >= self.bytes
    }

    /// Whether who waits for more than one place should be woken.
    fn are_far(self, items: usize, bytes: usize) -> bool {
        items <= self.items / 2 && bytes <= self.bytes / 2
    }
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            watching: AtomicUsize::new(0),
            wakers: Mutex::default(),
            made: Condvar::new(),
        }
    }

    /// Whether anybody waits.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(SeqCst) > 0
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(SeqCst)
    }

    /// Whether a waker waits.
    #[cfg(feature = "processes")]
    pub(super) fn is_watched(&self) -> bool {
        self.watching.load(SeqCst) > 0
    }

    /// Whether a waiter is to be woken, now that this much waits in the queue.
    pub(super) fn is_due(&self, bounds: Bounds, items: usize, bytes: usize) -> bool {
        self.is_wanted()
            && (bounds.are_far(items, bytes)
                || self.watching.load(SeqCst) > 0 && !bounds.are_reached(items, bytes))
    }

    /// Waits a moment for room.
    pub(super) fn wait(&self) {
        self.waiting.fetch_add(1, SeqCst);
        let _ = self
            .made
            .wait_timeout(self.lock(), LOOK_EVERY)
            .unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, SeqCst);
    }

    /// Has the waker woken when there is room; the caller looks once more after this.
    pub(super) fn watch(&self, waker: &Waker) {
        // Clones and drops of wakers are user code: not under the lock.
        let new = waker.clone();
        let mut wakers = self.lock();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(new);
            self.watching.fetch_add(1, SeqCst);
            self.waiting.fetch_add(1, SeqCst);
        }
    }

    /// There is room. May run wakers: no lock may be held.
    pub(super) fn was_made(&self, effects: &Effects) {
        let wakers = {
            let mut wakers = self.lock();
            self.watching.fetch_sub(wakers.len(), SeqCst);
            self.waiting.fetch_sub(wakers.len(), SeqCst);
            std::mem::take(&mut *wakers)
        };
        self.made.notify_all();
        for waker in wakers {
            effects.run(Effect::Waker(waker));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
