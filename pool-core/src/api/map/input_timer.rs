//! Measures how long a map waits for its input, and decides whether the input is slow.

use std::time::Duration;

/// The time that the input may take before the map returns a result that is ready.
///
/// A quick input fills the largest window in less time, so workers have work while the consumer is
/// busy. A thread that loses its processor during a call of the input gets it back in less time, too;
/// otherwise a quick input would seem slow on a busy machine. The clock has ticks of up to 10 ms.
const LIMIT: Duration = Duration::from_millis(50);

/// Calls that take longer than this together are measured one by one.
const QUICK: Duration = Duration::from_millis(5);

/// The maximum number of calls between two readings of the clock, since a reading costs as much as a
/// tiny task. When a quick input becomes slow, up to this many calls pass before the map notices it.
const MAX_STRIDE: u32 = 32;

/// Measures the time inside the input's `next`.
///
/// The time of submitting does not count: a worker that is woken may take the processor from the
/// thread that submits.
#[derive(Debug)]
pub(super) struct InputTimer {
    /// The time that calls took since the last [`reset`](Self::reset).
    spent: Duration,
    /// The start of the calls that are not in `spent` yet.
    since: Option<Duration>,
    /// The number of those calls.
    calls: u32,
    /// The number of calls after which the clock is read.
    stride: u32,
}

impl InputTimer {
    pub(super) fn new() -> Self {
        Self {
            spent: Duration::ZERO,
            since: None,
            calls: 0,
            stride: 1,
        }
    }

    /// Whether results that are ready are returned before the input is called again.
    #[inline]
    pub(super) fn is_slow(&self) -> bool {
        self.spent > LIMIT
    }

    /// Starts to fill the window: a quick input has the whole limit again.
    #[inline]
    pub(super) fn begin_fill(&mut self) {
        if !self.is_slow() {
            self.reset();
        }
    }

    /// Takes the input for a quick one again.
    #[inline]
    pub(super) fn reset(&mut self) {
        self.spent = Duration::ZERO;
    }

    /// Calls the input.
    #[inline]
    pub(super) fn call<T>(&mut self, next: impl FnOnce() -> T) -> T {
        self.since.get_or_insert_with(now);
        let item = next();
        self.calls += 1;
        if self.calls >= self.stride {
            self.count(now());
        }
        item
    }

    /// Ends a series of calls: the time until the next call does not count.
    #[inline]
    pub(super) fn stop(&mut self) {
        if self.calls > 0 {
            self.count(now());
        }
        self.since = None;
    }

    /// Adds the calls since the last reading of the clock.
    fn count(&mut self, now: Duration) {
        let since = self.since.replace(now).unwrap_or(now);
        let time = now.saturating_sub(since);
        self.spent += time;
        self.calls = 0;
        self.stride = match time <= QUICK {
            true => (2 * self.stride).min(MAX_STRIDE),
            false => 1,
        };
    }
}

/// The time of a clock with ticks of some milliseconds. A reading takes a third of the time of
/// `Instant::now`, and an unordered map on threads reads it twice for each task.
#[cfg(feature = "processes")]
#[inline]
fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[cfg(not(feature = "processes"))]
fn now() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;

    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds calls of which each takes `each`.
    fn calls(timer: &mut InputTimer, count: u32, each: Duration) {
        for _ in 0..count {
            timer.calls += 1;
            if timer.calls >= timer.stride {
                timer.since = Some(Duration::ZERO);
                timer.count(each * timer.calls);
            }
        }
    }

    #[test]
    fn an_input_is_slow_after_calls_that_take_longer_than_the_limit_together() {
        let mut timer = InputTimer::new();
        calls(&mut timer, 5, Duration::from_millis(10));
        assert!(!timer.is_slow());
        calls(&mut timer, 1, Duration::from_millis(10));
        assert!(timer.is_slow());
        timer.begin_fill();
        assert!(timer.is_slow(), "until no result is ready");
        timer.reset();
        assert!(!timer.is_slow());
        calls(&mut timer, 1, Duration::from_millis(51));
        assert!(timer.is_slow());
    }

    #[test]
    fn a_quick_input_has_the_whole_limit_for_each_fill() {
        let mut timer = InputTimer::new();
        for _ in 0..100 {
            timer.begin_fill();
            calls(&mut timer, 2, Duration::from_millis(25));
            assert!(!timer.is_slow());
        }
    }

    #[test]
    fn quick_calls_are_measured_together_and_slow_ones_one_by_one() {
        let mut timer = InputTimer::new();
        for expected in [2, 4, 8, 16, 32, 32] {
            let count = timer.stride;
            calls(&mut timer, count, Duration::from_micros(1));
            assert_eq!(timer.stride, expected);
        }
        calls(&mut timer, 32, Duration::from_millis(1));
        assert_eq!((timer.stride, timer.is_slow()), (1, false));
        calls(&mut timer, 1, Duration::from_millis(30));
        assert_eq!((timer.stride, timer.is_slow()), (1, true));
    }
}
