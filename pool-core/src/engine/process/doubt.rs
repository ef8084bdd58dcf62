//! What a worker cannot have written if it keeps to the protocol, and what becomes of a job whose
//! slot holds such a thing.

use super::after::After;
use super::count::fail;
use super::lane::arena::Region;
use super::lane::slot::SlotState;
use super::worker_queue::{COPY_UNDER_LOCK, WorkerQueue};
use crate::error::task_error::TaskError;
use crate::job::cell::Claimed;

impl WorkerQueue {
    /// Whether the slot, the oldest that is not done, is in a state that the worker cannot have
    /// brought it to.
    pub(super) fn is_garbled_at(&self, seq: u64) -> bool {
        seq < self.head
            && !self.is_filling(seq)
            && match self.lane.slot(seq).state() {
                SlotState::Done | SlotState::Ready | SlotState::Running => false,
                // The parent takes the job out when it skips it.
                SlotState::Skip => self.job(seq).is_some(),
                SlotState::Free | SlotState::Corrupt => true,
            }
    }

    /// A worker touches its tasks in their order: those behind one that is not done are as the
    /// parent has left them.
    pub(super) fn is_garbled_behind(&self) -> bool {
        let state = |seq| self.lane.slot(seq).state();
        let mut behind = self.done + 1..self.head;
        let strange = behind.any(|seq| self.job(seq).is_some() && state(seq) != SlotState::Ready);
        // Looked at last: it was not done all the while.
        strange && state(self.done) != SlotState::Done
    }

    /// Whether the reply can be where the worker says that it is.
    pub(super) fn is_possible(&self, reply: Region) -> bool {
        reply.fits(self.lane.arena_bytes)
            && (reply.len <= COPY_UNDER_LOCK as u64 || self.lane.reply.is_plausible(reply.len))
    }

    /// What is to be stopped is neither waiting nor running nor done: it ends here.
    pub(super) fn give_up(&mut self, seq: u64, after: &mut After) {
        if self.job(seq).is_some()
            && let Some(job) = self.entry(seq).job.take()
        {
            self.garbled(job, after);
            self.wake_joiners(after);
            after.poke = true;
        }
    }

    pub(super) fn garbled(&mut self, job: Claimed, after: &mut After) {
        self.corrupt = true;
        let error = TaskError::garbled(job.info().name, self.pid);
        after.watched.extend(fail(&self.metrics, job, error));
    }

    /// The same of one that says that it is done.
    pub(super) fn garbled_reply(&mut self, job: Claimed, after: &mut After) {
        self.counts.others += 1;
        self.garbled(job, after);
    }
}
