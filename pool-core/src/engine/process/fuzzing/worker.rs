//! A worker that keeps to the protocol, step by step: between two of its steps anything else can
//! happen. What it finds in its lane may have been written by anybody.

use std::collections::VecDeque;
use std::sync::Arc;

use super::probe::Probe;
use crate::codec::{Frames, REPLY_HEAD, Reply, head_reply, run_encoded, run_one};
use crate::engine::process::lane::arena::{Allocator, Region};
use crate::engine::process::lane::memory::Segments;
use crate::engine::process::lane::slot::{Facts, SLOT_INLINE, Slot, Start};
use crate::engine::process::lane::{Lane, monotonic_nanos};
use crate::engine::process::wire::{Finished, Progress, kind};

/// Room for the replies of a chunk.
const CHUNK_ROOM: u64 = 64 << 10;

/// No arguments are longer than this, whatever the slot says.
const MOST: u64 = 1 << 20;

pub(super) struct Worker {
    /// The parent's end, of which only the worker's half is used: the memory is the same.
    lane: Arc<Lane>,
    pub(super) segments: Segments,
    next: u64,
    at: At,
    arena: Allocator,
    regions: VecDeque<(u64, Region)>,
}

enum At {
    Idle,
    Running(Facts),
    Chunk(Chunk),
    Ended,
}

struct Chunk {
    args: Vec<u8>,
    /// How many bytes of the arguments were read.
    read: usize,
    room: Region,
    progress: Progress,
    /// The arguments of the task that was started.
    started: Option<Vec<u8>>,
}

impl Worker {
    pub(super) fn new(lane: Arc<Lane>, segments: Segments) -> Self {
        let arena = Allocator::new(lane.arena_bytes);
        Self {
            lane,
            segments,
            next: 0,
            at: At::Idle,
            arena,
            regions: VecDeque::new(),
        }
    }

    /// Goes a step on; says whether there was one. `ran` hears of each task that is done.
    pub(super) fn step(&mut self, ran: impl FnMut(u32)) -> bool {
        match std::mem::replace(&mut self.at, At::Idle) {
            At::Idle => self.start(),
            At::Running(facts) => self.run(facts, ran),
            At::Chunk(chunk) => self.run_next(chunk, ran),
            At::Ended => {
                self.at = At::Ended;
                false
            }
        }
    }

    fn slot(&self) -> &Slot {
        self.lane.slot(self.next)
    }

    fn start(&mut self) -> bool {
        let slot = self.slot();
        match slot.start() {
            Start::Nothing => return false,
            Start::Skipped => self.next += 1,
            Start::Run => {
                let facts = slot.facts();
                let (kind, _) = kind::and_attempt(facts.kind);
                if kind == kind::TIMED {
                    slot.set_note(monotonic_nanos());
                }
                self.at = match kind {
                    kind::STOP => At::Ended,
                    kind::CHUNK => self.start_chunk(facts),
                    _ => At::Running(facts),
                };
            }
        }
        true
    }

    fn args(&self, facts: Facts) -> Option<Vec<u8>> {
        let Facts { len, offset, .. } = facts;
        if len <= SLOT_INLINE as u64 {
            let mut args = vec![0; len as usize];
            self.slot().read(&mut args);
            return Some(args);
        }
        let region = Region { offset, len };
        let possible = len <= MOST && region.fits(self.lane.arena_bytes);
        possible.then(|| self.lane.request.read_back(region))
    }

    fn run(&mut self, facts: Facts, mut ran: impl FnMut(u32)) -> bool {
        let mut out = Vec::new();
        let args = self.args(facts);
        let reply = match &args {
            Some(args) => run_encoded(run_one::<Probe>, args, &mut out),
            None => Reply::Undecodable,
        };
        let mut region = None;
        if out.len() > SLOT_INLINE {
            region = self.room(out.len() as u64);
            let Some(region) = region else {
                // Later, when the parent has collected something.
                self.at = At::Running(facts);
                return false;
            };
            self.regions.push_back((self.next, region));
            self.write(region.offset, &out);
        }
        let facts = Facts {
            kind: reply as u32,
            len: out.len() as u64,
            offset: region.map_or(0, |region| region.offset),
            ..Facts::default()
        };
        let inline = if region.is_none() { &out[..] } else { &[] };
        self.slot().write(&facts, inline);
        self.finish();
        ran(id(args.as_deref()));
        true
    }

