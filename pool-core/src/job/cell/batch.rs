//! Many tasks of one map that any number of workers run together.
//!
//! A batch lies in one piece of memory. Who works on it holds a *batch job*, an ordinary job; there
//! are some for each batch, so that a task that takes long keeps back no other. A worker with a
//! batch job claims a *run* of tasks with one step of a common cursor, and then each of them by its
//! own state; when the cursor is at the end, it goes through the runs that others have not
//! finished, and claims there what has not started. So the cursor is a hint that keeps workers
//! apart, and the state of a task is the truth:
//!
//! | state | contents | whose |
//! |---|---|---|
//! | `QUEUED` | the task | nobody's: who changes the state owns it |
//! | `RUNNING` | nothing | the worker's that runs it |
//! | `DONE` | the outcome | the consumer's; there is one (`BatchConsumer`) |
//! | `TAKEN` | nothing | nobody's |
//!
//! The consumer that waits for a task sets its `WATCHED` bit; the worker gets the bit back from
//! the exchange that makes it `DONE`, and wakes the consumer. Either the worker sees the bit, or
//! the consumer sees `DONE`.

use std::cell::UnsafeCell;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::{counts, running};
use crate::error::panics::drop_quietly;
use crate::error::task_error::TaskError;
use crate::job::current;
use crate::job::work::Work;
use crate::sync::thread::{self, Thread};
use crate::sync::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Mutex, MutexGuard};
use crate::task::Task;
use crate::task::seed::Seeds;

const QUEUED: u8 = 0;
const RUNNING: u8 = 1;
const DONE: u8 = 2;
const TAKEN: u8 = 3;
const STATE: u8 = 0b11;

/// The consumer waits for this task.
const WATCHED: u8 = 1 << 2;

struct Item<T: Task> {
    state: AtomicU8,
    contents: UnsafeCell<Contents<T>>,
}

enum Contents<T: Task> {
    Call(T),
    Outcome(Result<T::Output, TaskError>),
    Empty,
}

pub(crate) struct Batch<T: Task> {
    items: Box<[Item<T>]>,
    seeds: Option<Seeds>,
    /// How many tasks are claimed at once.
    run: usize,
    /// Runs of which every task has started, or is taken.
    finished: Box<[AtomicBool]>,
    /// The first task that no run has claimed.
    cursor: AtomicUsize,
    /// How many tasks have run, and for how many nanoseconds.
    ran: AtomicUsize,
    nanos: AtomicU64,
    consumer: Mutex<Option<Thread>>,
}

// SAFETY: the contents of an item are touched by one thread at a time, the owner by its state
// (table above), and may be sent to another thread: tasks and their outputs are `Send`.
unsafe impl<T: Task> Sync for Batch<T> {}

/// What the consumer finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Queued,
    Running,
    Done,
}

/// What was run and is not counted yet.
#[derive(Debug, Default)]
struct Runs {
    tasks: usize,
    failed: usize,
}

impl Runs {
    #[inline]
    fn add(&mut self, outcome: Result<(), &TaskError>) {
        self.tasks += 1;
        if let Err(error) = outcome {
            self.failed += 1;
            counts::failed(error.kind());
        }
    }
}

impl<T: Task> Item<T> {
    fn claim(&self) -> bool {
        self.state
            .fetch_update(AcqRel, Acquire, |word| {
                (word & STATE == QUEUED).then_some(word & !STATE | RUNNING)
            })
            .is_ok()
    }

    /// Takes the contents out.
    ///
    /// # Safety
    /// The caller owns them by the item's state.
    unsafe fn swap(&self, new: Contents<T>) -> Contents<T> {
        // SAFETY: handed on to the caller.
        std::mem::replace(unsafe { &mut *self.contents.get() }, new)
    }

    /// Runs the task, which the caller has claimed; says whether the consumer waits for it.
    /// `ran` is told how it went before the consumer can know.
    #[inline]
    fn run(&self, ran: impl FnOnce(Result<(), &TaskError>)) -> bool {
        // SAFETY: the caller has claimed the task.
        if let Contents::Call(task) = unsafe { self.swap(Contents::Empty) } {
            let outcome = Work::run(task);
            ran(outcome.as_ref().map(|_| ()));
            // SAFETY: it is still the caller's.
            unsafe { *self.contents.get() = Contents::Outcome(outcome) };
        }
        self.state.swap(DONE, AcqRel) & WATCHED != 0
    }
}

impl<T: Task> Batch<T> {
    /// A batch, and its consumer.
    pub(crate) fn new(
        tasks: Vec<T>,
        seeds: Option<Seeds>,
        run: usize,
    ) -> (Arc<Self>, BatchConsumer<T>) {
        let items: Box<[_]> = tasks
            .into_iter()
            .map(|task| Item {
                state: AtomicU8::new(QUEUED),
                contents: UnsafeCell::new(Contents::Call(task)),
            })
            .collect();
        let run = run.max(1);
        let batch = Arc::new(Self {
            finished: (0..items.len().div_ceil(run))
                .map(|_| AtomicBool::new(false))
                .collect(),
            items,
            seeds,
            run,
            cursor: AtomicUsize::new(0),
            ran: AtomicUsize::new(0),
            nanos: AtomicU64::new(0),
            consumer: Mutex::new(None),
        });
        let consumer = BatchConsumer {
            batch: Arc::clone(&batch),
            next: 0,
        };
        (batch, consumer)
    }

