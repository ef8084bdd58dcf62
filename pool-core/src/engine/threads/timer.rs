//! What happens on threads by the clock: deadlines of tasks, retries, and queued tasks that do not
//! start in time.
//!
//! A deadline has no entry for each task: a worker enters what it runs on its seat together with
//! the deadline, and this thread looks at all seats when the first one is due. A task that is done
//! in time leaves nothing behind, however long its limit.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle as Thread;
use std::time::{Duration, Instant};

use super::super::timers::Timers;
use super::Shared;
use crate::error::task_error::{Abandon, TaskError};
use crate::job::cell::{Job, Paused};
use crate::sync::clock;

/// A thread that is started when it is first needed.
pub(super) struct Timer {
    state: Mutex<State>,
    changed: Condvar,
    thread: Mutex<Option<Thread<()>>>,
}

struct State {
    /// When the seats are to be looked at.
    seats: Option<Instant>,
    entries: Timers<Due>,
    thread: Life,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    NotStarted,
    Runs,
    /// No timer thread runs, and none is started any more.
    Over,
}

enum Due {
    /// A task that failed is to be run again.
    Retry(Paused),
    /// A task should have started by now.
    Start(Job),
}

impl Timer {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                seats: None,
                entries: Timers::new(),
                thread: Life::NotStarted,
            }),
            changed: Condvar::new(),
            thread: Mutex::new(None),
        }
    }

    /// A task whose deadline this is has been entered on a seat.
    pub(super) fn look_by(&self, at: Instant, pool: &Arc<Shared>) {
        let mut state = self.lock();
        if state.seats.is_some_and(|seats| seats <= at) {
            return;
        }
        state.seats = Some(at);
        // Without the thread the deadline is still checked when the task returns.
        self.has_thread(&mut state, pool);
        drop(state);
        self.changed.notify_one();
    }

    /// Keeps a task that failed, and runs it again after `after`.
    pub(super) fn keep(&self, after: Duration, paused: Paused, pool: &Arc<Shared>) {
        pool.paused.fetch_add(1, SeqCst);
        let now = clock::now();
        let at = now.checked_add(after).unwrap_or(now);
        match self.enter(at, Due::Retry(paused), pool) {
            Ok(()) => {}
            Err(_) if pool.wants_no_retries() => pool.one_resumed(),
            Err(due) => {
                // There is no thread for it, so this one waits.
                std::thread::sleep(after);
                due.happens(pool);
            }
        }
    }

    /// The task is to be started by then.
    pub(super) fn start_by(&self, at: Instant, job: Job, pool: &Arc<Shared>) {
        // Without a thread it may start later than that.
        let _ = self.enter(at, Due::Start(job), pool);
    }

    fn enter(&self, at: Instant, due: Due, pool: &Arc<Shared>) -> Result<(), Due> {
        let mut state = self.lock();
        // Under the lock, under which `drop_retries` takes out what there is.
        let unwanted = due.is_retry() && pool.wants_no_retries();
        if unwanted || !self.has_thread(&mut state, pool) {
            return Err(due);
        }
        if let Due::Retry(paused) = &due {
            // It has started in time. (Its claim has another pointer: nothing is dropped here.)
            let first = |due: &Due| matches!(due, Due::Start(job) if paused.is(job));
            state.entries.take_if(first);
        }
        let unwanted = state.entries.add(at, due, Due::is_wanted);
        drop(state);
        // They may be the last names of results, whose destructors are the user's.
        drop(unwanted);
        self.changed.notify_one();
        Ok(())
    }

    /// Starts the thread if that was not tried yet; says whether there is one.
    fn has_thread(&self, state: &mut State, pool: &Arc<Shared>) -> bool {
        if state.thread == Life::NotStarted {
            let pool = Arc::clone(pool);
            let thread = std::thread::Builder::new()
                .name("pool-timer".into())
                .spawn(move || pool.timer.run(&pool));
            state.thread = match thread {
                Ok(_) => Life::Runs,
                Err(_) => Life::Over,
            };
            *self.lock_thread() = thread.ok();
        }
        state.thread == Life::Runs
    }

    fn run(&self, pool: &Arc<Shared>) {
        let mut state = self.lock();
        // Except while it waits without a limit.
        let mut watch = clock::Watch::new();
        while state.thread != Life::Over {
            let now = clock::look();
            if state.seats.is_some_and(|at| at <= now) {
                // Whoever enters a seat from here on says so again.
                state.seats = None;
                drop(state);
                let next = look(pool, now);
                state = self.lock();
                state.seats = [state.seats, next].into_iter().flatten().min();
                continue;
            }
            if let Some(due) = state.entries.take_due(now) {
                drop(state);
                due.happens(pool);
                state = self.lock();
                continue;
            }
            state = match [state.seats, state.entries.next()]
                .into_iter()
                .flatten()
                .min()
            {
                Some(at) => {
                    self.changed
                        .wait_timeout(state, clock::BEAT.min(at - now))
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => {
                    drop(watch);
                    let state = self
                        .changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                    watch = clock::Watch::new();
                    state
                }
            };
        }
        let entries = state.entries.take_if(|_| true);
        drop(state);
        drop(entries);
    }

    /// What waits for a retry is not run again: the pool wants none any more.
    pub(super) fn drop_retries(&self, pool: &Shared) {
        self.drop_if(Due::is_retry, pool);
    }

    /// The same of what nobody waits for any more.
    pub(super) fn drop_cancelled_retries(&self, pool: &Shared) {
        self.drop_if(Due::is_cancelled_retry, pool);
    }

    fn drop_if(&self, is: fn(&Due) -> bool, pool: &Shared) {
        let retries = self.lock().entries.take_if(is);
        for _ in &retries {
            pool.one_resumed();
        }
        // Wakes who waits for them.
        drop(retries);
    }

    /// When the first task comes that was kept for another run.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.lock().entries.next_if(Due::is_retry)
    }

    /// The pool's last worker has ended.
    pub(super) fn stop(&self) {
        self.lock().thread = Life::Over;
        self.changed.notify_one();
    }

    /// Waits for the thread's end, unless this is it: what it drops may be the last name of the
    /// pool. Says whether it has ended.
    pub(super) fn join(&self) -> bool {
        let thread = self.lock_thread().take();
        thread.is_none_or(|thread| {
            let ends = thread.thread().id() != std::thread::current().id();
            if ends {
                let _ = thread.join();
            }
            ends
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_thread(&self) -> MutexGuard<'_, Option<Thread<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Due {
    fn is_retry(&self) -> bool {
        matches!(self, Self::Retry(_))
    }

    fn is_cancelled_retry(&self) -> bool {
        matches!(self, Self::Retry(paused) if paused.is_resolved())
    }

    fn is_wanted(&self) -> bool {
        match self {
            Self::Retry(_) => true,
            Self::Start(job) => job.head().state.is_queued(),
        }
    }

    fn happens(self, pool: &Arc<Shared>) {
        match self {
            Self::Retry(paused) => {
                // It is queued again, room or not.
                pool.bounded.admit_anyway();
                let resumed = paused.resume();
                if resumed.is_none() {
                    pool.bounded.is_not_queued();
                }
                if let Some(job) = &resumed {
                    pool.enter(job.clone());
                }
                // After the push: no worker ends in between.
                pool.one_resumed();
                if let Some(job) = resumed {
                    // A worker that joins it may be the only one left to run it.
                    job.head().waiters.nudge_threads();
                }
            }
            Self::Start(job) => {
                let refused = pool.refuse(&job, TaskError::expired(job.name()));
                pool.timed_out.fetch_add(u64::from(refused), Relaxed);
                pool.drop_job(job);
            }
        }
    }
}

/// Ends the handles of overdue tasks; says when the next one is due.
fn look(pool: &Shared, now: Instant) -> Option<Instant> {
    let mut next = None;
    for (job, deadline) in pool.on_seats() {
        match deadline {
            // Waking runs foreign code; no seat is locked.
            Some(at) if at <= now => {
                pool.count_late(job.head().abandon(Abandon::TimedOut));
            }
            Some(at) if !job.head().is_resolved() => {
                next = Some(next.map_or(at, |next: Instant| next.min(at)));
            }
            _ => {}
        }
        pool.drop_job(job);
    }
    next
}
