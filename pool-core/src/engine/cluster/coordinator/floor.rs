//! Messages that the consumer has done with, although their tasks have not started.
//!
//! A server that was killed may come back with a consumer that remembers more than its stream, or that
//! takes for acknowledged what was on its way to an agent. The messages are still in the stream, so
//! their number tells nothing, and nobody will ever get them.

use std::time::{Duration, Instant};

use super::{Coordinator, Say, State};
use crate::engine::cluster::wire::Run;

/// What is acknowledged and given away is so at the same time, but not heard of at the same time.
const DONE_WITH_AFTER: Duration = Duration::from_secs(2);

impl Coordinator {
    /// The consumer delivers nothing any more that is not behind this number.
    pub(in super::super) fn has_done_with(&mut self, floor: u64, now: Instant) {
        let old = |at: Instant| now.saturating_duration_since(at) >= DONE_WITH_AFTER;
        let lost: Vec<(Run, u64)> = self
            .indices()
            .filter_map(|index| self.entry(index))
            .filter(|entry| matches!(entry.state, State::Queued { at } if old(at)))
            .filter_map(|entry| Some((entry.part.run, entry.seq.filter(|seq| *seq <= floor)?)))
            .collect();
        // In the order in which they were: each goes to the front.
        for (run, seq) in lost.into_iter().rev() {
            self.says.push(Say::Delete(seq));
            self.forget_message(run);
            self.publish_again(run);
        }
    }

    fn forget_message(&mut self, run: Run) {
        let place = self.find(run.whole());
        if let Some(entry) = place.and_then(|index| self.entry_mut(index)) {
            entry.seq = None;
        }
    }
}
