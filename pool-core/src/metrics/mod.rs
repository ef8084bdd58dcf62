//! Counts and times of a pool and of its tasks.

pub(crate) mod recorder;
pub(crate) mod stats;
