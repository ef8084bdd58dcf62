//! The seam: what a pool needs from a place to run tasks.
//!
//! [`Pool`](crate::Pool), [`JoinHandle`](crate::JoinHandle) and [`Map`](crate::Map) know this
//! trait and nothing of what is behind it; a backend knows no other backend.

pub(crate) mod asynchronous;
pub(crate) mod cpus;
pub(crate) mod description;
pub(crate) mod door;
pub(crate) mod help;
pub(crate) mod home;
pub(crate) mod output;
pub(crate) mod stack;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::error::backend::Backend;
pub(crate) use room::Bounds;

use crate::engine::description::Description;
use crate::engine::output::Output;
use crate::error::pool_error::Error;
use crate::error::task_error::TaskError;
use crate::job::cell::{Effects, Job};
use crate::job::initializer::Initializer;
use crate::metrics::recorder::Metrics;
use crate::metrics::stats::Stats;

#[cfg(feature = "cluster")]
pub(crate) mod cluster;
mod ended;
pub(crate) mod inline;
#[cfg(feature = "processes")]
pub(crate) mod process;
mod room;
pub(crate) mod threads;
mod timers;

#[cfg(feature = "processes")]
pub(crate) use process::HomeMark;

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

    /// Whether the calling thread works for another pool, and the workers of this one all wait: it
    /// may be for the calling thread.
    fn is_stuck(&self) -> bool {
        false
    }

    /// Whether what runs is not waited for any more.
    fn is_killed(&self) -> bool {
        false
    }

    /// Reserves room for one job in the queue, if there is any.
    fn reserve(&self) -> bool {
        true
    }

    /// Has the waker woken when [`reserve`](Self::reserve) may succeed; the caller tries once more
    /// after this.
    fn watch_room(&self, _: &Waker) {}

    /// How many tasks may wait, where the user has set it.
    fn queue_limit(&self) -> Option<usize> {
        None
    }

    /// Whether the sizes of tasks are to be measured.
    fn weighs(&self) -> bool {
        false
    }

    /// Takes a job, when there is room for it, or resolves it with `Rejected` where the backend
    /// takes none any more.
    fn submit(&self, job: Job, entry: Entry);

    /// Blocks until the job is resolved or the deadline has passed, and helps where it can.
    fn wait(&self, job: &Job, deadline: Option<Instant>);

    /// Whether the calling thread, which is counted among those who wait, has to run the job, since
    /// nobody else is left.
    fn needs_help(&self, _: &Job) -> Help {
        Help::Never
    }

    /// Runs the job right here, if nobody has begun it.
    fn help(&self, _: &Job) {}

    /// Looks, without blocking, whether the job is done, so that its cell says so.
    fn poll(&self, job: &Job);

    /// Somebody watches the job's cell without calling `wait`: sees to it that its end is
    /// noticed.
    fn watch(&self, job: &Job);

    /// The calling thread, which looks for itself whether some of its jobs are done, is going to
    /// sleep: the ends of those that it is to hear of must be noticed. Or it is awake again.
    fn sleeps(&self, _: bool) {}

    /// Whether this process has been forked from the one that has the workers.
    fn is_forked(&self) -> bool {
        false
    }

    /// Whether a worker runs the job now.
    fn is_running(&self, job: &Job) -> bool;

    /// Resolves the job's handle with `Cancelled`, if it has no outcome yet; says whether it did.
    fn cancel(&self, job: &Job) -> bool;

    /// The same for a job that has not started; one that runs is left alone.
    fn cancel_queued(&self, job: &Job);

    /// How many tasks of a map may go together; `None`: as many as it likes.
    fn max_chunk(&self) -> Option<usize> {
        None
    }

    /// How much of a map should travel as one job.
    fn chunk_limits(&self) -> ChunkLimits {
        ChunkLimits::NEAR
    }

    /// What runs the user code that is not a task; `None`: the calling thread does.
    fn effects(&self) -> Option<&Arc<Effects>> {
        None
    }

    /// What is counted of all tasks alike.
    fn metrics(&self) -> &Metrics;

    fn stats(&self) -> Stats;

    /// What everybody does; the findings are left to the caller.
    fn describe(&self) -> Description;

    /// Sets the number of workers. Surplus workers end as soon as they are free.
    fn resize(&self, workers: usize) -> Result<(), Error>;

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

/// Whether who waits for a job has to run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Help {
    Never,
    /// Not now; it may come to that.
    Perhaps,
    Now,
}

