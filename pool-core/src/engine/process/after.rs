//! What is to be done when the scheduler's lock has been given up: system calls, large copies, and
//! everything that may run foreign code.

use std::sync::Arc;

use super::Shared;
use super::count::{count_failures, fail};
use super::lane::Lane;
use super::lane::arena::Region;
use crate::codec::Answer;
use crate::codec::args::Args;
use crate::codec::bytes::zeroed_vec;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::job::cell::{Claimed, Handle, Job, Watched, drop_args};
use crate::job::work::ChunkFacts;
use crate::task::retry::Again;

/// Collected under the lock, done by [`Shared::with`] after it.
#[derive(Default)]
pub(super) struct After {
    /// Handles to be woken: runs wakers and callbacks.
    pub(super) watched: Vec<Watched>,
    /// Jobs that were resolved without their claimers: who watches them is to be woken.
    pub(super) abandoned: Vec<Job>,
    /// Workers to be woken.
    pub(super) wake: Vec<Arc<Lane>>,
    /// Lanes whose sleeping joiners are to be woken.
    pub(super) ring: Vec<Arc<Lane>>,
    pub(super) fills: Vec<Fill>,
    pub(super) fetches: Vec<Fetch>,
    /// Outcomes of initializers, by worker and generation.
    pub(super) initialized: Vec<(usize, u64, Handle<()>)>,
    /// The queue has become shorter.
    pub(super) room: bool,
    /// The supervisor sleeps too long.
    pub(super) poke: bool,
    /// Parts of chunks that run again: the scheduler takes them before it gives up the lock.
    pub(super) again: Vec<Claimed>,
    /// Jobs that failed and run again: likewise.
    pub(super) retry: Vec<(Claimed, Again)>,
}

/// Arguments to be copied into a lane.
pub(super) struct Fill {
    pub(super) lane: Arc<Lane>,
    pub(super) index: usize,
    pub(super) generation: u64,
    pub(super) seq: u64,
    pub(super) region: Region,
    pub(super) args: Args,
    pub(super) job: Claimed,
}

/// A result to be copied out of a lane.
pub(super) struct Fetch {
    pub(super) lane: Arc<Lane>,
    pub(super) index: usize,
    pub(super) generation: u64,
    pub(super) seq: u64,
    pub(super) region: Region,
    /// How many of its first bytes were delivered already.
    pub(super) skip: usize,
    pub(super) answer: Answer,
    pub(super) chunk: Option<ChunkFacts>,
    /// Whether its reading is timed.
    pub(super) timed: bool,
    pub(super) job: Claimed,
}

impl After {
    #[inline]
    pub(super) fn run(self, shared: &Shared) {
        for lane in self.wake {
            lane.header().wake_worker();
        }
        if self.poke {
            shared.poke();
        }
        for fill in self.fills {
            fill.run(shared);
        }
        for fetch in self.fetches {
            fetch.run(shared);
        }
        for lane in self.ring {
            lane.header().ring_parent();
        }
        for (index, generation, handle) in self.initialized {
            let outcome = handle.into_outcome();
            shared
                .with(|scheduler, after| scheduler.initialized(index, generation, outcome, after));
        }
        if self.room && shared.room.is_wanted() {
            shared.make_room();
        }
        // Last: callbacks may call into the pool again.
        for job in self.abandoned {
            job.head().waiters.wake_all();
        }
        for watched in self.watched {
            watched.end(&shared.effects);
        }
    }
}

impl Fill {
    #[inline]
    fn run(self, shared: &Shared) {
        let Self {
            lane,
            index,
            generation,
            seq,
            region,
            args,
            job,
        } = self;
        let mut writer = lane.request.writer(region);
        let written = args.write(&mut |bytes| writer.write(bytes));
        let (job, failed) = match written {
            Ok(()) => (Some(job), None),
            Err(message) => {
                let error = TaskError::not_encoded(job.info().name, &message);
                (None, fail(&shared.metrics, job, error))
            }
        };
        let unused = shared.with(|scheduler, after| {
            after.watched.extend(failed);
            scheduler.filled(index, generation, seq, job, args, after)
        });
        if let Some(unused) = unused {
            drop_args(unused, &shared.effects);
        }
    }
}

impl Fetch {
    #[inline]
    fn run(mut self, shared: &Shared) {
        let len = self.region.len as usize;
        let mut payload = zeroed_vec(len);
        let read = payload
            .as_mut()
            .is_some_and(|payload| self.lane.reply.read(self.region, payload));
        let watched = match payload {
            Some(mut payload) if read => {
                payload.drain(..self.skip);
                self.answer.payload = payload.into();
                if self.chunk.as_ref().is_some_and(|chunk| chunk.failed) {
                    count_failures(&shared.metrics, self.answer.payload.as_slice());
                }
                match self.timed && self.chunk.is_none() {
                    true => self
                        .job
                        .answer_timed(self.answer, Arc::clone(&shared.metrics)),
                    false => self.job.answer(self.answer, self.chunk),
                }
            }
            _ => {
                let error = TaskError::new(TaskErrorKind::Decode, self.job.info().name)
                    .worker_is(self.answer.worker)
                    .message_is(format!("its result: no memory for {len} bytes"));
                self.job.fail(error)
            }
        };
        shared.with(|scheduler, after| {
            after.watched.extend(watched);
            // The handle's joiner may sleep on the bell of the lane.
            after.ring.push(Arc::clone(&self.lane));
            if let Some(worker_queue) = scheduler.worker_queue(self.index, self.generation) {
                worker_queue.fetched(self.seq);
            }
            // The supervisor may wait for nothing but this.
            after.poke |= scheduler.is_draining();
        });
    }
}
