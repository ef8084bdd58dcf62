//! Giving back memory of the request arenas that has not been in use lately.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::lane::Lane;
use super::lane::arena::Region;
use super::scheduler::Scheduler;

/// How much touched memory the request arena of a lane keeps, beside what has lately been in use.
pub(super) const KEEP_BYTES: u64 = 1 << 20;

/// The time between two checks: memory that was not in use for as long is given back.
const TRIM_AFTER: Duration = Duration::from_secs(1);

/// How much is given back at once: the supervisor looks at its deadlines in between.
const PIECE: u64 = 8 << 20;

/// Memory of a lane to be given back.
struct Excess {
    lane: Arc<Lane>,
    index: usize,
    generation: u64,
    range: Region,
}

impl Shared {
    /// Gives a piece of memory back, without the lock; returns the time of the next check.
    pub(super) fn trim(&self, now: Instant) -> Option<Instant> {
        let (excess, again) = self.with(|scheduler, _| scheduler.excess());
        let Some(excess) = excess else {
            return again.then(|| now + TRIM_AFTER);
        };
        excess.lane.request.give_back(excess.range);
        self.with(|scheduler, after| {
            if let Some(worker_queue) = scheduler.worker_queue(excess.index, excess.generation) {
                worker_queue.arena.given_back();
            }
            // A task may have found no room meanwhile.
            scheduler.turn(after);
        });
        Some(now)
    }

    /// The time of the first check, if one is due.
    pub(super) fn next_trim(&self, now: Instant) -> Option<Instant> {
        self.with(|scheduler, _| scheduler.trims)
            .then(|| now + TRIM_AFTER)
    }
}

impl Scheduler {
    /// Memory to be given back, and whether another check is to come.
    fn excess(&mut self) -> (Option<Excess>, bool) {
        for worker_queue in self.worker_queues.iter_mut().flatten() {
            if let Some(range) = worker_queue.arena.excess(KEEP_BYTES, PIECE) {
                let excess = Excess {
                    lane: Arc::clone(&worker_queue.lane),
                    index: worker_queue.index,
                    generation: worker_queue.generation,
                    range,
                };
                return (Some(excess), true);
            }
        }
        let worker_queues = self.worker_queues.iter().flatten();
        self.trims = worker_queues
            .map(|worker_queue| worker_queue.arena.touched())
            .any(|bytes| bytes > KEEP_BYTES);
        (None, self.trims)
    }

    /// The lanes of the workers, and how much memory of their request arenas was touched.
    pub(super) fn lanes(&self) -> (Vec<Arc<Lane>>, u64) {
        let worker_queues = || self.worker_queues.iter().flatten();
        let lanes = worker_queues()
            .map(|worker_queue| Arc::clone(&worker_queue.lane))
            .collect();
        (
            lanes,
            worker_queues()
                .map(|worker_queue| worker_queue.arena.touched())
                .sum(),
        )
    }
}
