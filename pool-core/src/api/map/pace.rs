//! How many tasks of a map go together.

use std::time::Duration;

/// The most tasks in a chunk or batch.
pub(super) const MAX_CHUNK: usize = 4096;

/// How long a worker should run what it claims of a batch in one step.
const RUN_TIME: Duration = Duration::from_micros(5);
const MAX_RUN: usize = 64;

/// How much work waits for each worker: another map on the same pool waits behind it.
const AHEAD_TIME: Duration = Duration::from_millis(100);

/// The consumer of a batch sleeps until so much work has been done, to be woken once for many short
/// tasks.
const NAP_TIME: Duration = Duration::from_micros(200);

/// How many tasks go together, learnt from those that came back.
#[derive(Debug)]
pub(super) struct Pace {
    pub(super) chunk: usize,
    is_fixed: bool,
    /// How long a chunk should run.
    chunk_time: Duration,
    /// How long a task takes; 0 until it is known.
    nanos: u128,
}

impl Pace {
    pub(super) fn adaptive(chunk_time: Duration) -> Self {
        Self {
            chunk: 1,
            is_fixed: false,
            chunk_time,
            nanos: 0,
        }
    }

    pub(super) fn fixed(chunk: usize) -> Self {
        Self {
            chunk,
            is_fixed: true,
            chunk_time: Duration::ZERO,
            nanos: 0,
        }
    }

    /// `tasks` tasks took `run_time` together. Grows by steps, falls at once.
    pub(super) fn learn(&mut self, tasks: usize, run_time: Duration) {
        if run_time.is_zero() || tasks == 0 {
            return;
        }
        self.nanos = (run_time.as_nanos() / tasks as u128).max(1);
        if !self.is_fixed {
            self.chunk = self.fitting(self.chunk_time, (self.chunk * 4).min(MAX_CHUNK));
        }
    }

    /// How many tasks a worker claims of a batch at once.
    pub(super) fn run(&self) -> usize {
        match self.nanos {
            0 => 1,
            _ => self.fitting(RUN_TIME, MAX_RUN),
        }
    }

    /// How many tasks are to be in flight for each worker, if that is known.
    pub(super) fn ahead(&self) -> Option<usize> {
        (self.nanos > 0).then(|| self.fitting(AHEAD_TIME, usize::MAX))
    }

    /// How many tasks are done while the consumer sleeps.
    pub(super) fn nap(&self) -> usize {
        match self.nanos {
            0 => 0,
            nanos => usize::try_from(NAP_TIME.as_nanos() / nanos).unwrap_or(0),
        }
    }

    fn fitting(&self, time: Duration, most: usize) -> usize {
        usize::try_from(time.as_nanos() / self.nanos)
            .unwrap_or(most)
            .clamp(1, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_grows_by_steps_and_falls_at_once() {
        let mut pace = Pace::adaptive(Duration::from_micros(150));
        assert_eq!((pace.run(), pace.ahead()), (1, None));
        for expected in [4, 16, 64, 256, 1024, 4096, 4096] {
            pace.learn(10, Duration::from_nanos(100));
            assert_eq!(pace.chunk, expected);
            assert_eq!(pace.run(), MAX_RUN);
        }
        pace.learn(100, Duration::from_micros(1_000));
        assert_eq!((pace.chunk, pace.run()), (15, 1));
        assert_eq!(pace.ahead(), Some(10_000));
        pace.learn(1, Duration::from_millis(10));
        assert_eq!((pace.chunk, pace.ahead()), (1, Some(10)));
        pace.learn(1, Duration::from_millis(50));
        assert_eq!((pace.chunk, pace.run(), pace.ahead()), (1, 1, Some(2)));
        pace.learn(0, Duration::ZERO);
        assert_eq!(pace.chunk, 1);
    }

    #[test]
    fn a_fixed_pace_stays() {
        let mut pace = Pace::fixed(10);
        pace.learn(10, Duration::from_nanos(100));
        assert_eq!(pace.chunk, 10);
    }
}
