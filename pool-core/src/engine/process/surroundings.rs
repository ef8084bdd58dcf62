//! What every worker of a pool gets of this program: as it was when the pool was built, so that
//! workers that start later, after a death or with more work, are like the first ones.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FileType, fstat, stat};

use super::descriptors;
use crate::engine::ProcessConfig;
use crate::engine::output::Output;
use crate::error::pool_error::Error;

/// The state of this program that its child processes inherit.
#[derive(Debug)]
pub(super) struct Surroundings {
    variables: Vec<(OsString, OsString)>,
    folder: OwnedFd,
    /// The working folder where one was asked for.
    asked: Option<PathBuf>,
    /// Where the kernel tells it.
    umask: Option<u32>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

impl Surroundings {
    pub(super) fn new(config: &ProcessConfig) -> Result<Self, Error> {
        let mut variables: Vec<_> = std::env::vars_os().collect();
        variables.extend(config.env.iter().cloned());
        let asked = config.current_dir.clone();
        let here = asked.as_deref().unwrap_or(Path::new("."));
        let folder = open_folder(here)
            .map_err(|error| Error::spawn("the working folder of the workers", &error))?;
        // A stream may be closed.
        let inherited = |output, stream: BorrowedFd<'_>| match output {
            Output::Inherit => descriptors::copy(stream).ok(),
            Output::Null | Output::Prefix => None,
        };
        Ok(Self {
            variables,
            folder,
            asked,
            umask: umask(),
            stdout: inherited(config.stdout, rustix::stdio::stdout()),
            stderr: inherited(config.stderr, rustix::stdio::stderr()),
        })
    }

    /// The value of an environment variable.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        let mut variables = self.variables.iter().rev();
        let (_, value) = variables.find(|(key, _)| key == name)?;
        Some(value)
    }

    /// Gives the environment and the working folder to a command.
    pub(super) fn give(&self, command: &mut Command) {
        let variables = self.variables.iter().map(|(key, value)| (key, value));
        command.env_clear().envs(variables);
        let is_here = match (fstat(&self.folder), stat(".")) {
            (Ok(asked), Ok(here)) => (asked.st_dev, asked.st_ino) == (here.st_dev, here.st_ino),
            _ => false,
        };
        // A folder that is inherited needs no right to enter it.
        if !is_here {
            // By its descriptor: it may have been renamed or deleted.
            command.current_dir(format!("/proc/self/fd/{}", self.folder.as_raw_fd()));
        }
    }

    /// The working folder where one was asked for.
    pub(super) fn asked(&self) -> Option<&Path> {
        self.asked.as_deref()
    }

    /// The rights that new files do not get, where the program has changed that since.
    pub(super) fn other_umask(&self) -> Option<u32> {
        self.umask.filter(|_| umask() != self.umask)
    }

    pub(super) fn stdout(&self) -> Option<&OwnedFd> {
        self.stdout.as_ref()
    }

    pub(super) fn stderr(&self) -> Option<&OwnedFd> {
        self.stderr.as_ref()
    }
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let folder = descriptors::place(path)?;
    let is_folder = fstat(&folder).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_dir());
    if !is_folder {
        let message = format!("{}: not a folder", path.display());
        return Err(io::Error::new(io::ErrorKind::NotADirectory, message));
    }
    Ok(folder)
}

/// A standard stream of a worker that is the program's.
pub(super) fn inherit(stream: Option<&OwnedFd>) -> io::Result<Stdio> {
    match stream {
        Some(stream) => Ok(descriptors::copy(stream.as_fd())?.into()),
        None => Ok(Stdio::inherit()),
    }
}

/// The rights that new files do not get. There is no call that only reads it.
fn umask() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let umask = status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(umask.trim(), 8).ok()
}
