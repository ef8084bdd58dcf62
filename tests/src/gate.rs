//! Tasks that wait until they are let go, on any backend: they meet in a folder.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process;
use std::thread::sleep;
use std::time::Duration;

use pool_core::pool_task;
use tempfile::TempDir;

use crate::{until, until_some};

/// A folder in which tasks leave word that they run, and look for the word to go on.
#[derive(Debug)]
pub struct Gate {
    folder: TempDir,
}

/// Waits at the gate in this folder, and returns its number.
#[pool_task]
pub fn hold(folder: &Path, number: u32) -> u32 {
    note(folder, number);
    until("the gate is open", || folder.join("open").exists());
    number
}

/// The same, and goes when it is told to stop; says whether it was.
#[pool_task]
pub fn hold_or_stop(folder: &Path, number: u32) -> bool {
    note(folder, number);
    let mut told = false;
    until("the gate is open or this is told to stop", || {
        told = pool_core::current().is_cancelled();
        told || folder.join("open").exists()
    });
    if told {
        note_word(folder, &format!("told-{number}"));
    }
    told
}

/// Leaves word that it ran, and goes on.
#[pool_task]
pub fn pass(folder: &Path, number: u32) -> u32 {
    note(folder, number);
    number
}

/// Never returns, whatever it is told.
#[pool_task]
pub fn never(folder: &Path, number: u32) -> u32 {
    note(folder, number);
    loop {
        sleep(Duration::from_secs(1));
    }
}

/// Leaves word that task `number` runs, and in which process.
fn note(folder: &Path, number: u32) {
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join("log"));
    // One `write` for the line: appended as a whole.
    log.unwrap()
        .write_all(format!("{number} {}\n", process::id()).as_bytes())
        .unwrap();
}

fn note_word(folder: &Path, word: &str) {
    File::create(folder.join(word)).unwrap();
}

impl Gate {
    /// A closed gate.
    ///
    /// # Panics
    /// When no folder can be made.
    #[must_use]
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A task that waits here.
    #[must_use]
    pub fn hold(&self, number: u32) -> hold {
        hold::task(self.folder(), number)
    }

    /// A task that waits here, or until it is told to stop.
    #[must_use]
    pub fn hold_or_stop(&self, number: u32) -> hold_or_stop {
        hold_or_stop::task(self.folder(), number)
    }

    /// A task that passes.
    #[must_use]
    pub fn pass(&self, number: u32) -> pass {
        pass::task(self.folder(), number)
    }

    /// A task that never ends.
    #[must_use]
    pub fn never(&self, number: u32) -> never {
        never::task(self.folder(), number)
    }

    /// Lets everybody go on.
    ///
    /// # Panics
    /// When the folder is gone.
    pub fn open(&self) {
        note_word(self.folder(), "open");
    }

    /// Whether the task noticed that it was told to stop.
    #[must_use]
    pub fn was_told(&self, number: u32) -> bool {
        self.folder().join(format!("told-{number}")).exists()
    }

    /// The starts so far, in order: number and process.
    #[must_use]
    pub fn starts(&self) -> Vec<(u32, u32)> {
        let log = fs::read_to_string(self.folder().join("log")).unwrap_or_default();
        let pair = |line: &str| {
            let (number, pid) = line.split_once(' ')?;
            Some((number.parse().ok()?, pid.parse().ok()?))
        };
        log.lines().filter_map(pair).collect()
    }

    /// How often a task was started.
    #[must_use]
    pub fn starts_of(&self, number: u32) -> usize {
        self.starts().iter().filter(|(n, _)| *n == number).count()
    }

    /// Waits until the task runs; returns its process.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    #[must_use]
    pub fn wait_for(&self, number: u32) -> u32 {
        until_some(&format!("task {number} runs"), || {
            self.starts()
                .into_iter()
                .rfind(|(n, _)| *n == number)
                .map(|(_, pid)| pid)
        })
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

/// Whoever waits at a gate must not wait for one that is gone.
impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}
