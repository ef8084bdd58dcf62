//! One submitted task, from its claim to its outcome.

// The task cell: its contents change hands without a lock.
#[allow(unsafe_code)]
pub(crate) mod cell;
pub(crate) mod checked;
pub(crate) mod current;
pub(crate) mod initializer;
pub(crate) mod registry;
pub(crate) mod stops;
pub(crate) mod work;
