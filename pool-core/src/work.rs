//! What a job does: run one task, or a chunk of tasks that travel together.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use crate::bytes::Bytes;
use crate::codec::{self, Answer, ChunkFacts, Frames};
use crate::task::{Options, TaskInfo};
use crate::{Task, TaskError, TaskErrorKind, panics};

/// For how long a chunk runs before it hands back what has not started.
const CHUNK_LIMIT: Duration = Duration::from_millis(2);

/// How many tasks of a chunk on a thread run between two looks at the clock, while they are short.
const TASKS_PER_LOOK: usize = 8;

/// What a task cell holds: something that a backend runs as one job.
pub(crate) trait Work: Send + 'static {
    type Output: Send + 'static;
    const INFO: TaskInfo;

    fn options(&self) -> Options;

    /// Runs it in the calling thread; no panic of a task comes out.
    fn run(self) -> Result<Self::Output, TaskError>;

    /// The arguments as they travel, or what went wrong in words.
    fn encode(&mut self) -> Result<Bytes, String>;

    /// What came back from a worker; `chunk` for a job that is a chunk.
    fn open(answer: Answer, chunk: Option<ChunkFacts>) -> Result<Self::Output, TaskError>;
}

impl<T: Task> Work for T {
    type Output = T::Output;
    const INFO: TaskInfo = T::INFO;

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

    fn encode(&mut self) -> Result<Bytes, String> {
        codec::encode(self)
    }

    fn open(answer: Answer, _: Option<ChunkFacts>) -> Result<T::Output, TaskError> {
        let payload = answer.payload.as_slice();
        codec::open_reply(answer.reply, payload, T::NAME, answer.worker)
    }
}

/// Many tasks as one job.
pub(crate) trait Chunk: Work {
    fn len(&self) -> usize;

    /// The first tasks, which are taken out; at least one and at most `tasks`.
    fn split_to(&mut self, tasks: usize) -> Self;
}

fn chunk_options(chunk: &impl Chunk) -> Options {
    Options {
        timeout: None,
        chunk: u32::try_from(chunk.len()).unwrap_or(u32::MAX),
    }
}

/// What became of a chunk, from its beginning.
pub(crate) struct Ran<C: Work, R> {
    pub(crate) outcomes: Vec<Result<R, TaskError>>,
    /// The tasks after those: they have not started.
    pub(crate) rest: C,
    pub(crate) run_time: Duration,
}

/// A chunk that stays in this process.
pub(crate) struct LocalChunk<T>(pub(crate) Vec<T>);

impl<T: Task> Work for LocalChunk<T> {
    type Output = Ran<Self, T::Output>;
    const INFO: TaskInfo = T::INFO;

    fn options(&self) -> Options {
        chunk_options(self)
    }

    fn run(self) -> Result<Self::Output, TaskError> {
        let start = Instant::now();
        let mut run_time = Duration::ZERO;
        let mut outcomes = Vec::with_capacity(self.0.len());
        let mut tasks = self.0.into_iter();
        let mut next_look = 1;
        while run_time < CHUNK_LIMIT
            && let Some(task) = tasks.next()
        {
            outcomes.push(Work::run(task));
            if outcomes.len() >= next_look || tasks.len() == 0 {
                run_time = start.elapsed();
                let short = run_time < CHUNK_LIMIT / 64;
                next_look = outcomes.len() + if short { TASKS_PER_LOOK } else { 1 };
            }
        }
        Ok(Ran {
            outcomes,
            rest: Self(tasks.collect()),
            run_time,
        })
    }

    fn encode(&mut self) -> Result<Bytes, String> {
        // A pool that sends its tasks elsewhere is given `SentChunk`s.
        Err("a local chunk does not travel".into())
    }

    fn open(_: Answer, _: Option<ChunkFacts>) -> Result<Self::Output, TaskError> {
        Err(TaskError::new(TaskErrorKind::Decode, T::NAME))
    }
}

/// A chunk of encoded tasks. A worker runs them in order and reports after each; so if it dies,
/// what was done is delivered, the one that ran is lost, and the rest runs elsewhere.
pub(crate) struct SentChunk<T> {
    /// One frame a task.
    frames: Vec<u8>,
    len: usize,
    task: PhantomData<fn() -> T>,
}

impl<T: Task> SentChunk<T> {
    pub(crate) const fn new() -> Self {
        Self::of(Vec::new(), 0)
    }

    const fn of(frames: Vec<u8>, len: usize) -> Self {
        Self {
            frames,
            len,
            task: PhantomData,
        }
    }

    fn with_frames(frames: Vec<u8>) -> Self {
        let len = Frames(&frames).count();
        Self::of(frames, len)
    }

    /// Adds a task; its arguments may not encode.
    pub(crate) fn push(&mut self, task: &T) -> Result<(), TaskError> {
        codec::append_frame(task, &mut self.frames).map_err(|message| {
            TaskError::new(TaskErrorKind::Encode, T::NAME)
                .message_is(format!("its arguments: {message}"))
        })?;
        self.len += 1;
        Ok(())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.frames.len()
    }
}

impl<T: Task> Chunk for LocalChunk<T> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn split_to(&mut self, tasks: usize) -> Self {
        let rest = self.0.split_off(tasks.clamp(1, self.0.len()));
        Self(std::mem::replace(&mut self.0, rest))
    }
}

impl<T: Task> Chunk for SentChunk<T> {
    fn len(&self) -> usize {
        self.len
    }

    fn split_to(&mut self, tasks: usize) -> Self {
        let mut frames = Frames(&self.frames);
        let len = frames.by_ref().take(tasks.max(1)).count();
        let first = self.frames.len() - frames.0.len();
        let rest = self.frames.split_off(first);
        self.len -= len;
        Self::of(std::mem::replace(&mut self.frames, rest), len)
    }
}

impl<T: Task> Work for SentChunk<T> {
    type Output = Ran<Self, T::Output>;
    const INFO: TaskInfo = T::INFO;

    fn options(&self) -> Options {
        chunk_options(self)
    }

    fn run(self) -> Result<Self::Output, TaskError> {
        // A pool that runs its tasks here is given `LocalChunk`s.
        Err(TaskError::new(TaskErrorKind::Decode, T::NAME))
    }

    fn encode(&mut self) -> Result<Bytes, String> {
        Ok(std::mem::take(&mut self.frames).into())
    }

    fn open(answer: Answer, chunk: Option<ChunkFacts>) -> Result<Self::Output, TaskError> {
        let garbled = || {
            TaskError::new(TaskErrorKind::Decode, T::NAME)
                .worker_is(answer.worker)
                .message_is("the worker's answer makes no sense")
        };
        if answer.reply != codec::Reply::Output {
            // The worker does not know the task: an error of every one.
            let payload = answer.payload.as_slice();
            codec::open_reply::<()>(answer.reply, payload, T::NAME, answer.worker)?;
        }
        let chunk = chunk.ok_or_else(garbled)?;
        let mut outcomes = Vec::with_capacity(chunk.ran + usize::from(chunk.lost.is_some()));
        let mut replies = codec::replies(answer.payload.as_slice());
        for (reply, payload) in replies.by_ref().take(chunk.ran) {
            let reply = reply.ok_or_else(garbled)?;
            outcomes.push(codec::open_reply(reply, payload, T::NAME, answer.worker));
        }
        if outcomes.len() != chunk.ran {
            return Err(garbled());
        }
        outcomes.extend(chunk.lost.map(Err));
        Ok(Ran {
            outcomes,
            run_time: chunk.run_time,
            rest: Self::with_frames(chunk.rest),
        })
    }
}
