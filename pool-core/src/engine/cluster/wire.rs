//! What submitter and agent say to each other: one byte of version, a head in postcard, and bytes.

use std::time::Duration;

use ::bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::task_error::{Exit, TaskError, TaskErrorKind};

/// Changes with every change of these messages; builds of different versions have different
/// [ABIs](super::names::abi), so they never meet.
pub(super) const VERSION: u8 = 1;

/// What is larger stays where it is, until it is fetched.
pub(super) const MAX_INLINE: usize = 512 * 1024;

/// One piece of a large value.
pub(super) const PIECE: usize = 256 * 1024;

/// The most runs in one message.
pub(super) const MAX_TOGETHER: usize = 1024;

/// The most bytes of outcomes in one message, unless it is one outcome.
pub(super) const MAX_TOGETHER_BYTES: usize = 128 * 1024;

/// One run of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Run {
    /// Unique in its client.
    pub(super) job: u64,
    /// Which run of it, from 0.
    pub(super) run: u32,
}

/// A part of a run: 0 is the whole, or what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) run: Run,
    pub(super) part: u32,
}

impl Run {
    pub(super) fn whole(self) -> Part {
        Part { run: self, part: 0 }
    }
}

/// What stands before the arguments in a message of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) run: Run,
    pub(super) task: u64,
    /// Which attempt it is, from 1.
    pub(super) attempt: u32,
    /// How many tasks travel together; 0 for one that travels alone.
    pub(super) chunk: u32,
    /// Whether a seed travels behind the arguments of each task.
    pub(super) is_seeded: bool,
    pub(super) timeout: Option<Duration>,
    /// How many bytes the arguments are, where they are to be fetched.
    pub(super) stays: Option<u64>,
}

/// To a submitter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ToSubmitter {
    /// May these start?
    Ask { agent: String, runs: Vec<Run> },
    /// What became of these; the bytes of all follow each other behind the message.
    Done {
        agent: String,
        outcomes: Vec<Outcome>,
    },
    /// These have not started, and will not.
    Back { agent: String, runs: Vec<Run> },
    /// A piece of the arguments.
    Fetch(Fetch),
    /// Are you there?
    Hello,
}

/// To an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ToAgent {
    /// Nobody wants these any more.
    Stop {
        client: String,
        parts: Vec<Part>,
        /// Also what runs; else only what has not started.
        running: bool,
    },
    /// What the submitter takes you to have: what is wanted, and what is not.
    Roll {
        client: String,
        wanted: Vec<Part>,
        unwanted: Vec<Part>,
        /// Whether this is everything.
        is_whole: bool,
    },
    /// A piece of a result.
    Fetch { client: String, fetch: Fetch },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fetch {
    pub(super) part: Part,
    pub(super) offset: u64,
    pub(super) len: u32,
}

/// The answer to `Ask`, for each run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Verdict {
    Go,
    /// It is over, or was never known: the message can go.
    Drop,
    /// Another agent has it.
    Elsewhere,
}

/// The answer to `Who`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Present {
    pub(super) agent: String,
    pub(super) abi: String,
    pub(super) seats: u32,
    pub(super) busy: u32,
    pub(super) host: String,
    pub(super) pid: u32,
    /// It takes no more tasks.
    pub(super) drains: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) part: Part,
    pub(super) fate: Fate,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fate {
    Answer {
        /// A [`Reply`](crate::codec::Reply).
        reply: u32,
        worker: u32,
        payload: Payload,
        /// Of a chunk.
        chunk: Option<Chunk>,
    },
    Failed(Failure),
}

/// The bytes of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Payload {
    /// The number of bytes, which follow the message.
    Here(u32),
    /// The number of bytes, which are to be fetched.
    Stays(u64),
}

/// What became of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chunk {
    /// How many tasks have replies.
    pub(super) ran: u32,
    /// Why the one after those has none.
    pub(super) lost: Option<Failure>,
    /// The parts that the tasks after those are, and how many are in each.
    pub(super) others: Vec<(u32, u32)>,
    pub(super) run_time: Duration,
}

/// A [`TaskError`] without its task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    kind: u8,
    message: Option<String>,
    location: Option<String>,
    worker: Option<u32>,
    signal: Option<i32>,
    exit_code: Option<i32>,
    memory: Option<(u64, u64)>,
}

impl Failure {
    pub(super) fn of(error: &TaskError) -> Self {
        Self {
            kind: error.kind() as u8,
            message: error.message().map(str::to_owned),
            location: error.location().map(str::to_owned),
            worker: error.worker_pid(),
            signal: error.signal(),
            exit_code: error.exit_code(),
            memory: error.memory_peak().zip(error.memory_limit()),
        }
    }

    /// The error; of a kind that is unknown here, it is one of the agent's.
    pub(super) fn into_error(self, task: &'static str) -> TaskError {
        let kind = TaskErrorKind::ALL.get(usize::from(self.kind));
        let mut error = TaskError::new(*kind.unwrap_or(&TaskErrorKind::WorkerLost), task)
            .location_is(self.location)
            .worker_is(self.worker.unwrap_or(0))
            .exit_is(Exit {
                signal: self.signal,
                code: self.exit_code,
            })
            .memory_is(self.memory);
        if let Some(message) = self.message {
            error = error.message_is(message);
        }
        error
    }
}

/// A message with these bytes behind it.
pub(super) fn encode<T: Serialize>(head: &T, bytes: &[&[u8]]) -> Bytes {
    let len: usize = bytes.iter().map(|bytes| bytes.len()).sum();
    let mut out = Vec::with_capacity(64 + len);
    out.push(VERSION);
    // Into memory, of types without code of their own: it cannot fail.
    let mut out = postcard::to_extend(head, out).unwrap_or_default();
    for bytes in bytes {
        out.extend_from_slice(bytes);
    }
    out.into()
}

/// A message and what is behind it; `None` where it is none.
pub(super) fn decode<T: DeserializeOwned>(message: &Bytes) -> Option<(T, Bytes)> {
    let (&version, rest) = message.split_first()?;
    if version != VERSION {
        return None;
    }
    let (head, rest) = postcard::take_from_bytes(rest).ok()?;
    Some((head, message.slice(message.len() - rest.len()..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way_and_carry_bytes() {
        let run = Run {
            job: u64::MAX,
            run: 3,
        };
        let ask = ToSubmitter::Ask {
            agent: "a".into(),
            runs: vec![run],
        };
        let message = encode(&ask, &[b"by", b"tes"]);
        let (head, rest) = decode::<ToSubmitter>(&message).unwrap();
        assert_eq!((head, &rest[..]), (ask, &b"bytes"[..]));
    }

    #[test]
    fn other_versions_and_pieces_of_messages_are_none() {
        let whole = encode(&ToSubmitter::Hello, &[]);
        assert_eq!(decode::<ToSubmitter>(&whole).unwrap().0, ToSubmitter::Hello);
        assert!(decode::<ToSubmitter>(&whole.slice(..0)).is_none());
        assert!(decode::<ToSubmitter>(&whole.slice(..1)).is_none());
        assert!(decode::<ToSubmitter>(&Bytes::from_static(&[VERSION + 1, 4])).is_none());
    }

    #[test]
    fn errors_arrive_as_they_were() {
        for kind in TaskErrorKind::ALL {
            let error = TaskError::new(kind, "task")
                .message_is("why")
                .location_is(Some("here".into()))
                .worker_is(7)
                .exit_is(Exit {
                    signal: Some(9),
                    code: None,
                })
                .memory_is(Some((2, 1)));
            assert_eq!(Failure::of(&error).into_error("task"), error);
        }
    }
}
