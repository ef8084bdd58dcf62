//! The run: every figure's contestants in turn, round after round.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use super::contestant::{Contestant, FIGURES, Figure};
use super::{TAKE, goals, server, table};
use crate::Fault;
use crate::child;
use crate::machine::{Machine, Watch};
use crate::stats::sorted;

/// How often each contestant is measured: with `--quick`, and without.
const ROUNDS: [usize; 2] = [2, 7];

/// How long a sample may take: several times what the slowest needs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What one contestant did in all rounds of a figure.
pub(super) struct Fare {
    pub(super) contestant: Contestant,
    /// By row.
    values: HashMap<String, Vec<f64>>,
    /// How many cores were busy with something else, in each round.
    others: Vec<f64>,
    /// Why the last round that failed did.
    pub(super) failure: Option<String>,
}

impl Fare {
    fn of(contestant: Contestant) -> Self {
        Self {
            contestant,
            values: HashMap::new(),
            others: Vec::new(),
            failure: None,
        }
    }

    /// In order of size.
    pub(super) fn values(&self, row: &str) -> Vec<f64> {
        sorted(self.values.get(row).cloned().unwrap_or_default())
    }

    /// How many cores were busy with something else, on average.
    pub(super) fn others(&self) -> f64 {
        self.others.iter().sum::<f64>() / self.others.len() as f64
    }

    fn sample(&mut self, figure: &Figure) {
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["cluster", TAKE, figure.name])
            .arg(self.contestant.to_string())
            .env("RUST_BACKTRACE", "0");
        let watch = Watch::start();
        let outcome = child::run(command, PATIENCE);
        self.others.extend(watch.others());
        match outcome {
            Ok(values) => {
                for (row, value) in values {
                    self.values.entry(row).or_default().push(value);
                }
            }
            Err(failure) => self.failure = Some(failure.text),
        }
    }

    #[cfg(test)]
    pub(super) fn with(contestant: Contestant, row: &str, values: &[f64]) -> Self {
        let mut fare = Self::of(contestant);
        fare.values.insert(row.into(), values.into());
        fare.others.push(0.0);
        fare
    }
}

/// Takes the figures of these names (all, if there is none) and prints them; progress goes to the
/// standard error.
pub(super) fn run(is_quick: bool, names: &[&str]) -> Result<(), Fault> {
    let named: Result<Vec<_>, _> = names.iter().map(|name| Figure::named(name)).collect();
    let figures = match named? {
        named if named.is_empty() => FIGURES.iter().collect(),
        named => named,
    };
    let server = server::version()?;
    child::adopt_orphans()?;
    let mut machine = Machine::look(None);
    let begin = Instant::now();
    let [quick, full] = ROUNDS;
    let mut results = Vec::new();
    for figure in figures {
        let mut fares: Vec<_> = figure.contestants.iter().copied().map(Fare::of).collect();
        for _ in 0..if is_quick { quick } else { full } {
            for fare in &mut fares {
                fare.sample(figure);
            }
        }
        eprintln!("{:6.1} s  {}", begin.elapsed().as_secs_f64(), figure.name);
        results.push((figure, fares));
    }
    machine.look_again(begin.elapsed());
    println!("{}\n{server}\n", machine.text());
    println!("{}\n{}", table::text(&results), goals::text(&results));
    Ok(())
}
