//! Tasks that leave word when they start, in a folder that all their machines see, so that it can be
//! counted how often each did.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use pool_core::pool_task;

use crate::chance::mix;

/// Where starts are noted.
#[derive(Debug, Clone)]
pub struct Journal {
    folder: PathBuf,
}

/// Notes that it has started, takes its time, and returns what [`Journal::expected`] says.
#[pool_task]
pub fn step(folder: &Path, number: u64, ms: u64) -> u64 {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join("starts"));
    // One `write` for the line: appended as a whole.
    file.unwrap()
        .write_all(format!("{number}\n").as_bytes())
        .unwrap();
    sleep(Duration::from_millis(ms));
    Journal::expected(number)
}

impl Journal {
    /// One in this folder.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// A task that is noted here.
    #[must_use]
    pub fn step(&self, number: u64, ms: u64) -> step {
        step::task(&self.folder, number, ms)
    }

    /// What a task with this number returns.
    #[must_use]
    pub fn expected(number: u64) -> u64 {
        mix(number)
    }

    /// How often each has started.
    #[must_use]
    pub fn starts(&self) -> BTreeMap<u64, usize> {
        let text = fs::read_to_string(self.folder.join("starts")).unwrap_or_default();
        let mut starts = BTreeMap::new();
        for number in text.lines().filter_map(|line| line.parse().ok()) {
            *starts.entry(number).or_default() += 1;
        }
        starts
    }

    /// How many tasks have started more than once.
    #[must_use]
    pub fn twice(&self) -> usize {
        self.starts().values().filter(|starts| **starts > 1).count()
    }
}
