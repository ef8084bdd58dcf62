//! The results as a table for people and as JSON for machines.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::driver::{Cell, Results, RowResult};
use crate::group::Unit;
use crate::machine::NOISE;
use crate::subject::Subject;
use crate::{Fault, goals, groups};

/// The table: every row, then every goal.
pub(crate) fn text(results: &Results) -> String {
    let mut text = format!("{}\n", results.machine.text());
    for row in &results.rows {
        row_text(&mut text, row);
    }
    goals_text(&mut text, results);
    text
}

fn row_text(text: &mut String, result: &RowResult) {
    let row = result.row;
    let better = if row.unit.less_is_better() {
        "less"
    } else {
        "more"
    };
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(text, "\n{} — {} ({better} is better)", row.name, row.title);
    if result.is_noisy() {
        let others = result.others.unwrap_or_default();
        let _ = writeln!(
            text,
            "  NOISY: {others:.2} cores were busy with something else"
        );
    }
    let reference = result.cell(row.reference).and_then(Cell::median);
    let against = match reference {
        Some(_) => format!("× {}", row.reference),
        None => String::new(),
    };
    let _ = writeln!(
        text,
        "  {:<32}{:>13}{:>13}{:>13}{:>4}  {against}",
        "", "median", "quartiles", "", "n"
    );
    for (subject, cell) in &result.cells {
        let Some(median) = cell.median() else {
            let failure = cell.failure.as_deref().unwrap_or("no sample");
            let _ = writeln!(text, "  {subject:<32}          –  {failure}");
            continue;
        };
        let _ = write!(
            text,
            "  {subject:<32}{:>13}{:>13}{:>13}{:>4}",
            show(median, row.unit),
            show(cell.quartile(0.25), row.unit),
            show(cell.quartile(0.75), row.unit),
            cell.samples().len(),
        );
        if let Some(reference) = reference {
            let _ = write!(text, "  {}", digits(median / reference));
        }
        if let Some(failure) = &cell.failure {
            let _ = write!(text, "  (and once: {failure})");
        }
        text.push('\n');
    }
}

fn goals_text(text: &mut String, results: &Results) {
    let _ = writeln!(
        text,
        "\ngoals\n  {:<70}{:>11}{:>13}  reached",
        "", "measured", "asked"
    );
    // Those of rows that were not asked for say nothing.
    for goal in goals::ALL.iter().filter(|goal| goal.concerns(results)) {
        let verdict = goal.check(results);
        let unit = verdict.row.and_then(unit_of);
        let value = |value| match unit {
            Some(unit) => show(value, unit),
            None => format!("{} ×", digits(value)),
        };
        let _ = writeln!(
            text,
            "  {} {:<68}{:>11}{:>13}  {}",
            goal.number,
            goal.text,
            verdict.measured.map_or("–".into(), value),
            format!(
                "{} {}",
                if verdict.at_most { "≤" } else { "≥" },
                value(verdict.asked)
            ),
            match (verdict.reached(), verdict.is_noisy) {
                (Some(true), false) => "yes",
                (Some(true), true) => "yes?",
                (Some(false), false) => "no",
                (Some(false), true) => "no?",
                (None, _) => "not measured",
            }
        );
    }
    let _ = writeln!(
        text,
        "  ? more than {NOISE} cores were busy with something else while it was measured"
    );
}

fn unit_of(name: &str) -> Option<Unit> {
    let (_, row) = groups::rows().find(|(_, row)| row.name == name)?;
    Some(row.unit)
}

/// The rows that there are.
pub(crate) fn list() -> String {
    let mut text = String::new();
    for (group, row) in groups::rows() {
        let _ = writeln!(text, "{} — {}", row.name, row.title);
        let names: Vec<_> = group.subjects.iter().map(Subject::to_string).collect();
        let _ = writeln!(text, "    {}", names.join(", "));
    }
    text
}

/// Every sample, and what became of the goals.
pub(crate) fn json(results: &Results) -> Result<String, Fault> {
    let rows: Vec<Value> = results
        .rows
        .iter()
        .map(|result| {
            let subjects: Vec<Value> = result
                .cells
                .iter()
                .map(|(subject, cell)| {
                    json!({
                        "subject": subject.to_string(),
                        "median": cell.median(),
                        "samples": cell.samples(),
                        "failure": cell.failure,
                    })
                })
                .collect();
            json!({
                "row": result.row.name,
                "title": result.row.title,
                "unit": unit_name(result.row.unit),
                "less_is_better": result.row.unit.less_is_better(),
                "reference": result.row.reference.to_string(),
                "cores_busy_elsewhere": result.others,
                "subjects": subjects,
            })
        })
        .collect();
    let goals: Vec<Value> = goals::ALL
        .iter()
        .map(|goal| {
            let verdict = goal.check(results);
            json!({
                "number": goal.number,
                "goal": goal.text,
                "measured": verdict.measured,
                "asked": verdict.asked,
                "at_most": verdict.at_most,
                "reached": verdict.reached(),
                "is_noisy": verdict.is_noisy,
            })
        })
        .collect();
    let all = json!({ "machine": results.machine, "rows": rows, "goals": goals });
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Seconds => "seconds",
        Unit::PerSecond => "per second",
        Unit::BytesPerSecond => "bytes per second",
        Unit::Bytes => "bytes",
        Unit::SpeedUp => "times as fast",
        Unit::Stretch => "times as long",
        Unit::Share => "share",
    }
}

/// A value with the prefix that suits it.
pub(crate) fn show(value: f64, unit: Unit) -> String {
    const KIB: f64 = 1024.0;
    let size = value.abs();
    // The first step that the value reaches.
    let scaled = |steps: &[(f64, &str)]| {
        let step = steps.iter().find(|(scale, _)| size >= *scale);
        let (scale, name) = step.or(steps.last()).copied().unwrap_or((1.0, ""));
        format!("{} {name}", digits(value / scale))
    };
    match unit {
        Unit::Seconds => scaled(&[(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]),
        Unit::PerSecond => scaled(&[(1e9, "G/s"), (1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")]),
        Unit::BytesPerSecond => scaled(&[(1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s")]),
        Unit::Bytes => scaled(&[
            (KIB * KIB * KIB, "GiB"),
            (KIB * KIB, "MiB"),
            (KIB, "KiB"),
            (1.0, "B"),
        ]),
        Unit::SpeedUp | Unit::Stretch => format!("{} ×", digits(value)),
        Unit::Share => format!("{:.1} %", 100.0 * value),
    }
}

/// Three digits that count; thousands in full.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 99.95 => {
            let whole = format!("{:.0}", value.abs());
            let mut text = String::from(if value < 0.0 { "-" } else { "" });
            for (i, digit) in whole.chars().enumerate() {
                if i > 0 && (whole.len() - i) % 3 == 0 {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.9995 => format!("{value:.2}"),
        size if size >= 0.09995 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        for (value, text) in [
            (0.0, "0"),
            (0.01234, "0.0123"),
            (0.4567, "0.457"),
            (1.0, "1.00"),
            (9.999, "10.0"),
            (99.96, "100"),
            (-1234.4, "-1,234"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(digits(value), text);
        }
    }

    #[test]
    fn values_get_the_prefix_that_suits() {
        assert_eq!(show(0.000_000_14, Unit::Seconds), "140 ns");
        assert_eq!(show(2.0, Unit::Seconds), "2.00 s");
        assert_eq!(show(5e6, Unit::PerSecond), "5.00 M/s");
        assert_eq!(show(-77_824.0, Unit::Bytes), "-76.0 KiB");
        assert_eq!(show(0.968, Unit::Share), "96.8 %");
    }
}
