//! Where a job is, noted in its cell.

use std::sync::atomic::Ordering::Relaxed;

use super::lane::SLOTS;
use crate::job::cell::{Claimed, Job};
use crate::metrics::recorder::Stamp;

/// Where a job was put last, noted in its cell: a worker's number and a slot's. Whether it still
/// is there is said by the worker queue. Before that, a stamp may be noted there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

const SLOT_BITS: u32 = SLOTS.ilog2();

const _: () = assert!(
    crate::error::pool_error::MAX_WORKERS << SLOT_BITS < 1 << 32 && SLOTS.is_power_of_two()
);

impl Place {
    #[inline]
    pub(super) fn new(index: usize, seq: u64) -> Self {
        // It fits: checked above.
        Self(((index << SLOT_BITS) | (seq as usize % SLOTS)) as u32)
    }

    /// It has run, and its result is being copied out of its lane.
    pub(super) const LEAVING: Self = Self(u32::MAX);

    #[inline]
    pub(super) fn of(job: &Job) -> Self {
        // Relaxed: written under the scheduler's lock, and read under it.
        Self(job.head().note.load(Relaxed))
    }

    /// When the job was submitted, if it is a sample that was not put anywhere yet.
    #[inline]
    pub(super) fn stamp_of(job: &Claimed) -> Option<Stamp> {
        Stamp::of_note(job.head().note.load(Relaxed))
    }

    #[inline]
    pub(super) fn index(self) -> usize {
        (self.0 >> SLOT_BITS) as usize
    }

    #[inline]
    pub(super) fn slot(self) -> usize {
        self.0 as usize % SLOTS
    }

    /// Notes it in the job's cell.
    #[inline]
    pub(super) fn note(self, job: &Claimed) {
        job.head().note.store(self.0, Relaxed);
    }
}
