//! Counts and times of a pool and of its tasks.

pub(crate) mod stats;
pub(crate) mod tally;
