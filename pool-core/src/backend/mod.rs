//! The seam: what a pool needs from a place to run tasks.
//!
//! [`Pool`](crate::Pool), [`JoinHandle`](crate::JoinHandle) and [`Map`](crate::Map) know this
//! trait and nothing of what is behind it; a backend knows no other backend.

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use kind::Backend;

use crate::Error;
use crate::cell::Job;

mod callbacks;
mod ended;
pub(crate) mod inline;
mod kind;
#[cfg(feature = "processes")]
pub(crate) mod processes;
pub(crate) mod threads;

#[cfg(feature = "processes")]
pub(crate) use processes::{Exit, use_large_pages};

/// A running backend. Every job that is submitted is resolved exactly once, whatever happens.
pub(crate) trait Engine: Send + Sync {
    fn kind(&self) -> Backend;

    fn workers(&self) -> usize;

    /// Whether jobs leave this process, so that their arguments travel encoded.
    fn is_remote(&self) -> bool {
        false
    }

    /// Whether a job is done when `submit` returns.
    fn runs_at_once(&self) -> bool {
        false
    }

    /// Whether the calling thread is one of the workers.
    fn is_own_thread(&self) -> bool {
        false
    }

    /// Whether what runs is not waited for any more.
    fn is_killed(&self) -> bool {
        false
    }

    /// Takes a job, or resolves it with `Rejected` where the backend takes none any more. One that
    /// has not started by `start_by` never does.
    fn submit(&self, job: Job, start_by: Option<Instant>);

    /// Blocks until the job is resolved or the deadline has passed, and helps where it can.
    fn wait(&self, job: &Job, deadline: Option<Instant>);

    /// Looks, without blocking, whether the job is done, so that its cell says so.
    fn poll(&self, job: &Job);

    /// Somebody watches the job's cell without calling `wait`: sees to it that its end is
    /// noticed.
    fn watch(&self, job: &Job);

    /// Whether a worker runs the job now.
    fn is_running(&self, job: &Job) -> bool;

    /// Resolves the job's handle with `Cancelled`, if it has no outcome yet; says whether it did.
    fn cancel(&self, job: &Job) -> bool;

    /// The same for a job that has not started; one that runs is left alone.
    fn cancel_queued(&self, job: &Job);

    /// Takes no more jobs; what it has is still done. May be called again.
    fn close(&self);

    /// Resolves every job that has not started with `Cancelled`. The pool is closed.
    fn cancel_all_queued(&self);

    /// Cancels what there is and ends the workers, without waiting. May be called again.
    fn kill(&self);

    /// Waits until a pool that is closed or killed has ended its workers, at most until the
    /// deadline; says whether it has. Called from one of its own workers it does not wait.
    fn wait_until_ended(&self, deadline: Option<Instant>) -> bool;

    /// The tasks that workers run now, in words.
    fn running(&self) -> Vec<String>;
}

/// A backend in use. One word, since every handle has one.
pub(crate) type EngineRef = Arc<Box<dyn Engine>>;

/// What the builder hands to a backend.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) workers: usize,
    /// How long a cancelled or overdue task may go on before its worker is killed.
    pub(crate) grace: Duration,
    /// How long a worker process may take to say hello.
    pub(crate) start_timeout: Duration,
    /// The program that worker processes run; `None`: this one.
    pub(crate) worker_exe: Option<std::path::PathBuf>,
}

/// Starts a backend.
///
/// # Errors
/// What [`PoolBuilder::build`](crate::PoolBuilder::build) says.
pub(crate) fn start(kind: Backend, config: Config) -> Result<EngineRef, Error> {
    match kind {
        Backend::Inline => Ok(Arc::new(Box::new(inline::Inline::new()))),
        Backend::Threads => threads::start(config.workers),
        #[cfg(feature = "processes")]
        Backend::Processes => processes::start(config),
        #[cfg(not(feature = "processes"))]
        Backend::Processes => Err(Error::Unavailable {
            backend: kind,
            hint: "enable the feature `processes` of pool-core",
        }),
        Backend::Cluster => Err(Error::Unavailable {
            backend: kind,
            hint: "it is not part of this version",
        }),
    }
}

/// Why a pool that was shut down takes no task.
pub(crate) const SHUT_DOWN: &str = "the pool is shut down";
