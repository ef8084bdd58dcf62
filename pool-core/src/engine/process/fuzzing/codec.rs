//! What a worker's bytes are read as when they have left the lane.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::anything::Anything;
use super::input::Input;
use super::probe::Probe;
use crate::codec::{
    Frames, REPLY_HEAD, Reply, append_output, encode, frames, head_reply, open_replies, open_reply,
    run_encoded, run_one,
};
use crate::error::task_error::{TaskError, TaskErrorKind};

const NAME: &str = "probe";
const WORKER: u32 = 77;

/// No input asks for more replies than this.
const MOST_REPLIES: usize = 64;

/// Replies, frames and arguments: what is none is an error of its own task, what is one survives
/// the way.
pub fn codec(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.byte() {
        b'n' => read::<u64>(input),
        b'i' => read::<(i8, i16, i32, i64, i128)>(input),
        b'u' => read::<()>(input),
        b'c' => read::<(char, bool, f32)>(input),
        b's' => read::<String>(input),
        b'b' => read::<Vec<u8>>(input),
        b'd' => read::<Vec<u64>>(input),
        b'f' => read::<Vec<f64>>(input),
        b'v' => read::<Vec<(u16, Option<String>)>>(input),
        b'm' => read::<BTreeMap<String, Vec<u32>>>(input),
        b'r' => read::<Result<Option<u32>, String>>(input),
        b'p' => read::<Probe>(input),
        b'a' => read::<Anything>(input),
        b'0' => read::<Vec<()>>(input),
        b't' => read_tower(input),
        b'F' => read_frames(input.rest()),
        b'A' => read_args(input.rest()),
        _ => write(input),
    }
}

/// Reads the rest as one reply and as many, as what a task with this result sends.
fn read<R: Serialize + DeserializeOwned + 'static>(mut input: Input<'_>) {
    let kind = input.byte();
    let count = input.number() % MOST_REPLIES;
    let bytes = input.rest();
    if let Some(reply) = Reply::from_wire(kind.into()) {
        let outcome = open_reply::<R>(reply, bytes, NAME, WORKER);
        check(reply, &outcome);
        survives(&outcome);
    }
    let outcomes = open_replies::<R>(bytes, count, NAME, WORKER);
    let expected = split(bytes, count);
    assert_eq!(outcomes.len(), expected.len());
    for (outcome, (reply, payload)) in outcomes.iter().zip(expected) {
        check(reply, outcome);
        let alone = open_reply::<R>(reply, payload, NAME, WORKER);
        assert_eq!(written(outcome), written(&alone));
    }
}

/// The byte before the value of an `Option`.
const SOME: u8 = 0xBD;

/// A value in a value, and so on: a few bytes say how deep it is.
struct Tower(Option<Box<Self>>);

impl<'de> Deserialize<'de> for Tower {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Option::deserialize(input).map(Self)
    }
}

fn read_tower(mut input: Input<'_>) {
    let levels = input.word() as usize % (1 << 20);
    let mut bytes = vec![SOME; levels];
    bytes.extend(input.rest());
    let outcome = open_reply::<Tower>(Reply::Output, &bytes, NAME, WORKER);
    check(Reply::Output, &outcome);
    if let Ok(tower) = outcome {
        let below = std::iter::successors(Some(&tower), |tower| tower.0.as_deref());
        assert_eq!(below.count(), bytes.len());
    }
}

/// The replies of a chunk, by their description: what each is, its length, its bytes.
fn split(mut bytes: &[u8], count: usize) -> Vec<(Reply, &[u8])> {
    let mut replies = Vec::new();
    while replies.len() < count && bytes.len() >= REPLY_HEAD {
        let (head, rest) = bytes.split_at(REPLY_HEAD);
        let len = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let reply = Reply::from_wire(head[0].into());
        let (Some(reply), true) = (reply, len <= rest.len()) else {
            break;
        };
        replies.push((reply, &rest[..len]));
        bytes = &rest[len..];
    }
    replies
}

