//! Things with a time, the earliest first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

/// From how many entries on those that nobody needs any more are looked for.
const PURGE_FROM: usize = 1024;

pub(super) struct Timers<T> {
    heap: BinaryHeap<Timed<T>>,
    purge_at: usize,
}

struct Timed<T> {
    at: Instant,
    what: T,
}

impl<T> Timers<T> {
    pub(super) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            purge_at: PURGE_FROM,
        }
    }

    /// Adds one. `is_wanted` tells which of the others still matter, asked now and then; those that
    /// do not come back, to be dropped where foreign destructors may run.
    #[must_use]
    pub(super) fn add(&mut self, at: Instant, what: T, is_wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let mut unwanted = Vec::new();
        if self.heap.len() >= self.purge_at {
            unwanted = self.take_if(|what| !is_wanted(what));
            self.purge_at = PURGE_FROM.max(2 * self.heap.len());
        }
        self.heap.push(Timed { at, what });
        unwanted
    }

    /// When the first one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|timed| timed.at)
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Option<T> {
        let due = self.next().is_some_and(|at| at <= now);
        let timed = due.then(|| self.heap.pop()).flatten();
        timed.map(|timed| timed.what)
    }

    /// Takes out those of which that is true.
    pub(super) fn take_if(&mut self, is: impl Fn(&T) -> bool) -> Vec<T> {
        let all = std::mem::take(&mut self.heap).into_iter();
        let (taken, kept): (Vec<_>, Vec<_>) = all.partition(|timed| is(&timed.what));
        self.heap = kept.into();
        taken.into_iter().map(|timed| timed.what).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.heap.iter().map(|timed| &timed.what)
    }

    /// When the first one of those is due of which that is true.
    pub(super) fn next_if(&self, is: impl Fn(&T) -> bool) -> Option<Instant> {
        let timed = self.heap.iter().filter(|timed| is(&timed.what));
        timed.map(|timed| timed.at).min()
    }
}

// The heap's greatest is the earliest.
impl<T> Ord for Timed<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl<T> PartialOrd for Timed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Timed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<T> Eq for Timed<T> {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_earliest_comes_first_and_only_when_it_is_due() {
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        let mut timers = Timers::new();
        for seconds in [3, 1, 2] {
            assert!(timers.add(later(seconds), seconds, |_| true).is_empty());
        }
        assert_eq!(timers.next(), Some(later(1)));
        assert_eq!(timers.take_due(now), None);
        assert_eq!(timers.take_due(later(2)), Some(1));
        assert_eq!(timers.take_if(|seconds| *seconds == 3), [3]);
        assert_eq!(timers.take_due(later(9)), Some(2));
        assert_eq!((timers.take_due(later(9)), timers.next()), (None, None));
    }

    #[test]
    fn what_nobody_needs_any_more_comes_back_once_there_is_much() {
        let now = Instant::now();
        let mut timers = Timers::new();
        let mut unwanted = 0;
        for number in 0..10 * PURGE_FROM {
            unwanted += timers.add(now, number, |number| number % 64 == 0).len();
            assert!(timers.iter().count() <= PURGE_FROM);
        }
        assert_eq!(unwanted + timers.iter().count(), 10 * PURGE_FROM);
    }
}
