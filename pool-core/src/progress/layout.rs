//! What stands in the lines of the bars, in a terminal of this width: a table, so that the bars of
//! several maps stand below each other. Where it is narrow there are shorter words, and then fewer.

use super::ProgressState;
use super::format::{count, rate, time};
use super::short::{short_count, short_rate};

/// How wide a text is on the terminal.
pub(super) type Measure = fn(&str) -> usize;

/// One line: the title, the bar in brackets, the numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// With the space behind it.
    pub(super) title: String,
    /// The length of the bar, without the brackets and the space behind them; 0 if there is no bar.
    pub(super) bar: usize,
    pub(super) numbers: String,
}

/// How much is said.
struct Level {
    cells: fn(&ProgressState) -> Vec<String>,
    /// Between two cells.
    gap: usize,
    /// The minimum length of the bar; 0 if there is no bar.
    bar: usize,
}

/// From the widest to the narrowest.
const LEVELS: &[Level] = &[
    Level {
        cells: |state| {
            let total = |total| format!(" of {}", count(total));
            vec![
                percent(state),
                count(state.done) + &state.total.map_or(String::new(), total),
                some(state.rate, rate),
                state.timing().unwrap_or_default(),
                failed(state),
                format!("{} running", count(state.running as u64)),
            ]
        },
        gap: 2,
        bar: 20,
    },
    Level {
        cells: |state| {
            vec![
                percent(state),
                done(state, count),
                some(state.rate, rate),
                clock(state),
                failed(state),
                format!("{} running", count(state.running as u64)),
            ]
        },
        gap: 1,
        bar: 10,
    },
    Level {
        cells: |state| {
            vec![
                done(state, count),
                some(state.rate, short_rate),
                clock(state),
                failed(state),
                format!("{} run", count(state.running as u64)),
            ]
        },
        gap: 1,
        bar: 6,
    },
    Level {
        cells: |state| {
            vec![
                done(state, short_count),
                some(state.rate, short_rate),
                clock(state),
                failed(state),
            ]
        },
        gap: 1,
        bar: 4,
    },
    Level {
        cells: |state| vec![done(state, short_count), clock(state), failed(state)],
        gap: 1,
        bar: 4,
    },
    Level {
        cells: |state| vec![share(state), clock(state), failed(state)],
        gap: 1,
        bar: 4,
    },
    Level {
        cells: |state| vec![share(state), failed(state)],
        gap: 1,
        bar: 4,
    },
    Level {
        cells: |state| vec![share(state), failed(state)],
        gap: 1,
        bar: 0,
    },
    Level {
        cells: |state| vec![share(state)],
        gap: 1,
        bar: 0,
    },
];

/// The lines of these maps, none of them wider than the terminal.
pub(super) fn rows(states: &[&ProgressState], width: usize, measure: Measure) -> Vec<Row> {
    let titles: Vec<_> = states
        .iter()
        .map(|state| cut(&state.title, (width / 4).max(8), measure))
        .collect();
    let title = widest(titles.iter().map(|title| measure(title)));
    for level in LEVELS {
        let numbers = table(states.iter().map(|state| (level.cells)(state)), level.gap);
        // Behind the title: a space, and the brackets with a space.
        let others = title + 1 + widest(numbers.iter().map(String::len));
        let others = others + if level.bar > 0 { 3 } else { 0 };
        if others + level.bar > width {
            continue;
        }
        let bar = if level.bar > 0 { width - others } else { 0 };
        return std::iter::zip(titles, numbers)
            .map(|(text, numbers)| Row {
                title: text.clone() + &spaces(title - measure(&text) + 1),
                bar,
                numbers,
            })
            .collect();
    }
    // Too narrow for anything that means something.
    let share = |state: &&ProgressState| Row {
        numbers: cut(&share(state), width, measure),
        ..Row::default()
    };
    states.iter().map(share).collect()
}

/// The line that stays of a map that is over.
pub(super) fn last(state: &ProgressState, width: usize, measure: Measure) -> String {
    let mut parts = vec![share(state), failed(state)];
    parts.extend(state.timing());
    parts.retain(|part| !part.is_empty());
    let full = state.to_string();
    let rest = format!(": {}", parts.join(", "));
    if measure(&full) <= width {
        full
    } else if rest.len() < width {
        cut(&state.title, width - rest.len(), measure) + &rest
    } else {
        cut(&parts[0], width, measure)
    }
}

fn percent(state: &ProgressState) -> String {
    let percent = |percent| format!("{percent} %");
    state.percent().map_or(String::new(), percent)
}

/// The percents, or how many where there is no total.
fn share(state: &ProgressState) -> String {
    match state.total {
        Some(_) => percent(state),
        None => short_count(state.done),
    }
}

fn done(state: &ProgressState, count: fn(u64) -> String) -> String {
    let total = |total| format!("/{}", count(total));
    count(state.done) + &state.total.map_or(String::new(), total)
}

fn some(per_second: f64, format: fn(f64) -> String) -> String {
    match per_second > 0.0 {
        true => format(per_second),
        false => String::new(),
    }
}

/// How long the rest takes, or how long it took.
fn clock(state: &ProgressState) -> String {
    match state.total {
        Some(_) => state.eta.map_or(String::new(), time),
        None => time(state.elapsed),
    }
}

