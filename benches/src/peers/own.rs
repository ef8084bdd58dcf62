//! This project.

use pool_core::{Backend, JoinHandle, Pool};

use super::{Peer, Value, Work};
use crate::Fault;

pub(crate) struct Own(pub(crate) Pool);

impl Own {
    pub(crate) fn start(backend: Backend, workers: usize) -> Result<Self, Fault> {
        let pool = Pool::builder().backend(backend).workers(workers).build()?;
        Ok(Self(pool))
    }
}

impl Peer for Own {
    type Handle<R: Value> = JoinHandle<R>;

    fn submit<W: Work>(&self, work: W) -> JoinHandle<W::Output> {
        self.0.submit(work)
    }

    fn join<R: Value>(handle: JoinHandle<R>) -> Result<R, Fault> {
        Ok(handle.join()?)
    }
}
