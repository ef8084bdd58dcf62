//! What becomes of a run, as its agent tells it.

use std::time::{Duration, Instant};

use ::bytes::Bytes;

use super::super::wire::{self, Chunk, Fate, Part};
use super::{After, Coordinator, State};
use crate::codec::{self, Answer, Reply};
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::job::cell::{Claimed, Job};
use crate::job::work::ChunkFacts;
use crate::metrics::stats::Part as Timed;
use crate::task::{Options, retry};

impl Coordinator {
    /// Whether an outcome of an agent is that of a run that it was given, and not known yet.
    pub(in super::super) fn awaits(&mut self, agent: &str, part: Part, now: Instant) -> bool {
        let agent = self.agents.heard(agent, now);
        let entry = self.find(part).and_then(|index| self.entry(index));
        entry.is_some_and(
            |entry| matches!(entry.state, State::Granted { agent: owner, .. } if owner == agent),
        )
    }

    /// The outcome of a run, with its bytes.
    pub(in super::super) fn done(
        &mut self,
        agent: &str,
        part: Part,
        fate: Fate,
        payload: &Bytes,
        now: Instant,
        after: &mut After,
    ) {
        if !self.awaits(agent, part, now) {
            return;
        }
        let Some(index) = self.find(part) else {
            return;
        };
        let Some(entry) = self.entry(index) else {
            return;
        };
        let (name, options) = (entry.job.info().name, entry.job.options());
        match fate {
            Fate::Failed(failure) => {
                let error = failure.into_error(name);
                self.failed(index, error, now, after);
            }
            Fate::Answer {
                reply,
                worker,
                payload: _,
                chunk,
            } => {
                let answer = Reply::from_wire(reply).map(|reply| Answer {
                    reply,
                    worker,
                    payload: payload[..].into(),
                });
                match (answer, chunk) {
                    (Some(answer), Some(chunk)) if options.chunk > 0 => {
                        self.chunk_done(index, answer, chunk, now, after);
                    }
                    (Some(answer), None) if options.chunk == 0 => {
                        self.answered(index, answer, now, after);
                    }
                    _ => self.failed(index, TaskError::garbled(name, worker), now, after),
                }
            }
        }
    }

    fn failed(&mut self, index: u32, error: TaskError, now: Instant, after: &mut After) {
        if error.kind() == TaskErrorKind::TimedOut {
            self.counts.timed_out += 1;
        }
        let Some(entry) = self.entry(index) else {
            return;
        };
        let again = retry::Fate::of(&error).and_then(|fate| {
            let options = entry.job.options();
            retry::again(&options, fate)
        });
        self.run_failed(index, again, error, now, after);
    }

    fn answered(&mut self, index: u32, answer: Answer, now: Instant, after: &mut After) {
        let Some(entry) = self.entry(index) else {
            return;
        };
        let kind = answer.reply.failure();
        if kind == Some(TaskErrorKind::Panicked)
            && let Some(again) = retry::again(&entry.job.options(), retry::Fate::Panicked)
            && !entry.job.head().is_resolved()
        {
            let error = TaskError::new(TaskErrorKind::Panicked, entry.job.info().name);
            return self.run_failed(index, Some(again), error, now, after);
        }
        let Some(entry) = self.remove(index, after) else {
            return;
        };
        if let (None, Some(since)) = (kind, entry.timed) {
            let took = now.saturating_duration_since(since);
            self.metrics.took(Timed::Run, 1, took);
        }
        if !entry.job.head().is_resolved() {
            match kind {
                None => self.counts.finished += 1,
                Some(kind) => self.metrics.failed(kind, 1),
            }
        }
        let timed = kind.is_none() && self.metrics.takes_a_sample();
        after.watched.extend(match timed {
            true => entry.job.answer_timed(answer, self.metrics.clone()),
            false => entry.job.answer(answer, None),
        });
    }

    /// Some of the tasks of a chunk are done; the others are in parts of it, on the same agent.
    fn chunk_done(
        &mut self,
        index: u32,
        answer: Answer,
        chunk: Chunk,
        now: Instant,
        after: &mut After,
    ) {
        let Some(entry) = self.entry(index) else {
            return;
        };
        let (part, state, is_unwanted) = (entry.part, entry.state, entry.is_unwanted);
        let name = entry.job.info().name;
        let ran = chunk.ran as usize;
        let lost = usize::from(chunk.lost.is_some());
        let left: usize = chunk.others.iter().map(|(_, tasks)| *tasks as usize).sum();
        // What a map would take for more results than it has inputs.
        let all = entry.job.chunk();
        let is_sound = (ran + lost + left == all || entry.is_cut && ran + lost + left < all)
            && chunk
                .others
                .iter()
                .all(|(number, tasks)| *number > 0 && *tasks > 0);
        if !is_sound {
            let error = TaskError::garbled(name, answer.worker);
            return self.failed(index, error, now, after);
        }
        let Some(entry) = self.remove(index, after) else {
            return;
        };
        let failed = self.count_failures(&answer);
        self.counts.finished += ran.saturating_sub(failed) as u64;
        if !chunk.run_time.is_zero() {
            self.metrics.took(Timed::Run, ran, chunk.run_time);
        }
        let error = chunk.lost.map(|failure| failure.into_error(name));
        if let Some(error) = &error {
            self.metrics.failed(error.kind(), 1);
        }
        let mut others: Vec<_> = chunk
            .others
            .iter()
            .map(|&(number, tasks)| {
                let part = Part {
                    run: part.run,
                    part: number,
                };
                let (job, claimed) = sibling(&entry.job, tasks);
                self.add(claimed, state, Some(part));
                if is_unwanted && let Some(index) = self.find(part) {
                    self.is_unwanted_now(index);
                }
                (job, tasks as usize)
            })
            .collect();
        if ran + lost + left < all {
            // Those that were not to start any more, as a map counts them.
            let (job, cut) = sibling(&entry.job, (all - ran - lost - left) as u32);
            others.push((job, cut.chunk()));
            let error = TaskError::cancelled(name);
            after.watched.extend(cut.fail(error));
        }
        let facts = ChunkFacts {
            ran,
            lost: error,
            others,
            run_time: chunk.run_time.min(Duration::from_secs(4)),
            failed: false,
            timed: self.metrics.takes_a_sample().then(|| self.metrics.clone()),
        };
        after.watched.extend(entry.job.answer(answer, Some(facts)));
    }

    fn count_failures(&self, answer: &Answer) -> usize {
        if answer.reply != Reply::Output {
            return 0;
        }
        codec::failures(answer.payload.as_slice())
            .map(|kind| self.metrics.failed(kind, 1))
            .count()
    }
}

/// A job for some tasks of a chunk, which run already or will on the agent that has the others.
fn sibling(whole: &Claimed, tasks: u32) -> (Job, Claimed) {
    let options = Options {
        chunk: tasks,
        seed: whole.options().seed,
        ..Options::default()
    };
    whole.sibling(crate::codec::args::Args::default(), options)
}

/// How many bytes of an outcome are to be fetched; `None`: they are behind the message.
pub(in super::super) fn stays(fate: &Fate) -> Option<u64> {
    match fate {
        Fate::Answer {
            payload: wire::Payload::Stays(len),
            ..
        } => Some(*len),
        _ => None,
    }
}
