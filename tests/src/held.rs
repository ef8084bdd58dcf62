//! What a process holds and must give back: children, file descriptors, threads, shared memory.

use std::fs;
use std::process;
use std::time::{Duration, Instant};

use crate::proc;

/// How long what is on its way out may take. A pool that is gone has waited for its workers, but
/// its last thread may still be closing its descriptors.
const LEAVING: Duration = Duration::from_secs(10);

/// One line for each thing that is held.
#[derive(Debug, PartialEq, Eq)]
pub struct Held(Vec<String>);

impl Held {
    /// What it holds now.
    ///
    /// # Panics
    /// When the system does not say.
    #[must_use]
    pub fn now() -> Self {
        let mut held = Vec::new();
        for child in proc::children_of(process::id()) {
            held.push(format!("child: {}", child.describe()));
        }
        for fd in proc::numbers("/proc/self/fd") {
            // The one that listed the folder is gone.
            if let Ok(target) = fs::read_link(format!("/proc/self/fd/{fd}")) {
                held.push(format!("descriptor {fd}: {}", target.display()));
            }
        }
        for tid in proc::numbers("/proc/self/task") {
            let name = fs::read_to_string(format!("/proc/self/task/{tid}/comm"));
            if let Ok(name) = name {
                held.push(format!("thread {tid}: {}", name.trim()));
            }
        }
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        held.extend(
            maps.lines()
                .filter(|line| line.contains("memfd:"))
                .map(ToOwned::to_owned),
        );
        Self(held)
    }

    /// What this process holds now and did not hold then, or the other way round, once what is on
    /// its way out has gone: one line each, or nothing.
    #[must_use]
    pub fn difference(&self) -> Vec<String> {
        let end = Instant::now() + LEAVING;
        loop {
            let now = Self::now();
            if now == *self || Instant::now() > end {
                let is_in = |of: &Self, line: &String| of.0.contains(line);
                let more = now.0.iter().filter(|line| !is_in(self, line));
                let less = self.0.iter().filter(|line| !is_in(&now, line));
                return more
                    .map(|line| format!("+ {line}"))
                    .chain(less.map(|line| format!("- {line}")))
                    .collect();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Fails when this process holds something else than it did then.
    ///
    /// # Panics
    /// Then.
    pub fn assert_nothing_more(&self) {
        let difference = self.difference();
        assert!(difference.is_empty(), "left behind:\n{difference:#?}");
    }
}
