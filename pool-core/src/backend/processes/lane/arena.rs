//! Where large payloads lie in an arena: a ring of regions that are freed in the order of their
//! allocation.
//!
//! The allocator is private to the side that writes the arena; only offsets cross. It starts at
//! offset 0 whenever it is empty, so that one payload at a time always uses the same, already
//! touched pages.

/// Regions begin at multiples of this, so that numbers in them are aligned.
const ALIGN: u64 = 64;

/// A part of an arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Region {
    fn end(self) -> u64 {
        self.offset + self.len.next_multiple_of(ALIGN)
    }

    /// Whether the region, as claimed by the other side, lies in an arena of this size.
    pub(crate) fn fits(self, capacity: u64) -> bool {
        self.offset
            .checked_add(self.len)
            .is_some_and(|end| end <= capacity)
    }
}

/// The ring. Live regions lie in `tail..head`, or, after a wrap, in `tail..` and `..head`.
#[derive(Debug)]
pub(crate) struct Ring {
    capacity: u64,
    head: u64,
    tail: u64,
    live: usize,
    /// The highest offset that was ever used: what lies above is untouched memory.
    touched: u64,
}

impl Ring {
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            capacity,
            head: 0,
            tail: 0,
            live: 0,
            touched: 0,
        }
    }

    /// The largest region that an empty ring can give.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.live == 0
    }

    pub(crate) fn touched(&self) -> u64 {
        self.touched
    }

    /// The memory above `bytes` was given back.
    pub(crate) fn shrunk_to(&mut self, bytes: u64) {
        self.touched = self.touched.min(bytes);
    }

    /// A region of `len` bytes, or `None` while too little is free.
    pub(crate) fn alloc(&mut self, len: u64) -> Option<Region> {
        let size = len.checked_next_multiple_of(ALIGN)?;
        if self.live == 0 {
            self.head = 0;
            self.tail = 0;
        }
        let wrapped = self.live > 0 && self.head <= self.tail;
        let offset = if wrapped {
            (self.tail - self.head >= size).then_some(self.head)?
        } else if self.capacity - self.head >= size {
            self.head
        } else {
            (self.tail >= size).then_some(0)?
        };
        let region = Region { offset, len };
        self.head = region.end();
        self.live += 1;
        self.touched = self.touched.max(self.head);
        Some(region)
    }

    /// Frees the oldest region.
    pub(crate) fn release(&mut self, oldest: Region) {
        self.live -= 1;
        self.tail = oldest.end();
    }

    /// Takes the newest region back.
    pub(crate) fn retract(&mut self, newest: Region) {
        self.live -= 1;
        self.head = newest.offset;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Random allocations, releases and retractions: live regions never overlap and lie inside.
    #[test]
    fn live_regions_never_overlap() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        let mut given = 0;
        for _ in 0..200 {
            let mut ring = Ring::new(ALIGN * (1 + random(40)));
            let mut live: VecDeque<Region> = VecDeque::new();
            for _ in 0..2_000 {
                match random(5) {
                    0..=1 => {
                        if let Some(region) = ring.alloc(1 + random(ALIGN * 12)) {
                            given += 1;
                            assert!(region.fits(ring.capacity()), "{region:?} in {ring:?}");
                            for other in &live {
                                assert!(
                                    region.end() <= other.offset || other.end() <= region.offset,
                                    "{region:?} overlaps {other:?} in {ring:?}"
                                );
                            }
                            live.push_back(region);
                        } else {
                            assert!(!live.is_empty() || ring.capacity() < ALIGN * 12);
                        }
                    }
                    2..=3 => {
                        if let Some(region) = live.pop_front() {
                            ring.release(region);
                        }
                    }
                    _ => {
                        if let Some(region) = live.pop_back() {
                            ring.retract(region);
                        }
                    }
                }
            }
        }
        assert!(given > 10_000, "only {given} allocations succeeded");
    }

    #[test]
    fn an_empty_ring_gives_all_of_itself_from_the_start() {
        let mut ring = Ring::new(1 << 20);
        for _ in 0..10 {
            let region = ring.alloc(1 << 20).unwrap();
            assert_eq!(region.offset, 0);
            assert_eq!(ring.alloc(1), None);
            ring.release(region);
        }
        assert_eq!(ring.alloc((1 << 20) + 1), None);
        assert_eq!(ring.alloc(u64::MAX), None);
    }
}
