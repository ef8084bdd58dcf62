//! The contestants, behind one face: a task goes in, a handle comes out.
//!
//! Each is used as its documentation says, with its default features; what it lacks (a handle, a
//! queue, a protocol) is added by hand in the cheapest way we know.

mod crossbeam;
pub(crate) mod ipc;
mod own;
mod procspawn;
pub(crate) mod python;
pub(crate) mod rayon;
mod threadpool;

use pool_core::{Backend, Task};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::own::Own;
use crate::Fault;
use crate::subject::Subject;

/// A running contestant.
pub(crate) trait Peer: Send + Sync {
    type Handle<R: Value>: Send;

    fn submit<W: Work>(&self, work: W) -> Self::Handle<W::Output>;

    fn join<R: Value>(handle: Self::Handle<R>) -> Result<R, Fault>;
}

/// What the contestants run: a task whose call is also a message of [`ipc`].
pub(crate) trait Work: Task<Output: Value> {
    fn into_request(self) -> ipc::Request;
}

/// A result.
pub(crate) trait Value: Serialize + DeserializeOwned + Send + 'static {
    fn from_reply(reply: ipc::Reply) -> Option<Self>;
}

/// A measurement that any contestant can go through.
pub(crate) trait Bench {
    type Out;

    /// `start` starts the contestant with so many workers.
    fn run<P: Peer>(self, start: &dyn Fn(usize) -> Result<P, Fault>) -> Result<Self::Out, Fault>;
}

/// Runs a measurement on a contestant.
pub(crate) fn run<B: Bench>(subject: Subject, bench: B) -> Result<B::Out, Fault> {
    match subject {
        Subject::Processes(_) => bench.run(&|workers| Own::start(Backend::Processes, workers)),
        Subject::Threads(_) => bench.run(&|workers| Own::start(Backend::Threads, workers)),
        Subject::Inline => bench.run(&|workers| Own::start(Backend::Inline, workers)),
        Subject::Procspawn => bench.run(&procspawn::Procspawn::start),
        Subject::IpcChannel => bench.run(&|workers| ipc::Ipc::start(workers, ipc::Way::Typed)),
        Subject::IpcShared => bench.run(&|workers| ipc::Ipc::start(workers, ipc::Way::Shared)),
        Subject::Rayon => bench.run(&rayon::Rayon::start),
        Subject::Threadpool => bench.run(&threadpool::Threadpool::start),
        Subject::Crossbeam => bench.run(&crossbeam::Crossbeam::start),
        Subject::Python(_) | Subject::Limit(_) => Err("takes no tasks".into()),
    }
}

/// The one result of a task that nobody else waits for.
pub(crate) fn call<P: Peer, W: Work>(peer: &P, work: W) -> Result<W::Output, Fault> {
    P::join(peer.submit(work))
}
