//! What a worker thread runs, where others can see it: to kill it, or to end its wait in time.
//!
//! A worker enters each job on its seat before it runs it, and leaves when it returns; jobs nest
//! when one is joined from inside another. The entries live on the worker's stack, in a list from
//! the innermost outwards, and the seat's one word points to the first. Two operations on it a job
//! are all that a worker pays.
//!
//! | word | who changes it |
//! |---|---|
//! | pointer to the innermost entry | the worker, by compare-and-swap, while `LOCKED` is not set |
//! | `LOCKED` | a visitor; as long as it is set, the worker can neither enter nor leave, so every entry and the job it points to stay |
//! | `CLOSED` | set once, by a kill: the worker enters no more |

use std::ptr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use super::{Job, Paused};
use crate::error::task_error::TaskErrorKind;
use crate::sync::AtomicPtr;
use crate::sync::thread::yield_now;

const LOCKED: usize = 1;
const CLOSED: usize = 2;

/// A worker's seat.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Seat(AtomicPtr<Entry>);

/// A seat to run a job on.
#[derive(Clone, Copy)]
pub(crate) struct OnSeat<'a> {
    pub(crate) seat: &'a Seat,
    /// Whom to tell that it has left the queue.
    pub(crate) begins: &'a dyn Fn(&Job),
    /// What the worker counts.
    pub(crate) count: &'a Count,
    /// Whom to tell of a failure.
    pub(crate) failed: &'a dyn Fn(TaskErrorKind),
    /// Whom to tell of its deadline.
    pub(crate) alarm: &'a dyn Fn(Instant),
    /// Who keeps it for another run after so long; `None`: that is waited for in place.
    pub(crate) later: Option<&'a dyn Fn(Duration, Paused)>,
}

/// What one worker has done. It alone writes here.
#[derive(Debug, Default)]
pub(crate) struct Count {
    /// Tasks that have a result.
    finished: AtomicU64,
}

impl Count {
    #[inline]
    pub(crate) fn add(&self, finished: u64) {
        // Relaxed, and no exchange: there is one writer. An outcome is told with release after
        // this, so who has it finds it counted.
        self.finished
            .store(self.finished.load(Relaxed).wrapping_add(finished), Relaxed);
    }

    pub(crate) fn finished(&self) -> u64 {
        self.finished.load(Relaxed)
    }
}

#[repr(align(8))]
struct Entry {
    job: *const Job,
    deadline: Option<Instant>,
    outer: *mut Entry,
}

/// The pool was killed: nothing starts any more.
#[derive(Debug)]
pub(super) struct Closed;

#[inline]
fn tags(word: *mut Entry) -> usize {
    word.addr() & (LOCKED | CLOSED)
}

#[inline]
fn entry(word: *mut Entry) -> *mut Entry {
    word.map_addr(|addr| addr & !(LOCKED | CLOSED))
}

/// Runs code of a job on a seat, if there is one and it is open.
#[inline]
pub(super) fn enter<T>(
    on: Option<OnSeat<'_>>,
    job: &Job,
    deadline: Option<Instant>,
    code: impl FnOnce() -> T,
) -> Result<T, Closed> {
    struct Leave<'a>(&'a Seat, *mut Entry, *mut Entry);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            self.0.leave(self.1, self.2);
        }
    }
    let Some(OnSeat { seat, alarm, .. }) = on else {
        return Ok(code());
    };
    let mut entry = Entry {
        job,
        deadline,
        outer: ptr::null_mut(),
    };
    let inner = &raw mut entry;
    seat.enter(inner)?;
    // SAFETY: `inner` is the local above, whose `outer` this thread alone changes, in `enter`.
    let outer = unsafe { (*inner).outer };
    let _leave = Leave(seat, inner, outer);
    // After the entry: whoever hears the alarm finds it.
    deadline.into_iter().for_each(alarm);
    Ok(code())
}

impl Seat {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    #[inline]
    fn enter(&self, inner: *mut Entry) -> Result<(), Closed> {
        let mut outer = entry(self.0.load(Relaxed));
        loop {
            // SAFETY: the entry is the caller's local and not in the list yet.
            unsafe { (*inner).outer = outer };
            // Release: the entry is written before a visitor can find it.
            match self.0.compare_exchange_weak(outer, inner, Release, Relaxed) {
                Ok(_) => return Ok(()),
                Err(word) if tags(word) & LOCKED != 0 => yield_now(),
                Err(word) if tags(word) & CLOSED != 0 => return Err(Closed),
                Err(word) => outer = entry(word),
            }
        }
    }

    #[inline]
    fn leave(&self, inner: *mut Entry, outer: *mut Entry) {
        let mut word = inner;
        loop {
            let kept = tags(word);
            let left = outer.map_addr(|addr| addr | kept);
            // Acquire: a visitor has done with the entry before it goes.
            match self.0.compare_exchange_weak(word, left, Acquire, Relaxed) {
                Ok(_) => return,
                Err(now) if tags(now) & LOCKED != 0 => yield_now(),
                Err(now) => word = now,
            }
        }
    }

    /// The jobs on the seat with their deadlines, the innermost first.
    pub(crate) fn jobs(&self) -> Vec<(Job, Option<Instant>)> {
        let mut word = self.lock();
        let mut jobs = Vec::new();
        while let Some(entry) = ptr::NonNull::new(entry(word)) {
            // SAFETY: the seat is locked, so the worker does not leave: the entry lives.
            let entry = unsafe { entry.as_ref() };
            // SAFETY: and so does the pointer to its job, which `enter` borrows.
            let job = unsafe { &*entry.job };
            jobs.push((job.clone(), entry.deadline));
            word = entry.outer;
        }
        // Release: the worker leaves after this visit.
        self.update(Release, |word| word.map_addr(|addr| addr & !LOCKED));
        jobs
    }

    /// Whether nothing runs on it.
    pub(crate) fn is_empty(&self) -> bool {
        entry(self.0.load(Relaxed)).is_null()
    }

    /// Lets nothing start any more.
    pub(crate) fn close(&self) {
        self.update(AcqRel, |word| word.map_addr(|addr| addr | CLOSED));
    }

    pub(crate) fn is_closed(&self) -> bool {
        tags(self.0.load(Relaxed)) & CLOSED != 0
    }

    /// The word before, when it was not locked.
    fn lock(&self) -> *mut Entry {
        loop {
            let word = self.update(AcqRel, |word| word.map_addr(|addr| addr | LOCKED));
            if tags(word) & LOCKED == 0 {
                return word;
            }
            yield_now();
        }
    }

    /// The word before the change.
    fn update(&self, order: Ordering, change: impl Fn(*mut Entry) -> *mut Entry) -> *mut Entry {
        match self
            .0
            .fetch_update(order, Relaxed, |word| Some(change(word)))
        {
            Ok(word) | Err(word) => word,
        }
    }
}
