//! A task whose arguments and result go through the codec although it runs in this process, so that
//! tests find on threads what would fail in a worker process
//! ([`PoolBuilder::check_serialization`](crate::PoolBuilder::check_serialization)).

use std::env;
use std::marker::PhantomData;

use crate::codec::args::Args;
use crate::codec::bytes::Bytes;
use crate::codec::{self, Answer};
use crate::error::panics::drop_quietly;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::job::work::{ChunkFacts, Work};
use crate::task::{Options, Task, TaskInfo};

/// The environment variable that switches the check on where the builder does not say.
const POOL_CHECK_SERIALIZATION: &str = "POOL_CHECK_SERIALIZATION";

/// Whether the environment asks for the check.
pub(crate) fn is_asked_for() -> bool {
    env::var_os(POOL_CHECK_SERIALIZATION).is_some_and(|value| !value.is_empty() && value != "0")
}

/// A task as its encoded arguments.
pub(crate) struct Checked<T> {
    args: Result<Vec<u8>, String>,
    options: Options,
    task: PhantomData<fn() -> T>,
}

impl<T: Task> Checked<T> {
    /// Encodes the arguments in the calling thread, as `submit` does on worker processes.
    pub(crate) fn new(task: T) -> Self {
        let options = Task::options(&task);
        let args = codec::to_vec(&task);
        drop_quietly(task);
        Self {
            args,
            options,
            task: PhantomData,
        }
    }
}

impl<T: Task> Work for Checked<T> {
    type Output = T::Output;
    const INFO: TaskInfo = T::INFO;
    const MANY: bool = false;

    fn options(&self) -> Options {
        self.options
    }

    fn run(self) -> Result<T::Output, TaskError> {
        let failed = |kind, text: String| TaskError::new(kind, T::NAME).message_is(text);
        let args = self
            .args
            .map_err(|text| TaskError::not_encoded(T::NAME, &text))?;
        let task = codec::decode::<T>(&args)
            .map_err(|text| failed(TaskErrorKind::Decode, format!("its arguments: {text}")))?;
        let output = Work::run(task)?;
        let sent = codec::output_to_vec(&output);
        drop_quietly(output);
        let sent =
            sent.map_err(|text| failed(TaskErrorKind::Encode, format!("its result: {text}")))?;
        codec::output_from(&sent)
            .map_err(|text| failed(TaskErrorKind::Decode, format!("its result: {text}")))
    }

    fn size(&self) -> usize {
        self.args.as_ref().map_or(0, Vec::len)
    }

    fn keep(&self) -> Result<Vec<u8>, String> {
        self.args.clone()
    }

    fn again(kept: &[u8]) -> Result<Self, String> {
        Ok(Self {
            args: Ok(kept.to_vec()),
            options: T::INFO.options,
            task: PhantomData,
        })
    }

    fn encode(self) -> Result<Args, String> {
        self.args.map(|args| Bytes::from(args).into())
    }

    fn open(answer: Answer, chunk: Option<ChunkFacts>) -> Result<T::Output, TaskError> {
        <T as Work>::open(answer, chunk)
    }
}
