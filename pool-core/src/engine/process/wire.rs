//! What parent and worker say to each other at the start, and the flags of a request.

use crate::job::registry::Catalog;

/// Changes with every change of the lane's layout or of these messages.
pub(crate) const VERSION: u32 = 3;

const MAGIC: [u8; 8] = *b"poolcore";

/// What the flags of a request mean.
pub(super) mod kind {
    /// A task.
    pub(crate) const PLAIN: u32 = 0;
    /// A task with a deadline: the worker notes when it starts.
    pub(crate) const TIMED: u32 = 1;
    /// No task: the worker ends.
    pub(crate) const STOP: u32 = 2;
    /// Many tasks: the worker notes its progress.
    pub(crate) const CHUNK: u32 = 3;
    /// A task of which the times are taken: the worker notes when it starts, and for how many
    /// nanoseconds it ran in the place of the task's id.
    pub(crate) const SAMPLE: u32 = 4;

    /// Beside one of the above: a seed travels behind the arguments of each task.
    pub(crate) const SEEDED: u32 = 1 << 7;

    const BITS: u32 = 8;

    /// The flags, with which run of the task it is.
    pub(crate) fn with_attempt(kind: u32, attempt: u32) -> u32 {
        attempt.min(u32::MAX >> BITS) << BITS | kind
    }

    /// What [`with_attempt`] has put together.
    pub(crate) fn and_attempt(word: u32) -> (u32, u32) {
        (word & ((1 << BITS) - 1), word >> BITS)
    }
}

/// What a worker says of a chunk that it has answered, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Finished {
    /// How many tasks have run; no chunk has more than fit into 16 bits.
    pub(super) ran: u32,
    /// How many of them have no result.
    pub(super) failed: u32,
    /// For how many nanoseconds, at most four seconds.
    pub(super) nanos: u32,
}

impl Finished {
    pub(super) fn of(word: u64) -> Self {
        Self {
            ran: u32::from(word as u16),
            failed: u32::from((word >> 16) as u16),
            nanos: (word >> 32) as u32,
        }
    }

    pub(super) fn to_word(self) -> u64 {
        u64::from(self.nanos) << 32
            | u64::from(self.failed as u16) << 16
            | u64::from(self.ran as u16)
    }
}

/// How far a worker is in a chunk, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// How many tasks have run.
    pub(super) ran: u32,
    /// How many bytes their replies take.
    pub(super) bytes: u64,
}

impl Progress {
    const BYTES_BITS: u32 = 40;

    pub(super) fn of(word: u64) -> Self {
        Self {
            // The rest of the word has 24 bits.
            ran: (word >> Self::BYTES_BITS) as u32,
            bytes: word & ((1 << Self::BYTES_BITS) - 1),
        }
    }

    pub(super) fn to_word(self) -> u64 {
        u64::from(self.ran) << Self::BYTES_BITS | self.bytes
    }
}

/// Which tasks a program links. (The file of a worker is not compared: it is that of its parent by
/// construction, and what a file system says of a file may change while it stays the same.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    /// How many they are.
    pub(super) tasks: u64,
    /// The digest of the catalog.
    pub(super) catalog: u64,
}

/// Parent → worker: who you are and what you get. The lane's descriptors come with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Welcome {
    pub(super) identity: Identity,
    /// The worker runs another executable on purpose: the catalogs may differ.
    pub(super) foreign: bool,
    pub(super) index: u32,
    pub(super) depth: u32,
    pub(super) arena_bytes: u64,
    /// A descriptor for standard output comes last.
    pub(super) stdout: bool,
    /// With how many processes the worker shares the CPUs, itself included.
    pub(super) sharers: u32,
    /// The pool is an agent's: its tasks come from other machines.
    pub(super) agent: bool,
    /// The rights that new files of the worker do not get, where it has not inherited them.
    pub(super) umask: Option<u32>,
    /// The stack of the thread that runs the tasks, in bytes.
    pub(super) stack_size: u64,
    /// The signals of a terminal that stay blocked, one bit each.
    pub(super) blocked: u8,
}

/// Worker → parent: ready to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) identity: Identity,
}

/// Why a message could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Not a message of any version.
    Garbage,
    /// A message of another version.
    Version(u32),
}

/// The longest message.
pub(super) const MESSAGE_MAX: usize = 1024;

/// "Look at the lane": worker → parent, at any time after the hello.
pub(super) const DING: [u8; 1] = [1];

/// Why a worker ends, in its own words: worker → parent, as the last message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastWords(pub(super) String);

impl LastWords {
    /// Tells it from a [`DING`]; a hello begins with the letter of [`MAGIC`].
    const TAG: u8 = 2;

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut end = self.0.len().min(MESSAGE_MAX - 1);
        while !self.0.is_char_boundary(end) {
            end -= 1;
        }
        let mut bytes = vec![Self::TAG];
        bytes.extend(&self.0.as_bytes()[..end]);
        bytes
    }

    /// The worker may have written anything: what comes out is a line of text.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let text = bytes.strip_prefix(&[Self::TAG])?;
        let text = String::from_utf8_lossy(text);
        let printable = |letter: char| match letter.is_control() {
            true => ' ',
            false => letter,
        };
        Some(Self(text.chars().map(printable).collect()))
    }
}
/// "I stop, since you are stopped", and "I run again": worker → parent; see `pause.rs`.
pub(super) const PAUSED: [u8; 1] = [3];
pub(super) const RESUMED: [u8; 1] = [4];

