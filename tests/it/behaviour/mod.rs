//! The behaviours, by topic: functions that get the backend they run on.

pub(crate) mod asynchronous;
pub(crate) mod callbacks;
pub(crate) mod cancel;
pub(crate) mod chunks;
pub(crate) mod codec;
pub(crate) mod context;
pub(crate) mod crash;
pub(crate) mod futures;
pub(crate) mod generics;
pub(crate) mod handle;
pub(crate) mod life;
pub(crate) mod lifecycle;
pub(crate) mod map;
pub(crate) mod nested;
pub(crate) mod panics;
pub(crate) mod pressure;
pub(crate) mod results;
pub(crate) mod retries;
pub(crate) mod sharing;
pub(crate) mod shutdown;
pub(crate) mod sizes;
pub(crate) mod submit;
pub(crate) mod timeouts;
pub(crate) mod values;
pub(crate) mod workers;
