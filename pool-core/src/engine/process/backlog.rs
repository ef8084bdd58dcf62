//! The jobs that wait in the parent, and how many tasks and bytes they are.

use std::collections::VecDeque;

use crate::job::cell::Claimed;

#[derive(Default)]
pub(super) struct Backlog {
    jobs: VecDeque<Claimed>,
    tasks: usize,
    bytes: usize,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// How many jobs there are.
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn tasks(&self) -> usize {
        self.tasks
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push_back(&mut self, job: Claimed) {
        self.count(&job);
        self.jobs.push_back(job);
    }

    pub(super) fn push_front(&mut self, job: Claimed) {
        self.count(&job);
        self.jobs.push_front(job);
    }

    pub(super) fn pop_front(&mut self) -> Option<Claimed> {
        let job = self.jobs.pop_front()?;
        self.tasks -= tasks(&job);
        self.bytes -= job.args_len();
        Some(job)
    }

    /// Takes out those for which nobody waits any more.
    pub(super) fn take_unwanted(&mut self) -> Vec<Claimed> {
        let all = self.take();
        let (unwanted, wanted) = all.into_iter().partition(|job| job.head().is_resolved());
        let wanted: Vec<_> = wanted;
        wanted.into_iter().for_each(|job| self.push_back(job));
        unwanted
    }

    /// All of them.
    pub(super) fn take(&mut self) -> VecDeque<Claimed> {
        std::mem::take(self).jobs
    }

    fn count(&mut self, job: &Claimed) {
        self.tasks += tasks(job);
        self.bytes += job.args_len();
    }
}

fn tasks(job: &Claimed) -> usize {
    job.chunk().max(1)
}