    fn start_chunk(&mut self, facts: Facts) -> At {
        let Some(room) = self.room(CHUNK_ROOM) else {
            return At::Ended;
        };
        self.slot().set_offset(room.offset);
        At::Chunk(Chunk {
            args: self.args(facts).unwrap_or_default(),
            read: 0,
            room,
            progress: Progress { ran: 0, bytes: 0 },
            started: None,
        })
    }

    /// Starts a task of a chunk, or does the one that was started, or is done with all.
    fn run_next(&mut self, mut chunk: Chunk, mut ran: impl FnMut(u32)) -> bool {
        if let Some(args) = chunk.started.take() {
            let mut out = vec![0; REPLY_HEAD];
            let reply = run_encoded(run_one::<Probe>, &args, &mut out);
            head_reply(reply, &mut out);
            self.write(chunk.room.offset + chunk.progress.bytes, &out);
            chunk.progress.ran += 1;
            chunk.progress.bytes += out.len() as u64;
            self.slot().set_note(chunk.progress.to_word());
            self.at = At::Chunk(chunk);
            ran(id(Some(&args)));
            return true;
        }
        let full = chunk.progress.bytes + CHUNK_ROOM / 4 > CHUNK_ROOM;
        let mut frames = Frames(&chunk.args[chunk.read..]);
        match frames.next() {
            Some(frame) if !full && self.slot().start_next() => {
                chunk.started = Some(frame.to_vec());
                chunk.read = chunk.args.len() - frames.0.len();
                self.at = At::Chunk(chunk);
            }
            _ => self.finish_chunk(&chunk),
        }
        true
    }

    fn finish_chunk(&mut self, chunk: &Chunk) {
        let Progress { ran, bytes } = chunk.progress;
        let facts = Facts {
            kind: Reply::Output as u32,
            task: Finished {
                ran,
                failed: 0,
                nanos: 1,
            }
            .to_word(),
            len: bytes,
            offset: chunk.room.offset,
        };
        if bytes <= SLOT_INLINE as u64 {
            let mut replies = vec![0; bytes as usize];
            let region = Region {
                offset: chunk.room.offset,
                len: bytes,
            };
            assert!(self.lane.reply.read(region, &mut replies));
            self.slot().write(&facts, &replies);
            self.arena.free(chunk.room);
        } else {
            let used = self.arena.shorten(chunk.room, bytes);
            self.regions.push_back((self.next, used));
            self.slot().write(&facts, &[]);
        }
        self.finish();
    }

    fn finish(&mut self) {
        self.slot().finish();
        self.next += 1;
    }

    /// A region for results; `None` while all are full.
    fn room(&mut self, len: u64) -> Option<Region> {
        let collected = self.lane.header().collected();
        while let Some(&(seq, region)) = self.regions.front() {
            if seq >= collected {
                break;
            }
            self.regions.pop_front();
            self.arena.free(region);
        }
        self.arena.alloc(len)
    }

    /// Writes to the reply arena.
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) {
        write_all(&self.segments.reply, offset, bytes);
    }

    /// Writes to the control segment, whatever is there.
    pub(super) fn scribble(&self, offset: u64, bytes: &[u8]) {
        write_all(&self.segments.control, offset, bytes);
    }
}

/// Writes through the descriptor, which comes out in every mapping: what lies beyond the end of
/// the sealed file is refused by the system.
fn write_all(file: impl std::os::fd::AsFd, offset: u64, bytes: &[u8]) {
    let _ = rustix::io::pwrite(file, bytes, offset);
}

/// Whose arguments these are; a number that no probe has where they are nobody's.
fn id(args: Option<&[u8]>) -> u32 {
    let decoded = args.and_then(|args| crate::codec::decode::<Probe>(args).ok());
    decoded.map_or(u32::MAX, |probe| probe.id)
}
