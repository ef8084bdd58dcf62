//! One worker thread: where it finds its next job, and in which order.
//!
//! A worker looks, in this order, at
//!
//! 1. its own stack: jobs that its tasks submitted, the newest first, as one would call them;
//! 2. its own batch: jobs that it took out of the shared queue together;
//! 3. the batch of a worker that has been at one task since the last look: those jobs are older
//!    than any in the shared queue;
//! 4. the shared queue, from which it takes a batch that should last for [`BATCH_TIME`];
//! 5. the batches and the stacks of the others.
//!
//! Now and then the shared queue comes first, so that a task which submits its successor does not
//! keep all others waiting.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use crossbeam_deque::{Steal, Stealer, Worker as Deque};
use crossbeam_utils::sync::Parker;

use super::Shared;
use super::sleep::spin_until;
use crate::error::task_error::TaskError;
use crate::job::cell::{Job, counts_in};
use crate::sync::blocked;
use crate::sync::local::Local as _;

/// How long the jobs of a batch should take together. So long at most one of them waits behind
/// another one although a worker is free.
const BATCH_TIME: Duration = Duration::from_micros(20);

/// The most jobs in a batch.
const MAX_BATCH: usize = 32;

/// After how many jobs the shared queue comes first.
const FAIRNESS: u32 = 61;

/// A worker's own queues.
struct Local {
    /// Which pool's worker this is.
    pool: *const Shared,
    index: usize,
    stack: Deque<Job>,
}

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

/// What others can steal from a worker.
pub(super) struct Stealers {
    stack: Stealer<Job>,
    batch: Stealer<Job>,
}

impl Stealers {
    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.stack.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.batch.len() + self.stack.len()
    }

    pub(super) fn steal(&self) -> Steal<Job> {
        self.batch.steal().or_else(|| self.stack.steal())
    }
}

/// The queues of a worker to be.
pub(super) struct Queues {
    stack: Deque<Job>,
    batch: Deque<Job>,
}

impl Queues {
    pub(super) fn new() -> Self {
        Self {
            stack: Deque::new_lifo(),
            batch: Deque::new_fifo(),
        }
    }

    pub(super) fn stealers(&self) -> Stealers {
        Stealers {
            stack: self.stack.stealer(),
            batch: self.batch.stealer(),
        }
    }
}

/// Whether the calling thread is one of the pool's workers.
pub(super) fn is_own(pool: &Shared) -> bool {
    with_local(pool, |_| ()).is_some()
}

/// Puts a job on the stack of the calling thread; it comes back where that is no worker of the
/// pool.
#[inline]
pub(super) fn push(pool: &Shared, job: Job) -> Result<(), Job> {
    let mut job = Some(job);
    with_local(pool, |local| job.take().map(|job| local.stack.push(job)));
    match job {
        None => Ok(()),
        Some(job) => Err(job),
    }
}

/// Takes the job off the stack of the calling thread, if it is the newest there; else another
/// pointer to it. With the number of the worker, which this must be.
#[inline]
pub(super) fn take(pool: &Shared, job: &Job) -> Option<(Job, usize)> {
    let mut put_back = false;
    let taken = with_local(pool, |local| {
        let newest = local.stack.pop();
        let job = match newest {
            Some(newest) if newest.is(job) => newest,
            other => {
                if let Some(other) = other {
                    local.stack.push(other);
                    put_back = true;
                }
                job.clone()
            }
        };
        (job, local.index)
    });
    if put_back {
        // Who looked at the stack meanwhile did not see it, and may sleep;
        pool.sleepers.wake_one();
        // or has emptied the queues.
        if pool.killed.load(SeqCst) {
            pool.refuse_queued(TaskError::killed);
        }
    }
    taken
}

#[inline]
fn with_local<T>(pool: &Shared, work: impl FnOnce(&Local) -> T) -> Option<T> {
    let local = LOCAL.access(|local| {
        let local = local.borrow();
        let local = local.as_ref().filter(|own| std::ptr::eq(own.pool, pool))?;
        Some(work(local))
    });
    local.flatten()
}

/// Runs jobs until the pool is closed and all are done.
pub(super) fn run(shared: &Arc<Shared>, queues: Queues, index: usize) {
    LOCAL.store(Some(Local {
        pool: Arc::as_ptr(shared),
        index,
        stack: queues.stack,
    }));
    blocked::works_for(Some(Arc::clone(&shared.blocked)));
    if let Some(own) = shared.workers.get(index) {
        counts_in(Some(own.ledger.clone()));
    }
    let mut worker = Worker {
        shared,
        index,
        batch: queues.batch,
        size: 1,
        taken: 0,
        since: Instant::now(),
        looks: 0,
        // It may be the place of one that has ended.
        ran: shared
            .workers
            .get(index)
            .map_or(0, |own| own.ran.load(Relaxed)),
        seen: Vec::new(),
    };
    let end = worker.run();
    // What the destructors of the thread wait for is waited for by no worker.
    blocked::works_for(None);
    match end {
        End::Left => {}
        End::Closed => {
            // It must be empty: jobs on it would be dropped without an outcome.
            let local = LOCAL.take_out();
            debug_assert!(local.is_none_or(|local| local.stack.is_empty()));
        }
        // The arguments of those jobs are the parent's to drop.
        End::Forked => std::mem::forget((LOCAL.take_out(), worker.batch)),
    }
}

/// Why a worker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The pool does.
    Closed,
    /// There are fewer workers now; its queues are in the worker table.
    Left,
    /// A task has forked and returned in the child as well, which has no other thread. What is in
    /// the queues is the parent's.
    Forked,
}

