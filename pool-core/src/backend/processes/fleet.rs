//! The life of the workers as a function of (state, event, now): when one is started, killed,
//! replaced, given up. No I/O and no clock; the supervisor's thread does what comes out.

use std::time::{Duration, Instant};

use super::Exit;
use super::describe::Seen;
use crate::{Error, StartFailure};

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
    /// A process that has not said hello.
    Starting {
        until: Instant,
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
pub(super) struct Fleet {
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
}

impl Fleet {
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
        }
    }

    /// What is due by the clock.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        for (index, worker) in self.workers.iter_mut().enumerate() {
            match *worker {
                Worker::Absent { start_at } if start_at <= now => {
                    actions.push(Action::Start(index))
                }
                Worker::Starting { until, pid } if until <= now => {
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
            Worker::Starting { until, .. } | Worker::Stopping { until, .. } => Some(*until),
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
            until: now + self.start_timeout,
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

    /// So many workers are needed beside those that serve: some that rest come back.
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
            Worker::Starting { pid, .. } => Some(ended(*pid, exit)),
            Worker::Serving { since, pid }
            | Worker::Dying {
                served: Some((since, pid)),
                ..
            } if self.mode != Mode::Ending && early(*since) => Some(ended(*pid, exit)),
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
                    start_at: now + backoff(self.failures),
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

fn ended(pid: u32, exit: Exit) -> Error {
    Error::WorkerStart {
        pid,
        reason: StartFailure::Ended {
            how: exit.to_string(),
        },
    }
}

fn backoff(failures: u32) -> Duration {
    FIRST_BACKOFF
        .saturating_mul(1 << failures.min(16))
        .min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);
    const KILLED: Exit = Exit {
        signal: Some(9),
        code: None,
    };

    const ENDED: Exit = Exit {
        signal: None,
        code: Some(0),
    };

    fn building(workers: usize, now: Instant) -> Fleet {
        let mut fleet = Fleet::new(workers, LIMIT, now);
        let starts: Vec<_> = (0..workers).map(Action::Start).collect();
        assert_eq!(fleet.due(now), starts);
        for index in 0..workers {
            fleet.started(index, 100 + index as u32, now);
        }
        fleet
    }

    fn running(workers: usize, now: Instant) -> Fleet {
        let mut fleet = building(workers, now);
        for index in 0..workers {
            let mut expected = vec![Action::Serve(index)];
            if index + 1 == workers {
                expected.push(Action::Built);
            }
            assert_eq!(fleet.hello(index, Ok(()), now), expected);
        }
        fleet
    }

    #[test]
    fn a_dead_worker_is_replaced_at_once() {
        let now = Instant::now();
        let mut fleet = running(2, now);
        assert_eq!(fleet.exited(1, KILLED, CameTo::Work, now), []);
        assert_eq!(fleet.due(now), [Action::Start(1)]);
        fleet.started(1, 300, now);
        assert_eq!(fleet.due(now), []);
        assert_eq!(fleet.hello(1, Ok(()), now), [Action::Serve(1)]);
    }

    #[test]
    fn a_failure_while_building_breaks_the_pool() {
        let now = Instant::now();
        let mut fleet = building(2, now);
        let actions = fleet.exited(0, KILLED, CameTo::Work, now);
        assert!(
            matches!(
                &actions[..],
                [Action::Break(Error::WorkerStart {
                    pid: 100,
                    reason: StartFailure::Ended { .. }
                })]
            ),
            "{actions:?}"
        );
        assert_eq!(fleet.kill(), [Action::Kill(1)]);
        assert!(!fleet.is_gone());
        assert_eq!(fleet.exited(1, KILLED, CameTo::Work, now), []);
        assert!(fleet.is_gone());
    }

    #[test]
    fn silence_is_a_failure_after_the_limit() {
        let now = Instant::now();
        let mut fleet = building(1, now);
        assert_eq!(fleet.next_due(), Some(now + LIMIT));
        assert_eq!(fleet.due(now + LIMIT), [Action::Kill(0)]);
        let actions = fleet.exited(0, KILLED, CameTo::Work, now + LIMIT);
        assert_eq!(
            actions,
            [Action::Break(Error::WorkerStart {
                pid: 100,
                reason: StartFailure::Silent(LIMIT)
            })]
        );
    }

    #[test]
    fn a_wrong_hello_is_killed_and_reported() {
        let now = Instant::now();
        let mut fleet = building(1, now);
        assert_eq!(
            fleet.hello(0, Err(StartFailure::Garbage), now),
            [Action::Kill(0)]
        );
        assert_eq!(
            fleet.exited(0, KILLED, CameTo::Work, now),
            [Action::Break(Error::WorkerStart {
                pid: 100,
                reason: StartFailure::Garbage
            })]
        );
    }

    #[test]
    fn replacements_back_off_and_the_pool_breaks_when_nobody_serves() {
        let now = Instant::now();
        let mut fleet = running(1, now);
        assert_eq!(fleet.exited(0, KILLED, CameTo::Work, now), []);
        let mut at = now;
        for failure in 1..MAX_START_FAILURES {
            assert_eq!(fleet.due(at), [Action::Start(0)]);
            assert_eq!(fleet.not_started(0, Error::TooDeep, at), []);
            let next = fleet.next_due().unwrap();
            assert_eq!(next - at, backoff(failure));
            assert_eq!(fleet.due(at), []);
            at = next;
        }
        assert_eq!(fleet.due(at), [Action::Start(0)]);
        assert_eq!(
            fleet.not_started(0, Error::TooDeep, at),
            [Action::Break(Error::TooDeep)]
        );
        assert!(fleet.is_gone());
    }

    #[test]
    fn a_pool_with_a_serving_worker_never_breaks() {
        let now = Instant::now();
        let mut fleet = running(2, now);
        assert_eq!(fleet.exited(0, KILLED, CameTo::Work, now), []);
        let mut at = now;
        for _ in 0..10 * MAX_START_FAILURES {
            assert_eq!(fleet.due(at), [Action::Start(0)]);
            assert_eq!(fleet.not_started(0, Error::TooDeep, at), []);
            at = fleet.next_due().unwrap();
        }
    }

    #[test]
    fn who_does_not_stop_is_killed() {
        let now = Instant::now();
        let mut fleet = running(2, now);
        assert_eq!(fleet.stop(now), []);
        assert!(fleet.is_ending());
        assert_eq!(fleet.exited(0, KILLED, CameTo::Work, now), []);
        assert_eq!(fleet.due(now), []);
        assert_eq!(fleet.due(now + STOP_GRACE), [Action::Kill(1)]);
        assert_eq!(fleet.exited(1, KILLED, CameTo::Work, now), []);
        assert!(fleet.is_gone());
    }

    #[test]
    fn a_condemned_worker_is_killed_once_and_replaced() {
        let now = Instant::now();
        let mut fleet = running(1, now);
        assert!(fleet.condemn(0));
        assert!(!fleet.condemn(0));
        assert_eq!(fleet.exited(0, KILLED, CameTo::Work, now), []);
        assert_eq!(fleet.due(now), [Action::Start(0)]);
    }

    #[test]
    fn workers_that_end_right_after_their_hello_break_the_pool() {
        let now = Instant::now();
        let mut fleet = running(1, now);
        let mut at = now;
        for _ in 1..MAX_START_FAILURES {
            assert_eq!(fleet.exited(0, KILLED, CameTo::Nothing, at), []);
            at = fleet.next_due().unwrap();
            assert_eq!(fleet.due(at), [Action::Start(0)]);
            fleet.started(0, 300, at);
            assert_eq!(fleet.hello(0, Ok(()), at), [Action::Serve(0)]);
        }
        let actions = fleet.exited(0, KILLED, CameTo::Nothing, at);
        assert!(matches!(actions[..], [Action::Break(_)]), "{actions:?}");
    }

    #[test]
    fn nor_does_it_help_them_to_close_their_socket_first() {
        let now = Instant::now();
        let mut fleet = running(1, now);
        let mut at = now;
        for _ in 1..MAX_START_FAILURES {
            assert!(fleet.condemn(0));
            assert_eq!(fleet.exited(0, KILLED, CameTo::Nothing, at), []);
            at = fleet.next_due().unwrap();
            assert_eq!(fleet.due(at), [Action::Start(0)]);
            fleet.started(0, 300, at);
            assert_eq!(fleet.hello(0, Ok(()), at), [Action::Serve(0)]);
        }
        assert!(fleet.condemn(0));
        let actions = fleet.exited(0, KILLED, CameTo::Nothing, at);
        assert!(matches!(actions[..], [Action::Break(_)]), "{actions:?}");
    }

    #[test]
    fn a_worker_that_served_a_while_is_replaced_at_once() {
        let now = Instant::now();
        let mut fleet = running(1, now);
        for round in 1..=2 * MAX_START_FAILURES {
            let at = now + round * SETTLED_AFTER;
            assert_eq!(fleet.exited(0, KILLED, CameTo::Nothing, at), []);
            assert_eq!(fleet.due(at), [Action::Start(0)]);
            fleet.started(0, 300, at);
            assert_eq!(fleet.hello(0, Ok(()), at), [Action::Serve(0)]);
        }
    }

    #[test]
    fn a_retired_worker_is_replaced_or_rests_until_it_is_needed() {
        let now = Instant::now();
        let mut fleet = running(3, now);
        fleet.retire(0, Then::Replace, now);
        fleet.retire(1, Then::Rest, now);
        assert_eq!(fleet.exited(0, ENDED, CameTo::Work, now), []);
        assert_eq!(fleet.exited(1, ENDED, CameTo::Nothing, now), []);
        assert_eq!(fleet.due(now), [Action::Start(0)]);
        // One is on its way, and two are needed.
        fleet.wake(1, now);
        assert_eq!(fleet.due(now), [Action::Start(0)]);
        fleet.wake(2, now);
        assert_eq!(fleet.due(now), [Action::Start(0), Action::Start(1)]);
    }

    #[test]
    fn a_retired_worker_that_does_not_end_is_killed_and_rests_all_the_same() {
        let now = Instant::now();
        let mut fleet = running(1, now);
        fleet.retire(0, Then::Rest, now);
        assert_eq!(fleet.due(now + STOP_GRACE), [Action::Kill(0)]);
        assert_eq!(fleet.exited(0, KILLED, CameTo::Nothing, now), []);
        assert_eq!(fleet.due(now + STOP_GRACE), []);
        assert_eq!(fleet.next_due(), None);
        assert_eq!(fleet.stop(now), []);
        assert!(fleet.is_gone());
    }

    #[test]
    fn a_fleet_grows_and_shrinks() {
        let now = Instant::now();
        let mut fleet = running(1, now);
        assert_eq!(fleet.resize(3, now), []);
        assert_eq!(fleet.due(now), [Action::Start(1), Action::Start(2)]);
        fleet.started(1, 7, now);
        // One is starting, one is not yet.
        assert_eq!(fleet.resize(1, now), [Action::Kill(1)]);
        assert_eq!(fleet.exited(1, KILLED, CameTo::Nothing, now), []);
        assert_eq!(fleet.due(now), []);
        // Who is too many and dies is not replaced.
        assert_eq!(fleet.resize(2, now), []);
        assert_eq!(fleet.due(now), [Action::Start(1)]);
        fleet.started(1, 8, now);
        assert_eq!(fleet.hello(1, Ok(()), now), [Action::Serve(1)]);
        assert_eq!(fleet.resize(1, now), []);
        assert_eq!(fleet.exited(1, KILLED, CameTo::Work, now), []);
        assert_eq!(fleet.due(now), []);
        fleet.wake(5, now);
        assert_eq!(fleet.due(now), []);
    }

    #[test]
    fn a_worker_that_ends_in_its_initializer_has_not_started_however_long_it_took() {
        let now = Instant::now();
        let mut fleet = running(1, now);
        let mut at = now + 60 * SETTLED_AFTER;
        for _ in 1..MAX_START_FAILURES {
            assert_eq!(fleet.exited(0, KILLED, CameTo::Initializer, at), []);
            at = fleet.next_due().unwrap();
            assert_eq!(fleet.due(at), [Action::Start(0)]);
            fleet.started(0, 100, at);
            assert_eq!(fleet.hello(0, Ok(()), at), [Action::Serve(0)]);
        }
        let actions = fleet.exited(0, KILLED, CameTo::Initializer, at);
        assert!(matches!(actions[..], [Action::Break(_)]), "{actions:?}");
    }
}
