//! How arguments and results become bytes: postcard, and what went wrong in words.

use std::time::Duration;

use postcard::ser_flavors::Flavor;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::args::{Args, Postponed};
use crate::bytes::{Builder, Bytes};
use crate::cell::{Job, drop_quietly};
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
    fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        if append(&(&self.message, &self.location), out).is_err() {
            // Text into a growing vector: there is nothing that can fail.
            out.clear();
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

/// Writes a report without a place.
pub(crate) fn report_failure(message: &str, out: &mut Vec<u8>) {
    Failure {
        message: message.to_owned(),
        location: None,
    }
    .encode(out);
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

/// Writes what [`encode`] found to be `len` bytes.
pub(crate) fn write<T: Serialize>(
    task: &Option<T>,
    len: usize,
    out: &mut dyn FnMut(&[u8]),
) -> Result<(), String> {
    let changed = || "its size has changed since it was submitted".to_owned();
    let task = task.as_ref().ok_or_else(changed)?;
    match guard(|| postcard::serialize_with_flavor(task, WriteFlavor { left: len, out })) {
        Ok(0) => Ok(()),
        Ok(_) => Err(changed()),
        Err(message) => Err(message),
    }
}

/// Decodes a value that must take all the bytes.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match guard(|| postcard::take_from_bytes::<T>(bytes))? {
        (value, []) => Ok(value),
        (_, rest) => Err(format!("{} bytes are left over", rest.len())),
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
        postcard::Error::SerdeDeCustom => "a type's Deserialize refused the value".into(),
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

/// One run of a task in a worker: bytes in, bytes out.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    args: &'a [u8],
    out: &'a mut Vec<u8>,
    stage: Stage,
    message: Option<String>,
}

impl Run<'_> {
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

    /// The function has returned: its result is written next.
    fn ran(&mut self) -> postcard::Serializer<VecFlavor<'_>> {
        self.stage = Stage::Encode;
        self.out.clear();
        postcard::Serializer {
            output: VecFlavor(self.out),
        }
    }
}

type De<'a> = postcard::Deserializer<'a, postcard::de_flavors::Slice<'a>>;

/// The only code that is compiled for every task: it decides how long a crate with many tasks
/// takes to build. Everything else is in [`run_encoded`], once.
pub(crate) fn run_one<T: Task>(call: &mut Run<'_>) -> Result<(), postcard::Error> {
    let mut input = De::from_bytes(call.args);
    let task = T::deserialize(&mut input)?;
    call.decoded(input)?;
    let output = task.run();
    let encoded = Sent(&output).serialize(&mut call.ran());
    call.stage = Stage::Drop;
    encoded
}

/// Worker side of a task. User code runs in every step; none may end the worker by a panic.
pub(crate) fn run_encoded(
    run: fn(&mut Run<'_>) -> Result<(), postcard::Error>,
    args: &[u8],
    out: &mut Vec<u8>,
) -> Reply {
    let mut call = Run {
        args,
        out,
        stage: Stage::Decode,
        message: None,
    };
    let result = panics::catch(|| run(&mut call));
    let stage = call.stage;
    let message = call.message.take();
    let (failure, reply) = match (result, stage) {
        (Ok(Ok(())), _) => return Reply::Output,
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
    failure.encode(out);
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
#[derive(Debug)]
pub(crate) struct ChunkFacts {
    /// How many tasks have replies.
    pub(crate) ran: usize,
    /// Why the one after those has none: its worker died.
    pub(crate) lost: Option<TaskError>,
    /// The tasks after those, which run as jobs of their own; how many are in each.
    pub(crate) others: Vec<(Job, usize)>,
    pub(crate) run_time: Duration,
}

const LENGTH: usize = size_of::<u32>();

/// Appends a task's arguments behind their length; nothing where they do not encode, or where they
/// have large blocks: then it says `false`.
pub(crate) fn append_frame<T: Serialize>(task: &T, out: &mut Vec<u8>) -> Result<bool, String> {
    let start = out.len();
    out.extend([0; LENGTH]);
    let mut large = false;
    let flavor = FrameFlavor {
        out: &mut *out,
        large: &mut large,
    };
    let encoded = guard(|| postcard::serialize_with_flavor(task, flavor)).and_then(|()| {
        let len = out.len() - start - LENGTH;
        u32::try_from(len).map_err(|_| format!("{len} bytes are too many for a chunk"))
    });
    match encoded {
        Ok(len) => {
            out[start..start + LENGTH].copy_from_slice(&len.to_le_bytes());
            Ok(true)
        }
        Err(message) => {
            out.truncate(start);
            if large { Ok(false) } else { Err(message) }
        }
    }
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

/// Appends one task's reply to those of its chunk.
pub(crate) fn append_reply(reply: Reply, payload: &[u8], out: &mut Vec<u8>) {
    out.push(reply as u8);
    out.extend((payload.len() as u32).to_le_bytes());
    out.extend(payload);
}

/// The replies of a chunk; ends early where the bytes are none.
pub(crate) fn replies(bytes: &[u8]) -> impl Iterator<Item = (Option<Reply>, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (kind, behind) = rest.split_first()?;
        let mut frames = Frames(behind);
        let payload = frames.next()?;
        rest = frames.0;
        Some((Reply::from_wire(u32::from(*kind)), payload))
    })
}

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
        Reply::Output => match decode::<Sent<R>>(payload) {
            Ok(Sent(output)) => Ok(output),
            Err(message) => {
                Err(failed(TaskErrorKind::Decode).message_is(format!("its result: {message}")))
            }
        },
        Reply::Panicked => Err(report(TaskErrorKind::Panicked, "")),
        Reply::Undecodable => Err(report(TaskErrorKind::Decode, "its arguments: ")),
        Reply::Unencodable => Err(report(TaskErrorKind::Encode, "its result: ")),
        Reply::UnknownTask => Err(failed(TaskErrorKind::UnknownTask).message_is(
            "is the crate that defines it linked into the worker, and is it marked #[pool_task] \
             or entered with register_task!?",
        )),
    }
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

/// Gathers bytes until there is a large block, at which it stops.
struct FrameFlavor<'a> {
    out: &'a mut Vec<u8>,
    large: &'a mut bool,
}

impl Flavor for FrameFlavor<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.out.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, more: &[u8]) -> postcard::Result<()> {
        if more.len() >= LARGE {
            *self.large = true;
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.out.extend_from_slice(more);
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
        self.0.extend_from_slice(more);
        Ok(())
    }

    #[inline]
    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
