//! Chunks, as the parent sees them: what a worker has done of one, what it has not started, and how
//! both are taken from a worker that is at one of its tasks for long.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Acquire;
use std::sync::atomic::fence;
use std::time::Duration;

use super::after::After;
use super::lane::arena::Region;
use super::lane::slot::{SlotState, Span};
use super::place::Place;
use super::wire::{Finished, Progress};
use super::worker_queue::{STUCK_AFTER, WorkerQueue};
use crate::codec::bytes::{Bytes, zeroed_vec};
use crate::codec::{Answer, Frames, Reply};
use crate::error::task_error::TaskError;
use crate::job::cell::{Claimed, Job};
use crate::job::work::ChunkFacts;
use crate::task::Options;

/// Into how many jobs at most the rest of a chunk is cut.
const MAX_PARTS: usize = 64;

/// Replies of a running chunk that take more bytes than this are left until it is done.
const ROB_BYTES: u64 = 64 * 1024;

/// What a worker wrote cannot be.
pub(super) struct Garbled;

/// What was taken from a chunk while it runs; the job in the lane's entry is what is left.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Part {
    /// How many of its tasks were delivered, how many of them without a result, and in how many
    /// bytes of replies.
    ran: u32,
    failed: u32,
    pub(super) bytes: u64,
    /// It starts no more tasks.
    cut: bool,
    /// Nobody wants the tasks that it has not started.
    forgotten: bool,
}

impl WorkerQueue {
    /// What is known of a chunk beside its replies, when its worker says that it is done.
    pub(super) fn chunk_facts(
        &mut self,
        seq: u64,
        job: &Claimed,
        reply: Reply,
        finished: Finished,
        after: &mut After,
    ) -> Result<Option<ChunkFacts>, Garbled> {
        if !job.is_chunk() {
            return Ok(None);
        }
        self.counts.others += 1;
        if reply != Reply::Output {
            // It does not know the task: the fate of all.
            return Ok(Some(ChunkFacts {
                failed: false,
                timed: None,
                ran: 0,
                lost: None,
                others: Vec::new(),
                run_time: Duration::ZERO,
            }));
        }
        let part = self.entry(seq).part;
        let ran = Self::ran(job, part, finished.ran)?;
        if ran == 0 && !part.cut {
            // A worker that knows the task makes progress.
            return Err(Garbled);
        }
        let failed = finished.failed.saturating_sub(part.failed) as usize;
        self.count_chunk(ran, failed);
        self.time_chunk(finished);
        Ok(Some(ChunkFacts {
            failed: failed > 0,
            timed: self.is_sample(seq).then(|| Arc::clone(&self.metrics)),
            ran,
            lost: None,
            others: self.others(seq, job, ran, after),
            run_time: Duration::from_nanos(finished.nanos.into()),
        }))
    }

    /// How many tasks of the job have run when the worker says that so many of the slot have.
    fn ran(job: &Claimed, part: Part, ran: u32) -> Result<usize, Garbled> {
        let ran = ran.checked_sub(part.ran).ok_or(Garbled)? as usize;
        if ran > job.chunk() {
            return Err(Garbled);
        }
        Ok(ran)
    }

    /// The tasks of a chunk after the first `first`, as new jobs that run again; empty where there
    /// are none.
    fn others(
        &self,
        seq: u64,
        job: &Claimed,
        first: usize,
        after: &mut After,
    ) -> Vec<(Job, usize)> {
        let left = job.chunk() - first;
        if left == 0 || self.part(seq).forgotten {
            return Vec::new();
        }
        let args = self.args(seq, job);
        let mut frames = Frames(&args);
        split(&mut frames, first);
        parts(job, frames, left, after)
    }

    fn part(&self, seq: u64) -> Part {
        self.entries[(seq - self.tail) as usize].part
    }

