//! By hand: threads that take boxed closures from a crossbeam channel, and a oneshot channel for
//! each result.

use std::thread::{self, JoinHandle};

use crossbeam_channel::Sender;
use oneshot::Receiver;

use super::{Peer, Value, Work};
use crate::Fault;

type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct Crossbeam {
    /// `None` once the threads were told to end.
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Crossbeam {
    pub(crate) fn start(workers: usize) -> Result<Self, Fault> {
        let (jobs, queue) = crossbeam_channel::unbounded::<Job>();
        let threads = (0..workers)
            .map(|_| {
                let queue = queue.clone();
                thread::spawn(move || {
                    for job in queue {
                        job();
                    }
                })
            })
            .collect();
        Ok(Self {
            jobs: Some(jobs),
            threads,
        })
    }
}

impl Peer for Crossbeam {
    type Handle<R: Value> = Receiver<R>;

    fn submit<W: Work>(&self, work: W) -> Receiver<W::Output> {
        let (result, handle) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Nobody waits any more: no harm.
            let _ = result.send(work.run());
        });
        if let Some(jobs) = &self.jobs {
            // Without a thread that listens the handle says so.
            let _ = jobs.send(job);
        }
        handle
    }

    fn join<R: Value>(handle: Receiver<R>) -> Result<R, Fault> {
        Ok(handle.recv()?)
    }
}

impl Drop for Crossbeam {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
