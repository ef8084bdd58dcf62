//! A terminal with a program.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::program::Running;

pub(crate) struct Terminal {
    /// The side of the keyboard and the screen.
    pub(crate) keys: OwnedFd,
    /// The side of the programs.
    pub(crate) path: PathBuf,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let keys = openpt(flags).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let path = ptsname(&keys, Vec::new()).unwrap().into_string().unwrap();
        Self {
            keys,
            path: path.into(),
        }
    }

    /// The program becomes the leader of a session with this terminal.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let input = File::options().read(true).write(true).open(&self.path);
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_program")]);
        Running::start(command.args(arguments).stdin(input.unwrap()))
    }
}

/// A terminal, and the program whose terminal it is.
pub(crate) fn program(arguments: &[&str]) -> (Terminal, Running) {
    let terminal = Terminal::new();
    let running = terminal.start(arguments);
    (terminal, running)
}
