//! Tasks that wait until they are let go, wherever they run: they meet in a folder.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use std::{env, process, thread};

use super::until;
use crate::job::current::current;
use crate::pool_task;

/// A new folder for a test, which goes with it.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    #[track_caller]
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "pool-conformance-{}-{}",
            process::id(),
            NEXT.fetch_add(1, Relaxed)
        );
        let path = env::temp_dir().join(name);
        // Left by a process of the same number that was killed.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A folder in which tasks leave word that they run, and look for the word to go on.
#[derive(Debug)]
pub(super) struct Gate {
    folder: Folder,
}

/// What a task left word of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Start {
    pub(super) number: u32,
    pub(super) pid: u32,
    pub(super) thread: u32,
    pub(super) worker: usize,
}

/// Waits at the gate in this folder, and returns its number.
#[pool_task(crate = crate)]
pub(super) fn hold(folder: &Path, number: u32) -> u32 {
    note(folder, number);
    wait_at(folder);
    number
}

/// The same, and goes when it is told to stop; says whether it was.
#[pool_task(crate = crate)]
pub(super) fn hold_or_stop(folder: &Path, number: u32) -> bool {
    note(folder, number);
    let mut told = false;
    until("the gate is open or this is told to stop", || {
        told = current().is_cancelled();
        told || is_open(folder)
    });
    told
}

/// Passes, or waits at the gate, also until it is told to stop.
#[pool_task(crate = crate)]
pub(super) fn hold_if(holds: bool, folder: &Path, number: u32) -> u32 {
    match holds {
        true => drop(hold_or_stop(folder, number)),
        false => note(folder, number),
    }
    number
}

/// Waits at the gate, and leaves word of the number behind it too when it goes on.
#[pool_task(crate = crate)]
pub(super) fn hold_then_note(folder: &Path, number: u32) {
    hold(folder, number);
    note(folder, number + 1);
}

/// Waits until all tasks from `number + 1` to `last` run.
#[pool_task(crate = crate)]
pub(super) fn after_later_ones(folder: &Path, number: u32, last: u32) -> u32 {
    let later = number + 1..=last;
    until("the later ones have run", || {
        let starts = starts(folder);
        later
            .clone()
            .all(|later| starts.iter().any(|start| start.number == later))
    });
    note(folder, number);
    number
}

/// Waits at the gate, then takes its worker down.
#[pool_task(crate = crate)]
pub(super) fn hold_then_abort(folder: &Path, number: u32) -> u32 {
    note(folder, number);
    wait_at(folder);
    process::abort()
}

/// Leaves word that it ran, and goes on.
#[pool_task(crate = crate)]
pub(super) fn pass(folder: &Path, number: u32) -> u32 {
    note(folder, number);
    number
}

/// Never returns, whatever it is told.
#[pool_task(crate = crate)]
pub(super) fn never(folder: &Path, number: u32) -> u32 {
    note(folder, number);
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}

/// Leaves word that task `number` runs, and where.
pub(super) fn note(folder: &Path, number: u32) {
    let line = format!(
        "{number} {} {} {}\n",
        process::id(),
        rustix::thread::gettid().as_raw_nonzero(),
        current().worker()
    );
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join("log"));
    // One `write` for the line: appended as a whole.
    log.unwrap().write_all(line.as_bytes()).unwrap();
}

fn wait_at(folder: &Path) {
    until("the gate is open", || is_open(folder));
}

/// Or gone, with whoever could have opened it.
fn is_open(folder: &Path) -> bool {
    folder.join("open").exists() || !folder.exists()
}

/// The starts that tasks in this folder left word of.
pub(super) fn starts(folder: &Path) -> Vec<Start> {
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    let start = |line: &str| {
        let mut words = line.split(' ');
        Some(Start {
            number: words.next()?.parse().ok()?,
            pid: words.next()?.parse().ok()?,
            thread: words.next()?.parse().ok()?,
            worker: words.next()?.parse().ok()?,
        })
    };
    log.lines().filter_map(start).collect()
}

impl Gate {
    /// A closed gate.
    #[track_caller]
    pub(super) fn new() -> Self {
        Self {
            folder: Folder::new(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn hold(&self, number: u32) -> hold {
        hold::task(&self.folder, number)
    }

    pub(super) fn hold_or_stop(&self, number: u32) -> hold_or_stop {
        hold_or_stop::task(&self.folder, number)
    }

    pub(super) fn hold_if(&self, holds: bool, number: u32) -> hold_if {
        hold_if::task(holds, &self.folder, number)
    }

    pub(super) fn hold_then_abort(&self, number: u32) -> hold_then_abort {
        hold_then_abort::task(&self.folder, number)
    }

    pub(super) fn pass(&self, number: u32) -> pass {
        pass::task(&self.folder, number)
    }

    pub(super) fn never(&self, number: u32) -> never {
        never::task(&self.folder, number)
    }

    /// Lets everybody go on.
    pub(super) fn open(&self) {
        File::create(self.folder.join("open")).unwrap();
    }

    /// The starts so far, in order.
    pub(super) fn starts(&self) -> Vec<Start> {
        starts(&self.folder)
    }

    /// The tasks that have started, in order.
    pub(super) fn numbers(&self) -> Vec<u32> {
        let starts = self.starts();
        starts.into_iter().map(|start| start.number).collect()
    }

    /// Waits until the task runs; says where.
    #[track_caller]
    pub(super) fn wait_for(&self, number: u32) -> Start {
        let mut found = None;
        until(&format!("task {number} runs"), || {
            let mut starts = self.starts().into_iter();
            found = starts.rfind(|start| start.number == number);
            found.is_some()
        });
        found.unwrap()
    }

    /// Waits until so many tasks have started.
    #[track_caller]
    pub(super) fn wait_for_starts(&self, count: usize) {
        until(&format!("{count} tasks run"), || {
            self.starts().len() >= count
        });
    }
}
