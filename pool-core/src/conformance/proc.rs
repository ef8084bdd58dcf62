//! What `/proc` says of processes and threads.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use super::gate::Start;
use super::until;

/// A thread of some process, told from others that had its number by the time of its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thread {
    folder: PathBuf,
    start: u64,
}

impl Thread {
    /// The main thread of a process.
    pub(super) fn main_of(pid: u32) -> Option<Self> {
        Self::of(pid, pid)
    }

    fn of(pid: u32, tid: u32) -> Option<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}/task/{tid}"));
        let start = field(&folder, 19)?.parse().ok()?;
        Some(Self { folder, start })
    }

    /// The thread of this process that calls this.
    pub(super) fn current() -> Self {
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        Self::of(std::process::id(), tid.cast_unsigned()).expect("it runs")
    }

    /// Whether it is there and not merely waiting to be reaped.
    pub(super) fn lives(&self) -> bool {
        let start = field(&self.folder, 19).and_then(|start| start.parse().ok());
        start == Some(self.start) && !matches!(field(&self.folder, 0).as_deref(), Some("Z" | "X"))
    }

    /// Whether it sleeps in the kernel.
    pub(super) fn sleeps(&self) -> bool {
        field(&self.folder, 0).as_deref() == Some("S")
    }
}

/// A field of `stat`; the first, with number 0, is the state.
fn field(folder: &Path, number: usize) -> Option<String> {
    let line = fs::read_to_string(folder.join("stat")).ok()?;
    // The name before it is in parentheses and may contain any.
    let (_, rest) = line.rsplit_once(") ")?;
    rest.split(' ').nth(number).map(str::to_owned)
}

/// The threads in which tasks were started and which still live.
pub(super) fn threads_of(starts: &[Start]) -> Vec<Thread> {
    let thread = |start: &Start| Thread::of(start.pid, start.thread);
    starts.iter().filter_map(thread).collect()
}

/// Waits until none of them lives.
#[track_caller]
pub(super) fn wait_until_gone(threads: &[Thread]) {
    until("these threads are gone", || {
        !threads.iter().any(Thread::lives)
    });
}

/// Processes that were started by this one, and so on.
pub(super) fn descendants_of(pid: u32) -> Vec<Thread> {
    let mut pids = vec![pid];
    let mut seen = 0;
    let processes = numbers("/proc");
    while seen < pids.len() {
        let parent = pids[seen].to_string();
        let is_child =
            |pid: &&u32| field(Path::new(&format!("/proc/{pid}")), 1).as_ref() == Some(&parent);
        pids.extend(processes.iter().filter(is_child));
        seen += 1;
    }
    pids.drain(..1);
    pids.into_iter().filter_map(Thread::main_of).collect()
}

/// The numbers among the names in a folder.
fn numbers(folder: &str) -> Vec<u32> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    names
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The files that a process has open or mapped.
pub(super) fn files_of(pid: u32) -> Vec<PathBuf> {
    let fds = numbers(&format!("/proc/{pid}/fd")).into_iter();
    let open = fds.filter_map(|fd| fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok());
    let maps = maps_of(pid);
    let mapped = maps.iter().filter_map(|line| line.split_once('/'));
    let mapped = mapped.map(|(_, path)| PathBuf::from(format!("/{path}")));
    open.chain(mapped).collect()
}

/// The memory that a process shares: the devices and numbers of what is mapped.
pub(super) fn shared_memory_of(pid: u32) -> Vec<(String, u64)> {
    let shared = |line: &String| {
        let mut words = line.split_whitespace();
        let is_shared = words.nth(1)?.ends_with('s');
        let (device, number) = (words.nth(1)?.to_owned(), words.next()?.parse().ok()?);
        is_shared.then_some((device, number))
    };
    maps_of(pid).iter().filter_map(shared).collect()
}

fn maps_of(pid: u32) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    maps.lines().map(str::to_owned).collect()
}

/// Sends SIGKILL.
#[track_caller]
pub(super) fn kill_if_there(pid: u32) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

pub(super) fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}
