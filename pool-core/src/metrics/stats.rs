//! What a pool says of itself in numbers.

use std::fmt;
use std::time::Duration;

use crate::error::task_error::TaskErrorKind;

/// The state of a pool at one moment, and what has happened so far. Got with
/// [`Pool::stats`](crate::Pool::stats).
///
/// The moment is not one for all numbers: tasks move while they are counted. What lies between two
/// moments is told by [`since`](Self::since).
///
/// ```
/// use pool_core::{Pool, pool_task};
///
/// #[pool_task]
/// fn double(n: u64) -> u64 {
///     2 * n
/// }
///
/// let pool = Pool::threads()?;
/// let before = pool.stats();
/// assert!(pool.map((0..1_000).map(double::task)).all(|result| result.is_ok()));
/// let lately = pool.stats().since(&before);
/// println!("{:.0} tasks/s", lately.tasks_per_second());
/// # Ok::<(), pool_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// How old the pool is.
    pub uptime: Duration,
    /// Workers that take tasks now: fewer than [`Pool::workers`](crate::Pool::workers) while some
    /// start or rest.
    pub workers: usize,
    /// Tasks that wait for a worker. Those of a map that travel together count as one.
    pub queued: usize,
    /// Workers that run a task whose handle has no outcome yet; inline, tasks that run in the threads
    /// that submit them.
    pub running: usize,
    /// Workers that still run a task whose handle has one already: it was cancelled, or its
    /// deadline has passed. On threads they come back only when the task returns.
    pub overdue: usize,
    /// Tasks that have a result, an `Err` of the function among them; each task of a map counts.
    pub finished: u64,
    /// Tasks that have none, by what happened to them.
    ///
    /// Not among them is a result that cannot be read where it is joined, and what a map had not
    /// started when it was dropped or its pool was closed.
    pub failed: Failures,
    /// The most tasks that ever waited at once.
    pub queue_peak: usize,
    /// Bytes of arguments that wait for a worker; on threads only where
    /// [`queue_bytes`](crate::PoolBuilder::queue_bytes) is set, since nothing is encoded there.
    pub queue_bytes: usize,
    /// The most of them at once.
    pub queue_bytes_peak: usize,
    /// Bytes of shared memory that the lanes of worker processes hold now: arguments and results on
    /// their way, and what is kept for the next ones. It is a small multiple of what is in flight at
    /// once; memory that was not in use for a second or so goes back to the system.
    pub shared_bytes: u64,
    /// Workers that have taken up their work since the pool was built.
    pub workers_started: u64,
    /// Worker processes that ended without being told to.
    pub workers_lost: u64,
    /// Runs that came after one that had failed.
    pub retried: u64,
    /// Tasks that ran past their deadlines, or did not start in time; those among them that ran
    /// again did not fail for that.
    pub timed_out: u64,
    /// How long the parts of a task take.
    pub times: Times,
}

impl Stats {
    /// What has happened between an earlier look at the same pool and this one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Interval {
        Interval {
            elapsed: self.uptime.saturating_sub(earlier.uptime),
            finished: self.finished.saturating_sub(earlier.finished),
            failed: self.failed.minus(&earlier.failed),
            workers_started: self.workers_started.saturating_sub(earlier.workers_started),
            workers_lost: self.workers_lost.saturating_sub(earlier.workers_lost),
            retried: self.retried.saturating_sub(earlier.retried),
            timed_out: self.timed_out.saturating_sub(earlier.timed_out),
            times: self.times.minus(&earlier.times),
        }
    }

    /// Tasks that came to a result, for each second since the pool was built.
    #[must_use]
    pub fn tasks_per_second(&self) -> f64 {
        self.since(&Self::default()).tasks_per_second()
    }
}

/// What has happened between two looks at a pool: see [`Stats::since`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Interval {
    /// How long it is.
    pub elapsed: Duration,
    /// Tasks that came to a result.
    pub finished: u64,
    /// Tasks that came to none.
    pub failed: Failures,
    /// Workers that took up their work.
    pub workers_started: u64,
    /// Worker processes that ended without being told to.
    pub workers_lost: u64,
    /// Runs that came after one that had failed.
    pub retried: u64,
    /// Tasks that ran past their deadlines, or did not start in time.
    pub timed_out: u64,
    /// How long the parts of those tasks took.
    pub times: Times,
}

