//! Figures in one table, on which a command prints a chapter of them: `pool-benches faults`.
//!
//! A figure is taken in a process of its own, like the samples of `peers`, so that one which hangs
//! costs its own rows only. All runs of a figure are in that one process; what it is compared with
//! alternates with it there, or comes right after it where it is a program of its own.

pub(crate) mod notes;

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

/// The figures that one command prints.
pub(crate) struct Chapter {
    /// The command's name.
    pub(crate) name: &'static str,
    pub(crate) figures: &'static [&'static Figure],
    /// The script that takes the figures of [`Taker::Python`], with the module of this folder
    /// beside it.
    pub(crate) script: &'static str,
}

/// What one process measures.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) rows: &'static [Row],
    pub(crate) taker: Taker,
}

/// One line of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
}

/// Who takes a figure.
pub(crate) enum Taker {
    /// This program, which tells the values as they come.
    Itself(fn(&Notes) -> Result<(), Fault>),
    /// The script of the chapter, in its function of this name.
    Python(&'static str),
}

/// How long a figure may take: several times what the slowest needs.
const PATIENCE: Duration = Duration::from_secs(240);

/// How long a figure waits for something that has to happen before it can go on.
pub(crate) const WAIT: Duration = Duration::from_secs(30);

impl Chapter {
    /// `COMMAND [FIGURE]...` for people; `COMMAND --take FIGURE FOLDER` for itself.
    pub(crate) fn run(&self) -> Result<(), Fault> {
        let words: Vec<String> = env::args().skip(2).collect();
        match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["--take", name, folder] => match self.figure(name)?.taker {
                Taker::Itself(take) => take(&Notes::in_folder(folder)),
                Taker::Python(_) => Err(python::NOT_HERE.into()),
            },
            names => self.print(&self.chosen(names)?),
        }
    }

    fn figure(&self, name: &str) -> Result<&'static Figure, Fault> {
        let found = self.figures.iter().find(|figure| figure.name == name);
        Ok(found.ok_or("no such figure")?)
    }

    /// Those of these names and below them, as `kill.python` is below `kill`; all, if none is
    /// named.
    fn chosen(&self, names: &[&str]) -> Result<Vec<&'static Figure>, Fault> {
        let is_of = |figure: &Figure, name: &str| {
            let rest = figure.name.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        for name in names {
            if !self.figures.iter().any(|figure| is_of(figure, name)) {
                let known: Vec<_> = self.figures.iter().map(|figure| figure.name).collect();
                return Err(
                    format!("there is no figure `{name}`, but {}", known.join(", ")).into(),
                );
            }
        }
        let is_chosen =
            |figure: &&Figure| names.is_empty() || names.iter().any(|name| is_of(figure, name));
        Ok(self.figures.iter().copied().filter(is_chosen).collect())
    }

    /// Takes the figures and prints them; progress goes to the standard error.
    fn print(&self, figures: &[&'static Figure]) -> Result<(), Fault> {
        child::adopt_orphans()?;
        let versions = python::Script::write()?;
        let mut machine = Machine::look(Some(&versions));
        let folder = env::temp_dir().join(format!("pool-{}-{}", self.name, std::process::id()));
        fs::create_dir_all(&folder)?;
        let notes = Notes::in_folder(&folder);
        fs::write(notes.path("figures.py"), include_str!("figures.py"))?;
        fs::write(notes.path(SCRIPT), self.script)?;

        let begin = Instant::now();
        let mut lines = String::new();
        for figure in figures {
            let watch = Watch::start();
            let outcome = child::run(self.command(figure, &notes), PATIENCE);
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
            "| {:<36} | {:<80} | {:>9} | {:>9} | {:>5} | elsewhere |",
            "row", "what", "median", "p99", "n"
        );
        println!("|---|---|---|---|---|---|");
        print!("{lines}");
        println!(
            "\nelsewhere: cores that were busy with something else meanwhile; noisy above {NOISE}"
        );
        Ok(())
    }

    fn command(&self, figure: &Figure, notes: &Notes) -> Command {
        let mut command;
        match figure.taker {
            Taker::Itself(_) => {
                command = Command::new("/proc/self/exe");
                command.args([self.name, "--take", figure.name]);
            }
            Taker::Python(function) => {
                command = Command::new("python3");
                command.arg(notes.path(SCRIPT)).arg(function);
            }
        }
        command.arg(notes.folder()).env("RUST_BACKTRACE", "0");
        command
    }
}

/// What the script is called where it runs.
const SCRIPT: &str = "chapter.py";

impl Row {
    pub(crate) const fn new(name: &'static str, title: &'static str, unit: Unit) -> Self {
        Self { name, title, unit }
    }

    fn line(&self, outcome: &Outcome, others: Option<f64>) -> String {
        let begin = format!(
            "| {:<36} | {:<80} |",
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
            "{begin} {:>9} | {:>9} | {:>5} | {others} |\n",
            shown(0.5),
            shown(0.99),
            values.len()
        )
    }
}

/// Tells the driver a value of a row.
pub(crate) fn tell(row: &str, value: f64) {
    println!("{MARK}{row} {value:e}");
}

/// Waits for something that no call waits for.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<(), Fault> {
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

    const CHAPTERS: [&Chapter; 2] = [&crate::faults::CHAPTER, &crate::futures::CHAPTER];

    const ROW: Row = Row::new("kill.idle", "title", Unit::Seconds);

    #[test]
    fn names_are_unique() {
        for chapter in CHAPTERS {
            let figures: HashSet<_> = chapter.figures.iter().map(|figure| figure.name).collect();
            assert_eq!(figures.len(), chapter.figures.len());
            let rows = || chapter.figures.iter().flat_map(|figure| figure.rows);
            let names: HashSet<_> = rows().map(|row| row.name).collect();
            assert_eq!(names.len(), rows().count());
        }
    }

    #[test]
    fn a_name_chooses_what_is_below_it() {
        let names = |names: &[&str]| -> Vec<_> {
            let chosen = crate::faults::CHAPTER.chosen(names);
            let chosen = chosen.expect("they are there");
            chosen.iter().map(|figure| figure.name).collect()
        };
        assert_eq!(names(&["kill"]), ["kill", "kill.python"]);
        assert_eq!(
            names(&["deadline.idle", "kill.python"]),
            ["kill.python", "deadline.idle"]
        );
        assert_eq!(names(&[]).len(), crate::faults::CHAPTER.figures.len());
        assert!(crate::faults::CHAPTER.chosen(&["ki"]).is_err());
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
        assert!(line.contains("|     2 |"), "{line}");
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
