//! The state word of a task: its phases, its flags, how many pointers there are to its cell, and
//! who may change them when.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use crate::error::task_error::Abandon;

/// The phase, in the two lowest bits.
const PHASE: u32 = 0b11;
const QUEUED: u32 = 0;
const CLAIMED: u32 = 1;
const FINISHED: u32 = 2;
const TAKEN: u32 = 3;

/// Somebody waits for the outcome. Set by a waiter, after it has entered itself in the list of
/// waiters; read by whoever resolves the task, in the same operation that resolves it.
const WATCHED: u32 = 1 << 2;

/// The task is asked to stop. Set with an abandonment, or by itself where what is asked can stop
/// between two tasks; read by the running task.
const STOP: u32 = 1 << 3;

/// The handle was resolved without the claimer, and why. Set at most once, never cleared.
const CANCELLED: u32 = 1 << 4;
const TIMED_OUT: u32 = 1 << 5;
const EXPIRED: u32 = 1 << 6;
const ABANDONED: u32 = CANCELLED | TIMED_OUT | EXPIRED;

/// The outcome of an abandoned task was handed out.
const ABANDONED_TAKEN: u32 = 1 << 7;

/// A claimer keeps the task for a later run.
const PAUSED: u32 = 1 << 8;

/// The outcome is an error, or will be one. Set by the claimer before it finishes.
const FAILED: u32 = 1 << 9;

/// Somebody who waits does not look for itself: the backend has to notice the end.
const ALERTED: u32 = 1 << 10;

/// One pointer to the cell; the count takes the bits from here on.
const REF: u32 = 1 << 11;
const REFS: u32 = !(REF - 1);

/// A new cell: queued, with two pointers, the handle's and the backend's.
const NEW: u32 = QUEUED | (2 * REF);

/// What [`State::finish`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Nobody waits, and the claimer's pointer is given up.
    Released { last: bool },
    /// Somebody waits, whom the claimer must wake; it keeps its pointer for that.
    Watched,
    /// The handle was resolved before: contents and pointer stay the claimer's.
    Abandoned,
}

/// What [`State::take`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The contents are the caller's.
    Contents,
    /// The reason is the outcome.
    Abandoned(Abandon),
    /// The outcome was taken before.
    Already,
}

/// The state word. Each transition is one atomic operation; see the table in the module above
/// for what each phase says of the cell's contents.
#[derive(Debug)]
pub(crate) struct State(AtomicU32);

