//! What can go wrong, and what errors name.

pub(crate) mod backend;
pub(crate) mod flatten;
pub(crate) mod panics;
pub(crate) mod pool_error;
pub(crate) mod remote;
pub(crate) mod task_error;
