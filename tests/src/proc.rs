//! What `/proc` says of processes.

use std::fmt::Write;
use std::fs;

use crate::until;

/// A process, told from others that had its number by the time of its start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Since when it runs, in ticks since the start of the machine.
    pub start: u64,
}

/// A line of `/proc/PID/stat`.
struct Stat {
    state: char,
    parent: u32,
    start: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    stat_in(&format!("/proc/{pid}"))
}

fn stat_in(folder: &str) -> Option<Stat> {
    let line = fs::read_to_string(format!("{folder}/stat")).ok()?;
    // The name is in parentheses and may contain any.
    let (_, rest) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

impl Process {
    /// The process that has this number now.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let start = stat(pid)?.start;
        Some(Self { pid, start })
    }

    /// Whether it is there and not merely waiting to be reaped.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.is_there() && !self.is_zombie()
    }

    /// Whether it is there, dead or alive.
    #[must_use]
    pub fn is_there(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start == self.start)
    }

    /// Whether it is dead and nobody has waited for it.
    #[must_use]
    pub fn is_zombie(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start == self.start && stat.state == 'Z')
    }

    /// Whether it is stopped by a signal.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start == self.start && stat.state == 'T')
    }

    /// What it is and what it waits for, with its threads.
    #[must_use]
    pub fn describe(&self) -> String {
        let pid = self.pid;
        let read = |path: String| fs::read_to_string(path).unwrap_or_default();
        let command = read(format!("/proc/{pid}/cmdline")).replace('\0', " ");
        let mut text = format!("process {pid}: {}\n", command.trim());
        for tid in numbers(&format!("/proc/{pid}/task")) {
            let of = |file: &str| read(format!("/proc/{pid}/task/{tid}/{file}"));
            let state = of("stat");
            let state = state.rsplit_once(") ").map_or("?", |(_, rest)| &rest[..1]);
            let _ = writeln!(
                text,
                "    thread {tid} {:16} state {state} wchan {:24} syscall {}",
                of("comm").trim(),
                of("wchan").trim(),
                of("syscall").trim(),
            );
        }
        text
    }
}

/// The numbers among the names in a folder.
#[must_use]
pub fn numbers(folder: &str) -> Vec<u32> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbers: Vec<u32> = names
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Whether every thread of a process is stopped by a signal.
#[must_use]
pub fn threads_are_stopped(pid: u32) -> bool {
    let mut threads = numbers(&format!("/proc/{pid}/task")).into_iter();
    threads.all(|tid| {
        let stat = stat_in(&format!("/proc/{pid}/task/{tid}"));
        stat.is_none_or(|stat| stat.state == 'T')
    })
}

/// The children of a process, dead ones that nobody has waited for included.
#[must_use]
pub fn children_of(pid: u32) -> Vec<Process> {
    let of_parent = |child: u32| {
        let stat = stat(child).filter(|stat| stat.parent == pid)?;
        Some(Process {
            pid: child,
            start: stat.start,
        })
    };
    numbers("/proc").into_iter().filter_map(of_parent).collect()
}

/// Children, their children, and so on.
#[must_use]
pub fn descendants_of(pid: u32) -> Vec<Process> {
    let mut all = children_of(pid);
    let mut seen = 0;
    while seen < all.len() {
        all.extend(children_of(all[seen].pid));
        seen += 1;
    }
    all
}

/// Waits until none of the processes lives.
///
/// # Panics
/// When one lives on.
#[track_caller]
pub fn wait_until_gone(processes: &[Process]) {
    until("these processes are gone", || {
        !processes.iter().any(Process::lives)
    });
}

/// Sends a signal.
///
/// # Panics
/// When the process is not there.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Sends SIGKILL.
///
/// # Panics
/// When the process is not there.
pub fn kill(pid: u32) {
    signal(pid, rustix::process::Signal::KILL);
}
