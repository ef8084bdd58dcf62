//! The job that the calling thread runs, for those who ask from inside it.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::Arc;

use super::{Head, Job};
use crate::sync::local::{self, Local};

thread_local! {
    /// The innermost job that runs in this thread; `enter` keeps its cell alive.
    static RUNNING: Cell<Option<NonNull<Head>>> = const { Cell::new(None) };

    /// A pointer to a job that runs in this thread, mostly to the innermost one, which all who have
    /// asked for it share: a cell counts its own pointers in a few bits.
    static SHARED: RefCell<Option<Arc<Job>>> = const { RefCell::new(None) };
}

/// Runs code of a job.
#[inline]
pub(super) fn enter<T>(job: &Job, code: impl FnOnce() -> T) -> T {
    struct Leave(Option<NonNull<Head>>);
    impl Drop for Leave {
        fn drop(&mut self) {
            RUNNING.store(self.0);
            // Before the job ends, so that nobody else has the last pointer to it.
            drop(SHARED.take_out());
        }
    }
    let _leave = Leave(RUNNING.swap(Some(job.0)));
    code()
}

/// The innermost job that runs in this thread. Any number of pointers may be kept.
pub(crate) fn running() -> Option<Arc<Job>> {
    let cell = local::read(&RUNNING)?;
    let shared = SHARED.access(|shared| {
        let mut shared = shared.borrow_mut();
        match &*shared {
            Some(job) if job.0 == cell => Arc::clone(job),
            // Another one is of an outer job, and not the last pointer to it.
            // SAFETY: the cell is that of the innermost job.
            _ => Arc::clone(shared.insert(Arc::new(unsafe { counted(cell) }))),
        }
    });
    // A thread that is ending has none any more.
    // SAFETY: as above.
    Some(shared.unwrap_or_else(|| Arc::new(unsafe { counted(cell) })))
}

/// A pointer of its own to the job that runs in this thread.
///
/// # Safety
/// The cell is the one in [`RUNNING`].
unsafe fn counted(cell: NonNull<Head>) -> Job {
    // SAFETY: the pointer is set only as long as `enter` borrows a `Job` to the cell.
    let head = unsafe { cell.as_ref() };
    head.state.add_ref();
    Job(cell)
}

/// Whether a job runs in this thread.
pub(super) fn is_inside() -> bool {
    local::read(&RUNNING).is_some()
}

/// Whether the innermost job that runs in this thread was asked to stop.
#[inline]
pub(super) fn is_stopped() -> bool {
    local::read(&RUNNING).is_some_and(|cell| {
        // SAFETY: as in `counted`.
        unsafe { cell.as_ref() }.state.is_stopped()
    })
}