fn failed(state: &ProgressState) -> String {
    match state.failed {
        0 => String::new(),
        failed => format!("{} failed", count(failed)),
    }
}

/// The cells below each other; a column in which nothing stands is none.
fn table(rows: impl Iterator<Item = Vec<String>>, gap: usize) -> Vec<String> {
    let rows: Vec<_> = rows.collect();
    let columns = rows.first().map_or(0, Vec::len);
    let mut lines = vec![String::new(); rows.len()];
    for column in 0..columns {
        let width = widest(rows.iter().map(|row| row[column].len()));
        if width == 0 {
            continue;
        }
        for (line, row) in lines.iter_mut().zip(&rows) {
            if !line.is_empty() {
                *line += &spaces(gap);
            }
            *line += &spaces(width - row[column].len());
            *line += &row[column];
        }
    }
    lines
}

fn widest(widths: impl Iterator<Item = usize>) -> usize {
    widths.max().unwrap_or(0)
}

fn spaces(len: usize) -> String {
    " ".repeat(len)
}

/// As much of it as there is room for.
fn cut(text: &str, width: usize, measure: Measure) -> String {
    if measure(text) <= width {
        return text.to_owned();
    }
    let dots = ".".repeat(width.min(2));
    let mut cut = String::new();
    for c in text.chars() {
        cut.push(c);
        if measure(&cut) + dots.len() > width {
            cut.pop();
            break;
        }
    }
    cut + &dots
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::ProgressStage;
    use super::super::state::tests::state;
    use super::*;

    fn chars(text: &str) -> usize {
        text.chars().count()
    }

    /// As they stand in the terminal.
    fn lines(states: &[&ProgressState], width: usize) -> Vec<String> {
        let line = |row: Row| match row.bar {
            0 => row.title + &row.numbers,
            bar => format!("{}[{}] {}", row.title, "=".repeat(bar), row.numbers),
        };
        rows(states, width, chars).into_iter().map(line).collect()
    }

    fn busy() -> ProgressState {
        let mut state = state();
        state.failed = 12;
        state
    }

    #[test]
    fn a_wide_terminal_shows_all() {
        assert_eq!(
            lines(&[&busy()], 80),
            [
                "crawl [=====] 30 % 3,000/10,000 1,500/s 00:05 12 failed 2 running"
                    .replace("=====", &"=".repeat(20))
            ]
        );
        let line = &lines(&[&busy()], 200)[0];
        let end = "] 30 %  3,000 of 10,000  1,500/s  00:05 left  12 failed  2 running";
        assert!(line.ends_with(end), "{line}");
        assert_eq!(line.len(), 200);
    }

    #[test]
    fn a_narrow_one_shows_what_matters() {
        let at = |width| lines(&[&busy()], width)[0].clone();
        assert_eq!(at(50), "crawl [========] 3,000/10k 1,500/s 00:05 12 failed");
        assert_eq!(at(40), "crawl [======] 3,000/10k 00:05 12 failed");
        assert_eq!(at(30), "crawl [=======] 30 % 12 failed");
        assert_eq!(at(20), "crawl 30 % 12 failed");
        assert_eq!(at(15), "crawl 30 %");
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        let mut huge = busy();
        huge.title = "a very long title, longer than most terminals are wide, and so on".into();
        huge.done = u64::MAX / 3;
        huge.total = Some(u64::MAX);
        huge.failed = u64::MAX / 4;
        huge.running = 1_024;
        huge.rate = 1e15;
        huge.eta = Some(Duration::MAX);
        let mut endless = busy();
        endless.total = None;
        endless.title = "".into();
        let mut over = huge.clone();
        over.stage = ProgressStage::Abandoned;
        for width in 0..300 {
            for states in [&[&huge][..], &[&huge, &endless], &[&endless], &[]] {
                for line in lines(states, width) {
                    assert!(line.len() <= width, "{width}: {line:?}");
                }
            }
            assert!(last(&over, width, chars).len() <= width);
        }
    }

    #[test]
    fn several_stand_below_each_other() {
        let mut other = state();
        other.title = "parse pages".into();
        other.done = 7;
        other.rate = 0.0;
        other.eta = None;
        assert_eq!(
            lines(&[&busy(), &other], 90),
            [
                "crawl       [=====] 30 % 3,000/10,000 1,500/s 00:05 12 failed 2 running",
                "parse pages [=====]  0 %     7/10,000                         2 running",
            ]
            .map(|line| line.replace("=====", &"=".repeat(24)))
        );
    }

    #[test]
    fn a_title_is_cut_where_it_must() {
        assert_eq!(cut("crawling", 8, chars), "crawling");
        assert_eq!(cut("crawling", 5, chars), "cra..");
        assert_eq!(cut("crawling", 1, chars), ".");
        assert_eq!(cut("crawling", 0, chars), "");
    }

    #[test]
    fn the_last_line_fits() {
        let mut state = busy();
        state.stage = ProgressStage::Finished;
        state.total = Some(3_000);
        let at = |width| last(&state, width, chars);
        assert_eq!(
            at(80),
            "crawl: 100 % (3,000 of 3,000), 1,500/s, 12 failed, in 2.0 s"
        );
        assert_eq!(at(40), "crawl: 100 %, 12 failed, in 2.0 s");
        assert_eq!(at(30), "..: 100 %, 12 failed, in 2.0 s");
        assert_eq!(at(20), "100 %");
    }
}
