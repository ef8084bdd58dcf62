//! One slot of a lane: the state word and what travels with it.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use crate::sync::{AtomicU32, AtomicU64};

/// How many bytes travel inside a slot.
pub(crate) const SLOT_INLINE: usize = INLINE_WORDS * 8;

const INLINE_WORDS: usize = 10;

const FREE: u32 = 0;
const READY: u32 = 1;
const RUNNING: u32 = 2;
const DONE: u32 = 3;
const SKIP: u32 = 4;
const STATE: u32 = 0b111;

/// A thread sleeps on the lane's bell until this slot is done.
pub(crate) const TELL_JOINER: u32 = 1 << 3;
/// The supervisor wants to hear when this slot is done.
pub(crate) const TELL_SUPERVISOR: u32 = 1 << 4;

/// The state of a slot as the parent sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotState {
    Free,
    Ready,
    Running,
    Done,
    Skip,
    /// No state of this protocol: the worker wrote where it must not.
    Corrupt,
}

impl SlotState {
    #[inline]
    fn of(word: u32) -> Self {
        match word & STATE {
            FREE => Self::Free,
            READY => Self::Ready,
            RUNNING => Self::Running,
            DONE => Self::Done,
            SKIP => Self::Skip,
            _ => Self::Corrupt,
        }
    }

    /// Nothing of the worker's is to be expected any more.
    #[inline]
    pub(crate) fn is_settled(self) -> bool {
        !matches!(self, Self::Ready | Self::Running)
    }
}

/// What the worker finds at its slot.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A task, which is now running.
    Run,
    /// A cancelled task, which is now done.
    Skipped,
    /// Nothing yet.
    Nothing,
}

/// The facts of a request or a reply beside its bytes. From a worker they are claims, to be
/// checked by the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    /// Request: flags. Reply: the kind of the answer.
    pub(crate) kind: u32,
    /// Request: the task's id.
    pub(crate) task: u64,
    /// How many bytes there are; at most [`SLOT_INLINE`] are in the slot, more are in the arena.
    pub(crate) len: u64,
    /// Where in the arena they are.
    pub(crate) offset: u64,
}

/// Which tasks of a chunk have been started, and how many are to be: `started <= end`. The worker
/// starts one by adding to the first number, the parent takes back what has not started by setting
/// the second one to the first: one compare-and-swap each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) started: u32,
    pub(crate) end: u32,
}

impl Span {
    fn of(word: u64) -> Self {
        Self {
            started: word as u32,
            end: (word >> 32) as u32,
        }
    }

    fn to_word(self) -> u64 {
        u64::from(self.end) << 32 | u64::from(self.started)
    }
}

/// A slot. All-zero memory is a free one. Small payloads share the first cache line with the
/// state word.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: AtomicU32,
    kind: AtomicU32,
    task: AtomicU64,
    len: AtomicU64,
    inline: [AtomicU64; INLINE_WORDS],
    offset: AtomicU64,
    note: AtomicU64,
    span: AtomicU64,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Slot>() == 128);

impl Slot {
    #[inline]
    pub(crate) fn state(&self) -> SlotState {
        // Acquire: pairs with `finish`, so that a reply is read after it was written.
        SlotState::of(self.state.load(Acquire))
    }

    // ---- parent ----

    /// FREE → READY. The request is written.
    #[inline]
    pub(crate) fn publish(&self, tell: u32) {
        // Release: pairs with `start`. A store, not an exchange: a flag that a late joiner set on
        // the free slot means the task before this one.
        self.state.store(READY | tell, Release);
    }

    /// FREE → SKIP: a task that was cancelled before it was published.
    pub(crate) fn publish_skipped(&self) {
        self.state.store(SKIP, Release);
    }

    /// READY → FREE. The flags that were set, or `None`: the worker has started it.
    pub(crate) fn take_back(&self) -> Option<u32> {
        self.leave_ready(FREE)
    }

    /// READY → SKIP. The flags that were set, or `None`: the worker has started it.
    pub(crate) fn skip(&self) -> Option<u32> {
        self.leave_ready(SKIP)
    }

    fn leave_ready(&self, to: u32) -> Option<u32> {
        self.state
            .fetch_update(AcqRel, Acquire, |word| {
                (word & STATE == READY).then_some(to)
            })
            .ok()
            .map(|word| word & !STATE)
    }

    /// DONE → FREE.
    #[inline]
    pub(crate) fn free(&self) {
        // Release: what was read from the slot was read before the next request is written.
        self.state.store(FREE, Release);
    }

    /// Asks to be told; the state before says whether there is still something to wait for.
    #[inline]
    pub(crate) fn ask(&self, tell: u32) -> SlotState {
        SlotState::of(self.state.fetch_or(tell, AcqRel))
    }

