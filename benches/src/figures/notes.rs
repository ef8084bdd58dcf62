//! Files in which a task notes what its end would take with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Fault;
use crate::tasks::now;

/// A folder of such files.
pub(crate) struct Notes {
    folder: PathBuf,
}

impl Notes {
    pub(crate) fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// That a task has started: when, and in which process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Start {
    /// Nanoseconds of [`now`].
    pub(crate) at: u64,
    pub(crate) pid: u32,
}

impl Start {
    /// For the task, as its first statement.
    pub(crate) fn note(path: &Path) -> io::Result<()> {
        let at = now();
        fs::write(path, format!("{at} {}\n", std::process::id()))
    }

    /// What the task has noted; once, so that the next one finds no old note.
    pub(crate) fn take(path: &Path) -> Result<Self, Fault> {
        let mut text = String::new();
        super::wait_until("a task notes that it has started", || {
            text = fs::read_to_string(path).unwrap_or_default();
            // Else it is not written to its end.
            text.ends_with('\n')
        })?;
        fs::remove_file(path)?;
        let (at, pid) = text.trim_end().split_once(' ').ok_or("a broken note")?;
        Ok(Self {
            at: at.parse()?,
            pid: pid.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_taken_once() {
        let name = format!("pool-faults-test-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let before = now();
        Start::note(&path).expect("the folder for temporary files is there");
        let start = Start::take(&path).expect("it is noted");
        assert!((before..=now()).contains(&start.at));
        assert_eq!(start.pid, std::process::id());
        assert!(!path.exists());
    }
}
