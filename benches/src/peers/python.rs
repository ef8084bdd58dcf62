//! Python's pools: a script of this crate, run by `python3`, that takes the same samples.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::Fault;
use crate::subject::{Python, Subject};

pub(crate) const NOT_HERE: &str = "is measured by the script, not by this program";

/// The script as a file: Python's pools import the module of the functions they call.
pub(crate) struct Script {
    folder: PathBuf,
}

impl Script {
    pub(crate) fn write() -> Result<Self, Fault> {
        let folder = std::env::temp_dir().join(format!("pool-benches-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let script = Self { folder };
        fs::write(script.path(), include_str!("peers.py"))?;
        Ok(script)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("peers.py")
    }

    /// The command that takes one sample.
    pub(crate) fn sample(&self, group: &str, python: Python, quick: bool) -> Command {
        let mut command = Command::new("python3");
        command
            .arg(self.path())
            .args([group, python.key(), if quick { "quick" } else { "full" }]);
        command
    }

    /// The versions of Python and of the libraries it has; what is missing is said so.
    pub(crate) fn versions(&self) -> String {
        let asked = Command::new("python3")
            .arg(self.path())
            .arg("versions")
            .output();
        match asked {
            Ok(output) if output.status.success() => {
                String::from_utf8_lossy(&output.stdout).trim().into()
            }
            Ok(output) => format!("does not run: {}", output.status),
            Err(error) => format!("python3 cannot be started: {error}"),
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // A leftover in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The four as subjects, for the lists of the groups.
pub(crate) const MP_POOL: Subject = Subject::Python(Python::MpPool);
pub(crate) const EXECUTOR: Subject = Subject::Python(Python::Executor);
pub(crate) const LOKY: Subject = Subject::Python(Python::Loky);
pub(crate) const JOBLIB: Subject = Subject::Python(Python::Joblib);