    /// Runs tasks until each has started, or the job that does this is asked to stop: its pool was
    /// killed, or what has not started is cancelled. Says whether each has started.
    pub(crate) fn work(&self) -> bool {
        self.work_until(running::is_stopped)
    }

    pub(crate) fn work_until(&self, stop: impl Fn() -> bool) -> bool {
        loop {
            let first = self.cursor.fetch_add(self.run, Relaxed);
            if first >= self.items.len() {
                break;
            }
            if !self.work_on(first / self.run, &stop) {
                return false;
            }
        }
        let unfinished = |run: &usize| !self.finished[*run].load(Relaxed);
        (0..self.finished.len())
            .filter(unfinished)
            .all(|run| self.work_on(run, &stop))
    }

    fn work_on(&self, run: usize, stop: &impl Fn() -> bool) -> bool {
        let begin = Instant::now();
        let first = run * self.run;
        let items = &self.items[first..self.items.len().min(first + self.run)];
        let mut runs = Runs::default();
        let mut stopped = false;
        for (at, item) in items.iter().enumerate() {
            stopped = stop();
            if stopped {
                break;
            }
            if item.claim() {
                if let Some(seeds) = self.seeds {
                    current::reseed(seeds.of(first + at));
                }
                let is_last = at + 1 == items.len();
                let watched = item.run(|outcome| {
                    runs.add(outcome);
                    if is_last {
                        // Who has got all outcomes finds all tasks counted.
                        self.count(&mut runs, begin);
                    }
                });
                if watched {
                    self.wake_consumer();
                }
            }
        }
        self.count(&mut runs, begin);
        if !stopped {
            self.finished[run].store(true, Relaxed);
        }
        !stopped
    }

    fn count(&self, runs: &mut Runs, begin: Instant) {
        let Runs { tasks, failed } = std::mem::take(runs);
        if tasks > 0 {
            let time = begin.elapsed();
            counts::ran(tasks, tasks - failed, time);
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            self.nanos.fetch_add(nanos, Relaxed);
            self.ran.fetch_add(tasks, Relaxed);
        }
    }

    fn wake_consumer(&self) {
        if let Some(consumer) = self.consumer().take() {
            consumer.unpark();
        }
    }

    fn consumer(&self) -> MutexGuard<'_, Option<Thread>> {
        self.consumer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many tasks have run so far, and how long they took together.
    pub(crate) fn pace(&self) -> (usize, Duration) {
        let nanos = self.nanos.load(Relaxed);
        (self.ran.load(Relaxed), Duration::from_nanos(nanos))
    }
}

impl<T: Task> Drop for Batch<T> {
    fn drop(&mut self) {
        if std::mem::needs_drop::<Contents<T>>() {
            // Each by itself: a destructor that panics harms no other.
            for item in &mut self.items {
                drop_quietly(std::mem::replace(item.contents.get_mut(), Contents::Empty));
            }
        }
    }
}

/// The consumer's end of a batch: takes the outcomes in order.
pub(crate) struct BatchConsumer<T: Task> {
    batch: Arc<Batch<T>>,
    next: usize,
}

impl<T: Task> BatchConsumer<T> {
    pub(crate) fn batch(&self) -> &Arc<Batch<T>> {
        &self.batch
    }

    /// How many outcomes were not taken yet.
    pub(crate) fn left(&self) -> usize {
        self.batch.items.len() - self.next
    }

    fn item(&self) -> &Item<T> {
        &self.batch.items[self.next]
    }

    /// What has become of the next task; there is one.
    pub(crate) fn look(&self) -> Found {
        // Acquire: pairs with the exchange of the worker that ran it.
        match self.item().state.load(Acquire) & STATE {
            QUEUED => Found::Queued,
            RUNNING => Found::Running,
            _ => Found::Done,
        }
    }

    /// The outcome of the next task, if it is done.
    pub(crate) fn take(&mut self) -> Option<Result<T::Output, TaskError>> {
        if self.left() == 0 || self.look() != Found::Done {
            return None;
        }
        let item = self.item();
        item.state.store(TAKEN, Relaxed);
        // SAFETY: it was done, so it is the consumer's, which this is.
        let Contents::Outcome(outcome) = (unsafe { item.swap(Contents::Empty) }) else {
            unreachable!("a task that is done has an outcome");
        };
        self.next += 1;
        Some(outcome)
    }

    /// Passes over the next task, which then never runs if it has not started.
    pub(crate) fn skip(&mut self) {
        self.drop_queued(self.next);
        self.next += 1;
    }

    /// What has not started never does.
    pub(crate) fn cancel(&self) {
        self.batch.cursor.fetch_max(self.batch.items.len(), Relaxed);
        for at in (self.next..self.batch.items.len()).rev() {
            self.drop_queued(at);
        }
    }

    fn drop_queued(&self, at: usize) {
        let item = &self.batch.items[at];
        if item.claim() {
            // SAFETY: it was claimed.
            drop_quietly(unsafe { item.swap(Contents::Empty) });
            item.state.store(TAKEN, Relaxed);
        }
    }

    /// Enters the calling thread to be unparked when the task that comes `ahead` after the next one
    /// is done, or the last one; if that is done already, when the next one is. `false`: they are.
    pub(crate) fn watch(&self, ahead: usize) -> bool {
        *self.batch.consumer() = Some(thread::current());
        let far = self.batch.items.len().min(self.next + ahead + 1) - 1;
        [far, self.next].into_iter().any(|at| {
            let before = self.batch.items[at].state.fetch_or(WATCHED, AcqRel);
            before & STATE != DONE
        })
    }
}