    /// What the worker notes of a task with a deadline (when it started, on the monotonic clock),
    /// or of a chunk (its progress). 0 when it has not.
    pub(crate) fn note(&self) -> u64 {
        // Acquire: the replies that a progress speaks of were written before.
        self.note.load(Acquire)
    }

    /// Says how many tasks a chunk has, before it is published.
    pub(crate) fn set_span(&self, tasks: u32) {
        let span = Span {
            started: 0,
            end: tasks,
        };
        self.span.store(span.to_word(), Relaxed);
    }

    pub(crate) fn span(&self) -> Span {
        Span::of(self.span.load(Acquire))
    }

    /// Lets the worker start no more tasks of the chunk that it runs; the span before.
    pub(crate) fn cut(&self) -> Span {
        let cut = |word| {
            let Span { started, .. } = Span::of(word);
            let end = started;
            Some(Span { started, end }.to_word())
        };
        match self.span.fetch_update(AcqRel, Acquire, cut) {
            Ok(word) | Err(word) => Span::of(word),
        }
    }

    /// Where the replies of a running chunk are.
    pub(crate) fn offset(&self) -> u64 {
        // Acquire: pairs with `set_offset`.
        self.offset.load(Acquire)
    }

    // ---- worker ----

    /// Starts the next task of the chunk; returns `false` at its end.
    #[inline]
    pub(crate) fn start_next(&self) -> bool {
        self.span
            .fetch_update(AcqRel, Acquire, |word| {
                let Span { started, end } = Span::of(word);
                (started < end).then(|| {
                    let started = started + 1;
                    Span { started, end }.to_word()
                })
            })
            .is_ok()
    }

    #[inline]
    pub(crate) fn start(&self) -> Start {
        let mut word = self.state.load(Acquire);
        loop {
            let (to, found) = match word & STATE {
                READY => (RUNNING, Start::Run),
                SKIP => (DONE, Start::Skipped),
                _ => return Start::Nothing,
            };
            match self
                .state
                .compare_exchange_weak(word, word & !STATE | to, AcqRel, Acquire)
            {
                Ok(_) => return found,
                Err(now) => word = now,
            }
        }
    }

    /// Whether [`start`](Self::start) would find something.
    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        // SeqCst: W3 of the README.
        matches!(self.state.load(SeqCst) & STATE, READY | SKIP)
    }

    pub(crate) fn set_note(&self, note: u64) {
        self.note.store(note, Release);
    }

    /// Says where the replies of a running chunk are.
    pub(crate) fn set_offset(&self, offset: u64) {
        // Release: those that were moved there came before.
        self.offset.store(offset, Release);
    }

    /// RUNNING → DONE. The reply is written. Returns who wants to be told.
    #[inline]
    pub(crate) fn finish(&self) -> u32 {
        self.state.swap(DONE, AcqRel)
    }

    // ---- both; ordered by the state word ----

    #[inline]
    pub(crate) fn write(&self, facts: &Facts, payload: &[u8]) {
        self.kind.store(facts.kind, Relaxed);
        self.task.store(facts.task, Relaxed);
        self.len.store(facts.len, Relaxed);
        if facts.len > SLOT_INLINE as u64 {
            self.offset.store(facts.offset, Relaxed);
        }
        let (whole, rest) = payload.as_chunks();
        for (word, bytes) in self.inline.iter().zip(whole) {
            word.store(u64::from_le_bytes(*bytes), Relaxed);
        }
        if let Some(word) = self.inline.get(whole.len()).filter(|_| !rest.is_empty()) {
            let last = rest
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte));
            word.store(last, Relaxed);
        }
    }

    /// Clears the note of the last task, before one that has notes is published.
    #[inline]
    pub(crate) fn clear_note(&self) {
        self.note.store(0, Relaxed);
    }

    #[inline]
    pub(crate) fn facts(&self) -> Facts {
        Facts {
            kind: self.kind.load(Relaxed),
            task: self.task.load(Relaxed),
            len: self.len.load(Relaxed),
            offset: self.offset.load(Relaxed),
        }
    }

    /// Copies the first bytes of the inline payload out.
    #[inline]
    pub(crate) fn read(&self, out: &mut [u8]) {
        let (whole, rest) = out.as_chunks_mut();
        for (word, bytes) in self.inline.iter().zip(&mut *whole) {
            *bytes = word.load(Relaxed).to_le_bytes();
        }
        if let Some(word) = self.inline.get(whole.len()).filter(|_| !rest.is_empty()) {
            let mut last = word.load(Relaxed);
            for byte in rest {
                *byte = last as u8;
                last >>= 8;
            }
        }
    }
}
