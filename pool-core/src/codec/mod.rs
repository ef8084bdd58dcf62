//! How arguments and results become bytes, and what went wrong in words.

pub(crate) mod args;
pub(crate) mod bulk;
pub(crate) mod bytes;
pub mod path;

mod error;
mod format;
mod names;
mod packed;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::any::TypeId;
use std::cell::Cell;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::codec::args::{Args, Postponed};
use crate::codec::bytes::Bytes;
use crate::error::panics;
use crate::error::panics::drop_quietly;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::task::Task;
use crate::task::seed::{self, Seeds};

use self::names::Names;
use self::reader::Reader;
use self::writer::{Blocks, Writer};

pub use self::error::CodecError;
pub(crate) use self::writer::BLOCK;

/// What the payload of a worker's answer is. The numbers cross the process boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Reply {
    /// The encoded result.
    Output = 0,
    /// The task panicked; a [`Failure`].
    Panicked = 1,
    /// The arguments could not be decoded; a [`Failure`].
    Undecodable = 2,
    /// The result could not be encoded; a [`Failure`].
    Unencodable = 3,
    /// No task has this id; empty.
    UnknownTask = 4,
}

impl Reply {
    /// What it means for the task, if that has no result.
    pub(crate) fn failure(self) -> Option<TaskErrorKind> {
        match self {
            Self::Output => None,
            Self::Panicked => Some(TaskErrorKind::Panicked),
            Self::Undecodable => Some(TaskErrorKind::Decode),
            Self::Unencodable => Some(TaskErrorKind::Encode),
            Self::UnknownTask => Some(TaskErrorKind::UnknownTask),
        }
    }

    /// The answer's kind as a worker wrote it, if it is one.
    #[inline]
    pub(crate) fn from_wire(number: u32) -> Option<Self> {
        [
            Self::Output,
            Self::Panicked,
            Self::Undecodable,
            Self::Unencodable,
            Self::UnknownTask,
        ]
        .into_iter()
        .find(|reply| *reply as u32 == number)
    }
}

/// What a worker says of a task that gave no result.
#[derive(Debug)]
struct Failure {
    message: String,
    location: Option<String>,
}

impl Failure {
    /// Replaces what is behind the first `head` bytes.
    fn encode(self, head: usize, out: &mut Vec<u8>) {
        out.truncate(head);
        if append(&(self.message, self.location), out).is_err() {
            // Text into a growing vector: there is nothing that can fail.
            out.truncate(head);
        }
    }

    fn decode(bytes: &[u8]) -> Self {
        match from_bytes::<(String, Option<String>)>(Reader::of_worker(bytes)) {
            Ok((message, location)) => Self { message, location },
            Err(_) => Self {
                message: "the worker's report could not be read".into(),
                location: None,
            },
        }
    }
}

/// Writes a report without a place behind the first `head` bytes.
pub(crate) fn report_failure(message: &str, head: usize, out: &mut Vec<u8>) {
    Failure {
        message: message.to_owned(),
        location: None,
    }
    .encode(head, out);
}

/// Encodes a task's arguments, and a seed behind them; an error or a panic in their `Serialize` is
/// an error in words. Large blocks of numbers that no user code touches are written later.
pub(crate) fn encode<T: Task>(task: T, seed: Option<u64>) -> Result<Args, String> {
    let seed = seed.map(seed::to_bytes);
    let seed = seed.as_ref().map_or(&[][..], |seed| seed);
    // The bytes; or how many there are to be written later.
    let encoded = with_buffer(|out| {
        let later = guard(|| {
            let mut later = 0;
            match T::is_plain() {
                true => write_plain(&task, out, Blocks::Count(&mut later))?,
                false => append(&task, out)?,
            }
            Ok(later)
        })?;
        out.extend_from_slice(seed);
        Ok(match later {
            0 => (Bytes::from(&out[..]), 0),
            _ => (Bytes::new(), out.len() + later),
        })
    });
    let (bytes, later) = match encoded {
        Ok(encoded) => encoded,
        Err(message) => {
            drop_quietly(task);
            return Err(message);
        }
    };
    if later > 0 {
        let later = Postponed::new(task, seed.to_vec(), later);
        return Ok(Args::Later(Box::new(later)));
    }
    drop_quietly(task);
    Ok(Args::Bytes(bytes))
}

