//! What a process holds and must give back: children, file descriptors, threads, shared memory.

use std::fs;
use std::process;
use std::time::{Duration, Instant};

use pool_tests::proc;

/// How long what is on its way out may take. A pool that is gone has waited for its workers, but
/// its last thread may still be closing its descriptors.
const LEAVING: Duration = Duration::from_secs(10);

/// One line for each thing that is held.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held(Vec<String>);

impl Held {
    pub(super) fn now() -> Self {
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

    /// Fails when this process holds more than it did then.
    pub(super) fn assert_nothing_more(&self) {
        let end = Instant::now() + LEAVING;
        loop {
            let now = Self::now();
            if now == *self {
                return;
            }
            assert!(
                Instant::now() < end,
                "left behind:\n{:#?}\nwhat there was before:\n{:#?}",
                now.0,
                self.0,
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
