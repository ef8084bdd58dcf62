//! Waiting for a job: the waiting thread drives the pool itself, and sleeps on the bell of the
//! lane that has its job.

use std::sync::Arc;
use std::time::Instant;

use super::Shared;
use super::lane::Lane;
use super::lane::slot::TELL_JOINER;
use crate::cell::Job;

/// Where a job is.
enum Spot {
    Resolved,
    /// In a lane, as task `seq`, while the bell has this value.
    Lane(Arc<Lane>, u64, u32),
    /// In the backlog, or on its way into or out of a lane.
    Elsewhere,
}

impl Shared {
    pub(super) fn wait(&self, job: &Job, deadline: Option<Instant>) {
        loop {
            let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            match self.spot(job) {
                Spot::Resolved => return,
                _ if over => return,
                Spot::Lane(lane, seq, bell) => {
                    self.wait_in_lane(job, &lane, seq, bell, deadline);
                }
                Spot::Elsewhere => {
                    if self.wait_elsewhere(job, deadline) {
                        return;
                    }
                }
            }
        }
    }

    /// Makes a turn and says where the job is now.
    fn spot(&self, job: &Job) -> Spot {
        let found = self.with(|hub, after| {
            hub.turn(after);
            let (book, seq) = hub.find(job)?;
            Some((
                Arc::clone(&book.lane),
                seq,
                book.lane.header().parent_bell(),
            ))
        });
        match found {
            _ if job.head().is_resolved() => Spot::Resolved,
            Some((lane, seq, bell)) => Spot::Lane(lane, seq, bell),
            None => Spot::Elsewhere,
        }
    }

    /// Waits for the slot; returns when there is a reason to look again.
    fn wait_in_lane(&self, job: &Job, lane: &Lane, seq: u64, bell: u32, deadline: Option<Instant>) {
        let slot = lane.slot(seq);
        let settled = || slot.state().is_settled() || job.head().is_resolved();
        if self.patience.spin_until(settled) {
            return;
        }
        // The protocol of the joiner in the README.
        let state = slot.ask(TELL_JOINER);
        if state.is_settled() || job.head().is_resolved() {
            return;
        }
        lane.header().wait_for_bell(bell, deadline);
    }

    /// Waits until the job is in a lane or resolved; says whether it is resolved, or time is over.
    fn wait_elsewhere(&self, job: &Job, deadline: Option<Instant>) -> bool {
        // Driving may bring it into a lane.
        let moved = self.patience.spin_until(|| {
            self.with(|hub, after| {
                hub.turn(after);
                hub.find(job).is_some()
            }) || job.head().is_resolved()
        });
        if moved {
            return false;
        }
        // From here on the supervisor drives, and whoever finishes the job wakes this thread.
        let head = job.head();
        if head.waiters.add_thread(&head.state) {
            self.with(|hub, after| hub.watch(job, after));
            head.park(deadline);
        }
        true
    }
}
