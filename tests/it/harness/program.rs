//! Runs a program to its end, whatever it leaves behind.

use std::fs::{self, File};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use pool_tests::proc;

/// After how long a program is killed. What is stuck has printed its stacks by then.
const LOST: Duration = Duration::from_secs(120);

/// A program that runs, and where its output goes: files, since who is left behind would keep a
/// pipe open.
pub(crate) struct Running {
    pub(crate) child: Child,
    folder: tempfile::TempDir,
}

/// How a program ended, and what it said.
pub(crate) struct Ended {
    /// `None`: it was killed, since it did not end.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [out, err] = ["out", "err"].map(|name| File::create(folder.path().join(name)).unwrap());
        let child = command.stdout(out).stderr(err).spawn().unwrap();
        Self { child, folder }
    }

    /// What it has said so far.
    pub(crate) fn said(&self, stream: &str) -> String {
        let bytes = fs::read(self.folder.path().join(stream)).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn end(mut self) -> Ended {
        let end = Instant::now() + LOST;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() > end => {
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        Ended {
            status,
            out: self.said("out"),
            err: self.said("err"),
        }
    }
}

impl Ended {
    pub(crate) fn of(command: &mut Command) -> Self {
        Running::start(command).end()
    }

    pub(crate) fn describe(&self) -> String {
        let status = match self.status {
            Some(status) => status.to_string(),
            None => "killed from outside, it did not end".to_owned(),
        };
        let Self { out, err, .. } = self;
        format!("{status}\n{out}\n{err}")
    }
}

/// One of the programs of this package.
pub(crate) fn program(path: &str) -> Command {
    let mut command = Command::new(path);
    command.stdin(Stdio::null());
    command
}

/// Runs a program of this package that must end well and leave no worker behind; returns what it
/// said.
#[track_caller]
pub(crate) fn run_program(command: &mut Command) -> Ended {
    let running = Running::start(command);
    let pid = running.child.id();
    let ended = running.end();
    assert!(
        ended.status.is_some_and(|status| status.success()),
        "{command:?}: {}",
        ended.describe()
    );
    assert_no_worker_of(pid);
    ended
}

/// The first argument of a worker names the process that started it.
#[track_caller]
pub(crate) fn assert_no_worker_of(parent: u32) {
    pool_tests::until(&format!("no worker of process {parent} is left"), || {
        !proc::numbers("/proc").into_iter().any(|pid| {
            let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut token = command.split('\0').next().unwrap_or_default().split(':');
            token.next() == Some("pool-worker")
                && token
                    .nth(1)
                    .is_some_and(|number| number.parse() == Ok(parent))
        })
    });
}
