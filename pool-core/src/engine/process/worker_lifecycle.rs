//! The life of the workers as a function of (state, event, now): when one is started, killed,
//! replaced, given up. No I/O and no clock; the supervisor's thread does what comes out.

use std::time::{Duration, Instant};

use super::describe::Seen;
use crate::error::pool_error::{Error, StartFailure};
use crate::error::task_error::Exit;

/// How often in a row a worker may fail to start, while no other serves, before the pool breaks.
pub(super) const MAX_START_FAILURES: u32 = 5;

const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// After how long without a task a worker that serves has started well.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// How long a worker may take to end when it was told to.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Worker {
    /// No process; one is started at this moment.
    Absent {
        start_at: Instant,
    },
    /// A process that has not said hello. Without a time it may take as long as it likes.
    Starting {
        until: Option<Instant>,
        pid: u32,
    },
    Serving {
        since: Instant,
        pid: u32,
    },
    /// Told to end.
    Stopping {
        until: Instant,
        then: Then,
    },
    /// Killed, and why, while it started.
    Unfit {
        failure: Error,
    },
    /// Killed otherwise; if it served, since when.
    Dying {
        served: Option<(Instant, u32)>,
        then: Then,
    },
    /// No process, until one is needed.
    Resting,
    /// No process, and none will be.
    Gone,
}

/// What comes after a worker that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Another one.
    Replace,
    /// None, until one is needed.
    Rest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Not every worker has said hello yet; a failure fails the build.
    Building,
    Running,
    /// Who dies is not replaced.
    Ending,
}

/// What the supervisor's thread is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Start(usize),
    Kill(usize),
    /// Give it tasks.
    Serve(usize),
    /// Every worker serves.
    Built,
    /// No worker can be had.
    Break(Error),
}

/// How far a worker has come before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CameTo {
    /// It has run no task.
    Nothing,
    /// It ended in its initializer.
    Initializer,
    /// It has run a task.
    Work,
}

#[derive(Debug)]
pub(super) struct WorkerLifecycle {
    workers: Vec<Worker>,
    mode: Mode,
    /// Which places have had a worker that said hello.
    greeted: Vec<bool>,
    /// How many workers there should be; those from here on rest.
    target: usize,
    start_timeout: Duration,
    /// Failed starts in a row. A worker that said hello and ended before it did anything counts.
    failures: u32,
    /// Why the last of them has failed.
    failure: Option<String>,
    /// What the worker that ends next has said of its end.
    last_words: Option<String>,
}

impl WorkerLifecycle {
    pub(super) fn seen(&self) -> Seen {
        let in_state = |is: fn(&Worker) -> bool| {
            let workers = self.workers[..self.target].iter();
            workers.filter(|worker| is(worker)).count()
        };
        Seen {
            starting: in_state(|worker| matches!(worker, Worker::Starting { .. })),
            resting: in_state(|worker| *worker == Worker::Resting),
            failures: self.failures,
            failure: self.failure.clone().filter(|_| self.failures > 0),
        }
    }

    pub(super) fn new(workers: usize, start_timeout: Duration, now: Instant) -> Self {
        Self {
            workers: vec![Worker::Absent { start_at: now }; workers],
            mode: Mode::Building,
            greeted: vec![false; workers],
            target: workers,
            start_timeout,
            failures: 0,
            failure: None,
            last_words: None,
        }
    }

    /// The worker that has [`exited`](Self::exited) next has said this of its end.
    pub(super) fn last_words_are(&mut self, words: Option<String>) {
        self.last_words = words;
    }

