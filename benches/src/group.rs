//! A group of rows: what is measured together, by whom, how often.

use std::time::Duration;

use crate::subject::Subject;
use crate::{Fault, groups, peers};

/// Rows that one sample fills together.
pub(crate) struct Group {
    /// The rows' names start with it.
    pub(crate) name: &'static str,
    pub(crate) rows: &'static [Row],
    pub(crate) subjects: &'static [Subject],
    /// How many samples of each subject, at most.
    pub(crate) rounds: Effort<u32>,
    /// A subject gets no further sample once its samples took that long together.
    pub(crate) budget: Effort<Duration>,
    /// Takes one sample, in a process of its own.
    pub(crate) sample: fn(Subject, Context) -> Result<Sample, Fault>,
}

/// The values of one sample, by the name of their row.
pub(crate) type Sample = Vec<(&'static str, f64)>;

/// One line of the tables.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    /// Whom the others are compared with.
    pub(crate) reference: Subject,
}

/// In what a row counts. The numbers are in the base unit: seconds, per second, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    PerSecond,
    BytesPerSecond,
    Bytes,
    /// How many times as fast.
    SpeedUp,
    /// How many times as long.
    Stretch,
    Share,
}

impl Unit {
    pub(crate) fn less_is_better(self) -> bool {
        matches!(self, Self::Seconds | Self::Bytes | Self::Stretch)
    }
}

/// One thing for `--quick`, one for the full run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort<T> {
    pub(crate) quick: T,
    pub(crate) full: T,
}

impl<T> Effort<T> {
    pub(crate) const fn new(quick: T, full: T) -> Self {
        Self { quick, full }
    }

    pub(crate) fn of(self, quick: bool) -> T {
        if quick { self.quick } else { self.full }
    }
}

impl Effort<Duration> {
    pub(crate) const fn secs(quick: u64, full: u64) -> Self {
        Self::new(Duration::from_secs(quick), Duration::from_secs(full))
    }
}

/// What a sample is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) quick: bool,
    /// How many rounds of `churn` last a microsecond on this machine, measured once for all.
    pub(crate) churn_per_us: f64,
}

impl Context {
    pub(crate) fn pick<T>(self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// How many rounds of `churn` last so long.
    pub(crate) fn churn_for(self, time: Duration) -> u64 {
        (time.as_secs_f64() * 1e6 * self.churn_per_us).round() as u64
    }
}

/// The process of one sample: measures, and prints the values for the driver.
pub(crate) fn sample(group: &str, subject: &str, context: Context) -> Result<(), Fault> {
    let group = groups::ALL
        .iter()
        .find(|g| g.name == group)
        .ok_or("no such group")?;
    let subject = *group
        .subjects
        .iter()
        .find(|s| s.to_string() == subject)
        .ok_or("no such subject")?;
    if let Subject::Python(_) = subject {
        return Err(peers::python::NOT_HERE.into());
    }
    for (row, value) in (group.sample)(subject, context)? {
        println!("{MARK}{row} {value:e}");
    }
    Ok(())
}

/// What stands before a value in the output of a sample.
pub(crate) const MARK: &str = "@value ";
