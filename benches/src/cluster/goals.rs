//! What the cluster was to reach, checked against the medians of one run.

use super::contestant::Figure;
use super::driver::Fare;
use super::table::Speeds;
use crate::figures::Row;
use crate::group::Unit;
use crate::machine::NOISE;
use crate::report::show;

struct Goal {
    row: &'static str,
    text: &'static str,
    asked: Asked,
}

#[derive(Clone, Copy)]
enum Asked {
    /// So much of what the bare engine does in that row.
    Share(f64),
    /// So many in a second.
    Speed(f64),
}

const GOALS: [Goal; 3] = [
    Goal {
        row: "trip.p50",
        text: "one task after the other, beside the bare engine",
        asked: Asked::Share(0.6),
    },
    Goal {
        row: "burst",
        text: "single tasks at once, beside the bare engine",
        asked: Asked::Share(0.6),
    },
    Goal {
        row: "map",
        text: "tiny tasks of a map",
        asked: Asked::Speed(1e6),
    },
];

/// One line for each goal of a row that was measured.
pub(super) fn text(results: &[(&Figure, Vec<Fare>)]) -> String {
    let mut text = String::new();
    for (figure, fares) in results {
        for row in figure.rows {
            for goal in GOALS.iter().filter(|goal| goal.row == row.name) {
                text += &goal.line(figure, row, fares);
            }
        }
    }
    text
}

impl Goal {
    fn line(&self, figure: &Figure, row: &Row, fares: &[Fare]) -> String {
        let ours = fares.iter().filter(|fare| fare.contestant.is_ours());
        let ours = ours.filter_map(|fare| Some((fare, Speeds::of(row, fare)?.median)));
        let ours = ours.max_by(|a, b| a.1.total_cmp(&b.1));
        let reference = fares
            .iter()
            .find(|fare| Some(fare.contestant) == figure.reference);
        let reference = reference.and_then(|fare| Some((fare, Speeds::of(row, fare)?.median)));
        let (measured, asked, unit) = match self.asked {
            Asked::Share(asked) => {
                let share = ours.zip(reference).map(|(ours, bare)| ours.1 / bare.1);
                (share, asked, Unit::Share)
            }
            Asked::Speed(asked) => (ours.map(|ours| ours.1), asked, Unit::PerSecond),
        };
        let begin = format!("goal: {}, at least {}: ", self.text, show(asked, unit));
        let Some((measured, (fare, _))) = measured.zip(ours) else {
            return format!("{begin}not measured\n");
        };
        let reached = if measured >= asked { "yes" } else { "no" };
        let is_noisy = [Some(fare), reference.map(|(fare, _)| fare)]
            .into_iter()
            .flatten()
            .any(|fare| fare.others() > NOISE);
        let noisy = if is_noisy { ", noisy" } else { "" };
        format!(
            "{begin}{} with {} ({reached}{noisy})\n",
            show(measured, unit),
            fare.contestant
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::contestant::{Contestant, FIGURES};
    use super::*;

    fn results(ours: &[f64]) -> [(&'static Figure, Vec<Fare>); 1] {
        let figure = &FIGURES[0];
        let bare = figure.reference.expect("it has one");
        let fares = vec![
            Fare::with(bare, "trip.p50", &[1e-3]),
            Fare::with(Contestant::Ours(2), "trip.p50", ours),
        ];
        [(figure, fares)]
    }

    #[test]
    fn a_goal_compares_medians() {
        let text = text(&results(&[1.2e-3, 1.25e-3, 9.0]));
        assert!(text.contains("at least 60.0 %: 80.0 % with"), "{text}");
        assert!(text.contains("(yes)"), "{text}");
    }

    #[test]
    fn a_goal_without_values_is_not_reached() {
        let text = text(&results(&[]));
        assert!(text.contains("60.0 %: not measured"), "{text}");
    }
}
