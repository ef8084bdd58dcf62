//! A lane: what a parent and one worker share. The protocol is in the README of the folder above.

pub(crate) mod arena;
#[cfg(all(test, loom))]
mod model;
// Shared memory.
#[allow(unsafe_code)]
pub(crate) mod memory;
pub(crate) mod slot;

use std::io;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::time::{Duration, Instant};

use self::memory::{ControlMap, DoubtedArena, Segments, WriteArena};
use self::slot::Slot;
use crate::sync::{AtomicU32, AtomicU64, fence, futex_wait, futex_wake};

/// How many tasks a lane can hold.
pub(crate) const SLOTS: usize = 128;

/// The control segment: all-zero memory is a new one.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) header: Header,
    slots: [Slot; SLOTS],
}

/// The words beside the slots. Each is on cache lines of its own, by who writes it when.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Header {
    /// [`AWAKE`] or [`ASLEEP`]; the worker sleeps on it.
    worker: Line<AtomicU32>,
    /// The supervisor wants to hear when the worker goes to sleep.
    dry_wanted: Line<AtomicU32>,
    /// Joiners sleep on it; counts the rings.
    parent_bell: Line<AtomicU32>,
    /// How many tasks the parent has collected: their regions in the reply arena are free.
    collected: Line<AtomicU64>,
    stop: Line<Stop>,
}

#[repr(C)]
#[derive(Debug, Default)]
struct Stop {
    /// One more than the number of the task that is asked to stop.
    seq: AtomicU64,
    /// Counts the requests; a thread of the worker may sleep on it.
    bell: AtomicU32,
}

#[repr(C, align(128))]
#[derive(Debug, Default)]
struct Line<T>(T);

/// After how long without work a worker counts as idle.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// For how long a joiner trusts a worker to ring.
const DOUBT: Duration = Duration::from_millis(100);

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;

impl Control {
    #[inline]
    pub(crate) fn slot(&self, seq: u64) -> &Slot {
        &self.slots[(seq % SLOTS as u64) as usize]
    }
}

impl Header {
    // ---- parent ----

    /// A task was published. `true`: the worker sleeps, and [`wake_worker`](Self::wake_worker)
    /// is to be called (a system call, so not under a lock).
    #[inline]
    pub(crate) fn must_wake_worker(&self) -> bool {
        // P2 and P3 of the README; W1 and W2 are in `sleep_worker`.
        fence(SeqCst);
        self.worker.0.load(SeqCst) == ASLEEP
            && self
                .worker
                .0
                .compare_exchange(ASLEEP, AWAKE, SeqCst, SeqCst)
                .is_ok()
    }

    pub(crate) fn wake_worker(&self) {
        futex_wake(&self.worker.0, 1);
    }

    #[inline]
    pub(crate) fn worker_sleeps(&self) -> bool {
        self.worker.0.load(Relaxed) == ASLEEP
    }

    /// Whether the worker should say that it goes to sleep. `true`: it has gone already.
    #[inline]
    pub(crate) fn want_dry(&self, wanted: bool) -> bool {
        if self.dry_wanted.0.load(Relaxed) == u32::from(wanted) {
            return false;
        }
        self.dry_wanted.0.store(u32::from(wanted), SeqCst);
        if !wanted {
            return false;
        }
        // The same crossing as for a published task, with `dry_wanted` in the slot's place.
        fence(SeqCst);
        self.worker.0.load(SeqCst) == ASLEEP
    }

    #[inline]
    pub(crate) fn parent_bell(&self) -> u32 {
        self.parent_bell.0.load(Acquire)
    }

    /// Sleeps while the bell has the value `seen`, at most until the deadline, and never for long:
    /// a worker that runs wild may have changed the bell.
    pub(crate) fn wait_for_bell(&self, seen: u32, deadline: Option<Instant>) {
        let left = deadline.map_or(DOUBT, |at| at.saturating_duration_since(Instant::now()));
        // Every reason to return (rung, changed, time over, signal) is a reason to look again.
        futex_wait(&self.parent_bell.0, seen, Some(left.min(DOUBT)));
    }

    /// A job has left the lane other than by its worker: a joiner that is about to sleep on the
    /// bell does not. Called under the scheduler's lock, under which joiners read the bell.
    pub(crate) fn turn_bell(&self) {
        self.parent_bell.0.fetch_add(1, AcqRel);
    }

    #[inline]
    pub(crate) fn set_collected(&self, count: u64) {
        // Release: the regions were read before the worker writes them again.
        self.collected.0.store(count, Release);
    }

    pub(crate) fn ask_to_stop(&self, seq: u64) {
        self.stop.0.seq.store(seq + 1, Relaxed);
        // Release: who sees the count sees whom it is for.
        self.stop.0.bell.fetch_add(1, Release);
        futex_wake(&self.stop.0.bell, 1);
    }

    // ---- worker ----

    /// Announces sleep, looks once more, and sleeps until woken. `dry` is called if the
    /// supervisor wants to know; `idle` when nothing has come for a while.
    pub(crate) fn sleep_worker(
        &self,
        has_work: impl Fn() -> bool,
        dry: impl FnOnce(),
        idle: impl FnOnce(),
    ) {
        self.worker.0.store(ASLEEP, SeqCst);
        fence(SeqCst);
        if has_work() {
            self.worker.0.store(AWAKE, SeqCst);
            return;
        }
        if self.dry_wanted.0.swap(0, SeqCst) != 0 {
            dry();
        }
        if !futex_wait(&self.worker.0, ASLEEP, Some(IDLE_AFTER)) {
            idle();
        }
        // Woken by a signal, or not at all yet.
        while self.worker.0.load(SeqCst) == ASLEEP {
            futex_wait(&self.worker.0, ASLEEP, None);
        }
    }

    pub(crate) fn collected(&self) -> u64 {
        self.collected.0.load(Acquire)
    }

    pub(crate) fn is_asked_to_stop(&self, seq: u64) -> bool {
        self.stop.0.seq.load(Relaxed) == seq + 1
    }

    /// Waits until there are not `seen` requests to stop any more.
    pub(crate) fn next_stop(&self, seen: u32) -> u32 {
        loop {
            let count = self.stop.0.bell.load(Acquire);
            if count != seen {
                return count;
            }
            futex_wait(&self.stop.0.bell, seen, None);
        }
    }

    // ---- both ----

    /// Wakes every joiner that sleeps on the lane.
    pub(crate) fn ring_parent(&self) {
        self.turn_bell();
        futex_wake(&self.parent_bell.0, i32::MAX as u32);
    }
}

/// The parent's end of a lane.
#[derive(Debug)]
pub(crate) struct Lane {
    control: ControlMap,
    pub(crate) request: WriteArena,
    pub(crate) reply: DoubtedArena,
    pub(crate) arena_bytes: u64,
}

impl Lane {
    /// A new lane, and the descriptors for its worker.
    pub(crate) fn create() -> io::Result<(Self, Segments)> {
        let (segments, control, request, reply) = memory::create()?;
        let lane = Self {
            control,
            request,
            reply,
            arena_bytes: segments.arena_bytes,
        };
        Ok((lane, segments))
    }

    #[inline]
    pub(crate) fn header(&self) -> &Header {
        &self.control.get().header
    }

    #[inline]
    pub(crate) fn slot(&self, seq: u64) -> &Slot {
        self.control.get().slot(seq)
    }
}

/// The monotonic clock in nanoseconds: the same in every process.
pub(crate) fn monotonic_nanos() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // Time since the start of the machine: neither negative nor 500 years.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
