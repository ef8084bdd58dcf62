//! A task that every worker runs before any other.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::codec::args::Args;
use crate::codec::bytes::Bytes;
use crate::codec::{self, Answer};
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::job::cell::{Handle, Job, JobCell};
use crate::job::work::{ChunkFacts, Work};
use crate::task::{Options, Task, TaskInfo};

/// How long an initializer may take that has no timeout of its own.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// What an initializer may return: nothing, or a `Result` whose error breaks the pool.
pub trait Initialized {
    #[doc(hidden)]
    fn into_result(self) -> Result<(), String>;
}

impl Initialized for () {
    fn into_result(self) -> Result<(), String> {
        Ok(())
    }
}

impl<T, E: Display> Initialized for Result<T, E> {
    fn into_result(self) -> Result<(), String> {
        self.map(drop).map_err(|error| error.to_string())
    }
}

/// Makes the job for one worker.
#[derive(Clone)]
pub(crate) struct Initializer {
    make: Arc<dyn Fn() -> (Handle<()>, Job) + Send + Sync>,
}

impl Initializer {
    /// Encodes the task, once for all workers.
    pub(crate) fn new<T>(task: T) -> Result<Self, String>
    where
        T: Task<Output: Initialized>,
    {
        let mut options = task.options();
        options.timeout.get_or_insert(DEFAULT_TIMEOUT);
        // It is its own worker's, before all else: another run has no place to wait in.
        options.retries = 0;
        options.idempotent = false;
        options.queue_timeout = None;
        let args: Arc<[u8]> = codec::to_vec(&task)?.into();
        crate::error::panics::drop_quietly(task);
        let make = move || {
            let task = PhantomData::<fn() -> T>;
            let args = Arc::clone(&args);
            JobCell::new(Init {
                args,
                options,
                task,
            })
        };
        let make = Arc::new(make);
        Ok(Self { make })
    }

    pub(crate) fn job(&self) -> (Handle<()>, Job) {
        (self.make)()
    }
}

impl fmt::Debug for Initializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Initializer").finish_non_exhaustive()
    }
}

/// The initializer of one worker.
struct Init<T> {
    args: Arc<[u8]>,
    options: Options,
    task: PhantomData<fn() -> T>,
}

impl<T: Task<Output: Initialized>> Init<T> {
    fn outcome(output: T::Output) -> Result<(), TaskError> {
        // What it returns is an error of the pool, whose text it becomes.
        let error = |text| TaskError::rejected(T::NAME, text);
        output.into_result().map_err(error)
    }
}

impl<T: Task<Output: Initialized>> Work for Init<T> {
    type Output = ();
    const INFO: TaskInfo = T::INFO;
    const MANY: bool = false;

    fn options(&self) -> Options {
        self.options
    }

    fn run(self) -> Result<(), TaskError> {
        let task = codec::decode::<T>(&self.args)
            .map_err(|text| TaskError::new(TaskErrorKind::Decode, T::NAME).message_is(text))?;
        Self::outcome(Work::run(task)?)
    }

    fn encode(self) -> Result<Args, String> {
        Ok(Bytes::from(&*self.args).into())
    }

    fn open(answer: Answer, chunk: Option<ChunkFacts>) -> Result<(), TaskError> {
        Self::outcome(<T as Work>::open(answer, chunk)?)
    }
}