impl Welcome {
    pub(super) fn encode(&self) -> Vec<u8> {
        frame(&[
            self.identity.tasks,
            self.identity.catalog,
            u64::from(self.foreign),
            u64::from(self.index),
            u64::from(self.depth),
            self.arena_bytes,
            u64::from(self.stdout),
            u64::from(self.sharers),
            u64::from(self.agent),
            self.umask.map_or(u64::MAX, u64::from),
            self.stack_size,
            u64::from(self.blocked),
        ])
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let [
            tasks,
            catalog,
            foreign,
            index,
            depth,
            arena_bytes,
            stdout,
            sharers,
            agent,
            umask,
            stack_size,
            blocked,
        ] = unframe(bytes)?;
        Ok(Self {
            identity: Identity { tasks, catalog },
            foreign: foreign != 0,
            index: u32::try_from(index).map_err(|_| Unreadable::Garbage)?,
            depth: u32::try_from(depth).map_err(|_| Unreadable::Garbage)?,
            arena_bytes,
            stdout: stdout != 0,
            sharers: u32::try_from(sharers).map_err(|_| Unreadable::Garbage)?,
            agent: agent != 0,
            umask: u32::try_from(umask).ok(),
            stack_size,
            blocked: u8::try_from(blocked).map_err(|_| Unreadable::Garbage)?,
        })
    }
}

impl Hello {
    pub(super) fn encode(&self) -> Vec<u8> {
        frame(&[self.identity.tasks, self.identity.catalog])
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let [tasks, catalog] = unframe(bytes)?;
        Ok(Self {
            identity: Identity { tasks, catalog },
        })
    }
}

/// Magic, version, then the numbers, all little-endian.
fn frame(numbers: &[u64]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    debug_assert!(bytes.len() <= MESSAGE_MAX);
    bytes
}

fn unframe<const N: usize>(bytes: &[u8]) -> Result<[u64; N], Unreadable> {
    let rest = bytes.strip_prefix(&MAGIC).ok_or(Unreadable::Garbage)?;
    let (version, numbers) = rest.split_first_chunk().ok_or(Unreadable::Garbage)?;
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(Unreadable::Version(version));
    }
    let (words, rest) = numbers.as_chunks::<8>();
    let words: &[[u8; 8]; N] = words.try_into().map_err(|_| Unreadable::Garbage)?;
    if !rest.is_empty() {
        return Err(Unreadable::Garbage);
    }
    Ok(words.map(u64::from_le_bytes))
}

impl Identity {
    /// The identity of the running program.
    pub(super) fn of(catalog: &Catalog) -> Self {
        Self {
            tasks: catalog.len() as u64,
            catalog: catalog.digest(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity {
        tasks: 0x0123_4567_89ab_cdef,
        catalog: u64::MAX,
    };

    #[test]
    fn messages_survive_the_way() {
        let welcome = Welcome {
            identity: IDENTITY,
            foreign: true,
            index: 7,
            depth: 3,
            arena_bytes: 1 << 36,
            stdout: false,
            sharers: 12,
            agent: true,
            umask: Some(0o22),
            stack_size: 8 << 20,
            blocked: 9,
        };
        assert_eq!(Welcome::decode(&welcome.encode()), Ok(welcome));
        let hello = Hello { identity: IDENTITY };
        assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
    }

    #[test]
    fn last_words_are_a_line_of_bounded_length() {
        let words = |text: &str| {
            LastWords::decode(&LastWords(text.to_owned()).encode())
                .unwrap()
                .0
        };
        assert_eq!(
            words("panicked at src/x.rs:1:2: on purpose"),
            "panicked at src/x.rs:1:2: on purpose"
        );
        assert_eq!(words("two\nlines\u{1b}[2J"), "two lines [2J");
        let long = "\u{e9}".repeat(MESSAGE_MAX);
        assert_eq!(words(&long).len(), MESSAGE_MAX - 2);
        assert_eq!(
            LastWords::decode(&[LastWords::TAG, 0xff, b'a']).unwrap().0,
            "\u{fffd}a"
        );
        for other in [&DING[..], &[], &Hello { identity: IDENTITY }.encode()] {
            assert_eq!(LastWords::decode(other), None);
        }
        assert_eq!(
            Hello::decode(&LastWords("no hello".into()).encode()),
            Err(Unreadable::Garbage)
        );
    }

    #[test]
    fn another_version_is_told_from_garbage() {
        let mut bytes = Hello { identity: IDENTITY }.encode();
        bytes[MAGIC.len()] += 1;
        assert_eq!(Hello::decode(&bytes), Err(Unreadable::Version(VERSION + 1)));
        bytes[0] ^= 1;
        assert_eq!(Hello::decode(&bytes), Err(Unreadable::Garbage));
    }

    #[test]
    fn no_prefix_or_extension_of_a_message_is_one() {
        let whole = Hello { identity: IDENTITY }.encode();
        for len in 0..whole.len() {
            assert_eq!(
                Hello::decode(&whole[..len]),
                Err(Unreadable::Garbage),
                "{len}"
            );
        }
        let mut longer = whole;
        longer.push(0);
        assert_eq!(Hello::decode(&longer), Err(Unreadable::Garbage));
        longer.extend([0; 7]);
        assert_eq!(Hello::decode(&longer), Err(Unreadable::Garbage));
    }
}
