//! The loop of one worker thread.

use std::sync::Arc;

use crossbeam_deque::{Steal, Worker as Deque};
use crossbeam_utils::sync::Parker;

use super::sleep::spin_until;
use super::{Shared, WORKER};
use crate::cell::Job;

/// Runs jobs until the pool is closed and all are done.
pub(super) fn run(shared: &Arc<Shared>, deque: &Deque<Arc<dyn Job>>, index: usize) {
    WORKER.set((Arc::as_ptr(shared), index));
    let parker = Parker::new();
    loop {
        if let Some(job) = find(shared, deque, index) {
            shared.run(job, index);
            shared.done();
        } else if shared.is_over() {
            return;
        } else if !spin_until(|| has_work(shared) || shared.is_over()) {
            shared
                .sleepers
                .sleep(index, &parker, || has_work(shared) || shared.is_over());
        }
    }
}

fn find(shared: &Shared, deque: &Deque<Arc<dyn Job>>, index: usize) -> Option<Arc<dyn Job>> {
    if let Some(job) = deque.pop() {
        return Some(job);
    }
    loop {
        // From the injector a batch comes along; it can be stolen from this deque.
        let mut found = shared.injector.steal_batch_and_pop(deque);
        if found.is_empty() {
            let others = (1..shared.stealers.len()).map(|i| (index + i) % shared.stealers.len());
            found = others.map(|i| shared.stealers[i].steal()).collect();
        }
        match found {
            Steal::Success(job) => {
                // The rest of the batch is work for whoever sleeps.
                if !deque.is_empty() {
                    shared.sleepers.wake_one();
                }
                return Some(job);
            }
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

fn has_work(shared: &Shared) -> bool {
    !shared.injector.is_empty() || shared.stealers.iter().any(|s| !s.is_empty())
}
