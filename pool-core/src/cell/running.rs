//! The job that the calling thread runs, for those who ask from inside it.

use std::cell::Cell;
use std::ptr::NonNull;

use super::{Head, Job};
use crate::local::{self, Local};

thread_local! {
    /// The innermost job that runs in this thread; `enter` keeps its cell alive.
    static RUNNING: Cell<Option<NonNull<Head>>> = const { Cell::new(None) };
}

/// Runs code of a job.
#[inline]
pub(super) fn enter<T>(job: &Job, code: impl FnOnce() -> T) -> T {
    struct Leave(Option<NonNull<Head>>);
    impl Drop for Leave {
        fn drop(&mut self) {
            RUNNING.store(self.0);
        }
    }
    let _leave = Leave(RUNNING.swap(Some(job.0)));
    code()
}

/// The innermost job that runs in this thread.
pub(crate) fn running() -> Option<Job> {
    let cell = local::read(&RUNNING)?;
    // SAFETY: the pointer is set only as long as `enter` borrows a `Job` to the cell.
    let head = unsafe { cell.as_ref() };
    head.state.add_ref();
    Some(Job(cell))
}

/// Whether the innermost job that runs in this thread was asked to stop.
#[inline]
pub(super) fn is_stopped() -> bool {
    local::read(&RUNNING).is_some_and(|cell| {
        // SAFETY: as in `running`.
        unsafe { cell.as_ref() }.state.is_stopped()
    })
}
