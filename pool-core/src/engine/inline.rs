//! The inline backend: a task runs in the calling thread, inside `submit`.

use std::cell::Cell;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::Instant;

use super::{Backend, Engine, Entry};
use crate::engine::description::{Description, Phase};
use crate::error::pool_error::Error;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::job::cell::{Came, Job};
use crate::job::current::Frame;
use crate::job::initializer::Initializer;
use crate::metrics::recorder::Metrics;
use crate::metrics::stats::Stats;
use crate::sync::local::Local;

/// How many tasks were begun, have ended with a result, and without one.
#[derive(Default)]
struct Tasks {
    begun: AtomicU64,
    finished: AtomicU64,
    unfinished: AtomicU64,
}

/// No worker, no queue: a job is resolved when `submit` returns.
pub(crate) struct Inline {
    metrics: Metrics,
    /// The thread that has submitted first, and mostly is the only one: what it counts, it alone
    /// writes.
    owner: AtomicUsize,
    own: Tasks,
    /// What all others count.
    others: Tasks,
    closed: AtomicBool,
    /// Why it takes no tasks, if its initializer has failed.
    broken: Option<String>,
}

impl Inline {
    pub(crate) fn new() -> Self {
        Self {
            metrics: Metrics::new(),
            owner: AtomicUsize::new(0),
            own: Tasks::default(),
            others: Tasks::default(),
            closed: AtomicBool::new(false),
            broken: None,
        }
    }

    /// The same after this initializer has run.
    pub(crate) fn initialized(initializer: &Initializer) -> Self {
        let (handle, job) = initializer.job();
        job.run_here(Frame::new(Backend::Inline, 0), None);
        Self {
            broken: handle
                .into_outcome()
                .err()
                .map(|error| super::broken(&error)),
            ..Self::new()
        }
    }
}

impl Inline {
    fn run(&self, job: Job) {
        let start = self.metrics.takes_a_sample().then(Instant::now);
        let is_owner = self.is_owner();
        let count = |word: fn(&Tasks) -> &AtomicU64| {
            if is_owner {
                let own = word(&self.own);
                own.store(own.load(Relaxed) + 1, Release);
            } else {
                word(&self.others).fetch_add(1, Release);
            }
        };
        count(|tasks| &tasks.begun);
        match job.run_here(Frame::new(Backend::Inline, 0), None) {
            Came::Finished => count(|tasks| &tasks.finished),
            came => {
                if let Came::Failed(kind) = came {
                    self.metrics.failed(kind, 1);
                }
                count(|tasks| &tasks.unfinished);
            }
        }
        if let Some(start) = start {
            self.metrics.ran(start.elapsed());
        }
    }

    fn is_owner(&self) -> bool {
        // A thread is told by the address of what is its own. One that has the address of an owner
        // that has ended takes its place.
        thread_local!(static HERE: Cell<u8> = const { Cell::new(0) });
        let address = |here: &Cell<u8>| std::ptr::from_ref(here).addr();
        let Some(here) = HERE.access(address) else {
            return false;
        };
        match self.owner.load(Relaxed) {
            0 => self
                .owner
                .compare_exchange(0, here, Relaxed, Relaxed)
                .is_ok(),
            owner => owner == here,
        }
    }
}

impl Engine for Inline {
    fn kind(&self) -> Backend {
        Backend::Inline
    }

    fn workers(&self) -> usize {
        1
    }

    fn runs_at_once(&self) -> bool {
        true
    }

    fn submit(&self, job: Job, _: Entry) {
        let why = match &self.broken {
            _ if self.closed.load(Relaxed) => super::SHUT_DOWN,
            Some(why) => why,
            None => return self.run(job),
        };
        self.metrics.failed(TaskErrorKind::Rejected, 1);
        job.refuse(TaskError::rejected(job.name(), why));
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn wait(&self, job: &Job, deadline: Option<Instant>) {
        // Resolved already, unless a task joins itself.
        job.head().park_until_resolved(deadline);
    }

    fn poll(&self, _: &Job) {}

    fn watch(&self, _: &Job) {}

    fn is_running(&self, job: &Job) -> bool {
        job.head().state.is_running()
    }

    fn cancel(&self, _: &Job) -> bool {
        false
    }

    fn cancel_queued(&self, _: &Job) {}

    fn stats(&self) -> Stats {
        let both = |word: fn(&Tasks) -> &AtomicU64| {
            // Acquire: nothing has ended that is not seen to have begun, which is read later.
            word(&self.own).load(Acquire) + word(&self.others).load(Acquire)
        };
        let (finished, unfinished) = (
            both(|tasks| &tasks.finished),
            both(|tasks| &tasks.unfinished),
        );
        let running = both(|tasks| &tasks.begun) - finished - unfinished;
        let stats = self.metrics.stats();
        Stats {
            workers: 1,
            workers_started: 1,
            running: usize::try_from(running).unwrap_or(usize::MAX),
            finished,
            timed_out: stats.failed.of(TaskErrorKind::TimedOut),
            ..stats
        }
    }

    fn describe(&self) -> Description {
        let mut described = Description::new(Backend::Inline, 1, self.stats());
        described.phase = match &self.broken {
            Some(why) => Phase::Broken(why.clone()),
            None if self.closed.load(Relaxed) => Phase::Ended,
            None => Phase::Open,
        };
        described
    }

    fn resize(&self, _: usize) -> Result<(), Error> {
        Ok(())
    }

    fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    fn cancel_all_queued(&self) {}

    fn kill(&self) {
        self.close();
    }

    fn wait_until_ended(&self, _: Option<Instant>) -> bool {
        true
    }

    fn running(&self) -> Vec<String> {
        Vec::new()
    }
}
