//! A description as lines for a terminal.

use std::cmp::Reverse;
use std::fmt::{self, Write};
use std::time::Duration;

use super::{Description, WorkerInfo, WorkerState};
use crate::error::backend::Backend;
use crate::metrics::stats::Stats;
use crate::task::numbers;

/// The maximum length of a line.
const WIDTH: usize = 80;

/// The maximum number of workers that are listed: those whose tasks have run the longest.
const MAX_LISTED: usize = 12;

/// A task that was seen for less than this was seen now for the first time.
pub(super) const SEEN_NOW: Duration = Duration::from_millis(1);

/// How long the name of a task may be there.
const NAME_WIDTH: usize = 29;

/// One line: what kind of pool it is, and its numbers.
pub(crate) fn summary(backend: Backend, stats: &Stats) -> String {
    let mut line = format!("{backend} pool: ");
    if backend != Backend::Inline {
        let s = if stats.workers == 1 { "" } else { "s" };
        line += &format!("{} worker{s}, ", count(stats.workers));
    }
    let (running, queued) = (count(stats.running), count(stats.queued));
    line += &format!("{running} running, {queued} queued, ");
    if stats.overdue > 0 {
        line += &format!("{} overdue, ", count(stats.overdue));
    }
    let (finished, failed) = (count(stats.finished), count(stats.failed.total()));
    line += &format!("{finished} finished, {failed} failed");
    line
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = wrap(&summary(self.backend, &self.stats), 0);
        for finding in &self.findings {
            text += &wrap(&format!("* {finding}"), 2);
        }
        text += &table(&self.workers);
        let stats = &self.stats;
        if stats.failed.total() > 0 {
            text += &wrap(&format!("failed: {}", stats.failed), 2);
        }
        text += &wrap(&so_far(stats), 2);
        if self.lost_lines > 0 {
            text += &wrap(&lost_lines(self), 2);
        }
        if let Some(times) = times(stats) {
            text += &wrap(&times, 2);
        }
        // No line break at the end: `println!` writes one.
        f.write_str(text.trim_end())
    }
}

/// What has happened since the pool was built.
fn so_far(stats: &Stats) -> String {
    let mut line = format!(
        "so far: {}, {} tasks/s, at most {} waited",
        Human(stats.uptime),
        rate(stats.tasks_per_second()),
        count(stats.queue_peak),
    );
    let s = if stats.workers_lost == 1 { "" } else { "s" };
    for (number, what, s) in [
        (stats.retried, "retried", ""),
        (stats.timed_out, "late", ""),
        (stats.workers_lost, "lost worker", s),
    ] {
        if number > 0 {
            let _ = write!(line, ", {} {what}{s}", count(number));
        }
    }
    line
}

/// What the workers have written and nobody can read.
fn lost_lines(described: &Description) -> String {
    let (lines, verb) = match described.lost_lines {
        1 => ("line", "was"),
        _ => ("lines", "were"),
    };
    let why = described.last_lost_line.as_deref().unwrap_or("unknown");
    let number = count(described.lost_lines);
    format!("{number} {lines} of workers' output {verb} lost ({why})")
}

/// How long the parts of a task take, as far as that is known.
fn times(stats: &Stats) -> Option<String> {
    let times = &stats.times;
    let parts = [
        ("encode", times.encode()),
        ("wait", times.wait()),
        ("run", times.run()),
        ("decode", times.decode()),
    ];
    let known = parts.into_iter().filter_map(|(part, time)| {
        let time = Human(time?);
        Some(format!("{part} {time}"))
    });
    let known: Vec<_> = known.collect();
    (!known.is_empty()).then(|| format!("a task takes: {}", known.join(", ")))
}

fn table(workers: &[WorkerInfo]) -> String {
    if workers.is_empty() {
        return String::new();
    }
    let mut listed: Vec<_> = workers.iter().collect();
    if listed.len() > MAX_LISTED {
        listed.sort_by_key(|worker| (worker.task.is_none(), Reverse(worker.age)));
        listed.truncate(MAX_LISTED);
    }
    let mut text = String::new();
    let mut line = |cells: [&str; 7]| {
        let [index, pid, state, age, memory, finished, task] = cells;
        let line =
            format!("{index:>6} {pid:>7} {state:<8} {age:>8} {memory:>8} {finished:>7} {task}");
        text += line.trim_end();
        text.push('\n');
    };
    line(["worker", "pid", "state", "for", "memory", "done", "task"]);
    for worker in &listed {
        let index = worker.index.to_string();
        let pid = worker.pid.map_or_else(|| "-".into(), |pid| pid.to_string());
        let state = match worker.state {
            WorkerState::Idle => "idle",
            WorkerState::Running => "running",
            WorkerState::Overdue => "overdue",
            WorkerState::Initializing => "initial.",
            WorkerState::Stopped => "stopped",
            WorkerState::Ending => "ending",
        };
        let age = match worker.age {
            None => String::new(),
            Some(age) if worker.age_is_exact => Human(age).to_string(),
            Some(age) if age < SEEN_NOW => "?".into(),
            Some(age) => format!(">{}", Human(age)),
        };
        let memory = worker.memory.map_or_else(|| "-".into(), bytes);
        let task = name(worker);
        line([
            &index,
            &pid,
            state,
            &age,
            &memory,
            &short_count(worker.finished),
            &task,
        ]);
    }
    let more = workers.len() - listed.len();
    if more > 0 {
        let idle = workers.iter().filter(|worker| worker.task.is_none());
        let _ = writeln!(
            text,
            "{:>6} more, {} of all idle",
            count(more),
            idle.count()
        );
    }
    text
}