/// An outcome fits what the worker said it was.
fn check<R>(reply: Reply, outcome: &Result<R, TaskError>) {
    let Err(error) = outcome else {
        return assert_eq!(reply, Reply::Output);
    };
    let expected = match reply {
        Reply::Output | Reply::Undecodable => TaskErrorKind::Decode,
        Reply::Panicked => TaskErrorKind::Panicked,
        Reply::Unencodable => TaskErrorKind::Encode,
        Reply::UnknownTask => TaskErrorKind::UnknownTask,
    };
    assert_eq!(error.kind(), expected);
    assert_eq!(
        (error.task_name(), error.worker_pid()),
        (NAME, Some(WORKER))
    );
    assert!(!format!("{error} {error:?}").is_empty());
}

/// A result that was read is written and read again as the same.
fn survives<R: Serialize + DeserializeOwned + 'static>(outcome: &Result<R, TaskError>) {
    if outcome.is_ok() {
        let bytes = written(outcome).expect("it is a result");
        let again = open_reply::<R>(Reply::Output, &bytes, NAME, WORKER);
        assert_eq!(written(&again).as_ref(), Ok(&bytes));
    }
}

/// A result as its worker would send it, to be compared bit for bit.
fn written<R: Serialize + DeserializeOwned + 'static>(
    outcome: &Result<R, TaskError>,
) -> Result<Vec<u8>, String> {
    match outcome {
        Ok(value) => {
            let write = || {
                let mut bytes = Vec::new();
                append_output(value, &mut bytes).expect("it was read from bytes");
                bytes
            };
            // The first bytes may have names that the next ones leave out.
            let mut bytes = write();
            loop {
                let again = write();
                if again == bytes {
                    return Ok(bytes);
                }
                bytes = again;
            }
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Frames are parts of the bytes, in order, behind their lengths.
fn read_frames(bytes: &[u8]) {
    let mut at = 0;
    let mut frames = Frames(bytes);
    while let Some(frame) = frames.next() {
        let len = u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
        assert_eq!(frame.len(), len as usize);
        at += 4;
        assert_eq!(frame, &bytes[at..at + frame.len()]);
        at += frame.len();
        assert_eq!(frames.0, &bytes[at..]);
    }
}

/// The other direction: a worker answers whatever its arguments are.
fn read_args(bytes: &[u8]) {
    let mut out = vec![9; 3];
    let reply = run_encoded(run_one::<Probe>, bytes, &mut out);
    assert_eq!(out[..3], [9; 3]);
    let outcome = open_reply::<(u32, String)>(reply, &out[3..], NAME, WORKER);
    check(reply, &outcome);
    match reply {
        Reply::Output => assert!(outcome.is_ok()),
        reply => assert_eq!(reply, Reply::Undecodable),
    }
}

/// Tasks with these numbers, there and back as a chunk.
fn write(mut input: Input<'_>) {
    let enough = 1 + 64 * input.number();
    let mut probes = Vec::new();
    while !input.is_empty() && probes.len() < MOST_REPLIES {
        let [id, wants] = [input.word() as u32, input.number() as u32];
        probes.push(Probe::new(id, wants, 7 * input.number()));
    }
    let (bytes, sent) = frames(&probes, None, enough);
    assert!(sent <= probes.len() && (sent == 0) == probes.is_empty());
    let mut replies = Vec::new();
    let mut taken = 0;
    for (frame, probe) in Frames(&bytes).zip(&probes) {
        let args = encode(probe.clone(), None).expect("numbers and bytes");
        assert_eq!(args.as_slice(), frame);
        let begin = replies.len();
        replies.extend([0; REPLY_HEAD]);
        let reply = run_encoded(run_one::<Probe>, frame, &mut replies);
        head_reply(reply, &mut replies[begin..]);
        taken += 1;
    }
    assert_eq!(taken, sent);
    let outcomes = open_replies::<(u32, String)>(&replies, sent, NAME, WORKER);
    assert_eq!(outcomes.len(), sent);
    for (outcome, probe) in outcomes.into_iter().zip(&probes) {
        let (id, text) = outcome.expect("its worker is honest");
        assert_eq!((id, text.len()), (probe.id, probe.wants as usize));
    }
}
