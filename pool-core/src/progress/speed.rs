//! How fast a map is of late: its rate, in which what is long ago counts little.

use std::time::Duration;

/// The time after which an outcome counts for a third.
const MEMORY: Duration = Duration::from_secs(10);

/// A mean of the rates since the beginning, each weighed by its time and by how long ago it was.
#[derive(Debug, Default)]
pub(super) struct Speed {
    /// Weighed.
    outcomes: f64,
    seconds: f64,
    /// At the last look.
    done: u64,
    elapsed: Duration,
}

impl Speed {
    /// The current rate in outcomes a second: `done` of them after `elapsed`.
    pub(super) fn look(&mut self, done: u64, elapsed: Duration) -> f64 {
        let passed = elapsed.saturating_sub(self.elapsed).as_secs_f64();
        if passed > 0.0 {
            let memory = MEMORY.as_secs_f64();
            let kept = (-passed / memory).exp();
            // What the time since the last look weighs, some of which is long ago as well.
            let weight = memory * (1.0 - kept);
            let rate = done.saturating_sub(self.done) as f64 / passed;
            self.outcomes = self.outcomes * kept + rate * weight;
            self.seconds = self.seconds * kept + weight;
            (self.done, self.elapsed) = (done, elapsed);
        }
        quotient(self.outcomes, self.seconds)
    }
}

/// The rate over all the time.
pub(super) fn mean(done: u64, elapsed: Duration) -> f64 {
    quotient(done as f64, elapsed.as_secs_f64())
}

/// How long the rest takes.
pub(super) fn eta(left: u64, rate: f64) -> Option<Duration> {
    match left {
        0 => Some(Duration::ZERO),
        _ if rate <= 0.0 => None,
        _ => Duration::try_from_secs_f64(left as f64 / rate).ok(),
    }
}

fn quotient(outcomes: f64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        outcomes / seconds
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_steady_map_has_its_rate_from_the_first_look_on() {
        let mut speed = Speed::default();
        for look in 1..1_000 {
            let rate = speed.look(50 * look, seconds(look as f64 / 10.0));
            assert!((rate - 500.0).abs() < 1e-6, "{rate}");
        }
    }

    #[test]
    fn a_change_of_pace_is_noticed() {
        let mut speed = Speed::default();
        assert_eq!(speed.look(10_000, seconds(100.0)), 100.0);
        let stalled = speed.look(10_000, seconds(130.0));
        assert!(stalled < 10.0, "{stalled}");
        let mut again = 0.0;
        for look in 1..=300 {
            again = speed.look(10_000 + 10 * look, seconds(130.0 + look as f64 / 10.0));
        }
        assert!((90.0..100.0).contains(&again), "{again}");
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        let mut speed = Speed::default();
        assert_eq!(speed.look(0, Duration::ZERO), 0.0);
        assert_eq!(speed.look(5, Duration::ZERO), 0.0);
        assert_eq!(mean(5, Duration::ZERO), 0.0);
        assert_eq!(eta(5, 0.0), None);
        assert_eq!(eta(0, 0.0), Some(Duration::ZERO));
        // Longer than can be said.
        assert_eq!(eta(u64::MAX, 1e-300), None);
        assert_eq!(eta(30, 2.0), Some(seconds(15.0)));
    }
}