/// The task of a worker, and the one inside.
fn name(worker: &WorkerInfo) -> String {
    match (worker.task, worker.inside) {
        (None, _) => String::new(),
        (Some(task), None) => shorten(task, NAME_WIDTH),
        (Some(task), Some(inside)) => {
            let half = (NAME_WIDTH - 3) / 2;
            format!("{} > {}", shorten(task, half), shorten(inside, half))
        }
    }
}

/// Shortens a name to at most `width` characters: a longer one is cut in the middle, nearer to the
/// front, since names differ at their ends.
pub(super) fn shorten(name: &str, width: usize) -> String {
    let len = name.chars().count();
    if len <= width {
        return name.to_owned();
    }
    let front = (width - 1) / 3;
    let back = width - 1 - front;
    let mut short: String = name.chars().take(front).collect();
    short.push('…');
    short.extend(name.chars().skip(len - back));
    short
}

/// Breaks a text at blanks into lines of at most [`WIDTH`]; all but the first begin with `indent`
/// blanks. A longer word is cut.
pub(super) fn wrap(text: &str, indent: usize) -> String {
    let (mut wrapped, mut line) = (String::new(), String::new());
    let mut len = 0;
    for word in text.split_whitespace() {
        let word = shorten(word, WIDTH - indent);
        let word_len = word.chars().count();
        if len > indent && len + 1 + word_len > WIDTH {
            wrapped += &line;
            wrapped.push('\n');
            line = " ".repeat(indent);
            len = indent;
        } else if len > 0 {
            line.push(' ');
            len += 1;
        }
        line += &word;
        len += word_len;
    }
    wrapped + &line + "\n"
}

/// A number with commas.
pub(super) fn count(number: impl TryInto<u64>) -> String {
    numbers::count(number.try_into().unwrap_or(u64::MAX))
}

/// At most seven characters.
fn short_count(number: u64) -> String {
    match number {
        0..100_000 => count(number),
        100_000..10_000_000 => format!("{} k", count(number / 1_000)),
        10_000_000..10_000_000_000 => format!("{} M", count(number / 1_000_000)),
        10_000_000_000..10_000_000_000_000 => format!("{} G", count(number / 1_000_000_000)),
        _ => "many".into(),
    }
}

fn rate(rate: f64) -> String {
    match rate {
        0.0 => "0".into(),
        ..9.95 => format!("{rate:.1}"),
        _ => count(rate as u64),
    }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..0x40_0000 => format!("{} KiB", bytes >> 10),
        0x40_0000..0x1_0000_0000 => format!("{} MiB", bytes >> 20),
        0x1_0000_0000..0x400_0000_0000 => format!("{} GiB", bytes >> 30),
        _ => format!("{} TiB", bytes >> 40),
    }
}

/// A time as people say it.
pub(super) struct Human(pub(super) Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0.as_secs(), self.0.as_nanos());
        match seconds {
            0 if nanos < 1_000 => write!(f, "{nanos} ns"),
            0 if nanos < 10_000 => write!(f, "{:.1} µs", nanos as f64 / 1e3),
            0 if nanos < 1_000_000 => write!(f, "{} µs", nanos / 1_000),
            0 if nanos < 10_000_000 => write!(f, "{:.1} ms", nanos as f64 / 1e6),
            0 => write!(f, "{} ms", nanos / 1_000_000),
            1..10 => write!(f, "{:.1} s", (nanos / 100_000_000) as f64 / 10.0),
            10..120 => write!(f, "{seconds} s"),
            120..7_200 => write!(f, "{} min", seconds / 60),
            7_200..172_800 => write!(f, "{} h", seconds / 3_600),
            _ => write!(f, "{} days", seconds / 86_400),
        }
    }
}