struct Worker<'a> {
    shared: &'a Arc<Shared>,
    index: usize,
    batch: Deque<Job>,
    /// How many jobs to take at once, learnt from how long the last ones took.
    size: usize,
    /// How many were taken at the last look at the shared queue, and when that was.
    taken: usize,
    since: Instant,
    looks: u32,
    /// How many jobs this worker has begun.
    ran: u64,
    /// How many each other worker had begun at the last look.
    seen: Vec<u64>,
}

impl Worker<'_> {
    fn run(&mut self) -> End {
        let parker = Parker::new();
        let shared = self.shared;
        let place = self.index;
        loop {
            if place >= shared.workers.target() && self.leave() {
                return End::Left;
            }
            // Before the look: what was submitted before the pool was closed is seen by it.
            let ending = shared.is_ending();
            if let Some(job) = self.find() {
                self.ran += 1;
                if let Some(own) = shared.workers.get(place) {
                    own.ran.store(self.ran, Relaxed);
                }
                shared.run(job, self.index);
                if !shared.home.is_here() {
                    return End::Forked;
                }
            } else if ending {
                return End::Closed;
            } else {
                // How long the next job waits for here says nothing of how long it takes.
                self.taken = 0;
                let ready =
                    || shared.has_work() || shared.is_ending() || place >= shared.workers.target();
                if !spin_until(ready) {
                    shared.sleepers.sleep(self.index, &parker, ready);
                    self.note_time(Instant::now());
                }
            }
        }
    }

    /// There are too many workers: gives away what is in its queues and its place; `false`: it is
    /// needed after all.
    fn leave(&mut self) -> bool {
        let shared = self.shared;
        let mut own = || with_local(shared, |local| local.stack.pop()).flatten();
        while let Some(job) = self.batch.pop().or_else(&mut own) {
            shared.queue.push(job);
            shared.sleepers.wake_one();
        }
        let mut vacancies = shared.workers.lock();
        // A pool that was closed before the pushes may have no other worker left.
        if self.index < shared.workers.target() || shared.is_closed() {
            return false;
        }
        if let Some(Local { stack, .. }) = LOCAL.take_out() {
            let batch = std::mem::replace(&mut self.batch, Deque::new_fifo());
            vacancies.vacate(self.index, Queues { stack, batch });
        }
        true
    }

    fn find(&mut self) -> Option<Job> {
        self.looks = self.looks.wrapping_add(1);
        if self.looks.is_multiple_of(FAIRNESS)
            // What is in the batch is older.
            && let Some(job) = (self.batch.pop()).or_else(|| self.shared.queue.take(self.index))
        {
            return Some(job);
        }
        let newest = with_local(self.shared, |local| local.stack.pop()).flatten();
        newest
            .or_else(|| self.batch.pop())
            .or_else(|| self.steal(true))
            .or_else(|| self.take_shared())
            .or_else(|| self.steal(false))
    }

    /// Takes from another worker; with `stuck`, from its batch and only if it has not begun a job
    /// since the last look.
    fn steal(&mut self, stuck: bool) -> Option<Job> {
        let workers = &self.shared.workers;
        let len = workers.len();
        self.seen.resize(len, 0);
        for i in (1..len).map(|i| (self.index + i) % len) {
            let Some(other) = workers.get(i) else {
                continue;
            };
            if stuck {
                let ran = other.ran.load(Relaxed);
                let moved = std::mem::replace(&mut self.seen[i], ran) != ran;
                if moved || other.stealers.batch.is_empty() {
                    continue;
                }
            }
            let found = retry(|| match stuck {
                true => other.stealers.batch.steal(),
                false => other.stealers.steal(),
            });
            if found.is_some() {
                if !other.stealers.is_empty() {
                    self.shared.sleepers.wake_one();
                }
                return found;
            }
        }
        None
    }

    fn take_shared(&mut self) -> Option<Job> {
        let shared = self.shared;
        if shared.queue.is_empty() {
            return None;
        }
        // With one worker there is nobody who could run what waits in a batch.
        match self.workers() {
            1 => self.size = MAX_BATCH,
            _ => self.learn(),
        }
        // The shards take turns in being the first.
        let first = self.index.wrapping_add(self.looks as usize);
        let more = self.size - 1;
        let found = shared
            .queue
            .take_batch(first, more, self.workers(), &self.batch);
        if found.is_some() {
            self.taken = 1 + self.batch.len();
            // The rest is work for whoever sleeps.
            if !self.batch.is_empty() || !shared.queue.is_empty() {
                shared.sleepers.wake_one();
            }
        }
        found
    }

    fn workers(&self) -> usize {
        self.shared.workers.target()
    }

    /// How long the last batch took says how large the next one is.
    fn learn(&mut self) {
        let now = Instant::now();
        if self.taken > 0 {
            let took = now.saturating_duration_since(self.since);
            let each = (took.as_nanos() / self.taken as u128).max(1);
            let fitting = usize::try_from(BATCH_TIME.as_nanos() / each).unwrap_or(MAX_BATCH);
            self.size = fitting.clamp(1, (2 * self.size).min(MAX_BATCH));
        }
        self.since = now;
    }

    /// The next job starts now.
    fn note_time(&self, now: Instant) {
        if let Some(own) = self.shared.workers.get(self.index) {
            own.ledger.starts(self.ran + 1, now);
        }
    }
}

fn retry(steal: impl Fn() -> Steal<Job>) -> Option<Job> {
    loop {
        match steal() {
            Steal::Success(job) => return Some(job),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}
