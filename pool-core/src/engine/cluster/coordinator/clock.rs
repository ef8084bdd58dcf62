//! What happens to jobs by the clock.

use std::time::Instant;

use super::{ACK_TIME, After, Coordinator, Due, HEARING_TIME, ORPHAN_TIME, STALL, State};
use crate::engine::cluster::wire::Run;
use crate::error::task_error::TaskError;

impl Coordinator {
    /// What has come due; when to look again.
    pub(in super::super) fn tick(&mut self, now: Instant, after: &mut After) -> Option<Instant> {
        let since = now.saturating_duration_since(self.ticked);
        self.ticked = now;
        if since >= STALL {
            self.agents.were_not_heard(now);
            return Some(now + HEARING_TIME);
        }
        self.orphans
            .retain(|_, since| now.saturating_duration_since(*since) < ORPHAN_TIME);
        while let Some(due) = self.timers.take_due(now) {
            self.due(due, now, after);
        }
        // The oldest few: what is published again is entered anew.
        let late: Vec<Run> = self
            .unacked
            .iter()
            .filter(|(_, at)| now.saturating_duration_since(**at) >= ACK_TIME)
            .map(|(run, _)| *run)
            .collect();
        self.is_unsure |= !late.is_empty();
        for run in late.into_iter().rev() {
            self.unacked.remove(&run);
            self.orphans.remove(&run);
            self.publish_again(run);
        }
        // A submitter without a connection cannot judge its agents.
        if self.is_connected {
            for agent in self.agents.lost(now) {
                self.lost(agent, now, after);
            }
        }
        let hold = self.hold_until.filter(|at| *at > now);
        [self.timers.next(), hold].into_iter().flatten().min()
    }

    pub(super) fn due(&mut self, due: Due, now: Instant, after: &mut After) {
        match due {
            Due::Expired(job) => {
                let Some(index) = self.place(job) else {
                    return;
                };
                let Some(entry) = self.entry(index) else {
                    return;
                };
                // A later run is not limited.
                let is_first = entry.part.run.run == 0;
                if is_first && !matches!(entry.state, State::Granted { .. }) {
                    let error = TaskError::expired(entry.job.info().name);
                    self.counts.timed_out += 1;
                    self.give_up(index, error, after);
                }
            }
            Due::Overdue(run, given) => self.overdue(run, given, now, after),
            Due::Again(run) => {
                if let Some(index) = self.find(run.whole())
                    && let Some(entry) = self.entry(index)
                    && matches!(entry.state, State::Backoff { .. })
                {
                    self.publish_next(index, run);
                }
            }
        }
    }

    /// Its next run is to be published.
    pub(super) fn publish_next(&mut self, index: u32, run: Run) {
        self.set_state(index, State::Waiting);
        self.waiting.push_back(run);
    }
}
