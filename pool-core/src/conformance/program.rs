//! Programs of their own, for statements about whole programs: this one, started again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::{env, process};

use super::gate::{self, Folder, Start};
use super::{Subject, until};

/// Which statement the program was started for.
const STATEMENT: &str = "POOL_CONFORMANCE_STATEMENT";

/// The folder in which it meets whoever started it.
const FOLDER: &str = "POOL_CONFORMANCE_FOLDER";

/// Its place for temporary files, in that folder.
const TEMPORARY: &str = "tmp";

/// The statement that this program was started for, if it was.
pub(super) fn started_for() -> Option<String> {
    env::var(STATEMENT).ok()
}

/// A program that runs, in a folder of its own, which is its place for temporary files too.
pub(super) struct Running {
    child: Child,
    folder: Folder,
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) out: String,
    pub(super) err: String,
    /// The starts that tasks left word of in its folder.
    pub(super) starts: Vec<Start>,
    /// What it left in its place for temporary files.
    pub(super) left: Vec<PathBuf>,
}

/// Plays the part in the program that was started for this statement, which then ends with code 0;
/// elsewhere it starts that program.
#[track_caller]
pub(super) fn start(subject: &Subject, statement: &str, part: impl FnOnce(&Path)) -> Running {
    if started_for().is_some() {
        let folder = env::var_os(FOLDER).expect("set beside the statement");
        part(Path::new(&folder));
        process::exit(0);
    }
    let folder = Folder::new();
    fs::create_dir(folder.join(TEMPORARY)).unwrap();
    let [out, err] = ["out", "err"].map(|name| File::create(folder.join(name)).unwrap());
    let mut command = subject.command();
    let child = command
        .env(STATEMENT, statement)
        .env(FOLDER, &*folder)
        .env("TMPDIR", folder.join(TEMPORARY))
        .stdin(Stdio::null())
        // Files, since who is left behind would keep a pipe open.
        .stdout(out)
        .stderr(err)
        .spawn();
    Running {
        child: child.unwrap(),
        folder,
    }
}

impl Running {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The starts that tasks left word of in its folder.
    pub(super) fn starts(&self) -> Vec<Start> {
        gate::starts(&self.folder)
    }

    /// Its place for temporary files.
    pub(super) fn temporary(&self) -> PathBuf {
        self.folder.join(TEMPORARY)
    }

    /// Waits until it ends.
    #[track_caller]
    pub(super) fn end(mut self) -> Ended {
        let mut status = None;
        until("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let [out, err] = ["out", "err"].map(|name| {
            let bytes = fs::read(self.folder.join(name)).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let left = fs::read_dir(self.temporary()).unwrap();
        Ended {
            status: status.unwrap(),
            out,
            err,
            starts: self.starts(),
            left: left.map(|entry| entry.unwrap().path()).collect(),
        }
    }
}

/// A program that did not end is not left behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
