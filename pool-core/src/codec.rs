//! How arguments and results become bytes: postcard, and what went wrong in words.

use std::sync::Arc;
use std::time::Duration;

use postcard::ser_flavors::Flavor;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::args::{Args, Postponed};
use crate::bytes::{Builder, Bytes};
use crate::cell::{Job, drop_quietly};
use crate::nesting::Nested;
use crate::seed::{self, Seeds};
use crate::tally::Tally;
use crate::{Task, TaskError, TaskErrorKind, bulk, panics};

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

/// What a worker says of a task that gave no result. Borrowed: it is encoded and decoded once.
#[derive(Debug)]
struct Failure {
    message: String,
    location: Option<String>,
}

impl Failure {
    /// Replaces what is behind the first `head` bytes.
    fn encode(&self, head: usize, out: &mut Vec<u8>) {
        out.truncate(head);
        if append(&(&self.message, &self.location), out).is_err() {
            // Text into a growing vector: there is nothing that can fail.
            out.truncate(head);
        }
    }

    fn decode(bytes: &[u8]) -> Self {
        match postcard::from_bytes::<(String, Option<String>)>(bytes) {
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

/// Encodes a task's arguments, or finds out how long they are where they have large blocks; a panic
/// in their `Serialize` is an error like any other.
pub(crate) fn encode<T: Serialize + Send + 'static>(task: T) -> Result<Args, String> {
    let flavor = ArgsFlavor {
        bytes: Builder::new(),
        counted: 0,
    };
    match guard(|| postcard::serialize_with_flavor(&task, flavor)) {
        Ok(Encoded::Counted(len)) => Ok(Args::Later(Box::new(Postponed::new(task, len)))),
        Ok(Encoded::Bytes(bytes)) => {
            drop_quietly(task);
            Ok(Args::Bytes(bytes))
        }
        Err(message) => {
            drop_quietly(task);
            Err(message)
        }
    }
}

/// The same in one piece, from a task that is still to be run.
pub(crate) fn to_vec<T: Serialize>(task: &T) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    guard(|| append(task, &mut out))?;
    Ok(out)
}

/// A task like this one, or what went wrong in words.
pub(crate) fn copy<T: Serialize + DeserializeOwned>(task: &T) -> Result<T, String> {
    decode(&to_vec(task)?)
}

/// How many bytes the task would be; 0 where it cannot be encoded.
pub(crate) fn size<T: Serialize>(task: &T) -> usize {
    guard(|| postcard::serialize_with_flavor(task, CountFlavor(0))).unwrap_or(0)
}

/// Writes what [`encode`] found to be `len` bytes.
pub(crate) fn write<T: Serialize>(
    task: &T,
    len: usize,
    out: &mut dyn FnMut(&[u8]),
) -> Result<(), String> {
    match guard(|| postcard::serialize_with_flavor(task, WriteFlavor { left: len, out })) {
        Ok(0) => Ok(()),
        Ok(_) => Err("its size has changed since it was submitted".to_owned()),
        Err(message) => Err(message),
    }
}

/// Decodes a value that must take all the bytes.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match guard(|| Ok(from_bytes(bytes)))? {
        Ok(value) => Ok(value),
        Err(error) => Err(describe_rest(&error)),
    }
}

enum NotDecoded {
    Error(postcard::Error),
    /// So many bytes are left over.
    Rest(usize),
}

#[inline]
fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, NotDecoded> {
    let mut input = De::from_bytes(bytes);
    let value = T::deserialize(Nested::new(&mut input)).map_err(NotDecoded::Error)?;
    match input.finalize() {
        Ok([]) => Ok(value),
        Ok(rest) => Err(NotDecoded::Rest(rest.len())),
        Err(error) => Err(NotDecoded::Error(error)),
    }
}

fn describe_rest(error: &NotDecoded) -> String {
    match error {
        NotDecoded::Error(error) => describe(error),
        NotDecoded::Rest(len) => format!("{len} bytes are left over"),
    }
}

/// A result as it travels.
pub(crate) struct Sent<T>(pub(crate) T);

