//! How many messages are asked for: requests to the server, each of which is for some messages and
//! ends by itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the server keeps a request.
pub(super) const EXPIRES: Duration = Duration::from_secs(20);

/// How often it says that it is there.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);

/// A request counts as lost after this time without an answer.
const SILENCE: Duration = Duration::from_secs(3);

/// After a request that was refused.
const REFUSED_TIME: Duration = Duration::from_millis(250);

struct Pull {
    left: usize,
    heard: Instant,
}

pub(super) struct Pulls {
    /// By number.
    open: BTreeMap<u64, Pull>,
    next: u64,
    not_before: Option<Instant>,
}

/// What came instead of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// The server is there.
    Heartbeat,
    /// The request is over.
    Over,
    /// It was not taken, or is over for a reason that will be there for a while.
    Refused,
}

impl Pulls {
    pub(super) fn new() -> Self {
        Self {
            open: BTreeMap::new(),
            next: 0,
            not_before: None,
        }
    }

    /// How many messages may still come.
    pub(super) fn credit(&self) -> usize {
        self.open.values().map(|pull| pull.left).sum()
    }

    /// A request for more, where so many are wanted at most, of `all` that there can be: its number,
    /// and for how many. Not for each single one when many may come.
    pub(super) fn ask(&mut self, wanted: usize, all: usize, now: Instant) -> Option<(u64, usize)> {
        let credit = self.credit();
        let more = wanted.saturating_sub(credit);
        if more == 0 || more < all / 4 && credit > 0 || self.not_before.is_some_and(|at| at > now) {
            return None;
        }
        self.next += 1;
        let pull = Pull {
            left: more,
            heard: now,
        };
        self.open.insert(self.next, pull);
        Some((self.next, more))
    }

    /// A message came. It does not tell for which request: the server serves the oldest first.
    pub(super) fn came(&mut self, now: Instant) {
        if let Some(mut pull) = self.open.first_entry() {
            pull.get_mut().left -= 1;
            pull.get_mut().heard = now;
            if pull.get().left == 0 {
                pull.remove();
            }
        }
    }

    pub(super) fn status(&mut self, number: u64, status: Status, now: Instant) {
        match status {
            Status::Heartbeat => {
                if let Some(pull) = self.open.get_mut(&number) {
                    pull.heard = now;
                }
            }
            Status::Over => drop(self.open.remove(&number)),
            Status::Refused => {
                self.open.remove(&number);
                self.not_before = Some(now + REFUSED_TIME);
            }
        }
    }

    /// Forgets what is lost.
    pub(super) fn tick(&mut self, now: Instant) {
        self.open
            .retain(|_, pull| now.saturating_duration_since(pull.heard) < SILENCE);
    }

    /// Forgets all: the server has.
    pub(super) fn forget(&mut self) {
        self.open.clear();
        self.not_before = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_asked_for_than_is_wanted() {
        let now = Instant::now();
        let mut pulls = Pulls::new();
        assert_eq!(pulls.ask(4, 4, now), Some((1, 4)));
        assert_eq!(pulls.ask(4, 4, now), None);
        pulls.came(now);
        assert_eq!(pulls.credit(), 3);
        assert_eq!(pulls.ask(4, 4, now), Some((2, 1)));
        pulls.status(1, Status::Over, now);
        assert_eq!(pulls.ask(4, 4, now), Some((3, 3)));
    }

    #[test]
    fn where_many_may_come_they_are_asked_for_together() {
        let now = Instant::now();
        let mut pulls = Pulls::new();
        assert_eq!(pulls.ask(100, 100, now), Some((1, 100)));
        for _ in 0..24 {
            pulls.came(now);
            assert_eq!(pulls.ask(100, 100, now), None);
        }
        pulls.came(now);
        assert_eq!(pulls.ask(100, 100, now), Some((2, 25)));
    }

    #[test]
    fn silence_and_refusals_end_a_request() {
        let now = Instant::now();
        let mut pulls = Pulls::new();
        pulls.ask(2, 2, now);
        pulls.status(1, Status::Heartbeat, now + Duration::from_secs(2));
        pulls.tick(now + Duration::from_secs(4));
        assert_eq!(pulls.credit(), 2);
        pulls.tick(now + Duration::from_secs(6));
        assert_eq!(pulls.credit(), 0);
        assert_eq!(pulls.ask(2, 2, now), Some((2, 2)));
        pulls.status(2, Status::Refused, now);
        assert_eq!(pulls.ask(2, 2, now), None);
        assert_eq!(pulls.ask(2, 2, now + REFUSED_TIME), Some((3, 2)));
    }
}
