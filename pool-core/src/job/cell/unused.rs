//! Calls that are not run, and pointers that are given up: what is in a cell may be the user's, whose
//! destructor does not run on every thread.

use std::mem::ManuallyDrop;

use super::Job;
use crate::error::panics::drop_quietly;
use crate::error::task_error::TaskError;

/// A value of the user's that nobody takes.
pub(crate) type Unused = Box<dyn Send>;

impl Job {
    /// Takes the task out of the queue for good, if nobody has claimed it: its handle resolves
    /// with the error.
    pub(crate) fn refuse(&self, error: TaskError) -> bool {
        match self.refuse_unused(error, || ()) {
            Some(unused) => {
                drop_quietly(unused);
                true
            }
            None => false,
        }
    }

    /// The same where the call is not to be dropped here; `None`: somebody has claimed it. What is to
    /// be done before others can see the outcome is done by `claimed`.
    pub(crate) fn refuse_unused(
        &self,
        error: TaskError,
        claimed: impl FnOnce(),
    ) -> Option<Option<Unused>> {
        if !self.head().state.claim() {
            return None;
        }
        claimed();
        // SAFETY: `claim` was won above.
        let unused = unsafe { (self.head().vtable.fail)(self.0, error) };
        // SAFETY: the claim won above is given up here, with a pointer of its own.
        unsafe { self.clone().finish() };
        Some(unused)
    }

    /// Gives up this pointer, unless it is the last one: what is in the cell may be the user's.
    pub(crate) fn release(self) -> Option<Self> {
        let this = ManuallyDrop::new(self);
        let is_last = !this.head().state.drop_ref_but_last();
        is_last.then(|| ManuallyDrop::into_inner(this))
    }
}
