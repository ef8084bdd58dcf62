//! What is run beside the tasks of the other chaos.

use std::process;

use pool_core::{current, pool_task};

use crate::journal::Call;

/// Ends its process by a signal.
#[pool_task]
pub(crate) fn aborts(call: &Call) -> u64 {
    call.begin();
    process::abort()
}

/// What it draws from its seed.
#[pool_task]
pub(crate) fn draws(call: &Call) -> u64 {
    call.begin();
    current().seed()
}

/// The same without a note.
#[pool_task]
pub(crate) fn draws_quietly() -> u64 {
    current().seed()
}
