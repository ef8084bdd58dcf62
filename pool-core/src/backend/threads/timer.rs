//! What happens on threads by the clock: deadlines of tasks, retries, and queued tasks that do not
//! start in time.
//!
//! A deadline has no entry for each task: a worker enters what it runs on its seat together with
//! the deadline, and this thread looks at all seats when the first one is due. A task that is done
//! in time leaves nothing behind, however long its limit.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle as Thread;
use std::time::{Duration, Instant};

use super::Shared;
use crate::TaskError;
use crate::cell::{Abandon, Job, Paused};

/// From how many entries on those that nobody needs any more are looked for.
const PURGE_FROM: usize = 1024;

/// A thread that is started when it is first needed.
#[derive(Debug)]
pub(super) struct Timer {
    state: Mutex<State>,
    changed: Condvar,
    thread: Mutex<Option<Thread<()>>>,
}

#[derive(Debug)]
struct State {
    /// When the seats are to be looked at.
    seats: Option<Instant>,
    entries: BinaryHeap<Entry>,
    purge_at: usize,
    thread: Life,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    NotStarted,
    Runs,
    /// There is none, and will be none.
    Over,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    due: Due,
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
                entries: BinaryHeap::new(),
                purge_at: PURGE_FROM,
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

    /// Keeps a task that failed, and has it run again after so long.
    pub(super) fn keep(&self, after: Duration, paused: Paused, pool: &Arc<Shared>) {
        pool.paused.fetch_add(1, SeqCst);
        let at = Instant::now() + after;
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
        let mut unwanted = Vec::new();
        if state.entries.len() >= state.purge_at {
            let entries = std::mem::take(&mut state.entries).into_iter();
            let (wanted, others) = entries.partition(|entry| entry.due.is_wanted());
            state.entries = Vec::into(wanted);
            unwanted = others;
            state.purge_at = PURGE_FROM.max(2 * state.entries.len());
        }
        if let Due::Retry(paused) = &due {
            // It has started in time. (Its claim has another pointer: nothing is dropped here.)
            let first = |entry: &Entry| !matches!(&entry.due, Due::Start(job) if paused.is(job));
            state.entries.retain(first);
        }
        state.entries.push(Entry { at, due });
        drop(state);
        // They may be the last names of results, whose destructors are the user's.
        drop::<Vec<_>>(unwanted);
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
        pool.callbacks.leave_to_another_thread();
        let mut state = self.lock();
        while state.thread != Life::Over {
            let now = Instant::now();
            if state.seats.is_some_and(|at| at <= now) {
                // Whoever enters a seat from here on says so again.
                state.seats = None;
                drop(state);
                let next = look(pool, now);
                state = self.lock();
                state.seats = [state.seats, next].into_iter().flatten().min();
                continue;
            }
            if state.entries.peek().is_some_and(|entry| entry.at <= now) {
                let due = state.entries.pop();
                drop(state);
                if let Some(Entry { due, .. }) = due {
                    due.happens(pool);
                }
                state = self.lock();
                continue;
            }
            let entry = state.entries.peek().map(|entry| entry.at);
            state = match [state.seats, entry].into_iter().flatten().min() {
                Some(at) => {
                    self.changed
                        .wait_timeout(state, at - now)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
        let entries = std::mem::take(&mut state.entries);
        drop(state);
        drop(entries);
    }

    /// What waits for a retry is not run again: the pool wants none any more.
    pub(super) fn drop_retries(&self, pool: &Shared) {
        let mut state = self.lock();
        let entries = std::mem::take(&mut state.entries);
        let (retries, others) = entries
            .into_iter()
            .partition::<Vec<_>, _>(|entry| entry.due.is_retry());
        state.entries = others.into();
        drop(state);
        for _ in &retries {
            pool.one_resumed();
        }
        // Wakes who waits for them.
        drop(retries);
    }

    /// Those are dropped for which nobody waits any more.
    pub(super) fn drop_cancelled_retries(&self, pool: &Shared) {
        let mut state = self.lock();
        let entries = std::mem::take(&mut state.entries);
        let (cancelled, others) = entries
            .into_iter()
            .partition::<Vec<_>, _>(|entry| entry.due.is_cancelled_retry());
        state.entries = others.into();
        drop(state);
        for _ in &cancelled {
            pool.one_resumed();
        }
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
                pool.count_timeout(pool.refuse(&job, TaskError::expired(job.name())));
            }
        }
    }
}

impl std::fmt::Debug for Due {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Retry(_) => "Retry",
            Self::Start(_) => "Start",
        })
    }
}

// The heap's greatest is the earliest.
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

/// Ends the handles of overdue tasks; says when the next one is due.
fn look(pool: &Shared, now: Instant) -> Option<Instant> {
    let mut next = None;
    for (job, deadline) in pool.on_seats() {
        match deadline {
            // Waking runs foreign code; no seat is locked.
            Some(at) if at <= now => {
                pool.count_timeout(job.head().abandon(Abandon::TimedOut));
            }
            Some(at) if !job.head().is_resolved() => {
                next = Some(next.map_or(at, |next: Instant| next.min(at)));
            }
            _ => {}
        }
    }
    next
}
