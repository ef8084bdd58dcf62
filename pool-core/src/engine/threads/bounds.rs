//! The bounded queue: how many jobs wait, and how many bytes they are.
//!
//! Where the user has set no bounds each shard of the queue has one of its own, which costs nothing;
//! else jobs are counted: in by `admit`, before they are pushed, and out by whoever changes a job's
//! state from queued to something else (`leaves`), which one does for each job that was counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};

use super::super::Config;
use super::super::room::{Bounds, Room};
use crate::job::cell::{Effects, Job};

pub(super) struct Bounded {
    pub(super) bounds: Bounds,
    /// Whether the user has set them.
    pub(super) exact: bool,
    pub(super) limit: Option<usize>,
    pub(super) weighs: bool,
    items: AtomicUsize,
    bytes: AtomicUsize,
    items_peak: AtomicUsize,
    bytes_peak: AtomicUsize,
    pub(super) room: Room,
    /// What runs the wakers of those who wait for room.
    effects: Arc<Effects>,
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) items: usize,
    pub(super) bytes: usize,
    pub(super) items_peak: usize,
    pub(super) bytes_peak: usize,
}

impl Bounded {
    pub(super) fn new(config: &Config, effects: Arc<Effects>) -> Self {
        Self {
            bounds: Bounds {
                bytes: config.queue_bytes.unwrap_or(usize::MAX),
                ..config.bounds()
            },
            exact: config.is_bounded(),
            limit: config.queue_limit(),
            weighs: config.queue_bytes.is_some(),
            items: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            items_peak: AtomicUsize::new(0),
            bytes_peak: AtomicUsize::new(0),
            room: Room::new(),
            effects,
        }
    }

    /// How many jobs a shard of the queue may hold.
    pub(super) fn most_in_shard(&self) -> usize {
        match self.exact {
            true => usize::MAX,
            false => self.bounds.items,
        }
    }

    /// Counts one job in, if there is room for it.
    pub(super) fn admit(&self) -> bool {
        if !self.exact {
            return true;
        }
        let bytes = self.bytes.load(SeqCst);
        let admitted = self.items.fetch_update(SeqCst, SeqCst, |items| {
            (!self.bounds.are_reached(items, bytes)).then_some(items + 1)
        });
        match admitted {
            Ok(before) => {
                self.items_peak.fetch_max(before + 1, Relaxed);
                true
            }
            Err(_) => false,
        }
    }

    /// Counts one in, whether there is room or not.
    pub(super) fn admit_anyway(&self) {
        if self.exact {
            let before = self.items.fetch_add(1, SeqCst);
            self.items_peak.fetch_max(before + 1, Relaxed);
        }
    }

    /// Adds the bytes of a job that was admitted.
    pub(super) fn weigh(&self, job: &Job, weight: usize) {
        if self.weighs {
            let weight = u32::try_from(weight).unwrap_or(u32::MAX);
            job.head().note.store(weight, Relaxed);
            let before = self.bytes.fetch_add(weight as usize, SeqCst);
            self.bytes_peak.fetch_max(before + weight as usize, Relaxed);
        }
    }

    /// A job is not queued any more.
    pub(super) fn leaves(&self, job: &Job) {
        if !self.exact {
            // Rare: a shard of a million was full.
            if self.room.is_wanted() {
                self.make_room();
            }
            return;
        }
        let weight = match self.weighs {
            true => job.head().note.swap(0, Relaxed) as usize,
            false => 0,
        };
        let bytes = self.bytes.fetch_sub(weight, SeqCst) - weight;
        let items = self.items.fetch_sub(1, SeqCst) - 1;
        if self.room.is_due(self.bounds, items, bytes) {
            self.make_room();
        }
    }

    /// One that was counted does not come.
    pub(super) fn is_not_queued(&self) {
        if self.exact {
            self.items.fetch_sub(1, SeqCst);
            if self.room.is_wanted() {
                self.make_room();
            }
        }
    }

    /// Wakes who waits for room.
    pub(super) fn make_room(&self) {
        self.room.was_made(&self.effects);
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            items: self.items.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            items_peak: self.items_peak.load(Relaxed),
            bytes_peak: self.bytes_peak.load(Relaxed),
        }
    }
}
