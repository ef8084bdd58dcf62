//! The run: every group's subjects in alternation, round after round.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::args::Options;
use crate::child::{self, Failure};
use crate::group::{Group, Row};
use crate::machine::{Machine, NOISE, Watch};
use crate::peers::python::Script;
use crate::stats::{quantile, sorted};
use crate::subject::Subject;
use crate::{Fault, groups, tasks};

/// All that a run has found.
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<RowResult>,
}

/// One row: who got which values.
pub(crate) struct RowResult {
    pub(crate) row: &'static Row,
    /// How many cores were busy with something else meanwhile.
    pub(crate) others: Option<f64>,
    pub(crate) cells: Vec<(Subject, Cell)>,
}

/// The samples of one subject in one row.
pub(crate) struct Cell {
    /// In order of size.
    samples: Vec<f64>,
    /// The last sample that came to nothing.
    pub(crate) failure: Option<String>,
}

impl Cell {
    pub(crate) fn median(&self) -> Option<f64> {
        (!self.samples.is_empty()).then(|| quantile(&self.samples, 0.5))
    }

    pub(crate) fn quartile(&self, q: f64) -> f64 {
        quantile(&self.samples, q)
    }

    pub(crate) fn samples(&self) -> &[f64] {
        &self.samples
    }
}

impl Results {
    pub(crate) fn row(&self, name: &str) -> Option<&RowResult> {
        self.rows.iter().find(|result| result.row.name == name)
    }

    pub(crate) fn median(&self, row: &str, subject: Subject) -> Option<f64> {
        self.row(row)?.cell(subject)?.median()
    }
}

impl RowResult {
    /// Whether something else disturbed the row.
    pub(crate) fn is_noisy(&self) -> bool {
        self.others.is_some_and(|others| others > NOISE)
    }

    pub(crate) fn cell(&self, subject: Subject) -> Option<&Cell> {
        let (_, cell) = self.cells.iter().find(|(s, _)| *s == subject)?;
        Some(cell)
    }
}

/// Runs what the options ask for; progress goes to the standard error.
pub(crate) fn run(options: &Options) -> Result<Results, Fault> {
    let asked_for = |group: &Group| {
        let names = || group.rows.iter().map(|row| row.name).chain([group.name]);
        let asked = |only: &String| names().any(|name| name.starts_with(only.as_str()));
        options.only.is_empty() || options.only.iter().any(asked)
    };
    let wanted: Vec<_> = groups::ALL
        .iter()
        .copied()
        .filter(|group| asked_for(group))
        .collect();
    if wanted.is_empty() {
        return Err("no row has such a name; `list` shows them".into());
    }
    child::adopt_orphans()?;
    let script = options.python.then(Script::write).transpose()?;
    let mut machine = Machine::look(script.as_ref());
    let run = Run {
        quick: options.quick,
        churn_per_us: tasks::churn_per_us(),
        script,
    };
    let begin = Instant::now();
    let mut rows = Vec::new();
    for group in wanted {
        let since = Instant::now();
        rows.extend(run.group(group));
        eprintln!(
            "{:6.1} s  {} ({:.1} s)",
            begin.elapsed().as_secs_f64(),
            group.name,
            since.elapsed().as_secs_f64()
        );
    }
    machine.look_again(begin.elapsed());
    Ok(Results { machine, rows })
}

struct Run {
    quick: bool,
    churn_per_us: f64,
    script: Option<Script>,
}

/// How a subject has fared in a group so far.
struct Fare {
    subject: Subject,
    spent: Duration,
    values: HashMap<String, Vec<f64>>,
    failure: Option<Failure>,
    /// Failed twice in a row, or for good.
    out: bool,
}

impl Run {
    fn group(&self, group: &'static Group) -> Vec<RowResult> {
        let runs = |subject: &Subject| match subject {
            Subject::Python(_) => self.script.is_some(),
            _ => true,
        };
        let mut fares: Vec<_> = group
            .subjects
            .iter()
            .copied()
            .filter(runs)
            .map(|subject| Fare {
                subject,
                spent: Duration::ZERO,
                values: HashMap::new(),
                failure: None,
                out: false,
            })
            .collect();
        let watch = Watch::start();
        for _ in 0..group.rounds.of(self.quick) {
            for fare in &mut fares {
                if !fare.out && fare.spent < group.budget.of(self.quick) {
                    self.sample(group, fare);
                }
            }
        }
        let others = watch.others();
        group
            .rows
            .iter()
            .map(|row| RowResult {
                row,
                others,
                cells: fares
                    .iter_mut()
                    .filter_map(|fare| Some((fare.subject, fare.cell(row)?)))
                    .collect(),
            })
            .collect()
    }

    fn sample(&self, group: &Group, fare: &mut Fare) {
        let begin = Instant::now();
        let outcome = child::run(
            self.command(group, fare.subject),
            child::PATIENCE.of(self.quick),
        );
        fare.spent += begin.elapsed();
        match outcome {
            Ok(values) => {
                for (row, value) in values {
                    fare.values.entry(row).or_default().push(value);
                }
            }
            Err(failure) => {
                fare.out = failure.is_final || fare.failure.is_some();
                fare.failure = Some(failure);
            }
        }
    }

    fn command(&self, group: &Group, subject: Subject) -> Command {
        match (subject, &self.script) {
            (Subject::Python(python), Some(script)) => {
                script.sample(group.name, python, self.quick)
            }
            _ => {
                let mut command = Command::new("/proc/self/exe");
                command
                    .args(["sample", group.name])
                    .arg(subject.to_string())
                    .arg(if self.quick { "quick" } else { "full" })
                    .arg(self.churn_per_us.to_string())
                    .env("RUST_BACKTRACE", "0");
                command
            }
        }
    }
}

impl Fare {
    /// `None` when the subject has nothing to do with the row.
    fn cell(&mut self, row: &Row) -> Option<Cell> {
        let samples = sorted(self.values.remove(row.name).unwrap_or_default());
        let failure = self.failure.as_ref().map(|failure| failure.text.clone());
        (!samples.is_empty() || failure.is_some()).then_some(Cell { samples, failure })
    }
}
