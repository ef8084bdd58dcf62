//! Workers of other pools that wait for a task of this one, and run it when nobody else is left.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::Shared;
use crate::engine::Backend;
use crate::error::task_error::TaskErrorKind;
use crate::job::cell::{Came, Counts, Job, counts_in};
use crate::job::current::Frame;
use crate::metrics::stats::Part;
use crate::sync::blocked;

/// How often a worker of another pool looks whether this one is stuck.
const GUEST_LOOK: Duration = Duration::from_millis(2);

/// Counts the tasks of batches that a thread of others works on.
struct Guest(Arc<Shared>);

impl Counts for Guest {
    fn ran(&self, tasks: usize, finished: usize, time: Duration) {
        self.0.guests_finished.fetch_add(finished as u64, Relaxed);
        self.0.metrics.took(Part::Run, tasks, time);
    }

    fn failed(&self, kind: TaskErrorKind) {
        self.0.metrics.failed(kind, 1);
    }
}

impl Shared {
    /// Waits for a job as a worker of another pool: its tasks and those of this pool may wait for
    /// each other, and then nobody would be left to run the job.
    pub(super) fn wait_as_guest(self: &Arc<Self>, job: &Job) {
        let head = job.head();
        while head.waiters.add_thread(&head.state) {
            if head.state.is_queued() && self.is_stuck() {
                self.run_as_guest(job);
            } else {
                blocked::during(|| std::thread::park_timeout(GUEST_LOOK));
            }
        }
    }

    /// The workers of this pool do nothing meanwhile, so the calling thread is one of them in all
    /// but name.
    pub(super) fn run_as_guest(self: &Arc<Self>, job: &Job) -> bool {
        let own = counts_in(Some(Arc::new(Guest(Arc::clone(self)))));
        let came = job.clone().run_here(Frame::new(Backend::Threads, 0), None);
        counts_in(own);
        match came {
            Came::Finished => {
                self.guests_finished.fetch_add(1, Relaxed);
            }
            Came::Failed(kind) => self.count_failure(kind),
            Came::NotRun | Came::Uncounted => {}
        }
        if came.has_run() {
            self.bounded.leaves(job);
        }
        came.has_run()
    }
}