/// Writes what [`encode`] found to be large, without the seed.
pub(crate) fn write<T: Task>(task: &T, out: &mut dyn FnMut(&[u8])) -> Result<(), String> {
    guard(|| {
        let mut rest = Vec::new();
        write_plain(task, &mut rest, Blocks::Hand(out))?;
        out(&rest);
        Ok(())
    })
}

/// Runs code with an empty buffer that this thread keeps, unless it has grown large.
fn with_buffer<R>(code: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    thread_local! {
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    // A `Serialize` that submits a task finds an empty one, and a destructor of the thread none.
    let mut out = BUFFER.try_with(Cell::take).unwrap_or_default();
    let result = code(&mut out);
    if out.capacity() <= KEEP {
        out.clear();
        let _ = BUFFER.try_with(|buffer| buffer.set(out));
    }
    result
}

/// The same in one piece, from a task that is still to be run.
pub(crate) fn to_vec<T: Serialize + DeserializeOwned + 'static>(
    task: &T,
) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    guard(|| append(task, &mut out))?;
    Ok(out)
}

/// A task like this one, or what went wrong in words.
pub(crate) fn copy<T: Serialize + DeserializeOwned + 'static>(task: &T) -> Result<T, String> {
    decode(&to_vec(task)?)
}

/// A result in one piece, or what went wrong in words.
pub(crate) fn output_to_vec<R: Serialize + DeserializeOwned + 'static>(
    output: &R,
) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    guard(|| append_output(output, &mut out))?;
    Ok(out)
}

/// A result from its bytes.
pub(crate) fn output_from<R: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<R, String> {
    decode::<Sent<R>>(bytes).map(|Sent(output)| output)
}

/// How many bytes the task would be; 0 where it cannot be encoded.
pub(crate) fn size<T: Task>(task: &T) -> usize {
    with_buffer(|out| guard(|| append(task, out)).map_or(0, |()| out.len()))
}

/// Decodes a value that must take all the bytes.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    guard(|| from_bytes(Reader::of_worker(bytes)))
}

#[inline]
fn from_bytes<T: DeserializeOwned>(mut input: Reader<'_>) -> Result<T, CodecError> {
    let value = T::deserialize(&mut input)?;
    match input.left() {
        0 => Ok(value),
        rest => Err(CodecError::left_over(rest)),
    }
}

/// A result as it travels.
pub(crate) struct Sent<T>(pub(crate) T);

impl<'de, T: DeserializeOwned + 'static> Deserialize<'de> for Sent<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        bulk::deserialize(input).map(Self)
    }
}

/// Appends a result, which is read as [`Sent`].
#[inline]
pub(crate) fn append_output<R: Serialize + DeserializeOwned + 'static>(
    output: &R,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    append_as::<Sent<R>>(out, |writer| bulk::serialize(output, writer))
}

/// Appends a value.
#[inline]
pub(crate) fn append<T: Serialize + DeserializeOwned + 'static>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    append_as::<T>(out, |writer| value.serialize(writer))
}

/// Appends a value that is read as `T`, and learns which names this type can do without.
#[inline]
fn append_as<T: DeserializeOwned + 'static>(
    out: &mut Vec<u8>,
    serialize: impl FnOnce(&mut Writer<'_>) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let begin = out.len();
    let mut writer = Writer::new(out, TypeId::of::<T>(), Blocks::Copy);
    serialize(&mut writer)?;
    if let Some(names) = writer.missed()
        && names.may_rehearse()
    {
        rehearse::<T>(&out[begin..], names);
    }
    Ok(())
}

/// Reads a value back that was written with names. Fails where the type's `Deserialize` does, which
/// is noted as far as it matters.
#[cold]
fn rehearse<T: DeserializeOwned>(bytes: &[u8], names: &'static Names) {
    let rehearsal = panics::catch(|| T::deserialize(&mut Reader::rehearsing(bytes, names)));
    drop_quietly(rehearsal);
}

/// Appends a task of which no user code writes anything.
fn write_plain<'a, T: Task>(
    task: &T,
    out: &'a mut Vec<u8>,
    blocks: Blocks<'a>,
) -> Result<(), CodecError> {
    task.serialize(&mut Writer::new(out, TypeId::of::<T>(), blocks))
}

