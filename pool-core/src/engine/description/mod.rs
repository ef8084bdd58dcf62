//! What a pool says of itself in words: what each worker does, and why nothing moves.

mod finding;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

pub use finding::Finding;

use crate::error::backend::Backend;
use crate::metrics::stats::Stats;

/// What a pool is at: made by [`Pool::describe`](crate::Pool::describe). Printed, it fits a
/// terminal of 80 columns and 24 lines.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Description {
    /// Where its tasks run.
    pub backend: Backend,
    /// Whether it takes tasks.
    pub phase: Phase,
    /// The numbers.
    pub stats: Stats,
    /// How many workers there are to be.
    pub target: usize,
    /// The workers that there are. Inline there is none: tasks run in the threads that submit them.
    pub workers: Vec<WorkerInfo>,
    /// Workers that wait inside of their tasks for something of a pool: the result of another task,
    /// room in a queue. On threads only, where that is known.
    pub waiting_inside: usize,
    /// Who waits for room in the queue, threads and futures.
    pub waiting_for_room: usize,
    /// Tasks that have failed and wait for another run, and when the first of them comes.
    pub retries: usize,
    /// See [`retries`](Self::retries).
    pub next_retry: Option<Duration>,
    /// Worker processes that have not said hello.
    pub starting: usize,
    /// Workers that have ended for want of work, and come back with it.
    pub resting: usize,
    /// How many starts of worker processes have failed in a row, and why the last one did.
    pub failed_starts: u32,
    /// See [`failed_starts`](Self::failed_starts).
    pub last_failed_start: Option<String>,
    /// Lines of worker processes that [`Output::Prefix`](crate::Output::Prefix) could not write, and
    /// the error of the last one.
    pub lost_lines: u64,
    /// See [`lost_lines`](Self::lost_lines).
    pub last_lost_line: Option<String>,
    /// Why nothing moves, or what does; the most important first. There is at least one.
    pub findings: Vec<Finding>,
}

/// Whether a pool takes tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Phase {
    /// It does.
    #[default]
    Open,
    /// It takes no more, and does what it has.
    Draining,
    /// It was shut down and has nothing left.
    Ended,
    /// It was killed.
    Killed,
    /// It cannot go on: why.
    Broken(String),
    /// This process was forked from the one that has the workers.
    Forked,
}

/// What one worker does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerInfo {
    /// Its number, from 0: what [`Current::worker`](crate::Current::worker) says in its tasks.
    pub index: usize,
    /// Its process, where that is one of its own.
    pub pid: Option<u32>,
    /// What it is at.
    pub state: WorkerState,
    /// The name of the task that it runs.
    pub task: Option<&'static str>,
    /// The innermost of the tasks that this one waits for and that run in its place.
    pub inside: Option<&'static str>,
    /// For how long it has been running that task, as far as is known.
    pub age: Option<Duration>,
    /// Whether [`age`](Self::age) is that; else the task has been seen to run for so long, and may
    /// have run before.
    pub age_is_exact: bool,
    /// Resident memory of its process in bytes, what it shares with others included.
    pub memory: Option<u64>,
    /// Tasks that came to a result on it.
    pub finished: u64,
}

impl WorkerInfo {
    pub(crate) fn new(index: usize) -> Self {
        Self {
            index,
            pid: None,
            state: WorkerState::Idle,
            task: None,
            inside: None,
            age: None,
            age_is_exact: false,
            memory: None,
            finished: 0,
        }
    }
}

/// What a worker is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerState {
    /// It waits for a task.
    Idle,
    /// It runs a task.
    Running,
    /// It runs a task that was cancelled, or is late: nobody waits for it any more.
    Overdue,
    /// It runs the initializer of the pool.
    Initializing,
    /// Its process is stopped: by a SIGSTOP, or a debugger.
    Stopped,
    /// It was told to end, or is being killed.
    Ending,
}

impl Description {
    pub(crate) fn new(backend: Backend, target: usize, stats: Stats) -> Self {
        Self {
            backend,
            phase: Phase::default(),
            stats,
            target,
            workers: Vec::new(),
            waiting_inside: 0,
            waiting_for_room: 0,
            retries: 0,
            next_retry: None,
            starting: 0,
            resting: 0,
            failed_starts: 0,
            last_failed_start: None,
            lost_lines: 0,
            last_lost_line: None,
            findings: Vec::new(),
        }
    }

    /// Says what all this means.
    pub(crate) fn concluded(mut self) -> Self {
        self.findings = finding::of(&self);
        self
    }

    /// The worker that has been at its task for the longest time.
    #[must_use]
    pub fn longest(&self) -> Option<&WorkerInfo> {
        let busy = self.workers.iter().filter(|worker| worker.task.is_some());
        busy.max_by_key(|worker| worker.age)
    }
}

pub(crate) use text::summary;
