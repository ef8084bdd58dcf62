//! rayon: `spawn` and a oneshot channel, since `spawn` gives no handle.

use ::rayon::ThreadPool;
use oneshot::Receiver;

use super::{Peer, Value, Work};
use crate::Fault;

pub(crate) struct Rayon(ThreadPool);

/// A pool with so many threads.
pub(crate) fn pool(threads: usize) -> Result<ThreadPool, Fault> {
    Ok(::rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()?)
}

impl Rayon {
    pub(crate) fn start(workers: usize) -> Result<Self, Fault> {
        pool(workers).map(Self)
    }
}

impl Peer for Rayon {
    type Handle<R: Value> = Receiver<R>;

    fn submit<W: Work>(&self, work: W) -> Receiver<W::Output> {
        let (result, handle) = oneshot::channel();
        self.0.spawn(move || {
            // Nobody waits any more: no harm.
            let _ = result.send(work.run());
        });
        handle
    }

    fn join<R: Value>(handle: Receiver<R>) -> Result<R, Fault> {
        Ok(handle.recv()?)
    }
}
