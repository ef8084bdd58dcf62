//! Errors of a pool as a whole: building it, starting its workers.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::error::backend::Backend;

/// The maximum number of workers of a pool.
pub const MAX_WORKERS: usize = 1024;

/// How deep process pools can be nested: the pool of a worker is one deeper than the pool that
/// the worker belongs to.
pub const MAX_DEPTH: u32 = 4;

/// Two tasks under one name, with both places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    name: &'static str,
    other_name: &'static str,
    places: [(&'static str, u32); 2],
}

impl Duplicate {
    /// Two tasks, each with its name, file and line.
    pub(crate) fn new(mut both: [(&'static str, &'static str, u32); 2]) -> Self {
        // The order of registration is the linker's; the message's is fixed.
        both.sort_by_key(|(_, file, line)| (*file, *line));
        Self {
            name: both[0].0,
            other_name: both[1].0,
            places: both.map(|(_, file, line)| (file, line)),
        }
    }

    /// The name that both tasks have.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// File and line of both.
    #[must_use]
    pub fn places(&self) -> [(&str, u32); 2] {
        self.places
    }
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [(file, line), (other_file, other_line)] = self.places;
        if self.name == self.other_name {
            write!(f, "two tasks have the name {}", self.name)?;
        } else {
            write!(
                f,
                "the tasks {} and {} have the same id",
                self.name, self.other_name
            )?;
        }
        write!(
            f,
            ": at {file}:{line} and at {other_file}:{other_line}; rename one function, give it a \
             name of its own with #[pool_task(name = \"…\")], or, if one source is compiled twice \
             (`mod` of one file in main.rs and in lib.rs, two versions of one crate), link it once"
        )
    }
}

/// Why a pool could not be built or operated.
///
/// The fate of one task is a [`TaskError`](crate::TaskError).
///
/// `Debug` prints the same sentence as `Display`: it is what a `main` that returns the error
/// shows.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A process pool was asked for in a program that has no door for its workers: the
    /// re-executed program would run `main` again instead of serving tasks.
    NotInitialized,
    /// A pool of zero workers.
    ZeroWorkers,
    /// More workers than [`MAX_WORKERS`](crate::MAX_WORKERS).
    TooManyWorkers {
        /// What was asked for.
        asked: usize,
    },
    /// A stack that no thread can have.
    StackSize {
        /// What was asked for, in bytes.
        asked: usize,
        /// The most there is.
        limit: usize,
    },
    /// A `POOL_WORKERS` that is no number from 1 to [`MAX_WORKERS`](crate::MAX_WORKERS).
    InvalidWorkers(String),
    /// An unknown backend name, in `POOL_BACKEND` or parsed.
    UnknownBackend(String),
    /// A backend that this build of the program does not have.
    Unavailable {
        /// The backend that was asked for.
        backend: Backend,
        /// What to do about it.
        hint: &'static str,
    },
    /// Two functions have the same task name.
    DuplicateTask(Duplicate),
    /// A worker process could not be started.
    Spawn {
        /// What was tried.
        context: String,
        /// The kind of the system's error.
        kind: io::ErrorKind,
        /// The system's error.
        message: String,
    },
    /// A worker process was started and did not take up its work.
    WorkerStart {
        /// Its process id.
        pid: u32,
        /// What happened.
        reason: StartFailure,
    },
    /// Process pools nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// The arguments of the initializer could not be serialized; why.
    Initializer(String),
    /// [`Pool::shutdown_on_interrupt`](crate::Pool) could not listen to signals.
    Signals {
        /// The kind of the system's error.
        kind: io::ErrorKind,
        /// The system's error.
        message: String,
    },
    /// The servers of a cluster: what is wrong with them, or with how they are named.
    Cluster(String),
    /// `build_global` for a backend that already has its global pool.
    GlobalExists(Backend),
}

/// What a worker did instead of taking up its work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartFailure {
    /// It said nothing within the start timeout.
    Silent(Duration),
    /// It ended.
    Ended {
        /// How, in words.
        how: String,
    },
    /// It spoke, but not this protocol.
    Garbage,
    /// It speaks another version of the protocol.
    Version {
        /// The version of this program.
        ours: u32,
        /// The version of the worker.
        theirs: u32,
    },
    /// It links other tasks than this program.
    OtherTasks {
        /// How many tasks this program links, and the digest of its catalog.
        ours: (u64, u64),
        /// The same of the worker.
        theirs: (u64, u64),
    },
}

impl Error {
    pub(crate) fn spawn(context: impl Into<String>, error: &io::Error) -> Self {
        Self::Spawn {
            context: context.into(),
            kind: error.kind(),
            message: error.to_string(),
        }
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn cluster(why: impl Into<String>) -> Self {
        Self::Cluster(why.into())
    }

    pub(crate) fn signals(error: &io::Error) -> Self {
        Self::Signals {
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInitialized => f.write_str(
                "a process pool needs a door through which this program becomes a worker when it \
                 is started again: put #[pool_core::main] on main, or call pool_core::init() as \
                 the first statement of main, or use #[pool_core::test] instead of #[test] (the door of \
                 another test does not count)",
            ),
            Self::StackSize { asked, limit } => write!(
                f,
                "PoolBuilder::stack_size: {asked} bytes are more than the limit of {limit}"
            ),
            Self::ZeroWorkers => f.write_str("a pool needs at least one worker"),
            Self::TooManyWorkers { asked } => write!(
                f,
                "{asked} workers are more than the limit of {}",
                MAX_WORKERS
            ),
            Self::InvalidWorkers(text) => write!(
                f,
                "POOL_WORKERS is {text:?}: it has to be a number from 1 to {}",
                MAX_WORKERS
            ),
            Self::UnknownBackend(name) => {
                write!(f, "unknown backend {name:?}: it is one of ")?;
                for (i, backend) in Backend::ALL.iter().enumerate() {
                    write!(f, "{}{backend}", if i == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::Unavailable { backend, hint } => {
                write!(f, "the {backend} backend is not available: {hint}")
            }
            Self::DuplicateTask(duplicate) => duplicate.fmt(f),
            Self::Spawn {
                context, message, ..
            } => write!(f, "cannot start a worker process: {context}: {message}"),
            Self::WorkerStart { pid, reason } => {
                write!(f, "worker process {pid} did not start: {reason}")
            }
            Self::TooDeep => write!(
                f,
                "process pools are nested deeper than {} levels",
                MAX_DEPTH
            ),
            Self::Initializer(why) => {
                write!(
                    f,
                    "the arguments of the initializer could not be serialized: {why}"
                )
            }
            Self::Signals { message, .. } => write!(f, "cannot listen to signals: {message}"),
            Self::Cluster(why) => write!(f, "the cluster: {why}"),
            Self::GlobalExists(backend) => {
                write!(f, "the global {backend} pool exists already")
            }
        }
    }
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(limit) => write!(f, "it did not say hello within {limit:?}"),
            Self::Ended { how } => write!(f, "it ended before it ran a task ({how})"),
            Self::Garbage => f.write_str("it sent something that is not a hello"),
            Self::Version { ours, theirs } => write!(
                f,
                "it speaks version {theirs} of the protocol, this program version {ours}"
            ),
            Self::OtherTasks { ours, theirs } => write!(
                f,
                "it links other tasks: {} with the digest {:016x}, this program {} with {:016x}",
                theirs.0, theirs.1, ours.0, ours.1
            ),
        }
    }
}

impl std::error::Error for Error {}
