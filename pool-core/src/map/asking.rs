//! When a map may ask its input for more: an input can block, and results that are there do not wait
//! for it.

use std::time::{Duration, Instant};

/// An input is quick after so many items in a row of which each came within [`QUICK`] of the one
/// before, the time of the consumer included.
const QUICK_ITEMS: u32 = 64;
const QUICK: Duration = Duration::from_micros(300);

/// The clock is read for every so many items of a quick input; it is none any more where they took
/// longer than [`SLOW`] together.
const ITEMS_PER_LOOK: u32 = 16;
const SLOW: Duration = Duration::from_millis(5);

/// How quickly items are asked for: a look at what is finished costs more than a short task.
#[derive(Debug)]
pub(super) struct Asking {
    is_quick: bool,
    /// Items in a row that came quickly, or since the last look at the clock.
    items: u32,
    last: Option<Instant>,
}

impl Asking {
    pub(super) fn new() -> Self {
        Self {
            is_quick: false,
            items: 0,
            last: None,
        }
    }

    /// Whether items come so quickly that several of them are submitted together.
    pub(super) fn is_quick(&self) -> bool {
        self.is_quick
    }

    /// Another item is to be asked for; returns whether results that are there come first. Before
    /// tasks that are not short they always do.
    #[inline]
    pub(super) fn yields(&mut self, may_be_short: bool) -> bool {
        if !may_be_short {
            // Without a look at the clock for each.
            self.is_quick = false;
            self.items = 0;
            self.last = None;
            return true;
        }
        self.items += 1;
        if self.is_quick && self.items < ITEMS_PER_LOOK {
            return false;
        }
        self.look(Instant::now())
    }

    fn look(&mut self, now: Instant) -> bool {
        let took = self
            .last
            .replace(now)
            .map_or(Duration::MAX, |last| now.saturating_duration_since(last));
        if self.is_quick {
            self.is_quick = took <= SLOW;
            self.items = 0;
        } else if took > QUICK {
            self.items = 0;
        } else if self.items >= QUICK_ITEMS {
            self.is_quick = true;
            self.items = 0;
        }
        !self.is_quick
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_many_short_tasks_in_a_row_are_quick() {
        let mut asking = Asking::new();
        let mut now = Instant::now();
        let mut ask = |asking: &mut Asking, after: Duration| {
            now += after;
            asking.items += 1;
            if asking.is_quick && asking.items < ITEMS_PER_LOOK {
                return false;
            }
            asking.look(now)
        };
        for _ in 0..QUICK_ITEMS {
            assert!(ask(&mut asking, Duration::from_micros(1)));
        }
        // The first one came after nothing.
        assert!(!ask(&mut asking, Duration::from_micros(1)));
        for _ in 0..100 {
            assert!(!ask(&mut asking, Duration::from_micros(300)));
        }
        // Slow from now on: found out soon, and for a while.
        let slow = (0..ITEMS_PER_LOOK).filter(|_| !ask(&mut asking, Duration::from_millis(10)));
        assert!(slow.count() < ITEMS_PER_LOOK as usize);
        assert!(ask(&mut asking, Duration::from_millis(10)));
        assert!(ask(&mut asking, Duration::from_micros(1)));
        // Where tasks take their time results always come first.
        for _ in 0..1_000 {
            assert!(asking.yields(false));
        }
    }
}
