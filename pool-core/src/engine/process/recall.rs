//! Taking tasks out of a lane that its worker has not started.

use super::after::After;
use super::count::fail;
use super::lane::arena::Region;
use super::worker_queue::WorkerQueue;
use crate::error::task_error::TaskError;
use crate::job::cell::Claimed;

impl WorkerQueue {
    /// Takes back what can be taken from the end of the lane, in order.
    pub(super) fn take_all_back(&mut self, after: &mut After) -> Vec<Claimed> {
        let mut jobs: Vec<_> = std::iter::from_fn(|| self.take_back(after)).collect();
        jobs.reverse();
        jobs
    }

    /// The worker is about to be killed for task `seq`: it starts no other one in the moment until
    /// then, and gets none. What waited comes back. It is condemned only if it is at that task
    /// still, once it can start no other.
    pub(super) fn condemn(&mut self, seq: u64, after: &mut After) -> Vec<Claimed> {
        let waiting = self.withdraw().into_iter();
        let jobs = waiting.map(|(job, region)| Self::restore(&self.lane, job, region));
        let jobs = jobs.collect();
        self.wake_joiners(after);
        self.life.condemned = self.is_at(seq);
        jobs
    }

    /// Cancels what the worker has not started. What is being copied into the lane is left to who
    /// copies it.
    pub(super) fn cancel_queued(&mut self, after: &mut After) {
        if self.life.is_initializing() {
            // It has nothing else, and a pool whose initializer is cancelled would be broken.
            return;
        }
        for (job, _) in self.withdraw() {
            let error = TaskError::cancelled(job.info().name);
            after.watched.extend(fail(&self.metrics, job, error));
        }
        self.cut_chunk();
        self.wake_joiners(after);
    }

    /// Takes out what the worker has not started, with the place of its arguments; the worker
    /// passes over it.
    fn withdraw(&mut self) -> Vec<(Claimed, Option<Region>)> {
        let mut waiting = Vec::new();
        for seq in self.done..self.head {
            if !self.is_filling(seq) && self.lane.slot(seq).skip().is_some() {
                let entry = self.entry(seq);
                waiting.extend(entry.job.take().map(|job| (job, entry.region)));
            }
        }
        waiting
    }
}
