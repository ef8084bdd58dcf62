//! By hand: worker processes (this program, started again) and typed messages over ipc-channel.
//!
//! Each worker has a channel of requests and one of replies and answers in order; a thread of the
//! parent hands the replies out to oneshot channels. Tasks go to the workers in turn.

use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::thread;

use ipc_channel::ipc::{self, IpcOneShotServer, IpcReceiver, IpcSender, IpcSharedMemory};
use pool_core::Task;
use serde::{Deserialize, Serialize};

use super::{Peer, Value, Work};
use crate::Fault;
use crate::tasks::{self, Stamp};

/// What a worker can be asked.
#[derive(Serialize, Deserialize)]
pub(crate) enum Request {
    Add(tasks::add),
    Echo(tasks::echo),
    Length(tasks::length),
    Probe(tasks::probe),
    Who(tasks::who),
    Churn(tasks::churn),
    Busy(tasks::busy),
    /// An echo, a probe, in ipc-channel's shared memory.
    SharedEcho(IpcSharedMemory),
    SharedProbe(IpcSharedMemory),
}

/// What it answers.
#[derive(Serialize, Deserialize)]
pub(crate) enum Reply {
    Word(u64),
    Float(f64),
    Bytes(Vec<u8>),
    Stamp(Stamp),
    Shared(IpcSharedMemory),
}

/// How large payloads go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Inside the messages.
    Typed,
    /// In shared memory beside them.
    Shared,
}

pub(crate) struct Ipc {
    way: Way,
    lanes: Vec<Lane>,
    turn: AtomicUsize,
}

struct Lane {
    /// The order of the requests is that of their waiters.
    requests: Mutex<(IpcSender<Request>, mpsc::Sender<oneshot::Sender<Reply>>)>,
    worker: Child,
}

type Ends = (IpcSender<Request>, IpcReceiver<Reply>);

impl Ipc {
    pub(crate) fn start(workers: usize, way: Way) -> Result<Self, Fault> {
        // All are started before the first is waited for.
        let started: Vec<_> = (0..workers)
            .map(|_| {
                let (server, name) = IpcOneShotServer::<Ends>::new()?;
                let worker = Command::new("/proc/self/exe")
                    .args(["ipc-worker", &name])
                    .spawn()?;
                Ok((server, worker))
            })
            .collect::<Result<_, Fault>>()?;
        let lanes = started
            .into_iter()
            .map(|(server, worker)| {
                let (_, (requests, replies)) = server.accept()?;
                let (waiters, waiting) = mpsc::channel::<oneshot::Sender<Reply>>();
                thread::spawn(move || {
                    for waiter in waiting {
                        // A worker that is gone answers nobody.
                        let Ok(reply) = replies.recv() else { return };
                        let _ = waiter.send(reply);
                    }
                });
                Ok(Lane {
                    requests: Mutex::new((requests, waiters)),
                    worker,
                })
            })
            .collect::<Result<_, Fault>>()?;
        Ok(Self {
            way,
            lanes,
            turn: AtomicUsize::new(0),
        })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let _ = self.worker.kill();
        let _ = self.worker.wait();
    }
}

impl Peer for Ipc {
    type Handle<R: Value> = oneshot::Receiver<Reply>;

    fn submit<W: Work>(&self, work: W) -> oneshot::Receiver<Reply> {
        let request = match (self.way, work.into_request()) {
            (Way::Shared, Request::Echo(echo)) => {
                Request::SharedEcho(IpcSharedMemory::from_bytes(&echo.bytes))
            }
            (Way::Shared, Request::Probe(probe)) => {
                let bytes = bytemuck::cast_slice(&probe.values);
                Request::SharedProbe(IpcSharedMemory::from_bytes(bytes))
            }
            (_, request) => request,
        };
        let (waiter, handle) = oneshot::channel();
        let lane = &self.lanes[self.turn.fetch_add(1, Relaxed) % self.lanes.len()];
        let ends = lane.requests.lock().unwrap_or_else(PoisonError::into_inner);
        // What cannot be sent has a handle that says so: its waiter is dropped.
        if ends.0.send(request).is_ok() {
            let _ = ends.1.send(waiter);
        }
        handle
    }

    fn join<R: Value>(handle: oneshot::Receiver<Reply>) -> Result<R, Fault> {
        R::from_reply(handle.recv()?).ok_or_else(|| "an answer to another question".into())
    }
}

/// The worker's side.
pub(crate) fn serve(name: String) -> Result<(), Fault> {
    let (requests, inbox) = ipc::channel::<Request>()?;
    let (outbox, replies) = ipc::channel::<Reply>()?;
    IpcSender::connect(name)?.send((requests, replies))?;
    // Until the parent is gone.
    while let Ok(request) = inbox.recv() {
        let reply = match request {
            Request::Add(task) => Reply::Word(task.run()),
            Request::Echo(task) => Reply::Bytes(task.run()),
            Request::Length(task) => Reply::Word(task.run()),
            Request::Probe(task) => Reply::Float(task.run()),
            Request::Who(task) => Reply::Word(task.run()),
            Request::Churn(task) => Reply::Word(task.run()),
            Request::Busy(task) => Reply::Stamp(task.run()),
            Request::SharedEcho(bytes) => Reply::Shared(bytes),
            // Where they lie: a mapping begins on a page.
            Request::SharedProbe(bytes) => {
                Reply::Float(tasks::middle(bytemuck::cast_slice(&bytes)))
            }
        };
        outbox.send(reply)?;
    }
    Ok(())
}

macro_rules! work {
    ($($task:ident as $request:ident),* $(,)?) => { $(
        impl Work for tasks::$task {
            fn into_request(self) -> Request {
                Request::$request(self)
            }
        }
    )* };
}

work!(
    add as Add,
    echo as Echo,
    length as Length,
    probe as Probe,
    who as Who,
    churn as Churn,
    busy as Busy,
);

macro_rules! value {
    ($($type:ty as $reply:ident),* $(,)?) => { $(
        impl Value for $type {
            fn from_reply(reply: Reply) -> Option<Self> {
                match reply {
                    Reply::$reply(value) => Some(value),
                    _ => None,
                }
            }
        }
    )* };
}

value!(u64 as Word, f64 as Float, Stamp as Stamp);

impl Value for Vec<u8> {
    fn from_reply(reply: Reply) -> Option<Self> {
        match reply {
            Reply::Bytes(bytes) => Some(bytes),
            Reply::Shared(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    }
}
