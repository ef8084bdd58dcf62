//! What a job does: run one task, or a chunk of tasks that travel together.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::codec::args::Args;
use crate::codec::bytes::Bytes;
use crate::codec::{self, Answer};
use crate::error::panics;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::job::cell::{Batch, Handle, Job};
use crate::metrics::recorder::Metrics;
use crate::task::seed::Seeds;
use crate::task::{Options, Task, TaskInfo};

/// What there is to know of a chunk beside its replies.
pub(crate) struct ChunkFacts {
    /// How many tasks have replies.
    pub(crate) ran: usize,
    /// Why the one after those has none: its worker died.
    pub(crate) lost: Option<TaskError>,
    /// The tasks after those, which run as jobs of their own; how many are in each.
    pub(crate) others: Vec<(Job, usize)>,
    pub(crate) run_time: Duration,
    /// Whether some of the replies are no results, and that is not counted yet.
    pub(crate) failed: bool,
    /// Where it is counted how long their reading takes, where it is.
    pub(crate) timed: Option<Arc<Metrics>>,
}

/// What a task cell holds: something that a backend runs as one job.
pub(crate) trait Work: Send + 'static {
    type Output: Send + 'static;
    const INFO: TaskInfo;
    /// Whether it is many tasks.
    const MANY: bool;

    fn options(&self) -> Options;

    /// Runs it in the calling thread; no panic of a task comes out.
    fn run(self) -> Result<Self::Output, TaskError>;

    /// How many bytes it would be.
    fn size(&self) -> usize {
        0
    }

    /// The arguments for another run, or what went wrong in words.
    fn keep(&self) -> Result<Vec<u8>, String> {
        Err("it runs once".into())
    }

    /// The work with arguments that were kept.
    fn again(_: &[u8]) -> Result<Self, String>
    where
        Self: Sized,
    {
        Err("it runs once".into())
    }

    /// The arguments as they travel, or what went wrong in words.
    fn encode(self) -> Result<Args, String>;

    /// What came back from a worker; `chunk` for a job that is a chunk.
    fn open(answer: Answer, chunk: Option<ChunkFacts>) -> Result<Self::Output, TaskError>;
}

impl<T: Task> Work for T {
    type Output = T::Output;
    const INFO: TaskInfo = T::INFO;
    const MANY: bool = false;

    fn options(&self) -> Options {
        Task::options(self)
    }

    fn run(self) -> Result<T::Output, TaskError> {
        panics::catch(|| Task::run(self)).map_err(|panic| {
            TaskError::new(TaskErrorKind::Panicked, T::NAME)
                .message_is(panic.message)
                .location_is(panic.location)
        })
    }

    fn size(&self) -> usize {
        codec::size(self)
    }

    fn keep(&self) -> Result<Vec<u8>, String> {
        codec::to_vec(self)
    }

    fn again(kept: &[u8]) -> Result<T, String> {
        codec::decode(kept)
    }

    fn encode(self) -> Result<Args, String> {
        let seed = Task::options(&self).seed;
        codec::encode(self, seed)
    }

    fn open(answer: Answer, _: Option<ChunkFacts>) -> Result<T::Output, TaskError> {
        let payload = answer.payload.as_slice();
        codec::open_reply(answer.reply, payload, T::NAME, answer.worker)
    }
}

/// Work on a batch, for as long as it has tasks that nobody has started.
pub(crate) struct BatchJob<T: Task>(pub(crate) Arc<Batch<T>>);

impl<T: Task> Work for BatchJob<T> {
    /// Whether every task has started; `false` where the worker was asked to stop.
    type Output = bool;
    const INFO: TaskInfo = T::INFO;
    const MANY: bool = true;

    fn options(&self) -> Options {
        Options::default()
    }

    fn run(self) -> Result<bool, TaskError> {
        Ok(self.0.work())
    }

    fn encode(self) -> Result<Args, String> {
        // A pool that sends its tasks elsewhere is given `SentChunk`s.
        Err("a batch does not travel".into())
    }

    fn open(_: Answer, _: Option<ChunkFacts>) -> Result<bool, TaskError> {
        Err(TaskError::new(TaskErrorKind::Decode, T::NAME))
    }
}

/// What became of a chunk.
pub(crate) struct Ran<T: Task> {
    /// Of its first tasks.
    pub(crate) outcomes: Vec<Result<T::Output, TaskError>>,
    /// The tasks after those: jobs of their own now, with the number of tasks in each.
    pub(crate) others: Vec<(Handle<Ran<T>>, usize)>,
    pub(crate) run_time: Duration,
}

/// A chunk of encoded tasks. A worker runs them in order and reports after each. So if it dies,
/// what was done is delivered, the one that ran is lost, and the rest runs elsewhere; and the same
/// without a loss when one of them takes long.
pub(crate) struct SentChunk<T> {
    /// One frame a task.
    frames: Vec<u8>,
    len: usize,
    is_seeded: bool,
    task: PhantomData<fn() -> T>,
}

impl<T: Task> SentChunk<T> {
    /// The first of these tasks, until there are `enough` bytes; none where the first is large or does
    /// not encode.
    pub(crate) fn of(tasks: &[T], seeds: Option<Seeds>, enough: usize) -> Self {
        let (frames, len) = codec::frames(tasks, seeds, enough);
        Self {
            frames,
            len,
            is_seeded: seeds.is_some(),
            task: PhantomData,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl<T: Task> Work for SentChunk<T> {
    type Output = Ran<T>;
    const INFO: TaskInfo = T::INFO;
    const MANY: bool = true;

    fn options(&self) -> Options {
        Options {
            chunk: u32::try_from(self.len).unwrap_or(u32::MAX),
            seed: self.is_seeded.then_some(0),
            ..Options::default()
        }
    }

    fn run(self) -> Result<Self::Output, TaskError> {
        // A pool that runs its tasks here is given batches.
        Err(TaskError::new(TaskErrorKind::Decode, T::NAME))
    }

    fn encode(self) -> Result<Args, String> {
        Ok(Bytes::from(self.frames).into())
    }

    fn open(answer: Answer, chunk: Option<ChunkFacts>) -> Result<Self::Output, TaskError> {
        let garbled = || TaskError::garbled(T::NAME, answer.worker);
        if answer.reply != codec::Reply::Output {
            // The worker does not know the task: an error of every one.
            let payload = answer.payload.as_slice();
            codec::open_reply::<()>(answer.reply, payload, T::NAME, answer.worker)?;
        }
        let chunk = chunk.ok_or_else(garbled)?;
        let others = chunk
            .others
            .into_iter()
            .map(|(job, tasks)| Some((Handle::of::<Self>(job)?, tasks)))
            .collect::<Option<_>>();
        let payload = answer.payload.as_slice();
        let mut outcomes = codec::open_replies(payload, chunk.ran, T::NAME, answer.worker);
        // Those that it says it has run, and of which there is no answer.
        outcomes.resize_with(chunk.ran, || Err(garbled()));
        outcomes.extend(chunk.lost.map(Err));
        Ok(Ran {
            outcomes,
            others: others.ok_or_else(garbled)?,
            run_time: chunk.run_time,
        })
    }
}
