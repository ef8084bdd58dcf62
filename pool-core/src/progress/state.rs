//! What a map says of itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::format::{count, percent, rate, taken, time};

/// How far a map has come: what [`Map::on_progress`](crate::Map::on_progress) hands out.
///
/// As text it is one line: `crawl: 30 % (3,000 of 10,000), 1,200/s, 2 failed, 00:05 left`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProgressState {
    /// How the map is called: see [`Map::title`](crate::Map::title).
    pub title: Arc<str>,
    /// Outcomes that `next` has returned, of whatever kind.
    pub done: u64,
    /// How many of them are no result but a [`TaskError`](crate::TaskError). An `Err` that the
    /// function of a task returns is its result.
    pub failed: u64,
    /// How many there will be, where the input knew that at the first `next`.
    pub total: Option<u64>,
    /// Workers of the pool that run a task now, also for others than this map.
    pub running: usize,
    /// The time since the first `next`.
    pub elapsed: Duration,
    /// Outcomes in a second: of late, and over all the time once the map is over.
    pub rate: f64,
    /// How long the rest takes at this rate, where there is a total and a rate.
    pub eta: Option<Duration>,
    /// Whether it goes on.
    pub stage: ProgressStage,
}

/// Whether a map goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgressStage {
    /// It does.
    Running,
    /// It has returned its last outcome.
    Finished,
    /// It was dropped before that.
    Abandoned,
}

impl ProgressState {
    /// Whether this is the last state of its map.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stage != ProgressStage::Running
    }

    /// How many of a hundred are done, rounded down, where there is a total.
    #[must_use]
    pub fn percent(&self) -> Option<u8> {
        self.total.map(|total| percent(self.done, total))
    }

    /// What is said of its time.
    pub(super) fn timing(&self) -> Option<String> {
        match self.stage {
            ProgressStage::Finished => Some(format!("in {}", taken(self.elapsed))),
            ProgressStage::Abandoned => Some(format!("stopped after {}", taken(self.elapsed))),
            ProgressStage::Running if self.total.is_none() => {
                Some(format!("after {}", time(self.elapsed)))
            }
            ProgressStage::Running => self.eta.map(|left| format!("{} left", time(left))),
        }
    }
}

impl fmt::Display for ProgressState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = count(self.done);
        match self.total {
            Some(total) => {
                let percent = percent(self.done, total);
                let total = count(total);
                write!(f, "{}: {percent} % ({done} of {total})", self.title)?;
            }
            None => write!(f, "{}: {done} done", self.title)?,
        }
        if self.rate > 0.0 {
            write!(f, ", {}", rate(self.rate))?;
        }
        if self.failed > 0 {
            write!(f, ", {} failed", count(self.failed))?;
        }
        match self.timing() {
            Some(timing) => write!(f, ", {timing}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// 3,000 of 10,000 after two seconds.
    pub(in crate::progress) fn state() -> ProgressState {
        ProgressState {
            title: "crawl".into(),
            done: 3_000,
            failed: 0,
            total: Some(10_000),
            running: 2,
            elapsed: Duration::from_secs(2),
            rate: 1_500.0,
            eta: Some(Duration::from_millis(4_667)),
            stage: ProgressStage::Running,
        }
    }

    #[test]
    fn a_state_is_one_line() {
        let mut state = state();
        assert_eq!(
            state.to_string(),
            "crawl: 30 % (3,000 of 10,000), 1,500/s, 00:05 left"
        );
        state.failed = 2;
        state.rate = 0.0;
        state.eta = None;
        assert_eq!(state.to_string(), "crawl: 30 % (3,000 of 10,000), 2 failed");
        state.rate = 12.0;
        state.stage = ProgressStage::Abandoned;
        assert_eq!(
            state.to_string(),
            "crawl: 30 % (3,000 of 10,000), 12/s, 2 failed, stopped after 2.0 s"
        );
        state.stage = ProgressStage::Finished;
        state.total = Some(3_000);
        assert_eq!(
            state.to_string(),
            "crawl: 100 % (3,000 of 3,000), 12/s, 2 failed, in 2.0 s"
        );
    }

    #[test]
    fn without_a_total_it_says_how_many() {
        let mut state = state();
        state.total = None;
        state.eta = None;
        assert_eq!(state.to_string(), "crawl: 3,000 done, 1,500/s, after 00:02");
        assert_eq!(state.percent(), None);
        assert!(!state.is_over());
    }
}
