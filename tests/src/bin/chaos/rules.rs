//! The rules that the builder sets for the queue and the workers of a round, and what they must
//! show at its end.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use pool_core::{Backend, Pool, TaskExt};
use pool_tests::chance::Random;

use crate::figures::{FIGURES, blame};
use crate::journal::{Call, INITIALIZER, Start};
use crate::tasks::prepares;
use crate::users::AMPLE;

/// How long a worker may take to start: one that is stopped meanwhile takes its time.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How much memory of its own a worker may have, where that is limited: far more than anybody
/// needs who is not after it.
const MEMORY_LIMIT: u64 = 256 << 20;

/// How many workers a pool has at most.
pub(crate) const MOST_WORKERS: u64 = 6;

/// How many of the tasks of a worker are printed.
const SHOWN: usize = 8;

/// What a pool is built with; nothing of it unless chance wants it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules {
    /// How many tasks may wait.
    pub(crate) queue: Option<usize>,
    /// How long the initializer takes, in microseconds.
    initializer: Option<u64>,
    idle_timeout: Option<Duration>,
    max_tasks: Option<u64>,
    pub(crate) memory_limit: Option<u64>,
}

impl Rules {
    pub(crate) fn any(random: &mut Random) -> Self {
        let queue = 1 + random.below(40) as usize;
        let initializer = random.below(5_000);
        let idle_timeout = Duration::from_millis(random.below(100));
        let max_tasks = 10 << random.below(7);
        Self {
            queue: random.one_in(2).then_some(queue),
            initializer: random.one_in(3).then_some(initializer),
            idle_timeout: random.one_in(3).then_some(idle_timeout),
            max_tasks: random.one_in(3).then_some(max_tasks),
            memory_limit: random.one_in(3).then_some(MEMORY_LIMIT),
        }
    }

    /// The same with other bounds.
    pub(crate) fn with_queue(self, queue: Option<usize>) -> Self {
        Self { queue, ..self }
    }

    pub(crate) fn build(
        &self,
        backend: Backend,
        workers: usize,
        grace: Duration,
        journal: &Path,
    ) -> Pool {
        let mut builder = Pool::builder()
            .backend(backend)
            .workers(workers)
            .grace(grace)
            .start_timeout(START_TIMEOUT);
        if let Some(tasks) = self.queue {
            builder = builder.queue(tasks);
        }
        if let Some(micros) = self.initializer {
            let call = Call::new(journal, INITIALIZER);
            builder = builder.initializer(prepares::task(&call, micros).timeout(AMPLE));
        }
        if let Some(limit) = self.idle_timeout {
            builder = builder.idle_timeout(limit);
        }
        if let Some(tasks) = self.max_tasks {
            builder = builder.max_tasks_per_worker(tasks);
        }
        if let Some(bytes) = self.memory_limit {
            builder = builder.memory_limit(bytes);
        }
        builder.build().unwrap()
    }

    /// What the journal shows of each worker: its initializer once and before anything else, and
    /// no more tasks than it may run.
    pub(crate) fn check(&self, backend: Backend, starts: &[Start]) {
        let mut workers: HashMap<u32, Vec<u64>> = HashMap::new();
        for start in starts {
            workers.entry(start.worker).or_default().push(start.number);
        }
        for (worker, numbers) in &workers {
            let mut initialized = numbers.iter().filter(|number| **number == INITIALIZER);
            let times = initialized.by_ref().count();
            FIGURES.initialized.add(times as u64);
            // Inline the calling thread runs it again for each pool.
            let is_right = match (self.initializer, backend) {
                (None, _) => times == 0,
                (Some(_), Backend::Inline) => numbers[0] == INITIALIZER,
                (Some(_), _) => numbers[0] == INITIALIZER && times == 1,
            };
            if !is_right {
                let first = &numbers[..numbers.len().min(SHOWN)];
                let text = format!("worker {worker} ran {times} initializers: {first:?}");
                blame(&FIGURES.wrong, &text);
            }
            let tasks = (numbers.len() - times) as u64;
            if backend == Backend::Processes && self.max_tasks.is_some_and(|most| tasks > most) {
                let text = format!("worker {worker} ran {tasks} tasks, of {self:?}");
                blame(&FIGURES.wrong, &text);
            }
        }
    }

    /// What a pool says of itself while it is at work.
    pub(crate) fn check_stats(&self, pool: &Pool) {
        let stats = pool.stats();
        let most = MOST_WORKERS as usize;
        // Inline each thread that submits is a worker meanwhile.
        let busy = match pool.backend() {
            Backend::Inline => 0,
            _ => stats.running + stats.overdue,
        };
        if stats.workers > most || busy > most {
            blame(
                &FIGURES.wrong,
                &format!("{most} workers at most: {stats:?}"),
            );
        }
    }

    /// What a pool says of itself that has ended.
    pub(crate) fn check_last_stats(pool: &Pool) {
        let stats = pool.stats();
        // Inline the worker is whoever calls.
        let workers = stats.workers - usize::from(pool.backend() == Backend::Inline);
        let left = [stats.queued, stats.running, stats.overdue, workers];
        if left != [0; 4] || stats.queue_bytes != 0 {
            blame(&FIGURES.wrong, &format!("it has ended: {stats:?}"));
        }
    }
}
