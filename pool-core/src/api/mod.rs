//! What users call.

#[cfg(feature = "macros")]
pub(crate) mod attributes;
pub(crate) mod builder;
pub(crate) mod completions;
pub(crate) mod entry;
pub(crate) mod handle;
pub(crate) mod map;
pub(crate) mod pool;
pub(crate) mod scope;
#[cfg(feature = "signals")]
pub(crate) mod signals;
pub(crate) mod wait;