/// Runs user code of a codec: an error or a panic in it becomes its text.
#[inline]
fn guard<T>(code: impl FnOnce() -> Result<T, CodecError>) -> Result<T, String> {
    match panics::catch(code) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(panic.to_string()),
    }
}

/// Which part of a run user code is in: what a failure means depends on it.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Decode,
    Run,
    Encode,
    /// The destructor of a result is user code too.
    Drop,
}

/// How a task runs in a worker.
pub type RunFn = fn(&mut Run<'_>) -> Result<(), CodecError>;

/// One run of a task in a worker: bytes in, bytes out.
#[derive(Debug)]
pub struct Run<'a> {
    args: &'a [u8],
    out: &'a mut Vec<u8>,
    /// How many bytes of `out` are not the result's.
    head: usize,
    stage: Stage,
}

impl Run<'_> {
    /// The arguments, of which the task is made next.
    pub(crate) fn decode<A: DeserializeOwned>(&mut self) -> Result<A, CodecError> {
        let args = from_bytes(Reader::new(self.args))?;
        self.stage = Stage::Run;
        Ok(args)
    }

    /// What the function has returned.
    pub(crate) fn encode<R: Serialize + DeserializeOwned + 'static>(
        &mut self,
        output: R,
    ) -> Result<(), CodecError> {
        self.stage = Stage::Encode;
        let encoded = append_output(&output, self.out);
        self.stage = Stage::Drop;
        encoded
    }
}

/// How a task that was implemented by hand runs.
pub(crate) fn run_one<T: Task>(call: &mut Run<'_>) -> Result<(), CodecError> {
    let task = call.decode::<T>()?;
    call.encode(task.run())
}

/// Worker side of a task: the payload of its reply goes to the end of `out`. User code runs in every
/// step; none may end the worker by a panic.
#[inline]
pub(crate) fn run_encoded(run: RunFn, args: &[u8], out: &mut Vec<u8>) -> Reply {
    let head = out.len();
    let mut call = Run {
        args,
        out,
        head,
        stage: Stage::Decode,
    };
    match panics::catch(|| run(&mut call)) {
        Ok(Ok(())) => Reply::Output,
        result => failed(call, result),
    }
}

/// The report of a run that gave no result.
#[cold]
fn failed(call: Run<'_>, result: Result<Result<(), CodecError>, panics::Panic>) -> Reply {
    let (failure, reply) = match (result, call.stage) {
        (Err(panic), Stage::Run | Stage::Drop) => {
            let panics::Panic { message, location } = panic;
            (Failure { message, location }, Reply::Panicked)
        }
        (result, stage) => {
            let text = match result {
                Err(panic) => panic.to_string(),
                Ok(Err(error)) => error.to_string(),
                Ok(Ok(())) => String::new(),
            };
            let failure = Failure {
                message: text,
                location: None,
            };
            let reply = match stage {
                Stage::Decode => Reply::Undecodable,
                _ => Reply::Unencodable,
            };
            (failure, reply)
        }
    };
    failure.encode(call.head, call.out);
    reply
}

/// A worker's answer, still encoded.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) worker: u32,
    pub(crate) payload: Bytes,
}

const LENGTH: usize = size_of::<u32>();

/// The arguments of tasks, each behind its length and before its seed if it has one, until there are
/// `enough` bytes, or one comes that does not encode or has a large block to be written later; and
/// of how many.
pub(crate) fn frames<T: Task>(
    tasks: &[T],
    seeds: Option<Seeds>,
    enough: usize,
) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    let mut appended = 0;
    let mut begin = 0;
    // One guard for all: a failure ends it anyway.
    let result = guard(|| {
        for task in tasks {
            if out.len() >= enough {
                break;
            }
            begin = out.len();
            out.extend([0; LENGTH]);
            match T::is_plain() {
                true => write_plain(task, &mut out, Blocks::Refuse)?,
                false => append(task, &mut out)?,
            }
            if let Some(seeds) = seeds {
                out.extend(seed::to_bytes(seeds.of(appended)));
            }
            let len = out.len() - begin - LENGTH;
            let len = u32::try_from(len).map_err(|_| CodecError::too_large())?;
            out[begin..begin + LENGTH].copy_from_slice(&len.to_le_bytes());
            appended += 1;
        }
        Ok(())
    });
    if result.is_err() {
        out.truncate(begin);
    }
    (out, appended)
}

