//! The working life of a worker, seen from the scheduler: its initializer, how many tasks it may have
//! had, when it has had too little to do or too much memory, and when it is one too many.

use std::time::{Duration, Instant};

use super::after::After;
use super::scheduler::Scheduler;
use super::worker_lifecycle::Then;
use super::worker_queue::WorkerQueue;
use crate::engine::{Config, broken};
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::job::cell::{Claimed, Handle};
use crate::job::initializer::Initializer;
use crate::sync::clock;

/// The rules for every worker of a pool.
pub(super) struct Rules {
    initializer: Option<Initializer>,
    max_tasks: u64,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) memory_limit: Option<u64>,
}

/// How far a worker is with its initializer.
enum Init {
    Runs(Handle<()>),
    /// It has an outcome, which is being read.
    Read,
    Done,
}

/// How far one worker is.
pub(super) struct Life {
    init: Init,
    /// How many more tasks it may be given.
    left: u64,
    /// It is given no more: it is one too many.
    surplus: bool,
    /// It was told to end.
    stopped: bool,
    /// It is about to be killed, and is given nothing more.
    pub(super) condemned: bool,
    /// How many tasks were done at a look, and when that was first seen.
    quiet: (u64, Instant),
    born: Instant,
    /// The most memory that was seen, once that is too much, and the limit.
    pub(super) too_much: Option<(u64, u64)>,
}

impl Rules {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            initializer: config.initializer.clone(),
            max_tasks: config.processes.max_tasks.unwrap_or(u64::MAX),
            idle_timeout: config.processes.idle_timeout,
            memory_limit: config.processes.memory_limit,
        }
    }

    pub(super) fn has_initializer(&self) -> bool {
        self.initializer.is_some()
    }

    pub(super) fn life(&self, surplus: bool) -> Life {
        Life {
            init: Init::Done,
            left: self.max_tasks,
            surplus,
            stopped: false,
            condemned: false,
            quiet: (0, clock::now()),
            born: clock::now(),
            too_much: None,
        }
    }
}

impl Life {
    /// How many more tasks it may be given now.
    #[inline]
    pub(super) fn room(&self) -> u64 {
        match self.is_initializing() || self.surplus || self.stopped || self.condemned {
            true => 0,
            false => self.left,
        }
    }

    #[inline]
    pub(super) fn was_given(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    pub(super) fn was_taken_from(&mut self) {
        self.left += 1;
    }

    /// Whether the supervisor is to look when the task that is given now is done.
    #[inline]
    pub(super) fn ends_soon(&self) -> bool {
        self.left == 0 || self.surplus
    }

    pub(super) fn is_initializing(&self) -> bool {
        !matches!(self.init, Init::Done)
    }

    /// How long ago the worker said hello.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// What is to become of a worker that has nothing to do.
    fn end(&self, idle_timeout: Option<Duration>, now: Instant) -> Option<Then> {
        let quiet = now.saturating_duration_since(self.quiet.1);
        if self.stopped || self.condemned || self.is_initializing() {
            None
        } else if self.surplus || idle_timeout.is_some_and(|limit| quiet >= limit) {
            Some(Then::Rest)
        } else if self.left == 0 || self.too_much.is_some() {
            Some(Then::Replace)
        } else {
            None
        }
    }
}

impl Scheduler {
    /// Has a new worker run its initializer before anything else.
    pub(super) fn initialize(&mut self, index: usize, after: &mut After) {
        let Some(initializer) = &self.rules.initializer else {
            return;
        };
        let (handle, job) = initializer.job();
        // The supervisor is told of its end.
        handle.job().head().state.watch(true);
        // Its arguments are encoded already: no foreign code runs here.
        if let Some(job) = Claimed::new(job)
            && self.give_to(index, job, after).is_ok()
            && let Some(worker_queue) = &mut self.worker_queues[index]
        {
            worker_queue.life.init = Init::Runs(handle);
            // It does not count toward the tasks that the worker may run.
            worker_queue.life.was_taken_from();
        }
    }

    /// Hands on the outcomes of initializers, to be read without the lock.
    pub(super) fn take_initialized(&mut self, after: &mut After) {
        for worker_queue in self.worker_queues.iter_mut().flatten() {
            if matches!(&worker_queue.life.init, Init::Runs(handle) if handle.job().head().is_resolved())
                && let Init::Runs(handle) =
                    std::mem::replace(&mut worker_queue.life.init, Init::Read)
            {
                let (index, generation) = (worker_queue.index, worker_queue.generation);
                after.initialized.push((index, generation, handle));
            }
        }
    }

