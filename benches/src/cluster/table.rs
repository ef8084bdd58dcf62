//! The table: who has which values in a row, and how fast that is beside the engine.

use std::fmt::Write;

use super::contestant::Figure;
use super::driver::Fare;
use crate::figures::Row;
use crate::group::Unit;
use crate::machine::NOISE;
use crate::report::show;
use crate::stats::quantile;

pub(super) fn text(results: &[(&Figure, Vec<Fare>)]) -> String {
    let mut text = format!(
        "| {:<10} | {:<40} | {:<22} | {:>9} | {:>9} | {:>15} | {:>4} | elsewhere |\n",
        "row", "what", "who", "best", "median", "of the engine's", "n"
    );
    text += "|---|---|---|---|---|---|---|---|\n";
    for (figure, fares) in results {
        for row in figure.rows {
            let engine = Speeds::best(row, fares.iter().filter(|fare| fare.contestant.is_engine()));
            for fare in fares {
                text += &line(row, fare, engine);
            }
        }
    }
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\nof the engine's: how fast it is beside the fastest of those who use the server by hand, best\n\
         beside best and median beside median\n\
         elsewhere: cores that were busy with something else meanwhile; noisy above {NOISE}\n"
    );
    text
}

fn line(row: &Row, fare: &Fare, engine: Option<Speeds>) -> String {
    let begin = format!(
        "| {:<10} | {:<40} | {:<22} |",
        format!("`{}`", row.name),
        row.title,
        fare.contestant,
    );
    let values = fare.values(row.name);
    let Some(speeds) = Speeds::of(row, fare) else {
        let failure = fare.failure.as_deref().unwrap_or("no value");
        return format!("{begin} not measured: {failure} |\n");
    };
    let share = match engine {
        Some(engine) if !fare.contestant.is_engine() => format!(
            "{} {}",
            show(speeds.best / engine.best, Unit::Share),
            show(speeds.median / engine.median, Unit::Share)
        ),
        _ => String::new(),
    };
    let others = fare.others();
    let noisy = if others > NOISE { " noisy" } else { "" };
    let failure = fare.failure.as_ref();
    let failure = failure.map_or(String::new(), |text| format!(" and once: {text}"));
    format!(
        "{begin} {:>9} | {:>9} | {share:>15} | {:>4} | {others:.2}{noisy}{failure} |\n",
        show(row.value(speeds.best), row.unit),
        show(row.value(speeds.median), row.unit),
        values.len(),
    )
}

/// Of one contestant in one row, more being better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Speeds {
    pub(super) best: f64,
    pub(super) median: f64,
}

impl Speeds {
    fn of(row: &Row, fare: &Fare) -> Option<Self> {
        let values = fare.values(row.name);
        let best = match row.unit.less_is_better() {
            true => values.first(),
            false => values.last(),
        };
        Some(Self {
            best: row.value(*best?),
            median: row.value(quantile(&values, 0.5)),
        })
    }

    /// The best of each.
    pub(super) fn best<'a>(row: &Row, fares: impl Iterator<Item = &'a Fare>) -> Option<Self> {
        fares
            .filter_map(|fare| Self::of(row, fare))
            .reduce(|a, b| Self {
                best: a.best.max(b.best),
                median: a.median.max(b.median),
            })
    }
}

impl Row {
    /// The speed of a value, and the value of a speed.
    fn value(&self, value: f64) -> f64 {
        match self.unit.less_is_better() {
            true => 1.0 / value,
            false => value,
        }
    }
}
