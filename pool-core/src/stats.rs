//! What a pool says of itself.

/// The state of a pool at one moment, and what has happened so far. Got with
/// [`Pool::stats`](crate::Pool::stats).
///
/// The moment is not one for all numbers: tasks move while they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Workers that take tasks now: fewer than [`Pool::workers`](crate::Pool::workers) while some
    /// start or rest.
    pub workers: usize,
    /// Tasks that wait for a worker. Those of a map that travel together count as one.
    pub queued: usize,
    /// Workers that run a task whose handle has no outcome yet.
    pub running: usize,
    /// Workers that still run a task whose handle has one already: it was cancelled, or its
    /// deadline has passed. On threads they come back only when the task returns.
    pub overdue: usize,
    /// The most tasks that ever waited at once.
    pub queue_peak: usize,
    /// Bytes of arguments that wait for a worker; on threads only where
    /// [`queue_bytes`](crate::PoolBuilder::queue_bytes) is set, since nothing is encoded there.
    pub queue_bytes: usize,
    /// The most of them at once.
    pub queue_bytes_peak: usize,
    /// Workers that have taken up their work since the pool was built.
    pub workers_started: u64,
    /// Worker processes that ended without being told to.
    pub workers_lost: u64,
    /// Runs that came after one that had failed.
    pub retried: u64,
    /// Tasks that ran past their deadlines, or did not start in time.
    pub timed_out: u64,
}
