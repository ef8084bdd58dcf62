//! Where the calling thread counts the tasks of the batches that it works on.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use crate::error::task_error::TaskErrorKind;
use crate::sync::local::Local;

/// Counts the tasks of batches.
pub(crate) trait Counts: Send + Sync {
    /// Counts tasks that have run, the time that they took, and those of them that have a result.
    fn ran(&self, tasks: usize, finished: usize, time: Duration);

    fn failed(&self, kind: TaskErrorKind);
}

thread_local! {
    static COUNTS: RefCell<Option<Arc<dyn Counts>>> = const { RefCell::new(None) };
}

/// From here on the calling thread counts there; where it did before.
pub(crate) fn counts_in(counts: Option<Arc<dyn Counts>>) -> Option<Arc<dyn Counts>> {
    COUNTS.swap(counts)
}

pub(super) fn ran(tasks: usize, finished: usize, time: Duration) {
    with(|counts| counts.ran(tasks, finished, time));
}

#[cold]
pub(super) fn failed(kind: TaskErrorKind) {
    with(|counts| counts.failed(kind));
}

fn with(count: impl FnOnce(&dyn Counts)) {
    COUNTS.access(|counts| {
        if let Some(counts) = &*counts.borrow() {
            count(&**counts);
        }
    });
}
