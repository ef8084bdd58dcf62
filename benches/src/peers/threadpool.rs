//! The `threadpool` crate: `execute` and a oneshot channel, since `execute` gives no handle.

use ::threadpool::ThreadPool;
use oneshot::Receiver;

use super::{Peer, Value, Work};
use crate::Fault;

pub(crate) struct Threadpool(ThreadPool);

impl Threadpool {
    pub(crate) fn start(workers: usize) -> Result<Self, Fault> {
        Ok(Self(ThreadPool::new(workers)))
    }
}

impl Peer for Threadpool {
    type Handle<R: Value> = Receiver<R>;

    fn submit<W: Work>(&self, work: W) -> Receiver<W::Output> {
        let (result, handle) = oneshot::channel();
        self.0.execute(move || {
            // Nobody waits any more: no harm.
            let _ = result.send(work.run());
        });
        handle
    }

    fn join<R: Value>(handle: Receiver<R>) -> Result<R, Fault> {
        Ok(handle.recv()?)
    }
}