impl Interval {
    /// Tasks that came to a result in a second.
    #[must_use]
    pub fn tasks_per_second(&self) -> f64 {
        if self.elapsed.is_zero() {
            return 0.0;
        }
        self.finished as f64 / self.elapsed.as_secs_f64()
    }
}

/// How many tasks have failed, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures([u64; TaskErrorKind::ALL.len()]);

impl Failures {
    /// Tasks that failed like this.
    #[must_use]
    pub fn of(&self, kind: TaskErrorKind) -> u64 {
        self.0[kind as usize]
    }

    /// All that failed.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The kinds that have happened, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (TaskErrorKind, u64)> {
        let all = TaskErrorKind::ALL.into_iter().zip(self.0);
        all.filter(|(_, count)| *count > 0)
    }

    pub(crate) fn add(&mut self, kind: TaskErrorKind, tasks: u64) {
        self.0[kind as usize] += tasks;
    }

    fn minus(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|at| {
            self.0[at].saturating_sub(earlier.0[at])
        }))
    }
}

/// "2 panicked, 1 worker lost"; nothing without failures.
impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.iter().next().is_none() {
            return f.write_str("none");
        }
        for (at, (kind, count)) in self.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{count} {}", kind.in_words())?;
        }
        Ok(())
    }
}

/// How long the parts of a task's way take on average; `None` for what was not measured.
///
/// Where tasks take some time each of them is measured, of quick ones one in many, so the numbers
/// are those of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times(pub(crate) [Mean; Part::COUNT]);

/// A part of a task's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Encode,
    Wait,
    Run,
    Decode,
}

impl Part {
    pub(crate) const COUNT: usize = 4;
}

/// Some times, and how long they are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mean {
    pub(crate) count: u64,
    pub(crate) nanos: u64,
}

impl Times {
    /// Turning the arguments into bytes, where the caller submits them; only worker processes need
    /// that.
    #[must_use]
    pub fn encode(&self) -> Option<Duration> {
        self.mean(Part::Encode)
    }

    /// From there until a worker starts the task. Tasks of a map that travel together are not
    /// measured: a map submits them when workers are about to become free.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.mean(Part::Wait)
    }

    /// The function itself; in worker processes also reading its arguments and writing its result.
    #[must_use]
    pub fn run(&self) -> Option<Duration> {
        self.mean(Part::Run)
    }

    /// Turning bytes into the result, where the caller joins it; only worker processes need that.
    #[must_use]
    pub fn decode(&self) -> Option<Duration> {
        self.mean(Part::Decode)
    }

    fn mean(&self, part: Part) -> Option<Duration> {
        let Mean { count, nanos } = self.0[part as usize];
        nanos.checked_div(count).map(Duration::from_nanos)
    }

    fn minus(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|at| {
            let (now, before) = (self.0[at], earlier.0[at]);
            Mean {
                count: now.count.saturating_sub(before.count),
                nanos: now.nanos.saturating_sub(before.nanos),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_looks_tell_what_lies_between() {
        let mut early = Stats {
            uptime: Duration::from_secs(10),
            finished: 100,
            ..Stats::default()
        };
        early.failed.add(TaskErrorKind::Panicked, 1);
        early.times.0[Part::Run as usize] = Mean {
            count: 1,
            nanos: 1_000_000,
        };
        let mut late = Stats {
            uptime: Duration::from_secs(12),
            finished: 150,
            ..early
        };
        late.failed.add(TaskErrorKind::Panicked, 1);
        late.failed.add(TaskErrorKind::WorkerLost, 2);
        late.times.0[Part::Run as usize] = Mean {
            count: 3,
            nanos: 1_004_000,
        };
        let between = late.since(&early);
        assert_eq!(between.elapsed, Duration::from_secs(2));
        assert_eq!(between.tasks_per_second(), 25.0);
        assert_eq!(between.failed.to_string(), "1 panicked, 2 worker lost");
        assert_eq!(between.failed.total(), 3);
        assert_eq!(between.times.run(), Some(Duration::from_micros(2)));
        assert_eq!(between.times.wait(), None);
        assert_eq!(late.tasks_per_second(), 12.5);
        // In the wrong order, and of no time, there is nothing.
        assert_eq!(early.since(&late), Interval::default());
        assert_eq!(Interval::default().tasks_per_second(), 0.0);
        assert_eq!(Failures::default().to_string(), "none");
    }
}