/// How many tasks of a map go together, as far as that depends on how far they go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkLimits {
    /// How long the tasks of a chunk should run.
    pub(crate) time: Duration,
    /// How many bytes of arguments make it full.
    pub(crate) bytes: usize,
}

impl ChunkLimits {
    /// On this machine.
    const NEAR: Self = Self {
        time: Duration::from_micros(150),
        bytes: 12 * 1024,
    };
}

/// How a job comes in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Entry {
    /// If it has not started by then, it never does.
    pub(crate) start_by: Option<Instant>,
    /// Room is [reserved](Engine::reserve) for it.
    pub(crate) reserved: bool,
    /// How many bytes it is, where the backend asks for that.
    pub(crate) weight: usize,
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
    /// The stack of the threads that run tasks, in bytes.
    pub(crate) stack_size: usize,
    /// How much may wait; `None`: as much as is found to be good.
    pub(crate) queue: Option<usize>,
    pub(crate) queue_bytes: Option<usize>,
    /// What each worker runs first.
    pub(crate) initializer: Option<Initializer>,
    pub(crate) processes: ProcessConfig,
    #[cfg(feature = "cluster")]
    pub(crate) nats: Option<cluster::Nats>,
}

/// The options that only worker processes have.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessConfig {
    /// The program that they run; `None`: this one.
    pub(crate) exe: Option<PathBuf>,
    /// After how many tasks a worker is replaced.
    pub(crate) max_tasks: Option<u64>,
    /// After how long without a task a worker ends.
    pub(crate) idle_timeout: Option<Duration>,
    /// How much memory a worker may have, in bytes.
    pub(crate) memory_limit: Option<u64>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) current_dir: Option<PathBuf>,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    /// Its tasks come from other machines.
    pub(crate) agent: bool,
}

impl Config {
    fn bounds(&self) -> Bounds {
        Bounds {
            items: self.queue.unwrap_or(DEFAULT_QUEUE),
            bytes: self.queue_bytes.unwrap_or(DEFAULT_QUEUE_BYTES),
        }
    }

    fn is_bounded(&self) -> bool {
        self.queue.is_some() || self.queue_bytes.is_some()
    }

    /// How many tasks may wait, where the user has set bounds.
    fn queue_limit(&self) -> Option<usize> {
        self.is_bounded().then_some(self.bounds().items)
    }
}

/// How many tasks may wait unless the user says otherwise: more than anybody wants to wait, few
/// enough that a loop without an end is stopped before the memory is.
const DEFAULT_QUEUE: usize = 1 << 20;

/// The same for the bytes of their arguments.
const DEFAULT_QUEUE_BYTES: usize = 4 << 30;

/// Starts a backend.
///
/// # Errors
/// What [`PoolBuilder::build`](crate::PoolBuilder::build) says.
pub(crate) fn start(kind: Backend, config: Config) -> Result<EngineRef, Error> {
    // The first one stays; all are the same.
    #[cfg(feature = "processes")]
    let _ = crate::codec::bytes::LARGE_PAGES.set(process::use_large_pages);
    match kind {
        Backend::Inline => {
            let inline = match &config.initializer {
                Some(initializer) => inline::Inline::initialized(initializer),
                None => inline::Inline::new(),
            };
            Ok(Arc::new(Box::new(inline)))
        }
        Backend::Threads => threads::start(&config),
        #[cfg(feature = "processes")]
        Backend::Processes => process::start(config),
        #[cfg(not(feature = "processes"))]
        Backend::Processes => Err(Error::Unavailable {
            backend: kind,
            hint: "enable the feature `processes` of pool-core",
        }),
        #[cfg(feature = "cluster")]
        Backend::Cluster => {
            let nats = config.nats.clone();
            cluster::start(config, nats)
        }
        #[cfg(not(feature = "cluster"))]
        Backend::Cluster => Err(Error::Unavailable {
            backend: kind,
            hint: "enable the feature `cluster` of pool-core",
        }),
    }
}

/// Why a pool that was shut down takes no task.
pub(crate) const SHUT_DOWN: &str = "the pool is shut down";

/// Why a pool whose initializer has failed takes no task.
pub(crate) fn broken(error: &TaskError) -> String {
    format!("the pool is broken, its initializer has failed: {error}")
}

/// Why a process takes no task for a pool that it has a copy of and not the workers.
pub(crate) const FORKED: &str = "the pool belongs to the process that this one was forked from";
