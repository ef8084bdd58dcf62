//! The clock of one lane: how long its tasks have run, which have run for too long, and when a
//! worker that was told to stop is killed.

use std::time::{Duration, Instant};

use super::lane::monotonic_nanos;
use super::worker_queue::WorkerQueue;
use crate::sync::clock;
use crate::task::retry::{self, Fate};

impl WorkerQueue {
    /// For how long the worker has been running task `seq`.
    pub(super) fn ran_for(&mut self, seq: u64, now: Instant) -> Duration {
        if !self.runs(seq) {
            return Duration::ZERO;
        }
        let noted = match self.lane.slot(seq).note() {
            // Not noted yet, or nonsense.
            0 => Duration::ZERO,
            started => counted_since(started),
        };
        // Whatever the worker notes, it has been running since it was first seen to.
        let seen = match self.seen_running {
            Some((same, since)) if same == seq => since,
            _ => now,
        };
        self.seen_running = Some((seq, seen));
        now.saturating_duration_since(seen).max(noted)
    }

    /// One of its tasks may be overdue by then.
    pub(super) fn look_by(&mut self, at: Instant) {
        self.look_at = Some(self.look_at.map_or(at, |before| before.min(at)));
    }

    /// Task `seq` was told to stop.
    pub(super) fn set_grace(&mut self, seq: u64, grace: Duration) {
        if self.grace.is_none_or(|(same, _)| same != seq) {
            let end = clock::now().checked_add(grace);
            self.grace = end.map(|end| (seq, end));
        }
    }

    /// When the supervisor has to look at the lane.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let grace = self.grace.map(|(_, end)| end);
        self.look_at.into_iter().chain(grace).min()
    }

    pub(super) fn is_look_due(&self, now: Instant) -> bool {
        self.look_at.is_some_and(|at| at <= now)
    }

    /// The task that was told to stop and is not done after its grace; once.
    pub(super) fn take_grace_over(&mut self, now: Instant) -> Option<u64> {
        let (seq, _) = self.grace.take_if(|(_, end)| *end <= now)?;
        self.is_at(seq).then_some(seq)
    }

    /// The tasks that have run for longer than they may, and for how long they may; sets the time
    /// of the next look.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<(u64, Duration)> {
        self.look_at = None;
        let mut overdue = Vec::new();
        for seq in self.done..self.head {
            let timeout = self.job(seq).and_then(|job| job.options().timeout);
            let Some(timeout) = timeout.filter(|_| !self.entry(seq).overdue) else {
                continue;
            };
            let ran = self.ran_for(seq, now);
            if ran >= timeout && self.runs(seq) {
                overdue.push((seq, timeout));
            } else if let Some(at) = now.checked_add(timeout.saturating_sub(ran)) {
                self.look_by(at);
            }
        }
        overdue
    }

    /// Whether task `seq` runs once more when its time is over.
    pub(super) fn is_to_run_again(&self, seq: u64) -> bool {
        self.job(seq)
            .is_some_and(|job| retry::again(&job.options(), Fate::TimedOut).is_some())
    }

    /// Tells task `seq` to stop; its job stays, for another run.
    pub(super) fn stop_for_another_run(&mut self, seq: u64, grace: Duration) {
        self.entry(seq).overdue = true;
        self.lane.header().ask_to_stop(seq);
        self.set_grace(seq, grace);
    }
}

/// The time since a worker's note, without that in which this program was stopped.
pub(super) fn counted_since(note: u64) -> Duration {
    let time = Duration::from_nanos(monotonic_nanos().saturating_sub(note));
    let start = Instant::now().checked_sub(time);
    let lost = start.map_or(Duration::ZERO, clock::lost_since);
    time.saturating_sub(lost)
}