    /// Lets the worker start no more tasks of the chunk that it runs, and nobody else.
    pub(super) fn forget_rest(&mut self, seq: u64) {
        self.lane.slot(seq).cut();
        let part = &mut self.entry(seq).part;
        part.cut = true;
        part.forgotten = true;
    }

    /// The arguments of the job in slot `seq`: large ones are in the arena alone.
    fn args<'a>(&self, seq: u64, job: &'a Claimed) -> Cow<'a, [u8]> {
        let entry = self.entries.get((seq - self.tail) as usize);
        match entry.and_then(|entry| entry.region) {
            Some(region) if job.args().is_empty() => {
                Cow::Owned(self.lane.request.read_back(region))
            }
            _ => Cow::Borrowed(job.args()),
        }
    }

    /// The replies of a running chunk so far, without those that were delivered.
    fn replies(&self, seq: u64, progress: Progress, part: Part) -> Result<Bytes, Garbled> {
        let region = Region {
            offset: self.lane.slot(seq).offset(),
            len: progress.bytes,
        };
        if progress.bytes == part.bytes {
            return Ok(Bytes::new());
        }
        if progress.bytes < part.bytes || !self.is_possible(region) {
            return Err(Garbled);
        }
        let all = zeroed_vec(progress.bytes as usize).ok_or(Garbled)?;
        let mut all = Bytes::from(all);
        if !self.lane.reply.read(region, all.as_mut_slice()) {
            return Err(Garbled);
        }
        Ok(match part.bytes {
            0 => all,
            delivered => Bytes::from(&all.as_slice()[delivered as usize..]),
        })
    }

    /// What a worker that died in the middle of a chunk had done of it.
    pub(super) fn salvage(
        &mut self,
        seq: u64,
        job: &Claimed,
        error: TaskError,
        after: &mut After,
    ) -> Result<(Answer, ChunkFacts), Garbled> {
        let progress = Progress::of(self.lane.slot(seq).note());
        let part = self.entry(seq).part;
        let ran = Self::ran(job, part, progress.ran)?;
        let payload = self.replies(seq, progress, part)?;
        let lost = ran < job.chunk();
        let failed = self.count_failures(payload.as_slice());
        self.count_chunk(ran, failed);
        if lost {
            self.metrics.failed(error.kind(), 1);
        }
        let facts = ChunkFacts {
            failed: false,
            timed: None,
            ran,
            lost: lost.then_some(error),
            others: self.others(seq, job, ran + usize::from(lost), after),
            run_time: Duration::ZERO,
        };
        Ok((self.output(payload), facts))
    }

    fn output(&self, payload: Bytes) -> Answer {
        Answer {
            reply: Reply::Output,
            worker: self.pid,
            payload,
        }
    }

    /// Whether the lane runs, or will run next, a chunk of which something could be taken.
    pub(super) fn has_chunk(&self) -> bool {
        self.job(self.done).is_some_and(|job| job.chunk() > 1)
    }

    /// Lets the worker start no more tasks of the chunk that it runs; they come back when the one
    /// that it runs is done.
    pub(super) fn cut_chunk(&mut self) {
        let seq = self.done;
        if self.has_chunk() && self.runs(seq) {
            self.lane.slot(seq).cut();
            self.entry(seq).part.cut = true;
        }
    }

    /// Takes from a worker that is at one task of a chunk for long what it has not started, and
    /// delivers what it has done. That task stays with it, as a job of its own.
    pub(super) fn rob(&mut self, after: &mut After) {
        let seq = self.done;
        let lane = Arc::clone(&self.lane);
        let slot = lane.slot(seq);
        if !self.has_chunk() || self.part(seq).cut || slot.state() != SlotState::Running {
            return;
        }
        // Between two tasks it is not stuck, and the rest that it would hand back would come behind
        // what waits in the lane.
        if slot.span().started == Progress::of(slot.note()).ran {
            return;
        }
        let Span { started, end } = slot.cut();
        // After the cut: nothing starts any more, so at most the task that runs is added.
        let progress = Progress::of(slot.note());
        let running = started.checked_sub(progress.ran);
        self.entry(seq).part.cut = true;
        if progress.bytes > ROB_BYTES || running == Some(0) {
            // It is about to hand back the rest by itself.
            return;
        }
        let payload = self.replies(seq, progress, self.part(seq));
        // As long as the chunk runs, its worker writes nothing else to where the replies were
        // read from. If it has gone on by now, those of the next task may be there.
        fence(Acquire);
        if slot.state() != SlotState::Running {
            return;
        }
        let Some(job) = self.entry(seq).job.take() else {
            return;
        };
        let sound = started <= end && end as usize <= job.chunk() && running == Some(1);
        let robbed = match payload {
            Ok(payload) if sound => self
                .divide(seq, &job, progress, after)
                .map(|divided| (payload, divided)),
            _ => Err(Garbled),
        };
        match robbed {
            Ok((payload, (facts, rest))) => {
                Place::new(self.index, seq).note(&rest);
                let before = self.part(seq);
                let failed = self.count_failures(payload.as_slice());
                self.count_chunk((progress.ran - before.ran) as usize, failed);
                self.entry(seq).job = Some(rest);
                self.entry(seq).part = Part {
                    ran: progress.ran,
                    failed: before.failed + failed as u32,
                    bytes: progress.bytes,
                    cut: true,
                    forgotten: false,
                };
                after
                    .watched
                    .extend(job.answer(self.output(payload), Some(facts)));
                self.wake_joiners(after);
            }
            Err(Garbled) => {
                self.entry(seq).job = Some(job);
                self.corrupt = true;
                after.poke = true;
            }
        }
    }

    /// What becomes of a chunk whose first tasks have run and whose next one runs.
    fn divide(
        &mut self,
        seq: u64,
        job: &Claimed,
        progress: Progress,
        after: &mut After,
    ) -> Result<(ChunkFacts, Claimed), Garbled> {
        let ran = progress.ran as usize;
        let args = self.args(seq, job);
        let mut frames = Frames(&args);
        split(&mut frames, ran);
        let (1, running) = split(&mut frames, 1) else {
            return Err(Garbled);
        };
        let (handle, rest) = job.sibling(Bytes::from(running).into(), chunk_of(1, job));
        let mut others = vec![(handle, 1)];
        others.extend(parts(job, frames, job.chunk() - ran - 1, after));
        let facts = ChunkFacts {
            failed: false,
            timed: None,
            ran,
            lost: None,
            others,
            run_time: STUCK_AFTER,
        };
        Ok((facts, rest))
    }
}

/// Removes the first frames, at most `tasks`; returns their number and bytes.
fn split<'a>(frames: &mut Frames<'a>, tasks: usize) -> (usize, &'a [u8]) {
    let begin = frames.0;
    let count = frames.by_ref().take(tasks).count();
    (count, &begin[..begin.len() - frames.0.len()])
}

/// The last `left` tasks of a chunk as new jobs that run again, with how many are in each.
fn parts(
    job: &Claimed,
    mut frames: Frames<'_>,
    left: usize,
    after: &mut After,
) -> Vec<(Job, usize)> {
    let each = left.div_ceil(MAX_PARTS);
    let mut parts = Vec::new();
    loop {
        let (count, bytes) = split(&mut frames, each);
        if count == 0 {
            return parts;
        }
        let (handle, claimed) = job.sibling(Bytes::from(bytes).into(), chunk_of(count, job));
        parts.push((handle, count));
        after.again.push(claimed);
    }
}

/// The options of a part of a chunk.
fn chunk_of(tasks: usize, whole: &Claimed) -> Options {
    Options {
        // The length of the whole is such a number.
        chunk: tasks as u32,
        seed: whole.options().seed,
        ..Options::default()
    }
}