    /// An initializer has come to its end.
    pub(super) fn initialized(
        &mut self,
        index: usize,
        generation: u64,
        outcome: Result<(), TaskError>,
        after: &mut After,
    ) {
        match outcome {
            // Its death is one at the start: the worker lifecycle counts those.
            Err(error) if error.is_worker_lost() => {}
            // Cancelled with all that has not started, when the pool is shut down, it breaks
            // nothing.
            Err(error) if !error.is_cancelled() => {
                self.end(TaskErrorKind::Rejected, &broken(&error), after);
            }
            Ok(()) | Err(_) => {
                if let Some(worker_queue) = self.worker_queue(index, generation) {
                    worker_queue.life.init = Init::Done;
                    // Earlier work does not count toward the tasks.
                    worker_queue.counts.others = worker_queue.done;
                }
                self.turn(after);
            }
        }
        after.poke = true;
    }

    /// Sets the number of workers.
    pub(super) fn resize(&mut self, target: usize, after: &mut After) {
        self.target = target;
        if self.worker_queues.len() < target {
            self.worker_queues.resize_with(target, || None);
        }
        let mut back = Vec::new();
        for (index, worker_queue) in self.worker_queues.iter_mut().enumerate() {
            let Some(worker_queue) = worker_queue else {
                continue;
            };
            worker_queue.life.surplus = index >= target;
            if index >= target {
                back.extend(worker_queue.take_all_back(after));
                if worker_queue.ahead() > 0 {
                    // It ends when that is done, which nobody else may notice.
                    worker_queue.tell_supervisor(worker_queue.head - 1);
                }
            }
        }
        self.put_back(back, after);
        self.turn(after);
        after.poke = true;
    }

    /// Tells workers to end that have nothing to do and whose time has come.
    pub(super) fn retire(&mut self, now: Instant, after: &mut After) -> Vec<(usize, Then)> {
        let mut retired = Vec::new();
        let idle_timeout = self.rules.idle_timeout;
        for worker_queue in self.worker_queues.iter_mut().flatten() {
            worker_queue.note_quiet(now);
            if worker_queue.is_idle()
                && let Some(then) = worker_queue.life.end(idle_timeout, now)
            {
                worker_queue.put_stop(after);
                retired.push((worker_queue.index, then));
            }
        }
        retired
    }

    /// When a worker may have been idle for long enough.
    pub(super) fn next_retirement(&self) -> Option<Instant> {
        let limit = self.rules.idle_timeout?;
        let worker_queues = self.worker_queues.iter().flatten();
        let quiet = worker_queues.filter(|worker_queue| !worker_queue.life.stopped);
        quiet
            .filter_map(|worker_queue| worker_queue.life.quiet.1.checked_add(limit))
            .min()
    }

    /// The task that each worker runs, before its memory is looked at.
    pub(super) fn at_tasks(&self) -> Vec<Option<u64>> {
        let at = |worker_queue: &Option<WorkerQueue>| {
            let worker_queue = worker_queue.as_ref()?;
            (worker_queue.done..worker_queue.head).find(|seq| worker_queue.runs(*seq))
        };
        self.worker_queues.iter().map(at).collect()
    }

    /// A worker has so much memory of its own, since it was at task `seq`; says whether it must be
    /// killed.
    pub(super) fn uses_memory(
        &mut self,
        index: usize,
        bytes: u64,
        seq: Option<u64>,
        after: &mut After,
    ) -> bool {
        let Some(limit) = self.rules.memory_limit else {
            return false;
        };
        let Some(worker_queue) = self.worker_queues.get_mut(index).and_then(Option::as_mut) else {
            return false;
        };
        if bytes <= limit {
            // Others that die meanwhile have died of something else.
            if !worker_queue.life.condemned {
                worker_queue.life.too_much = None;
            }
            return false;
        }
        worker_queue.life.too_much = Some((bytes, limit));
        seq.is_some_and(|seq| self.condemn(index, seq, after))
    }
}

impl WorkerQueue {
    fn note_quiet(&mut self, now: Instant) {
        if self.ahead() > 0 || self.life.quiet.0 != self.done {
            self.life.quiet = (self.done, now);
        }
    }

    /// A word to the worker that ends it: the lane is empty.
    pub(super) fn put_stop(&mut self, after: &mut After) {
        if !std::mem::replace(&mut self.life.stopped, true) {
            self.write_stop(after);
        }
    }
}
