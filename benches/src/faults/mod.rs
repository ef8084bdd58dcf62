//! What faults cost: `pool-benches faults` prints one table of how soon a killed worker is
//! replaced, how late a deadline comes, and how long it takes to cancel, to limit, to grow and to
//! end.
//!
//! A figure is taken in a process of its own, like the samples of `peers`, so that one which hangs
//! costs its own rows only. All runs of a figure are in that one process, for faults come again to
//! pools that have seen some; what it is compared with alternates with it there, or comes right
//! after it where it is a program of its own.

mod cancel;
mod deadline;
mod kill;
mod memory;
mod notes;
mod size;

use std::env;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Fault;
use crate::child::{self, Outcome};
use crate::group::{MARK, Unit};
use crate::machine::{Machine, NOISE, Watch};
use crate::peers::python;
use crate::report::show;
use crate::stats::{quantile, sorted};
use notes::Notes;

/// What one process measures.
struct Figure {
    name: &'static str,
    rows: &'static [Row],
    taker: Taker,
}

/// One line of the table.
struct Row {
    name: &'static str,
    title: &'static str,
    unit: Unit,
}

/// Who takes a figure.
enum Taker {
    /// This program, which tells the values as they come.
    Itself(fn(&Notes) -> Result<(), Fault>),
    /// The script beside this file, in its function of this name.
    Python(&'static str),
}

static ALL: [&Figure; 10] = [
    &kill::KILL,
    &kill::PYTHON,
    &deadline::IDLE,
    &deadline::LOAD,
    &cancel::CANCEL,
    &cancel::PYTHON,
    &memory::MEMORY,
    &size::RESIZE,
    &size::SHUTDOWN,
    &size::PYTHON,
];

/// How long a figure may take: several times what the slowest needs.
const PATIENCE: Duration = Duration::from_secs(240);

/// How long a figure waits for something that has to happen before it can go on.
const WAIT: Duration = Duration::from_secs(30);

/// `faults [FIGURE]...` for people; `faults --take FIGURE FOLDER` for itself.
pub(crate) fn run() -> Result<(), Fault> {
    let words: Vec<String> = env::args().skip(2).collect();
    match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--take", name, folder] => match figure(name)?.taker {
            Taker::Itself(take) => take(&Notes::in_folder(folder)),
            Taker::Python(_) => Err(python::NOT_HERE.into()),
        },
        [] => table(&ALL),
        names => {
            let figures: Result<Vec<_>, _> = names.iter().map(|name| figure(name)).collect();
            table(&figures?)
        }
    }
}

fn figure(name: &str) -> Result<&'static Figure, Fault> {
    let found = ALL.iter().find(|figure| figure.name == name);
    found.copied().ok_or_else(|| {
        let names: Vec<_> = ALL.iter().map(|figure| figure.name).collect();
        format!("there is no figure `{name}`, but {}", names.join(", ")).into()
    })
}

/// Takes the figures and prints them; progress goes to the standard error.
fn table(figures: &[&'static Figure]) -> Result<(), Fault> {
    child::adopt_orphans()?;
    let versions = python::Script::write()?;
    let mut machine = Machine::look(Some(&versions));
    let folder = env::temp_dir().join(format!("pool-faults-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let notes = Notes::in_folder(&folder);
    fs::write(notes.path("faults.py"), include_str!("faults.py"))?;

    let begin = Instant::now();
    let mut lines = String::new();
    for figure in figures {
        let watch = Watch::start();
        let outcome = child::run(figure.command(&notes), PATIENCE);
        let others = watch.others();
        for row in figure.rows {
            lines += &row.line(&outcome, others);
        }
        eprintln!("{:6.1} s  {}", begin.elapsed().as_secs_f64(), figure.name);
    }
    machine.look_again(begin.elapsed());
    // A leftover in the folder for temporary files.
    let _ = fs::remove_dir_all(&folder);

    println!("{}\n", machine.text());
    println!(
        "| {:<22} | {:<76} | {:>9} | {:>9} | {:>4} | elsewhere |",
        "row", "what", "median", "p99", "n"
    );
    println!("|---|---|---|---|---|---|");
    print!("{lines}");
    println!(
        "\nelsewhere: cores that were busy with something else meanwhile; noisy above {NOISE}"
    );
    Ok(())
}

impl Figure {
    fn command(&self, notes: &Notes) -> Command {
        let mut command;
        match self.taker {
            Taker::Itself(_) => {
                command = Command::new("/proc/self/exe");
                command.args(["faults", "--take", self.name]);
            }
            Taker::Python(function) => {
                command = Command::new("python3");
                command.arg(notes.path("faults.py")).arg(function);
            }
        }
        command.arg(notes.folder()).env("RUST_BACKTRACE", "0");
        command
    }
}

impl Row {
    fn line(&self, outcome: &Outcome, others: Option<f64>) -> String {
        let begin = format!(
            "| {:<22} | {:<76} |",
            format!("`{}`", self.name),
            self.title
        );
        let values = match outcome {
            Ok(values) => values.iter().filter(|(row, _)| row == self.name),
            Err(failure) => return format!("{begin} not measured: {} |\n", failure.text),
        };
        let values = sorted(values.map(|(_, value)| *value).collect());
        let shown = |q| show(quantile(&values, q), self.unit);
        let others = match others {
            Some(others) if others > NOISE => format!("{others:.2} noisy"),
            Some(others) => format!("{others:.2}"),
            None => "unknown".into(),
        };
        format!(
            "{begin} {:>9} | {:>9} | {:>4} | {others} |\n",
            shown(0.5),
            shown(0.99),
            values.len()
        )
    }
}

/// Tells the driver a value of a row.
fn tell(row: &str, value: f64) {
    println!("{MARK}{row} {value:e}");
}

/// Waits for something that no call waits for.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<(), Fault> {
    let begin = Instant::now();
    while !is_so() {
        if begin.elapsed() > WAIT {
            return Err(format!("waited in vain: {what}").into());
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::child::Failure;

    const ROW: Row = Row {
        name: "kill.idle",
        title: "title",
        unit: Unit::Seconds,
    };

    #[test]
    fn names_are_unique() {
        let figures: HashSet<_> = ALL.iter().map(|figure| figure.name).collect();
        assert_eq!(figures.len(), ALL.len());
        let rows = || ALL.iter().flat_map(|figure| figure.rows);
        let names: HashSet<_> = rows().map(|row| row.name).collect();
        assert_eq!(names.len(), rows().count());
    }

    #[test]
    fn a_line_holds_the_values_of_its_own_row() {
        let values = [("kill.idle", 1e-3), ("kill.busy", 9.0), ("kill.idle", 3e-3)];
        let values = values.map(|(row, value)| (row.to_owned(), value));
        let line = ROW.line(&Ok(values.into()), Some(0.5));
        assert!(
            line.contains("2.00 ms") && line.contains("0.50 noisy"),
            "{line}"
        );
        assert!(line.contains("|    2 |"), "{line}");
    }

    #[test]
    fn a_line_says_why_it_is_empty() {
        let failure = Failure {
            text: "no python".into(),
            is_final: true,
        };
        assert!(
            ROW.line(&Err(failure), None)
                .contains("not measured: no python")
        );
    }
}
