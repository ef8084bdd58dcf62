//! What the issue asks for, as checks on the rows of one run.

mod asked;

use crate::driver::{Results, RowResult};
use crate::subject::Subject;

pub(crate) use self::asked::ALL;

/// One thing asked for.
pub(crate) struct Goal {
    /// Its number in the issue.
    pub(crate) number: u32,
    pub(crate) text: &'static str,
    check: Check,
}

enum Check {
    /// The row's value, at most so many base units.
    AtMost(&'static str, Subject, f64),
    /// The row's value, at least so much.
    AtLeast(&'static str, Subject, f64),
    /// The first value is at most so many times the second.
    Within(Value, f64, Value),
    /// The first value is at least so many times the second.
    Beyond(Value, f64, Value),
    /// The worst of them is at least that share of the best.
    Steady(&'static str, &'static [Subject], f64),
}

impl Check {
    /// What has to be measured for it.
    fn values(&self) -> Vec<Value> {
        match *self {
            Self::AtMost(row, subject, _) | Self::AtLeast(row, subject, _) => vec![(row, subject)],
            Self::Within(of, _, to) | Self::Beyond(of, _, to) => vec![of, to],
            Self::Steady(row, subjects, _) => subjects.iter().map(|s| (row, *s)).collect(),
        }
    }
}

type Value = (&'static str, Subject);

/// What came of it.
pub(crate) struct Verdict {
    /// In the terms of the goal: a value or a ratio; `None` when something was not measured.
    pub(crate) measured: Option<f64>,
    pub(crate) asked: f64,
    /// Whether smaller is better.
    pub(crate) at_most: bool,
    /// The row whose unit the two have; a ratio has none.
    pub(crate) row: Option<&'static str>,
    /// Something else was running while it was measured.
    pub(crate) is_noisy: bool,
}

impl Verdict {
    pub(crate) fn reached(&self) -> Option<bool> {
        self.measured.map(|measured| match self.at_most {
            true => measured <= self.asked,
            false => measured >= self.asked,
        })
    }
}

impl Goal {
    /// Whether one of its rows was measured.
    pub(crate) fn concerns(&self, results: &Results) -> bool {
        let values = self.check.values();
        values.iter().any(|(row, _)| results.row(row).is_some())
    }

    pub(crate) fn check(&self, results: &Results) -> Verdict {
        let median = |row, subject| results.median(row, subject);
        let ratio = |of: Value, to: Value| Some(median(of.0, of.1)? / median(to.0, to.1)?);
        let (measured, asked, at_most, row) = match self.check {
            Check::AtMost(row, subject, asked) => (median(row, subject), asked, true, Some(row)),
            Check::AtLeast(row, subject, asked) => (median(row, subject), asked, false, Some(row)),
            Check::Within(of, asked, to) => (ratio(of, to), asked, true, None),
            Check::Beyond(of, asked, to) => (ratio(of, to), asked, false, None),
            Check::Steady(row, subjects, asked) => {
                let rates: Option<Vec<f64>> = subjects
                    .iter()
                    .map(|subject| median(row, *subject))
                    .collect();
                let share = rates.map(|rates| {
                    let best = rates.iter().copied().fold(f64::MIN, f64::max);
                    let worst = rates.iter().copied().fold(f64::MAX, f64::min);
                    worst / best
                });
                (share, asked, false, None)
            }
        };
        Verdict {
            measured,
            asked,
            at_most,
            row,
            is_noisy: self
                .check
                .values()
                .iter()
                .filter_map(|(row, _)| results.row(row))
                .any(RowResult::is_noisy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups;

    #[test]
    fn every_goal_names_rows_that_its_subjects_run_in() {
        for goal in ALL {
            for (row, subject) in goal.check.values() {
                let found = groups::rows().find(|(_, r)| r.name == row);
                let (group, _) = found.unwrap_or_else(|| panic!("no row {row}: {}", goal.text));
                assert!(
                    group.subjects.contains(&subject),
                    "{subject}: {}",
                    goal.text
                );
            }
        }
    }
}