    /// What is due by the clock.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        for (index, worker) in self.workers.iter_mut().enumerate() {
            match *worker {
                Worker::Absent { start_at } if start_at <= now => {
                    actions.push(Action::Start(index))
                }
                Worker::Starting {
                    until: Some(until),
                    pid,
                } if until <= now => {
                    let reason = StartFailure::Silent(self.start_timeout);
                    *worker = Worker::Unfit {
                        failure: Error::WorkerStart { pid, reason },
                    };
                    actions.push(Action::Kill(index));
                }
                Worker::Stopping { until, then } if until <= now => {
                    *worker = Worker::Dying { served: None, then };
                    actions.push(Action::Kill(index));
                }
                _ => {}
            }
        }
        actions
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let times = self.workers.iter().filter_map(|worker| match worker {
            Worker::Absent { start_at } => Some(*start_at),
            Worker::Starting { until, .. } => *until,
            Worker::Stopping { until, .. } => Some(*until),
            Worker::Serving { .. }
            | Worker::Unfit { .. }
            | Worker::Dying { .. }
            | Worker::Resting
            | Worker::Gone => None,
        });
        times.min()
    }

    /// A process was started.
    pub(super) fn started(&mut self, index: usize, pid: u32, now: Instant) {
        self.workers[index] = Worker::Starting {
            until: now.checked_add(self.start_timeout),
            pid,
        };
    }

    /// No process could be started.
    pub(super) fn not_started(&mut self, index: usize, error: Error, now: Instant) -> Vec<Action> {
        self.start_failed(index, error, now)
    }

    /// The first message of a worker.
    pub(super) fn hello(
        &mut self,
        index: usize,
        said: Result<(), StartFailure>,
        now: Instant,
    ) -> Vec<Action> {
        let Worker::Starting { pid, .. } = self.workers[index] else {
            return Vec::new();
        };
        if let Err(reason) = said {
            self.workers[index] = Worker::Unfit {
                failure: Error::WorkerStart { pid, reason },
            };
            return vec![Action::Kill(index)];
        }
        self.workers[index] = Worker::Serving { since: now, pid };
        let mut actions = vec![Action::Serve(index)];
        self.greeted[index] = true;
        if self.mode == Mode::Building && self.greeted.iter().all(|greeted| *greeted) {
            self.mode = Mode::Running;
            actions.push(Action::Built);
        }
        actions
    }

    /// A worker overran, or broke the protocol; says whether the caller must kill it.
    pub(super) fn condemn(&mut self, index: usize) -> bool {
        let (served, then) = match self.workers[index] {
            Worker::Serving { since, pid } => (Some((since, pid)), Then::Replace),
            Worker::Stopping { then, .. } => (None, then),
            _ => return false,
        };
        self.workers[index] = Worker::Dying { served, then };
        true
    }

    /// A worker has been told to end, and has nothing to do.
    pub(super) fn retire(&mut self, index: usize, then: Then, now: Instant) {
        if let Worker::Serving { .. } = self.workers[index] {
            let until = now + STOP_GRACE;
            self.workers[index] = Worker::Stopping { until, then };
        }
    }

    /// Starts resting workers again, as many as are needed beside those that serve.
    pub(super) fn wake(&mut self, needed: usize, now: Instant) {
        let coming =
            |worker: &&Worker| matches!(worker, Worker::Absent { .. } | Worker::Starting { .. });
        let coming = self.workers.iter().filter(coming).count();
        let resting = self.workers[..self.target]
            .iter_mut()
            .filter(|worker| **worker == Worker::Resting);
        for worker in resting.take(needed.saturating_sub(coming)) {
            *worker = Worker::Absent { start_at: now };
        }
    }

    pub(super) fn target(&self) -> usize {
        self.target
    }

    /// There are to be so many workers. Those that serve and are too many are retired by the
    /// caller when they have nothing to do.
    pub(super) fn resize(&mut self, target: usize, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.mode == Mode::Ending {
            return actions;
        }
        self.target = target;
        let all = target.max(self.workers.len());
        self.workers.resize(all, Worker::Resting);
        self.greeted.resize(all, true);
        for (index, worker) in self.workers.iter_mut().enumerate() {
            match worker {
                Worker::Resting if index < target => *worker = Worker::Absent { start_at: now },
                Worker::Absent { .. } if index >= target => *worker = Worker::Resting,
                Worker::Starting { .. } if index >= target => {
                    *worker = Worker::Dying {
                        served: None,
                        then: Then::Rest,
                    };
                    actions.push(Action::Kill(index));
                }
                _ => {}
            }
        }
        actions
    }

    /// A process has ended; what it had come to.
    pub(super) fn exited(
        &mut self,
        index: usize,
        exit: Exit,
        came_to: CameTo,
        now: Instant,
    ) -> Vec<Action> {
        let words = self.last_words.take();
        let did_work = came_to == CameTo::Work;
        if did_work {
            self.failures = 0;
        }
        let early = |since: Instant| {
            came_to == CameTo::Initializer || !did_work && now < since + SETTLED_AFTER
        };
        let then = match self.workers[index] {
            _ if index >= self.target => Then::Rest,
            Worker::Stopping { then, .. } | Worker::Dying { then, .. } => then,
            _ => Then::Replace,
        };
        let failure = match &self.workers[index] {
            Worker::Starting { pid, .. } => Some(ended(*pid, exit, words)),
            Worker::Serving { since, pid }
            | Worker::Dying {
                served: Some((since, pid)),
                ..
            } if self.mode != Mode::Ending && early(*since) => Some(ended(*pid, exit, words)),
            Worker::Unfit { failure } => Some(failure.clone()),
            _ => None,
        };
        match failure {
            Some(error) => self.start_failed(index, error, now),
            None => {
                self.workers[index] = match then {
                    _ if self.mode == Mode::Ending => Worker::Gone,
                    Then::Replace => Worker::Absent { start_at: now },
                    Then::Rest => Worker::Resting,
                };
                Vec::new()
            }
        }
    }

    fn start_failed(&mut self, index: usize, error: Error, now: Instant) -> Vec<Action> {
        self.workers[index] = Worker::Gone;
        self.failures += 1;
        self.failure = Some(error.to_string());
        let hopeless =
            self.failures >= MAX_START_FAILURES && !self.workers.iter().any(Worker::serves);
        match self.mode {
            Mode::Ending => Vec::new(),
            Mode::Building if !self.greeted[index] || hopeless => vec![Action::Break(error)],
            Mode::Running if hopeless => vec![Action::Break(error)],
            Mode::Running if index >= self.target => {
                self.workers[index] = Worker::Resting;
                Vec::new()
            }
            Mode::Building | Mode::Running => {
                self.workers[index] = Worker::Absent {
                    start_at: now + MAX_BACKOFF.min(backoff(self.failures)),
                };
                Vec::new()
            }
        }
    }

    /// The pool is drained and the serving workers were told to end.
    pub(super) fn stop(&mut self, now: Instant) -> Vec<Action> {
        self.end(|worker| match worker {
            Worker::Serving { .. } => Some(Worker::Stopping {
                until: now + STOP_GRACE,
                then: Then::Rest,
            }),
            Worker::Stopping { .. } => Some(worker.clone()),
            _ => None,
        })
    }

    /// Everybody is to be killed.
    pub(super) fn kill(&mut self) -> Vec<Action> {
        self.end(|_| None)
    }

    /// Ends every worker: as `gently` says, else by a kill.
    fn end(&mut self, gently: impl Fn(&Worker) -> Option<Worker>) -> Vec<Action> {
        self.mode = Mode::Ending;
        let mut actions = Vec::new();
        for (index, worker) in self.workers.iter_mut().enumerate() {
            match worker {
                Worker::Gone | Worker::Unfit { .. } | Worker::Dying { .. } => {}
                Worker::Absent { .. } | Worker::Resting => *worker = Worker::Gone,
                _ => match gently(worker) {
                    Some(next) => *worker = next,
                    None => {
                        *worker = Worker::Dying {
                            served: None,
                            then: Then::Rest,
                        };
                        actions.push(Action::Kill(index));
                    }
                },
            }
        }
        actions
    }

    pub(super) fn is_ending(&self) -> bool {
        self.mode == Mode::Ending
    }

    /// No process is left and none will be started.
    pub(super) fn is_gone(&self) -> bool {
        self.workers.iter().all(|worker| *worker == Worker::Gone)
    }

    /// Whether the worker has not said hello yet.
    pub(super) fn is_starting(&self, index: usize) -> bool {
        matches!(self.workers[index], Worker::Starting { .. })
    }
}

impl Worker {
    fn serves(&self) -> bool {
        matches!(self, Self::Serving { .. })
    }
}

fn ended(pid: u32, exit: Exit, words: Option<String>) -> Error {
    let how = match words {
        None => exit.to_string(),
        Some(words) => format!("{exit}: {words}"),
    };
    Error::WorkerStart {
        pid,
        reason: StartFailure::Ended { how },
    }
}

fn backoff(failures: u32) -> Duration {
    FIRST_BACKOFF.saturating_mul(1 << failures.min(16))
}

#[cfg(test)]
mod tests;
