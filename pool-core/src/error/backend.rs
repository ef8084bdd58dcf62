//! The names of the places where a task can run.

use std::fmt;
use std::str::FromStr;

use crate::error::pool_error::Error;

/// Where a pool runs its tasks.
///
/// `Display` and `FromStr` use the lower-case names that `POOL_BACKEND` and
/// `#[pool_task(backend = "…")]` take.
///
/// ```
/// use pool_core::Backend;
///
/// assert_eq!("processes".parse(), Ok(Backend::Processes));
/// assert_eq!(Backend::Threads.to_string(), "threads");
/// assert!("process".parse::<Backend>().unwrap_err().to_string().contains("inline, threads"));
/// # Ok::<(), pool_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// In the calling thread, at `submit`.
    Inline,
    /// On threads of this process.
    Threads,
    /// In worker processes: this executable, started again.
    Processes,
    /// On worker processes of other machines.
    Cluster,
}

impl Backend {
    /// Every backend, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Inline, Self::Threads, Self::Processes, Self::Cluster];

    /// The name as users write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Threads => "threads",
            Self::Processes => "processes",
            Self::Cluster => "cluster",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Backend {
    type Err = Error;

    /// # Errors
    /// [`Error::UnknownBackend`] for anything but the four names.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|backend| backend.name() == text)
            .ok_or_else(|| Error::UnknownBackend(text.to_owned()))
    }
}
