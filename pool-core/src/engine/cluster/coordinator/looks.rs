//! What the submitter makes of the number of its messages in the queue: some are missing, or some are
//! left.

use std::time::{Duration, Instant};

use super::{Coordinator, Run, Say, State};

/// A message that no agent took for this time may be lost.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// The same if the queue has no message of this submitter at all.
const ALL_LOST_AFTER: Duration = Duration::from_secs(2);

/// How many looks at the queue have to find too little in it, or too much.
pub(super) const LOOKS: u32 = 2;

impl Coordinator {
    /// How many messages there have to be in the queue, if that is to be known.
    pub(in super::super) fn expects(&self) -> Option<usize> {
        let expected = self.counts.published.saturating_sub(self.unacked.len());
        (self.is_connected && (expected > 0 || self.is_unsure)).then_some(expected)
    }

    /// Compares the number of messages found in the queue with the expected one. Returns whether to look
    /// again soon.
    pub(in super::super) fn looked(&mut self, found: usize, now: Instant) -> bool {
        let Some(mut expected) = self.expects() else {
            self.short_looks = 0;
            return false;
        };
        if self.is_unsure {
            // Those of what runs may be missing as well, or hide that others are.
            expected += self.counts.granted;
        }
        self.too_many(found);
        if found >= expected {
            self.short_looks = 0;
            return false;
        }
        self.short_looks += 1;
        if self.short_looks < LOOKS {
            return true;
        }
        self.short_looks = 0;
        let limit = if found == 0 {
            ALL_LOST_AFTER
        } else {
            LOST_AFTER
        };
        let old = |at: Instant| now.saturating_duration_since(at) >= limit;
        let lost: Vec<Run> = self
            .indices()
            .filter_map(|index| self.entry(index))
            .filter(|entry| matches!(entry.state, State::Queued { at } if old(at)))
            .map(|entry| entry.part.run)
            .collect();
        for run in lost.into_iter().rev() {
            self.publish_again(run);
        }
        false
    }

    /// What may be said instead of many requests to delete a message each: where nothing of ours waits in
    /// the queue, nothing that is there is needed.
    pub(in super::super) fn purge(&self) -> Option<Say> {
        let before = Some(self.last_seq + 1);
        (self.counts.published == 0).then_some(Say::Purge { before })
    }

    /// A server that was killed may still have a message that its consumer has done with. Nobody will
    /// take it out, and one that is lost would not be missed beside it.
    fn too_many(&mut self, found: usize) {
        if found <= self.counts.published + self.counts.granted {
            // Those are all wanted, unless as many are lost: the next ones tell.
            self.is_unsure &= self.is_busy();
            self.long_looks = 0;
            return;
        }
        self.long_looks += 1;
        if !self.is_unsure || self.long_looks < LOOKS {
            return;
        }
        self.long_looks = 0;
        let entries = self.entries.iter().filter_map(|(_, entry)| entry.as_ref());
        let queued = entries.filter(|entry| matches!(entry.state, State::Queued { .. }));
        let first = queued.filter_map(|entry| entry.seq).min();
        let before = first.unwrap_or(self.last_seq + 1);
        self.says.push(Say::Purge {
            before: Some(before),
        });
        // Those that are left are none of anybody who is busy.
        self.is_unsure &= self.is_busy();
    }
}
