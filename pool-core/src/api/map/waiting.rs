//! The consumer's side of a batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::handle::JoinHandle;
use crate::api::pool::Pool;
use crate::error::task_error::TaskError;
use crate::job::cell::{Batch, BatchConsumer, Found};
use crate::job::current;
use crate::job::work::BatchJob;
use crate::sync::blocked;
use crate::task::Task;
use crate::task::seed::Seeds;

/// How many workers are called to a batch at first. As long as its consumer waits, it calls one
/// more each [`LOOK_AFTER`].
const FIRST_BATCH_JOBS: usize = 8;

/// The consumer of a batch sleeps until there is some work done ([`Pace::nap`](super::pace::Pace)),
/// and at most until it is so much later, since one of the tasks may take long.
const LOOK_AFTER: Duration = Duration::from_millis(1);

/// How often the consumer looks before it sleeps, where it is to be woken for each task.
const SPINS: u32 = 100;

/// A batch that is being worked on.
pub(super) struct Waiting<T: Task> {
    pub(super) consumer: BatchConsumer<T>,
    /// The first batch job, until it is known to have come to its end: from then on every task has
    /// started.
    batch_job: Option<JoinHandle<bool>>,
    /// Why the first batch job did not: the pool takes no more work, cancels what has not started, or
    /// was killed.
    failed: Option<TaskError>,
    /// The others, which nobody joins.
    helpers: Vec<JoinHandle<bool>>,
    /// How many more there can be: as many as could be held up at a task each while others go on.
    more: usize,
}

impl<T: Task> Waiting<T> {
    pub(super) fn new(pool: &Pool, tasks: Vec<T>, seeds: Option<Seeds>, run: usize) -> Self {
        let most = tasks.len().min(pool.workers());
        let (batch, consumer) = Batch::new(tasks, seeds, run);
        let batch_job = pool.submit_work(BatchJob(batch), false);
        let mut this = Self {
            consumer,
            batch_job: Some(batch_job),
            failed: None,
            helpers: Vec::new(),
            more: most - 1,
        };
        for _ in 1..most.min(FIRST_BATCH_JOBS) {
            this.call_one_more(pool);
        }
        this
    }

    /// Whoever comes late finds nothing to do.
    fn call_one_more(&mut self, pool: &Pool) {
        self.more -= 1;
        let batch = Arc::clone(self.consumer.batch());
        self.helpers.push(pool.submit_work(BatchJob(batch), false));
    }

    /// Nothing is left to be done: batch jobs that nobody has taken up hold the batch no longer. On a
    /// worker's own stack they would until the task that maps has ended.
    pub(super) fn end(self) {
        for batch_job in self.batch_job.iter().chain(&self.helpers) {
            batch_job.cancel_queued();
        }
    }

    /// What has not started never does; with `running`, what runs is asked to stop.
    pub(super) fn give_up(self, running: bool) {
        self.consumer.cancel();
        if running {
            for batch_job in self.batch_job.iter().chain(&self.helpers) {
                batch_job.cancel();
            }
        }
        self.end();
    }

    /// Whether there is a next outcome, or will be none.
    pub(super) fn is_ready(&mut self) -> bool {
        self.look_at_batch_job();
        self.consumer.left() > 0 && (self.failed.is_some() || self.consumer.look() == Found::Done)
    }

    /// Waits for the next outcome; the consumer may sleep as long as `nap` tasks take.
    pub(super) fn wait(&mut self, pool: &Pool, nap: usize) -> Result<T::Output, TaskError> {
        let mut spins = 0;
        loop {
            // Before the look at the task: it may have become done in between.
            self.look_at_batch_job();
            let found = self.consumer.look();
            // A fork has none of the workers.
            let forked = pool.is_forked();
            if forked && self.failed.is_none() {
                self.failed = Some(TaskError::cancelled(T::NAME));
            }
            if let Some(outcome) = self.consumer.take() {
                return outcome;
            }
            if let Some(error) = &self.failed {
                // One that runs has its own outcome, unless it was killed.
                if found != Found::Running || forked || pool.is_killed() {
                    self.consumer.skip();
                    return Err(error.clone());
                }
                if self.consumer.watch(0) {
                    std::thread::park_timeout(LOOK_AFTER);
                }
                continue;
            }
            if found == Found::Queued && pool.needs_this_thread() {
                // A worker that waits for it may be the only one that can run it.
                let batch = self.consumer.batch();
                if pool
                    .submit_work(BatchJob(Arc::clone(batch)), false)
                    .join()
                    .is_err()
                {
                    // The pool takes no more work, but the first batch job is still to be run.
                    let batch_job = self.batch_job.as_ref();
                    current::keeping(|| {
                        batch.work_until(|| batch_job.is_none_or(JoinHandle::is_finished))
                    });
                }
            } else if nap == 0 && spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                let batch_job_runs = self.batch_job.as_ref().is_none_or(JoinHandle::watch);
                if batch_job_runs && self.consumer.watch(nap) {
                    self.park(pool, nap);
                }
            }
        }
    }

    fn park(&mut self, pool: &Pool, nap: usize) {
        if self.more == 0 && nap == 0 && !blocked::is_worker() {
            blocked::during(std::thread::park);
            return;
        }
        let begin = Instant::now();
        blocked::during(|| std::thread::park_timeout(LOOK_AFTER));
        if self.more > 0 && begin.elapsed() >= LOOK_AFTER {
            self.call_one_more(pool);
        }
    }

    fn look_at_batch_job(&mut self) {
        if let Some(batch_job) = &self.batch_job
            && let Some(outcome) = batch_job.try_join()
        {
            self.batch_job = None;
            self.failed = match outcome {
                Ok(true) => None,
                Ok(false) => Some(TaskError::cancelled(T::NAME)),
                Err(error) => Some(error),
            };
        }
    }
}
