//! procspawn's pool: the same executable, started again, and a pair of ipc-channels a task.

use ::procspawn::{JoinHandle, Pool};

use super::{Peer, Value, Work};
use crate::Fault;

pub(crate) struct Procspawn(Pool);

impl Procspawn {
    pub(crate) fn start(workers: usize) -> Result<Self, Fault> {
        Pool::new(workers)
            .map(Self)
            .map_err(|e| e.to_string().into())
    }
}

impl Peer for Procspawn {
    type Handle<R: Value> = JoinHandle<R>;

    fn submit<W: Work>(&self, work: W) -> JoinHandle<W::Output> {
        self.0.spawn(work, |work| work.run())
    }

    fn join<R: Value>(handle: JoinHandle<R>) -> Result<R, Fault> {
        handle.join().map_err(|e| e.to_string().into())
    }
}
