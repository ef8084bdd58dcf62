//! Where large payloads lie in an arena: the lowest gap that is large enough.
//!
//! The allocator is private to the side that writes the arena; only offsets cross. Because it always
//! takes the lowest gap, one payload at a time always uses the same, already touched pages, and a
//! lane that is never empty uses little more memory than its live payloads have bytes.

/// Regions begin at multiples of this, so that numbers in them are aligned.
const ALIGN: u64 = 64;

/// Memory is given back in multiples of this.
const PAGE: u64 = 4096;

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

/// The allocator of one arena. Regions can be freed in any order.
#[derive(Debug)]
pub(crate) struct Allocator {
    capacity: u64,
    /// The used ranges, by offset: at least one free byte lies between two of them. Payloads that
    /// come and go in order leave two or three.
    used: Vec<Used>,
    /// The highest offset that was used since the memory above was given back: what lies above is
    /// untouched memory.
    touched: u64,
    /// The highest offset that was used since [`excess`](Self::excess) last found nothing.
    peak: u64,
    /// Memory from here on is being given back.
    ceiling: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Used {
    start: u64,
    end: u64,
}

impl Allocator {
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            capacity,
            used: Vec::new(),
            touched: 0,
            peak: 0,
            ceiling: None,
        }
    }

    /// The largest region that an empty arena can give.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// How many bytes were touched since the memory above was given back.
    pub(crate) fn touched(&self) -> u64 {
        self.touched
    }

    /// The end of the highest region.
    fn end(&self) -> u64 {
        self.used.last().map_or(0, |used| used.end)
    }

    /// A region of `len` bytes, or `None` while no gap is large enough.
    pub(crate) fn alloc(&mut self, len: u64) -> Option<Region> {
        let size = len.checked_next_multiple_of(ALIGN)?;
        let mut offset = 0;
        let mut at = 0;
        for used in &self.used {
            if used.start - offset >= size {
                break;
            }
            offset = used.end;
            at += 1;
        }
        if self.ceiling.unwrap_or(self.capacity).checked_sub(offset)? < size {
            return None;
        }
        let region = Region { offset, len };
        self.insert(at, offset, region.end());
        self.touched = self.touched.max(region.end());
        self.peak = self.peak.max(region.end());
        Some(region)
    }

    /// Enters a used range in front of the one with this index.
    fn insert(&mut self, at: usize, start: u64, end: u64) {
        if start == end {
            return;
        }
        let joins_next = self.used.get(at).is_some_and(|next| next.start == end);
        let joins_last = at > 0 && self.used[at - 1].end == start;
        match (joins_last, joins_next) {
            (true, true) => {
                self.used[at - 1].end = self.used[at].end;
                self.used.remove(at);
            }
            (true, false) => self.used[at - 1].end = end,
            (false, true) => self.used[at].start = start,
            (false, false) => self.used.insert(at, Used { start, end }),
        }
    }

    /// Frees a region that is in use.
    pub(crate) fn free(&mut self, region: Region) {
        self.free_range(region.offset, region.end());
    }

    fn free_range(&mut self, start: u64, end: u64) {
        if start == end {
            return;
        }
        let at = self.used.partition_point(|used| used.end <= start);
        let used = &mut self.used[at];
        debug_assert!(used.start <= start && end <= used.end, "{used:?}");
        match (used.start == start, used.end == end) {
            (true, true) => drop(self.used.remove(at)),
            (true, false) => used.start = end,
            (false, true) => used.end = start,
            (false, false) => {
                let before = Used {
                    start: used.start,
                    end: start,
                };
                used.start = end;
                self.used.insert(at, before);
            }
        }
    }

    /// Keeps the first `len` bytes of a region, of which there are at least as many, and frees the
    /// others.
    pub(crate) fn shorten(&mut self, region: Region, len: u64) -> Region {
        let short = Region { len, ..region };
        debug_assert!(len <= region.len);
        self.free_range(short.end(), region.end());
        short
    }

    /// Memory that has not been in use lately, above the first `keep` bytes, at most `most` bytes of
    /// it: to be given back to the system. Until [`given_back`](Self::given_back) says that this was
    /// done, nothing is allocated there.
    pub(crate) fn excess(&mut self, keep: u64, most: u64) -> Option<Region> {
        let floor = self.peak.max(keep).next_multiple_of(PAGE);
        if self.touched <= floor || self.ceiling.is_some() {
            self.peak = self.end();
            return None;
        }
        let offset = floor.max(self.touched.saturating_sub(most) / PAGE * PAGE);
        self.ceiling = Some(offset);
        Some(Region {
            offset,
            len: self.touched.next_multiple_of(PAGE) - offset,
        })
    }

    /// The memory that [`excess`](Self::excess) named was given back.
    pub(crate) fn given_back(&mut self) {
        if let Some(ceiling) = self.ceiling.take() {
            self.touched = ceiling;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random() -> impl FnMut(u64) -> u64 {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        move |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        }
    }

    /// Random allocations and frees, of the oldest, the newest and any: live regions never overlap
    /// and lie inside, and what is free can be had.
    #[test]
    fn live_regions_never_overlap() {
        let mut random = random();
        let mut given = 0;
        for _ in 0..200 {
            let capacity = ALIGN * (1 + random(40));
            let mut arena = Allocator::new(capacity);
            let mut live: Vec<Region> = Vec::new();
            for _ in 0..2_000 {
                match random(6) {
                    0..=2 => {
                        let len = 1 + random(ALIGN * 12);
                        if let Some(region) = arena.alloc(len) {
                            given += 1;
                            assert!(region.fits(capacity), "{region:?} in {arena:?}");
                            for other in &live {
                                assert!(
                                    region.end() <= other.offset || other.end() <= region.offset,
                                    "{region:?} overlaps {other:?} in {arena:?}"
                                );
                            }
                            live.push(region);
                        } else {
                            let size = len.next_multiple_of(ALIGN);
                            assert!(largest_gap(&live, capacity) < size, "{len} in {arena:?}");
                        }
                    }
                    3 if !live.is_empty() => {
                        let at = random(live.len() as u64) as usize;
                        let region = live[at];
                        live[at] = arena.shorten(region, 1 + random(region.len));
                    }
                    _ if live.is_empty() => {}
                    4 => arena.free(live.remove(0)),
                    _ => arena.free(live.swap_remove(random(live.len() as u64) as usize)),
                }
            }
            live.drain(..).for_each(|region| arena.free(region));
            assert!(arena.used.is_empty(), "{arena:?}");
        }
        assert!(given > 10_000, "only {given} allocations succeeded");
    }

    fn largest_gap(live: &[Region], capacity: u64) -> u64 {
        let mut live = live.to_vec();
        live.sort_by_key(|region| region.offset);
        let ends = live.iter().map(|region| region.end());
        let starts = live.iter().map(|region| region.offset);
        std::iter::once(0)
            .chain(ends)
            .zip(starts.chain([capacity]))
            .map(|(end, start)| start - end)
            .max()
            .unwrap_or(0)
    }

    /// A lane that is never empty, with payloads of all sizes: what is touched stays a small multiple
    /// of what is in use at once.
    #[test]
    fn what_is_touched_is_bounded_by_what_is_live() {
        const MAX: u64 = 1 << 20;
        let mut random = random();
        for in_order in [true, false] {
            let mut arena = Allocator::new(1 << 36);
            let mut live = Vec::new();
            let (mut total, mut bytes, mut most) = (0, 0, 0);
            while total < 16 << 30 {
                let region = arena.alloc(1 + random(MAX)).unwrap();
                total += region.len;
                bytes += region.len;
                live.push(region);
                while live.len() > 4 + random(12) as usize {
                    let at = match in_order {
                        true => 0,
                        false => random(live.len() as u64) as usize,
                    };
                    let region = live.remove(at);
                    bytes -= region.len;
                    arena.free(region);
                }
                most = most.max(bytes);
            }
            let touched = arena.touched();
            assert!(touched < 2 * most + MAX, "{touched} for {most}");
        }
    }

    #[test]
    fn an_empty_arena_gives_all_of_itself_from_the_start() {
        let mut arena = Allocator::new(1 << 20);
        for _ in 0..10 {
            let region = arena.alloc(1 << 20).unwrap();
            assert_eq!(region.offset, 0);
            assert_eq!(arena.alloc(1), None);
            arena.free(region);
        }
        assert_eq!(arena.alloc((1 << 20) + 1), None);
        assert_eq!(arena.alloc(u64::MAX), None);
    }

    /// What was not in use since the last look goes back, from the top, and never what is in use.
    #[test]
    fn memory_that_is_not_in_use_goes_back_while_other_memory_is() {
        let mut arena = Allocator::new(1 << 30);
        let low = arena.alloc(10_000).unwrap();
        let high = arena.alloc(100_000).unwrap();
        arena.free(high);
        // It was in use a moment ago.
        assert_eq!(arena.excess(4096, 1 << 20), None);
        let excess = arena.excess(4096, 40_960).unwrap();
        assert_eq!(excess.offset + excess.len, 110_592);
        assert_eq!(excess.offset, (110_080 - 40_960) / PAGE * PAGE);
        // Nothing comes there meanwhile.
        assert_eq!(arena.alloc(100_000), None);
        assert_eq!(arena.excess(4096, 40_960), None);
        arena.given_back();
        assert_eq!(arena.touched(), excess.offset);
        let rest = arena.excess(4096, 1 << 20).unwrap();
        assert_eq!(rest.offset, 12_288);
        arena.given_back();
        assert_eq!(arena.excess(4096, 1 << 20), None);
        arena.free(low);
        assert_eq!(arena.excess(4096, 1 << 20), None);
        assert_eq!(arena.excess(4096, 1 << 20).unwrap().offset, 4096);
        arena.given_back();
        assert_eq!(arena.touched(), 4096);
    }
}
