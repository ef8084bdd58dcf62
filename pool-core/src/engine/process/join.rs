//! Waiting for a job: the waiting thread drives the pool itself, and sleeps on the bell of the
//! lane that has its job.

use std::sync::Arc;
use std::time::Instant;

use super::Shared;
use super::lane::Lane;
use super::lane::slot::TELL_JOINER;
use crate::job::cell::Job;

/// Where a job is.
enum Spot {
    Resolved,
    /// In a lane.
    Lane(LaneSpot),
    /// In the backlog, or on its way into or out of a lane.
    Elsewhere,
}

/// A job in a lane, as task `seq`, while the bell has the value `bell`.
struct LaneSpot {
    lane: Arc<Lane>,
    index: usize,
    generation: u64,
    seq: u64,
    bell: u32,
}

impl Shared {
    pub(super) fn wait(&self, job: &Job, deadline: Option<Instant>) {
        let mut looks = 0;
        loop {
            let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            looks += 1;
            match self.spot(job, looks > 1) {
                Spot::Resolved => return,
                _ if over => return,
                Spot::Lane(spot) => {
                    self.wait_in_lane(job, &spot, deadline);
                    self.with(|scheduler, after| {
                        scheduler.turn_at(spot.index, spot.generation, after)
                    });
                    if job.head().is_resolved() {
                        return;
                    }
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
    fn spot(&self, job: &Job, again: bool) -> Spot {
        let found = self.with(|scheduler, after| {
            scheduler.turn(after);
            if again {
                // It takes its time, so a look at the clock costs nothing.
                scheduler.note_tasks(crate::sync::clock::now());
            }
            let (worker_queue, seq) = scheduler.find(job)?;
            Some(LaneSpot {
                lane: Arc::clone(&worker_queue.lane),
                index: worker_queue.index,
                generation: worker_queue.generation,
                seq,
                bell: worker_queue.lane.header().parent_bell(),
            })
        });
        match found {
            _ if job.head().is_resolved() => Spot::Resolved,
            Some(spot) => Spot::Lane(spot),
            None => Spot::Elsewhere,
        }
    }

    /// Waits for the slot; returns when there is a reason to look again.
    fn wait_in_lane(&self, job: &Job, spot: &LaneSpot, deadline: Option<Instant>) {
        let lane = &spot.lane;
        let slot = lane.slot(spot.seq);
        let settled = || slot.state().is_settled() || job.head().is_resolved();
        if self.adaptive_spin.spin_until(settled) {
            return;
        }
        // The protocol of the joiner in the README.
        let state = slot.ask(TELL_JOINER);
        if state.is_settled() || job.head().is_resolved() {
            return;
        }
        lane.header().wait_for_bell(spot.bell, deadline);
    }

    /// Waits until the job is in a lane or resolved; says whether it is resolved, or time is over.
    fn wait_elsewhere(&self, job: &Job, deadline: Option<Instant>) -> bool {
        // Driving may bring it into a lane.
        let moved = self.adaptive_spin.spin_until(|| {
            self.with(|scheduler, after| {
                scheduler.turn(after);
                scheduler.find(job).is_some()
            }) || job.head().is_resolved()
        });
        if moved {
            return false;
        }
        // From here on the supervisor drives, and whoever finishes the job wakes this thread.
        let head = job.head();
        if head.waiters.add_thread(&head.state) {
            self.with(|scheduler, after| scheduler.watch(job, after));
            head.park(deadline);
        }
        true
    }
}