impl<T: Serialize + 'static> Serialize for Sent<&T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        bulk::serialize(self.0, out)
    }
}

impl<'de, T: DeserializeOwned + 'static> Deserialize<'de> for Sent<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        bulk::deserialize(input).map(Self)
    }
}

#[inline]
pub(crate) fn append<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), postcard::Error> {
    postcard::serialize_with_flavor(value, VecFlavor(out))
}

/// Runs user code of a codec: an error or a panic in it becomes its text.
#[inline]
fn guard<T>(code: impl FnOnce() -> Result<T, postcard::Error>) -> Result<T, String> {
    match panics::catch(code) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(describe(&error)),
        Err(panic) => Err(panic.to_string()),
    }
}

/// Postcard keeps no text of an error that a type's own code makes; the message says so.
fn describe(error: &postcard::Error) -> String {
    match error {
        postcard::Error::SerdeSerCustom => "a type's Serialize returned an error of its own".into(),
        postcard::Error::SerdeDeCustom => {
            "a type's Deserialize refused the value, or it is nested too deep".into()
        }
        other => other.to_string(),
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
pub type RunFn = fn(&mut Run<'_>) -> Result<(), postcard::Error>;

/// One run of a task in a worker: bytes in, bytes out.
#[derive(Debug)]
pub struct Run<'a> {
    args: &'a [u8],
    out: &'a mut Vec<u8>,
    /// How many bytes of `out` are not the result's.
    head: usize,
    stage: Stage,
    message: Option<String>,
}

impl Run<'_> {
    /// The arguments, of which the task is made next.
    pub(crate) fn decode<A: DeserializeOwned>(&mut self) -> Result<A, postcard::Error> {
        let mut input = De::from_bytes(self.args);
        let args = A::deserialize(&mut input)?;
        self.decoded(input)?;
        Ok(args)
    }

    /// All the arguments are read: the function runs next.
    fn decoded(&mut self, input: De<'_>) -> Result<(), postcard::Error> {
        let rest = input.finalize()?;
        if !rest.is_empty() {
            self.message = Some(format!("{} bytes are left over", rest.len()));
            return Err(postcard::Error::DeserializeBadEncoding);
        }
        self.stage = Stage::Run;
        Ok(())
    }

    /// What the function has returned.
    pub(crate) fn encode<R: Serialize + 'static>(
        &mut self,
        output: R,
    ) -> Result<(), postcard::Error> {
        self.stage = Stage::Encode;
        let encoded = Sent(&output).serialize(&mut postcard::Serializer {
            output: VecFlavor(self.out),
        });
        self.stage = Stage::Drop;
        encoded
    }
}

type De<'a> = postcard::Deserializer<'a, postcard::de_flavors::Slice<'a>>;

/// How a task that was implemented by hand runs.
pub(crate) fn run_one<T: Task>(call: &mut Run<'_>) -> Result<(), postcard::Error> {
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
        message: None,
    };
    match panics::catch(|| run(&mut call)) {
        Ok(Ok(())) => Reply::Output,
        result => failed(call, result),
    }
}

