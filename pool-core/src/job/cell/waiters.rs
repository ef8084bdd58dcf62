//! The waiters of a task: threads, wakers, callbacks, and those that wait for many tasks.
//!
//! No wake-up is lost: a waiter enters the list first and then sets the state word's *watched*
//! bit ([`State::watch`]); whoever resolves the task reads that bit in the very operation that
//! resolves it, and then empties the list. Either the resolver sees the bit, and finds the
//! waiter in the list; or the waiter's own operation sees the task resolved, and it does not
//! wait.

use std::fmt;
use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::Thread;

use super::State;
use super::effects::{self, Callback, Effect, Effects};

/// Whom to tell which ones of many tasks are resolved, by the numbers that it gave them.
pub(crate) trait Notice: Send + Sync {
    /// Returns the waker of the one to be told, if it has left one.
    fn resolved(&self, number: usize) -> Option<Waker>;
}

/// The pool whose threads run the user code of a waiter; `None` inline.
type Home = Option<Arc<Effects>>;

enum Waiter {
    Thread(Thread),
    Waker(Waker, Home),
    Callback(Callback, Home),
    Notice(Arc<dyn Notice>, usize, Home),
}

impl Waiter {
    /// May run user code: no lock may be held.
    fn wake(self) {
        match self {
            Self::Thread(thread) => thread.unpark(),
            Self::Waker(waker, home) => effects::dispatch(Effect::Waker(waker), home.as_ref()),
            Self::Callback(callback, home) => {
                effects::dispatch(Effect::Callback(callback), home.as_ref());
            }
            Self::Notice(notice, number, home) => {
                if let Some(waker) = notice.resolved(number) {
                    effects::dispatch(Effect::Waker(waker), home.as_ref());
                }
            }
        }
    }
}

/// The list of waiters of one task: one word, until somebody waits.
pub(crate) struct Waiters(AtomicPtr<List>);

type List = Mutex<Entries>;

/// Those who wait, in the order in which they came. The first one is in the list itself, so that a
/// worker that wakes it frees no memory: that is up to who has the handle, which has allocated it.
#[derive(Default)]
struct Entries {
    first: Option<Waiter>,
    others: Vec<Waiter>,
}

impl Entries {
    fn push(&mut self, waiter: Waiter) {
        match self.first {
            None if self.others.is_empty() => self.first = Some(waiter),
            _ => self.others.push(waiter),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Waiter> {
        self.first.iter().chain(&self.others)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Waiter> {
        self.first.iter_mut().chain(&mut self.others)
    }

    fn retain(&mut self, keep: impl Fn(&Waiter) -> bool) {
        self.first = self.first.take().filter(&keep);
        self.others.retain(keep);
    }
}

impl Waiters {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Enters the calling thread; `false` when the task is resolved already. The thread is
    /// unparked once; it may be left in the list if it gives up earlier.
    pub(crate) fn add_thread(&self, state: &State) -> bool {
        let current = std::thread::current();
        {
            let mut list = self.lock();
            let known = list.iter().any(
                |waiter| matches!(waiter, Waiter::Thread(thread) if thread.id() == current.id()),
            );
            if !known {
                list.push(Waiter::Thread(current));
            }
        }
        self.watch(state, true)
    }

    /// Enters a waker, in the place of the one that the same future left before.
    pub(crate) fn add_waker(&self, waker: &Waker, home: Home, state: &State) -> bool {
        // Clones and drops of wakers are user code: not under the lock.
        let waker = waker.clone();
        let replaced = {
            let mut list = self.lock();
            let known = list.iter_mut().find_map(|waiter| match waiter {
                Waiter::Waker(known, _) => Some(known),
                _ => None,
            });
            match known {
                Some(known) => Some(std::mem::replace(known, waker)),
                None => {
                    list.push(Waiter::Waker(waker, home));
                    None
                }
            }
        };
        drop(replaced);
        self.watch(state, true)
    }

    /// Enters a callback; it runs as soon as it can when the task is resolved already.
    pub(crate) fn add_callback(&self, callback: Callback, home: Home, state: &State) -> bool {
        self.lock().push(Waiter::Callback(callback, home));
        self.watch(state, true)
    }

    /// Enters somebody who looks for itself, and tells it at once when the task is resolved already.
    pub(crate) fn add_notice(
        &self,
        notice: Arc<dyn Notice>,
        number: usize,
        home: Home,
        state: &State,
    ) {
        self.lock().push(Waiter::Notice(notice, number, home));
        self.watch(state, false);
    }

    /// Takes it out again.
    pub(crate) fn remove_notice(&self, notice: &Arc<dyn Notice>) {
        let is_other = |waiter: &Waiter| match waiter {
            Waiter::Notice(entered, ..) => !Arc::ptr_eq(entered, notice),
            _ => true,
        };
        self.lock().retain(is_other);
    }

    fn watch(&self, state: &State, alert: bool) -> bool {
        let waiting = state.watch(alert);
        if !waiting {
            // The resolver may have emptied the list before this entry came.
            self.wake_all();
        }
        waiting
    }

    /// Wakes everybody, in the order in which they came. The task is resolved.
    #[inline]
    pub(crate) fn wake_all(&self) {
        if self.0.load(Acquire).is_null() {
            return;
        }
        let Entries { first, others } = std::mem::take(&mut *self.lock());
        for waiter in first.into_iter().chain(others) {
            waiter.wake();
        }
    }

    /// Unparks the threads, which stay in the list: they look for themselves.
    pub(crate) fn nudge_threads(&self) {
        if self.0.load(Acquire).is_null() {
            return;
        }
        for waiter in self.lock().iter() {
            if let Waiter::Thread(thread) = waiter {
                thread.unpark();
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().iter().count()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // No user code runs under this lock, and the list is whole at every moment.
        self.list().lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The list, which is created on the first use.
    fn list(&self) -> &List {
        let mut list = self.0.load(Acquire);
        if list.is_null() {
            let new = Box::into_raw(Box::default());
            match self
                .0
                .compare_exchange(ptr::null_mut(), new, AcqRel, Acquire)
            {
                Ok(_) => list = new,
                Err(other) => {
                    // SAFETY: from `Box::into_raw`, and nobody has seen it.
                    drop(unsafe { Box::from_raw(new) });
                    list = other;
                }
            }
        }
        // SAFETY: from `Box::into_raw`; it stays until `self` is dropped.
        unsafe { &*list }
    }
}

impl Drop for Waiters {
    fn drop(&mut self) {
        let list = *self.0.get_mut();
        if !list.is_null() {
            // SAFETY: from `Box::into_raw`, and nobody else is left.
            drop(unsafe { Box::from_raw(list) });
        }
    }
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").finish_non_exhaustive()
    }
}
