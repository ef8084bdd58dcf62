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
        "| {:<10} | {:<37} | {:<22} | {:>9} | {:>9} | {:>17} | {:>4} | elsewhere |\n",
        "row", "what", "who", "best", "median", "of the reference", "n"
    );
    text += "|---|---|---|---|---|---|---|---|\n";
    for (figure, fares) in results {
        let is_reference = |fare: &&Fare| Some(fare.contestant) == figure.reference;
        let reference = fares.iter().find(is_reference);
        for row in figure.rows {
            let reference = reference.and_then(|fare| Speeds::of(row, fare));
            for fare in fares {
                let reference = reference.filter(|_| !is_reference(&fare));
                text += &line(row, fare, reference);
            }
        }
    }
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\nof the reference: how fast it is beside who has nothing there, best of best and median of \
         median\nelsewhere: cores that were busy with something else meanwhile; noisy above {NOISE}\n"
    );
    text
}

fn line(row: &Row, fare: &Fare, reference: Option<Speeds>) -> String {
    let begin = format!(
        "| {:<10} | {:<37} | {:<22} |",
        format!("`{}`", row.name),
        row.title,
        fare.contestant,
    );
    let values = fare.values(row.name);
    let Some(speeds) = Speeds::of(row, fare) else {
        let failure = fare.failure.as_deref().unwrap_or("no value");
        return format!("{begin} not measured: {failure} |\n");
    };
    let share = reference.map_or(String::new(), |reference| {
        let best = show(speeds.best / reference.best, Unit::Share);
        let median = show(speeds.median / reference.median, Unit::Share);
        format!("{best}, {median}")
    });
    let others = fare.others();
    let noisy = if others > NOISE { " noisy" } else { "" };
    let failure = fare.failure.as_ref();
    let failure = failure.map_or(String::new(), |text| format!(" and once: {text}"));
    format!(
        "{begin} {:>9} | {:>9} | {share:>17} | {:>4} | {others:.2}{noisy}{failure} |\n",
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
    pub(super) fn of(row: &Row, fare: &Fare) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use super::super::contestant::{Contestant, FIGURES};
    use super::*;

    #[test]
    fn a_line_compares_speeds() {
        let figure = &FIGURES[0];
        let bare = figure.reference.expect("it has one");
        let fares = vec![
            Fare::with(bare, "trip.p50", &[1e-3, 2e-3, 3e-3]),
            Fare::with(Contestant::Ours(2), "trip.p50", &[2e-3, 2e-3, 9e-3]),
            Fare::with(Contestant::Ours(4), "burst", &[1.0]),
        ];
        let text = text(&[(figure, fares)]);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[2].contains("1.00 ms |   2.00 ms"), "{text}");
        assert!(!lines[2].contains('%'), "{text}");
        assert!(lines[3].contains("50.0 %, 100.0 %"), "{text}");
        assert!(lines[4].contains("not measured: no value"), "{text}");
    }
}