/// The report of a run that gave no result.
#[cold]
fn failed(mut call: Run<'_>, result: Result<Result<(), postcard::Error>, panics::Panic>) -> Reply {
    let message = call.message.take();
    let (failure, reply) = match (result, call.stage) {
        (Err(panic), Stage::Run | Stage::Drop) => {
            let panics::Panic { message, location } = panic;
            (Failure { message, location }, Reply::Panicked)
        }
        (result, stage) => {
            let text = match result {
                Err(panic) => panic.to_string(),
                Ok(Err(error)) => describe(&error),
                Ok(Ok(())) => String::new(),
            };
            let failure = Failure {
                message: message.unwrap_or(text),
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
    pub(crate) timed: Option<Arc<Tally>>,
}

const LENGTH: usize = size_of::<u32>();

/// The arguments of tasks, each behind its length and before its seed if it has one, until there are
/// `enough` bytes, or one comes that has a large block or does not encode; and of how many.
pub(crate) fn frames<T: Serialize>(
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
            postcard::serialize_with_flavor(task, FrameFlavor(&mut out))?;
            if let Some(seeds) = seeds {
                out.extend(seed::to_bytes(seeds.of(appended)));
            }
            let len = out.len() - begin - LENGTH;
            let len = u32::try_from(len).map_err(|_| postcard::Error::SerializeBufferFull)?;
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

/// The first of the replies of a chunk; `None` where the bytes are none.
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

/// Parent side: what the first `count` replies of a chunk mean; fewer where they are none.
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
                    Reply::Output => from_bytes::<Sent<R>>(payload)
                        .map(|Sent(output)| output)
                        .map_err(|error| undecodable(describe_rest(&error))),
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
        Reply::Output => decode::<Sent<R>>(payload)
            .map(|Sent(output)| output)
            .map_err(|message| undecodable(&message, name, worker)),
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

/// From how many bytes a block is large.
const LARGE: usize = 256 * 1024;

enum Encoded {
    Bytes(Bytes),
    /// How many bytes there are.
    Counted(usize),
}

/// Gathers bytes, and only counts them once there was a large block.
struct ArgsFlavor {
    bytes: Builder,
    counted: usize,
}

impl Flavor for ArgsFlavor {
    type Output = Encoded;

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    #[inline]
    fn try_extend(&mut self, more: &[u8]) -> postcard::Result<()> {
        if self.counted == 0 && more.len() < LARGE {
            self.bytes.extend(more);
        } else {
            if self.counted == 0 {
                self.counted = std::mem::replace(&mut self.bytes, Builder::new()).len();
            }
            self.counted = self.counted.saturating_add(more.len());
        }
        Ok(())
    }

    #[inline]
    fn finalize(self) -> postcard::Result<Encoded> {
        Ok(match self.counted {
            0 => Encoded::Bytes(self.bytes.finish()),
            len => Encoded::Counted(len),
        })
    }
}

/// Counts bytes.
struct CountFlavor(usize);

impl Flavor for CountFlavor {
    type Output = usize;

    fn try_push(&mut self, _: u8) -> postcard::Result<()> {
        self.0 += 1;
        Ok(())
    }

    fn try_extend(&mut self, more: &[u8]) -> postcard::Result<()> {
        self.0 += more.len();
        Ok(())
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.0)
    }
}

/// Hands the bytes on, at most as many as are left.
struct WriteFlavor<'a> {
    left: usize,
    out: &'a mut dyn FnMut(&[u8]),
}

impl Flavor for WriteFlavor<'_> {
    /// How many bytes are left.
    type Output = usize;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, more: &[u8]) -> postcard::Result<()> {
        let left = self.left.checked_sub(more.len());
        self.left = left.ok_or(postcard::Error::SerializeBufferFull)?;
        (self.out)(more);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.left)
    }
}

/// Appends bytes. Numbers are few of them, for which a call of `memcpy` takes longer than moves of
/// a fixed size do.
#[inline]
fn extend(out: &mut Vec<u8>, more: &[u8]) {
    match *more {
        [a] => out.push(a),
        [a, b] => out.extend_from_slice(&[a, b]),
        [a, b, c] => out.extend_from_slice(&[a, b, c]),
        [a, b, c, d] => out.extend_from_slice(&[a, b, c, d]),
        [a, b, c, d, e] => out.extend_from_slice(&[a, b, c, d, e]),
        _ => out.extend_from_slice(more),
    }
}

/// Gathers bytes until there is a large block, at which it stops.
struct FrameFlavor<'a>(&'a mut Vec<u8>);

impl Flavor for FrameFlavor<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, more: &[u8]) -> postcard::Result<()> {
        if more.len() >= LARGE {
            return Err(postcard::Error::SerializeBufferFull);
        }
        extend(self.0, more);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

struct VecFlavor<'a>(&'a mut Vec<u8>);

impl Flavor for VecFlavor<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, more: &[u8]) -> postcard::Result<()> {
        extend(self.0, more);
        Ok(())
    }

    #[inline]
    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
