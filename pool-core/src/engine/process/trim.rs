//! Giving back memory of the request arenas that has not been in use lately.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::hub::Hub;
use super::lane::Lane;
use super::lane::arena::Region;

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
        let (excess, again) = self.with(|hub, _| hub.excess());
        let Some(excess) = excess else {
            return again.then(|| now + TRIM_AFTER);
        };
        excess.lane.request.give_back(excess.range);
        self.with(|hub, after| {
            if let Some(book) = hub.book(excess.index, excess.generation) {
                book.arena.given_back();
            }
            // A task may have found no room meanwhile.
            hub.turn(after);
        });
        Some(now)
    }

    /// The time of the first check, if one is due.
    pub(super) fn next_trim(&self, now: Instant) -> Option<Instant> {
        self.with(|hub, _| hub.trims).then(|| now + TRIM_AFTER)
    }
}

impl Hub {
    /// Memory to be given back, and whether another check is to come.
    fn excess(&mut self) -> (Option<Excess>, bool) {
        for book in self.books.iter_mut().flatten() {
            if let Some(range) = book.arena.excess(KEEP_BYTES, PIECE) {
                let excess = Excess {
                    lane: Arc::clone(&book.lane),
                    index: book.index,
                    generation: book.generation,
                    range,
                };
                return (Some(excess), true);
            }
        }
        let books = self.books.iter().flatten();
        self.trims = books
            .map(|book| book.arena.touched())
            .any(|bytes| bytes > KEEP_BYTES);
        (None, self.trims)
    }

    /// The lanes of the workers, and how much memory of their request arenas was touched.
    pub(super) fn lanes(&self) -> (Vec<Arc<Lane>>, u64) {
        let books = || self.books.iter().flatten();
        let lanes = books().map(|book| Arc::clone(&book.lane)).collect();
        (lanes, books().map(|book| book.arena.touched()).sum())
    }
}
