//! The jobs of a coordinator by their places, and how many are in which state.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

use super::{After, Coordinator, Entry, SHRINK_FROM, State};
use crate::engine::cluster::wire::{Part, Run};
use crate::job::cell::{Claimed, Job};

impl Coordinator {
    pub(super) fn add(&mut self, job: Claimed, state: State, part: Option<Part>) -> Run {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push((self.first_turn, None));
            self.entries.len() as u32 - 1
        });
        let (turn, place) = &mut self.entries[index as usize];
        let run = Run {
            job: u64::from(*turn) << 32 | u64::from(index),
            run: 0,
        };
        job.head().note.store(index + 1, Relaxed);
        let part = part.unwrap_or(run.whole());
        if part.part > 0 {
            self.parts.insert(part, index);
        }
        let bytes = job.args_len();
        *place = Some(Entry {
            part,
            job,
            state,
            seq: None,
            bytes,
            timed: None,
            is_unwanted: false,
            is_cut: false,
        });
        self.counts(index, 1);
        run
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, index: u32, after: &mut After) -> Option<Entry> {
        self.counts(index, -1);
        let (turn, place) = &mut self.entries[index as usize];
        let entry = place.take()?;
        *turn = turn.wrapping_add(1);
        self.free.push(index);
        self.unwanted -= usize::from(entry.is_unwanted);
        self.shrink();
        self.parts.remove(&entry.part);
        self.unacked.remove(&entry.part.run);
        after.room = true;
        after.wake |= self.is_over();
        Some(entry)
    }

    /// Gives the room of many entries back, when the last of them is over.
    pub(super) fn shrink(&mut self) {
        if self.free.len() < self.entries.len() || self.entries.len() < SHRINK_FROM {
            return;
        }
        let turns = self.entries.iter().map(|(turn, _)| *turn);
        // No number is given twice.
        self.first_turn = turns.max().unwrap_or(0).wrapping_add(1);
        self.entries = Vec::new();
        self.free = Vec::new();
        self.waiting = VecDeque::new();
    }

    /// Nobody waits for it any more.
    pub(super) fn is_unwanted_now(&mut self, index: u32) {
        if let Some(entry) = self.entry_mut(index)
            && !std::mem::replace(&mut entry.is_unwanted, true)
        {
            self.unwanted += 1;
        }
    }

    pub(super) fn set_state(&mut self, index: u32, state: State) {
        self.counts(index, -1);
        if let Some(entry) = &mut self.entries[index as usize].1 {
            entry.state = state;
        }
        self.counts(index, 1);
    }

    /// Enters an entry into the counts, or takes it out of them.
    pub(super) fn counts(&mut self, index: u32, sign: isize) {
        let Some(entry) = &self.entries[index as usize].1 else {
            return;
        };
        let bytes = entry.bytes.cast_signed() * sign;
        let add = |count: &mut usize, what| *count = count.saturating_add_signed(what);
        let counts = &mut self.counts;
        match entry.state {
            State::Waiting => {
                add(&mut counts.queued, sign);
                add(&mut counts.queued_bytes, bytes);
            }
            State::Queued { .. } => {
                add(&mut counts.queued, sign);
                add(&mut counts.queued_bytes, bytes);
                add(&mut counts.published, sign);
                add(&mut counts.out, sign);
                add(&mut counts.out_bytes, bytes);
            }
            State::Granted { agent, .. } => {
                add(&mut counts.granted, sign);
                add(&mut counts.out, sign);
                add(&mut counts.out_bytes, bytes);
                self.agents.gave(agent, sign);
            }
            State::Backoff { .. } => {}
        }
        let waiting = (counts.queued, counts.queued_bytes);
        counts.peak = (counts.peak.0.max(waiting.0), counts.peak.1.max(waiting.1));
    }

    pub(super) fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)?.1.as_ref()
    }

    pub(super) fn entry_mut(&mut self, index: u32) -> Option<&mut Entry> {
        self.entries.get_mut(index as usize)?.1.as_mut()
    }

    pub(super) fn indices(&self) -> impl Iterator<Item = u32> + use<> {
        0..self.entries.len() as u32
    }

    /// The place of the job with this number, if it is there.
    pub(super) fn place(&self, job: u64) -> Option<u32> {
        let (index, turn) = (job as u32, (job >> 32) as u32);
        let (now, entry) = self.entries.get(index as usize)?;
        (*now == turn && entry.is_some()).then_some(index)
    }

    /// The place of a part of a run.
    pub(super) fn find(&self, part: Part) -> Option<u32> {
        if part.part > 0 {
            return self.parts.get(&part).copied();
        }
        let index = self.place(part.run.job)?;
        (self.entry(index)?.part == part).then_some(index)
    }

    /// The place of a job of this pool.
    pub(super) fn find_job(&self, job: &Job) -> Option<u32> {
        let index = job.head().note.load(Relaxed).checked_sub(1)?;
        let entry = self.entry(index)?;
        entry.job.is(job).then_some(index)
    }
}