/// The arguments of the tasks of a chunk; ends early where the bytes are not frames.
pub(crate) struct Frames<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first_chunk::<LENGTH>()?;
        let (frame, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        self.0 = rest;
        Some(frame)
    }
}

/// How many bytes stand before the payload of each reply of a chunk: what it is, and its length.
pub(crate) const REPLY_HEAD: usize = 1 + LENGTH;

/// Fills in the first [`REPLY_HEAD`] bytes.
pub(crate) fn head_reply(kind: Reply, reply: &mut [u8]) {
    let len = (reply.len() - REPLY_HEAD) as u32;
    reply[0] = kind as u8;
    reply[1..REPLY_HEAD].copy_from_slice(&len.to_le_bytes());
}

/// The first of the replies of a chunk; `None` if the bytes are not a reply.
#[inline]
fn split_reply(bytes: &[u8]) -> Option<(Reply, &[u8], &[u8])> {
    let (kind, behind) = bytes.split_first()?;
    let mut frames = Frames(behind);
    let payload = frames.next()?;
    Some((Reply::from_wire(u32::from(*kind))?, payload, frames.0))
}

/// Parent side: the kinds of those replies of a chunk that are no results.
pub(crate) fn failures(mut replies: &[u8]) -> impl Iterator<Item = TaskErrorKind> {
    let all = std::iter::from_fn(move || {
        let (reply, _, behind) = split_reply(replies)?;
        replies = behind;
        Some(reply)
    });
    all.filter_map(Reply::failure)
}

/// Parent side: what the first `count` replies of a chunk mean; fewer if the bytes end earlier.
pub(crate) fn open_replies<R: DeserializeOwned + 'static>(
    bytes: &[u8],
    count: usize,
    name: &'static str,
    worker: u32,
) -> Vec<Result<R, TaskError>> {
    let mut outcomes = Vec::with_capacity(count);
    let mut rest = bytes;
    let undecodable = |message: String| undecodable(&message, name, worker);
    loop {
        // One guard for many: a panic ends it for the reply that it comes from.
        let result = guard(|| {
            while outcomes.len() < count {
                let Some((reply, payload, behind)) = split_reply(rest) else {
                    break;
                };
                rest = behind;
                outcomes.push(match reply {
                    Reply::Output => from_bytes::<Sent<R>>(Reader::of_worker(payload))
                        .map(|Sent(output)| output)
                        .map_err(|error| undecodable(error.to_string())),
                    reply => open_reply(reply, payload, name, worker),
                });
            }
            Ok(())
        });
        match result {
            Ok(()) => return outcomes,
            Err(message) => outcomes.push(Err(undecodable(message))),
        }
    }
}

/// What may be wrong where a worker does not know a task.
pub(crate) const UNKNOWN_TASK: &str = "is its crate linked into the worker's program? One that nothing names is not: write \
     pool_core::use_tasks!(crate_a, crate_b) there. A task that is written by hand is entered with \
     register_task!";

/// Parent side: what a worker's answer means. `name` is the task's.
pub(crate) fn open_reply<R: DeserializeOwned + 'static>(
    reply: Reply,
    payload: &[u8],
    name: &'static str,
    worker: u32,
) -> Result<R, TaskError> {
    let failed = |kind| TaskError::new(kind, name).worker_is(worker);
    let report = |kind, what: &str| {
        let Failure { message, location } = Failure::decode(payload);
        failed(kind)
            .message_is(format!("{what}{message}"))
            .location_is(location)
    };
    match reply {
        Reply::Output => {
            output_from(payload).map_err(|message| undecodable(&message, name, worker))
        }
        Reply::Panicked => Err(report(TaskErrorKind::Panicked, "")),
        Reply::Undecodable => Err(report(TaskErrorKind::Decode, "its arguments: ")),
        Reply::Unencodable => Err(report(TaskErrorKind::Encode, "its result: ")),
        Reply::UnknownTask => Err(failed(TaskErrorKind::UnknownTask).message_is(UNKNOWN_TASK)),
    }
}

fn undecodable(why: &str, name: &'static str, worker: u32) -> TaskError {
    TaskError::new(TaskErrorKind::Decode, name)
        .worker_is(worker)
        .message_is(format!("its result: {why}"))
}

/// A thread keeps a buffer of up to this many bytes for the arguments that it encodes.
const KEEP: usize = 64 << 10;