impl State {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(NEW))
    }

    /// A new one that is claimed already.
    pub(crate) const fn claimed() -> Self {
        Self(AtomicU32::new(NEW & !PHASE | CLAIMED))
    }

    /// Queued → claimed. The winner owns the contents.
    #[inline]
    pub(crate) fn claim(&self) -> bool {
        // Most cells are untouched since they were made; trying that first fetches the cache
        // line once, for writing, instead of twice.
        let mut word = NEW;
        loop {
            let claimed = word & !PHASE | CLAIMED;
            match self.0.compare_exchange_weak(word, claimed, AcqRel, Acquire) {
                Ok(_) => return true,
                Err(now) if now & (PHASE | ABANDONED) != QUEUED => return false,
                Err(now) => word = now,
            }
        }
    }

    /// Claimed → finished, by the claimer, after it has stored the outcome; gives up its pointer
    /// in the same step where it can.
    #[inline]
    pub(crate) fn finish(&self) -> Finish {
        let before = self.update(|word| {
            debug_assert_eq!(word & PHASE, CLAIMED, "only a claimer finishes");
            let finished = word & !(PHASE | PAUSED) | FINISHED;
            match word {
                _ if word & ABANDONED != 0 => None,
                _ if word & WATCHED != 0 => Some(finished),
                _ => Some(finished - REF),
            }
        });
        match before {
            None => Finish::Abandoned,
            Some(word) if word & WATCHED != 0 => Finish::Watched,
            Some(word) => Finish::Released {
                last: word / REF == 1,
            },
        }
    }

    /// The claimer, who keeps its claim, has the task run again later; `false`: nobody waits for
    /// it any more.
    pub(crate) fn pause(&self) -> bool {
        self.update(|word| (word & ABANDONED == 0).then_some(word | PAUSED))
            .is_some()
    }

    /// Claimed → queued, by the claimer, after it has stored the call again; `false`: nobody waits
    /// for it any more, and the claim stays.
    pub(crate) fn requeue(&self) -> bool {
        self.update(|word| {
            debug_assert_eq!(word & PHASE, CLAIMED, "only a claimer gives back");
            let queued = word & !(PHASE | PAUSED) | QUEUED;
            (word & ABANDONED == 0).then_some(queued)
        })
        .is_some()
    }

    /// Whether the caller's pointer is the only one, and nobody has resolved or taken the task in
    /// another way: then outcome and cell are the caller's.
    #[inline]
    pub(crate) fn is_finished_and_only(&self) -> bool {
        // Acquire: what others did with the cell came before they gave up their pointers.
        let word = self.0.load(Acquire);
        word & (REFS | PHASE | ABANDONED) == FINISHED | REF
    }

    /// One pointer more.
    #[inline]
    pub(crate) fn add_ref(&self) {
        // Relaxed: made from a pointer that exists, like an `Arc`'s.
        let before = self.0.fetch_add(REF, Relaxed) & REFS;
        // As `Arc` does: so many pointers can only be leaked ones.
        if before > REFS / 2 {
            std::process::abort();
        }
    }

    /// One pointer fewer; `true`: it was the last, and the cell is the caller's.
    #[inline]
    pub(crate) fn drop_ref(&self) -> bool {
        // Who has the only pointer has it alone: there is nobody to race with.
        self.0.load(Acquire) & REFS == REF || self.0.fetch_sub(REF, AcqRel) & REFS == REF
    }

    /// One pointer fewer, unless it is the last; says whether it was given up.
    pub(crate) fn drop_ref_but_last(&self) -> bool {
        self.update(|word| (word & REFS != REF).then(|| word - REF))
            .is_some()
    }

    /// Resolves the handle without the claimer and asks the task to stop. `None`: it is resolved
    /// already. Else: whether somebody waits.
    pub(crate) fn abandon(&self, reason: Abandon) -> Option<bool> {
        let bit = match reason {
            Abandon::Cancelled => CANCELLED,
            Abandon::TimedOut => TIMED_OUT,
            Abandon::Expired => EXPIRED,
        };
        self.update(|word| (!resolved(word)).then_some(word | bit | STOP))
            .map(|word| word & WATCHED != 0)
    }

    /// Finished → taken, or the first look at an abandoned task.
    #[inline]
    pub(crate) fn take(&self) -> Taken {
        let before = self.update(|word| {
            if word & ABANDONED != 0 {
                (word & ABANDONED_TAKEN == 0).then_some(word | ABANDONED_TAKEN)
            } else {
                debug_assert!(resolved(word), "only a resolved task is taken");
                (word & PHASE == FINISHED).then_some(word | TAKEN)
            }
        });
        match before {
            None => Taken::Already,
            Some(word) if word & CANCELLED != 0 => Taken::Abandoned(Abandon::Cancelled),
            Some(word) if word & TIMED_OUT != 0 => Taken::Abandoned(Abandon::TimedOut),
            Some(word) if word & EXPIRED != 0 => Taken::Abandoned(Abandon::Expired),
            Some(_) => Taken::Contents,
        }
    }

    /// Says that somebody waits, and with `alert` that it does not look for itself; `false` when
    /// there is nothing to wait for any more.
    pub(crate) fn watch(&self, alert: bool) -> bool {
        let bits = if alert { WATCHED | ALERTED } else { WATCHED };
        // AcqRel: the entry in the list of waiters comes before the bit, and a resolution that
        // is seen here came before.
        !resolved(self.0.fetch_or(bits, AcqRel))
    }

    /// Whether somebody waits.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.0.load(Relaxed) & WATCHED != 0
    }

    /// Whether somebody waits who does not look for itself.
    #[inline]
    pub(crate) fn is_alerted(&self) -> bool {
        self.0.load(Relaxed) & ALERTED != 0
    }

    /// The outcome is an error; said by the claimer.
    pub(crate) fn mark_failed(&self) {
        // Relaxed: published by `finish`.
        self.0.fetch_or(FAILED, Relaxed);
    }

    /// Whether a resolved task has an error for its outcome, as far as is known without decoding.
    pub(crate) fn is_failed(&self) -> bool {
        self.0.load(Acquire) & (FAILED | ABANDONED) != 0
    }

    #[inline]
    pub(crate) fn is_resolved(&self) -> bool {
        // Acquire: pairs with the release in `finish` and `abandon`, so that what the claimer
        // wrote is visible to whoever sees the task resolved.
        resolved(self.0.load(Acquire))
    }

    /// Whether a claimer runs the task and its handle is not resolved.
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        let word = self.0.load(Acquire);
        word & (PHASE | PAUSED) == CLAIMED && !resolved(word)
    }

    /// Whether the handle was resolved without the claimer.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.load(Acquire) & ABANDONED != 0
    }

    /// Whether nobody has claimed the task.
    pub(crate) fn is_queued(&self) -> bool {
        self.0.load(Acquire) & (PHASE | ABANDONED) == QUEUED
    }

    /// Asks the claimer to stop; its outcome still counts.
    pub(crate) fn ask_to_stop(&self) {
        self.0.fetch_or(STOP, Relaxed);
    }

    /// Whether the task was asked to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.load(Relaxed) & STOP != 0
    }

    /// The word before the change, or `None` where `change` refuses it.
    ///
    /// AcqRel: each transition hands the contents over, from the last owner to the next.
    #[inline]
    fn update(&self, change: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        self.0.fetch_update(AcqRel, Acquire, change).ok()
    }
}

#[inline]
fn resolved(word: u32) -> bool {
    word & PHASE >= FINISHED || word & ABANDONED != 0
}
