//! Deadlines of tasks on threads: the handle resolves when the time is over, the task goes on.
//!
//! There is no entry for each task: a worker enters what it runs on its seat together with the
//! deadline, and this thread looks at all seats when the first one is due. A task that is done in
//! time leaves nothing behind, however long its limit.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle as Thread;
use std::time::Instant;

use super::Shared;
use crate::cell::Abandon;

/// A thread that is started by the first task with a deadline.
#[derive(Debug)]
pub(super) struct Timer {
    state: Mutex<State>,
    changed: Condvar,
    thread: Mutex<Option<Thread<()>>>,
}

#[derive(Debug, Default)]
struct State {
    /// When the seats are to be looked at.
    next: Option<Instant>,
    started: bool,
    stopped: bool,
}

impl Timer {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            thread: Mutex::new(None),
        }
    }

    /// A task whose deadline this is has been entered on a seat.
    pub(super) fn look_by(&self, at: Instant, pool: &Arc<Shared>) {
        let mut state = self.lock();
        if state.next.is_some_and(|next| next <= at) {
            return;
        }
        state.next = Some(at);
        if state.started {
            drop(state);
            self.changed.notify_one();
        } else if !state.stopped {
            state.started = true;
            let pool = Arc::clone(pool);
            // Without the thread the deadline is still checked when the task returns.
            let thread = std::thread::Builder::new()
                .name("pool-timer".into())
                .spawn(move || pool.timer.run(&pool));
            *self.lock_thread() = thread.ok();
        }
    }

    fn run(&self, pool: &Shared) {
        let mut state = self.lock();
        while !state.stopped {
            let now = Instant::now();
            match state.next {
                Some(at) if at <= now => {
                    // Whoever enters a seat from here on says so again.
                    state.next = None;
                    drop(state);
                    let next = look(pool, now);
                    state = self.lock();
                    state.next = [state.next, next].into_iter().flatten().min();
                }
                Some(at) => {
                    state = self
                        .changed
                        .wait_timeout(state, at - now)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
                None => {
                    state = self
                        .changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// The pool's last worker has ended.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_one();
    }

    /// Waits for the thread's end.
    pub(super) fn join(&self) {
        let thread = self.lock_thread().take();
        // A callback on the timer's own thread may end the pool.
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_thread(&self) -> MutexGuard<'_, Option<Thread<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the handles of overdue tasks; says when the next one is due.
fn look(pool: &Shared, now: Instant) -> Option<Instant> {
    let mut next = None;
    for (job, deadline) in pool.on_seats() {
        match deadline {
            // Waking runs foreign code; no seat is locked.
            Some(at) if at <= now => {
                job.head().abandon(Abandon::TimedOut);
            }
            Some(at) if !job.head().is_resolved() => {
                next = Some(next.map_or(at, |next: Instant| next.min(at)));
            }
            _ => {}
        }
    }
    next
}
