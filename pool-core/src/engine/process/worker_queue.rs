//! What the parent knows of one lane: which job is in which slot. Used under the scheduler's lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::after::{After, Fetch, Fill};
use super::chunk::{Garbled, Part};
use super::count::{Counts, fail};
use super::dispatch::{FIRST_DEPTH, Load};
use super::lane::arena::{Allocator, Region};
use super::lane::slot::{Facts, SLOT_INLINE, SlotState, TELL_JOINER, TELL_SUPERVISOR};
use super::lane::{Lane, SLOTS};
use super::life::Life;
use super::place::Place;
use super::wire::{Finished, kind};
use crate::codec::bytes::Bytes;
use crate::codec::{Answer, Reply};
use crate::error::task_error::TaskError;
use crate::job::cell::{Claimed, Job};
use crate::metrics::recorder::{Metrics, Stamp};
use crate::task::retry::{self, Again, Fate};

/// Payloads above this many bytes are copied without the scheduler's lock.
pub(super) const COPY_UNDER_LOCK: usize = 16 * 1024;

/// After how long without progress a lane is stuck behind a long task.
pub(super) const STUCK_AFTER: Duration = Duration::from_millis(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The arguments are being copied; the slot is not published.
    Filling,
    /// The slot is the worker's.
    Placed,
    /// The result is being copied out.
    Fetching,
    /// Everything is copied out; the slot is freed in its turn.
    Collected,
}

pub(super) struct Entry {
    /// `None`: on its way with a fill or a fetch, or nobody waits for it any more.
    pub(super) job: Option<Claimed>,
    pub(super) region: Option<Region>,
    stage: Stage,
    /// Its time is over, and it is to run again: it was told to stop, and no result of it counts.
    pub(super) overdue: bool,
    /// It is a sample, submitted then.
    stamp: Option<Stamp>,
    /// Of a chunk.
    pub(super) part: Part,
}

// One cache line for each.
const _: () = assert!(size_of::<Entry>() <= 64);

impl Entry {
    /// Whether its arguments are being copied.
    pub(super) fn is_filling(&self) -> bool {
        self.stage == Stage::Filling
    }
}

/// The tasks of a lane are numbered; `tail <= done <= head`.
pub(super) struct WorkerQueue {
    pub(super) lane: Arc<Lane>,
    pub(super) pid: u32,
    pub(super) index: usize,
    /// Tells this lane from the ones that had the same index before.
    pub(super) generation: u64,
    /// From `tail` on.
    pub(super) entries: VecDeque<Entry>,
    /// The next to be published.
    pub(super) head: u64,
    /// The next to be collected.
    pub(super) done: u64,
    /// The next to be freed.
    pub(super) tail: u64,
    pub(super) arena: Allocator,
    pub(super) depth: usize,
    pub(super) life: Life,
    /// The worker broke the protocol.
    pub(super) corrupt: bool,
    /// What `done` was at the supervisor's looks, and since when.
    seen: (u64, Instant),
    stuck: bool,
    /// When which task with a deadline was first found running.
    pub(super) seen_running: Option<(u64, Instant)>,
    /// When one of its tasks may be overdue.
    pub(super) look_at: Option<Instant>,
    /// Which task was told to stop, and when its worker is killed if it has not.
    pub(super) grace: Option<(u64, Instant)>,
    /// Whether there are sleepers ([`Scheduler::sleeps`](super::scheduler::Scheduler::sleeps)).
    pub(super) has_sleepers: bool,
    pub(super) counts: Counts,
    pub(super) metrics: Arc<Metrics>,
}

impl WorkerQueue {
    #[inline]
    pub(super) fn new(
        lane: Arc<Lane>,
        pid: u32,
        index: usize,
        generation: u64,
        life: Life,
        metrics: Arc<Metrics>,
    ) -> Self {
        let arena = Allocator::new(lane.arena_bytes);
        Self {
            lane,
            pid,
            index,
            generation,
            entries: VecDeque::with_capacity(SLOTS),
            head: 0,
            done: 0,
            tail: 0,
            arena,
            depth: FIRST_DEPTH,
            life,
            corrupt: false,
            seen: (0, crate::sync::clock::now()),
            stuck: false,
            seen_running: None,
            look_at: None,
            grace: None,
            has_sleepers: false,
            counts: Counts::default(),
            metrics,
        }
    }

    /// The ends of all tasks that somebody waits for must be noticed; `false`: there is one already.
    pub(super) fn alert(&self) -> bool {
        let mut all = true;
        for seq in self.done..self.head {
            let job = self.job(seq);
            if job.is_some_and(|job| job.head().state.is_watched()) {
                all &= self.tell_supervisor(seq);
            }
        }
        all
    }

    /// Tasks that were given to the worker and not collected yet.
    #[inline]
    pub(super) fn ahead(&self) -> usize {
        (self.head - self.done) as usize
    }

    #[inline]
    fn has_slot(&self) -> bool {
        self.entries.len() < SLOTS
    }

    #[inline]
    fn takes_more(&self) -> bool {
        self.has_slot() && !self.corrupt
    }

    /// Whether the worker has nothing to do and could be given something.
    #[inline]
    pub(super) fn is_hungry(&self) -> bool {
        self.ahead() == 0 && self.takes_more() && self.life.room() > 0
    }

    #[inline]
    pub(super) fn load(&self) -> Load {
        Load {
            ahead: self.ahead(),
            depth: match self.takes_more() {
                true => self
                    .depth
                    .min(self.ahead() + self.life.room().min(SLOTS as u64) as usize),
                false => 0,
            },
            asleep: self.lane.header().worker_sleeps(),
        }
    }

    /// Whether a look now and then could move something.
    #[inline]
    pub(super) fn is_restless(&self) -> bool {
        self.ahead() > 1 || self.has_chunk()
    }

    /// Whether nothing of the lane is in use.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives a job to the worker, to whom it is to be announced. It comes back where the lane has
    /// no room for it now: no free slot (the oldest may wait for a copy of its result while all
    /// others are done), or too little of the arena.
    pub(super) fn put(&mut self, mut job: Claimed, after: &mut After) -> Result<(), Claimed> {
        if !self.has_slot() {
            return Err(job);
        }
        let len = job.args_len();
        let region = if len > SLOT_INLINE {
            match self.arena.alloc(len as u64) {
                Some(region) => Some(region),
                None if len as u64 > self.arena.capacity() => {
                    let limit = self.arena.capacity();
                    let why = format!("{len} bytes are more than the limit of {limit}");
                    let error = TaskError::not_encoded(job.info().name, &why);
                    after.watched.extend(fail(&self.metrics, job, error));
                    return Ok(());
                }
                None => return Err(job),
            }
        } else {
            None
        };
        self.life.was_given();
        let seq = self.head;
        let slot = self.lane.slot(seq);
        let options = job.options();
        let stamp = Place::stamp_of(&job);
        let kind = match options.timeout {
            _ if options.chunk > 0 => kind::CHUNK,
            _ if stamp.is_some() => kind::SAMPLE,
            Some(_) => kind::TIMED,
            None => kind::PLAIN,
        };
        if kind != kind::PLAIN {
            slot.clear_note();
            slot.set_span(options.chunk);
        }
        let seeded = match options.seed {
            Some(_) => kind::SEEDED,
            None => 0,
        };
        let facts = Facts {
            kind: kind::with_attempt(kind | seeded, options.attempt()),
            task: job.info().id.0,
            len: len as u64,
            offset: region.map_or(0, |region| region.offset),
        };
        self.head += 1;
        let mut entry = Entry {
            job: None,
            region,
            stage: Stage::Filling,
            overdue: false,
            stamp,
            part: Part::default(),
        };
        match region {
            Some(region) if len > COPY_UNDER_LOCK => {
                slot.write(&facts, &[]);
                after.fills.push(Fill {
                    lane: Arc::clone(&self.lane),
                    index: self.index,
                    generation: self.generation,
                    seq,
                    region,
                    args: job.take_args(),
                    job,
                });
                self.entries.push_back(entry);
                return Ok(());
            }
            Some(region) => {
                self.lane.request.write(region, job.args());
                slot.write(&facts, &[]);
            }
            None => slot.write(&facts, job.args()),
        }
        self.publish(seq, &job);
        entry.job = Some(job);
        entry.stage = Stage::Placed;
        self.entries.push_back(entry);
        Ok(())
    }

    #[inline]
    fn publish(&self, seq: u64, job: &Claimed) {
        Place::new(self.index, seq).note(job);
        let head = job.head();
        let watched = head.state.is_alerted()
            || self.life.ends_soon()
            || self.has_sleepers && head.state.is_watched();
        let tell = if watched { TELL_SUPERVISOR } else { 0 };
        self.lane.slot(seq).publish(tell);
    }

    /// Tasks were published: sees to it that the worker is awake. Once for all that were published
    /// together, since it waits until they have left this processor.
    #[inline]
    pub(super) fn announce(&mut self, after: &mut After) {
        if self.lane.header().must_wake_worker() {
            self.note_start();
            after.wake.push(Arc::clone(&self.lane));
        }
    }

    /// The arguments of task `seq` are copied, or could not be (`None`).
    pub(super) fn filled(&mut self, seq: u64, job: Option<Claimed>, after: &mut After) {
        match job {
            Some(job) if !job.head().is_resolved() => {
                self.publish(seq, &job);
                self.entry(seq).job = Some(job);
            }
            // Cancelled meanwhile, or failed: the worker passes over it.
            _ => self.lane.slot(seq).publish_skipped(),
        }
        self.entry(seq).stage = Stage::Placed;
        self.announce(after);
    }

    /// The result of task `seq` is copied out.
    pub(super) fn fetched(&mut self, seq: u64) {
        self.entry(seq).stage = Stage::Collected;
        self.free();
    }

    #[inline]
    pub(super) fn entry(&mut self, seq: u64) -> &mut Entry {
        &mut self.entries[(seq - self.tail) as usize]
    }

    pub(super) fn write_stop(&mut self, after: &mut After) {
        let slot = self.lane.slot(self.head);
        slot.write(
            &Facts {
                kind: kind::STOP,
                ..Facts::default()
            },
            &[],
        );
        slot.publish(0);
        self.announce(after);
    }

    /// Takes out what the worker has done; says how many.
    pub(super) fn collect(&mut self, after: &mut After) -> usize {
        let before = self.done;
        while !self.corrupt {
            let run = self.done_run();
            if run == 0 {
                self.corrupt |= self.is_garbled_at(self.done);
                break;
            }
            for seq in self.done..self.done + run {
                let entry = self.entry(seq);
                if entry.stage == Stage::Filling {
                    // Not published: nobody can have run it.
                    self.corrupt = true;
                    break;
                }
                entry.stage = Stage::Collected;
                match entry.job.take() {
                    Some(job) => self.take_reply(seq, job, after),
                    None => self.counts.others += 1,
                }
                self.done += 1;
                if self.corrupt {
                    break;
                }
            }
        }
        let collected = (self.done - before) as usize;
        if collected > 0 {
            self.free();
            // What was behind them waits for less.
            after.room = true;
        }
        collected
    }

    /// How many tasks from `done` on are done, as far as one looks at once. Nothing but loads: so
    /// the processor fetches these slots, which the worker has written, all at the same time. In
    /// the loop that collects them it would wait for each.
    #[inline]
    fn done_run(&self) -> u64 {
        const LOOK_AHEAD: u64 = 16;
        let most = (self.head - self.done).min(LOOK_AHEAD);
        (0..most)
            .take_while(|i| self.lane.slot(self.done + i).state() == SlotState::Done)
            .count() as u64
    }

    fn take_reply(&mut self, seq: u64, job: Claimed, after: &mut After) {
        let facts = self.lane.slot(seq).facts();
        let region = Region {
            offset: facts.offset,
            len: facts.len,
        };
        let inline = facts.len <= SLOT_INLINE as u64;
        let reply = Reply::from_wire(facts.kind).filter(|_| inline || self.is_possible(region));
        let Some(reply) = reply else {
            return self.garbled_reply(job, after);
        };
        let &mut Entry {
            overdue,
            stamp,
            part,
            ..
        } = self.entry(seq);
        if overdue || reply == Reply::Panicked {
            let fate = match overdue {
                true => Fate::TimedOut,
                false => Fate::Panicked,
            };
            if let Some(again) = retry::again(&job.options(), fate) {
                self.counts.others += 1;
                return self.run_again(seq, job, again, after);
            }
        }
        if reply != Reply::Output {
            self.count_failure(reply, &job);
        }
        let skip = part.bytes as usize;
        if skip as u64 > facts.len {
            return self.garbled_reply(job, after);
        }
        let chunk = match self.chunk_facts(seq, &job, reply, Finished::of(facts.task), after) {
            Ok(chunk) => chunk,
            Err(Garbled) => return self.garbled_reply(job, after),
        };
        if let Some(stamp) = stamp.filter(|_| chunk.is_none()) {
            self.take_sample(seq, stamp, facts.task);
        }
        let mut answer = Answer {
            reply,
            worker: self.pid,
            payload: Bytes::new(),
        };
        if !inline && facts.len > COPY_UNDER_LOCK as u64 {
            self.entry(seq).stage = Stage::Fetching;
            Place::LEAVING.note(&job);
            after.fetches.push(Fetch {
                lane: Arc::clone(&self.lane),
                index: self.index,
                generation: self.generation,
                seq,
                region,
                skip,
                answer,
                chunk,
                timed: stamp.is_some(),
                job,
            });
            return;
        }
        answer.payload = Bytes::zeroed(facts.len as usize);
        if inline {
            let slot = self.lane.slot(seq);
            slot.read(answer.payload.as_mut_slice());
        } else if !self.lane.reply.read(region, answer.payload.as_mut_slice()) {
            return self.garbled_reply(job, after);
        }
        if skip > 0 {
            answer.payload = Bytes::from(&answer.payload.as_slice()[skip..]);
        }
        if chunk.as_ref().is_some_and(|chunk| chunk.failed) {
            self.count_failures(answer.payload.as_slice());
        }
        after.watched.extend(match stamp {
            Some(_) if chunk.is_none() => job.answer_timed(answer, Arc::clone(&self.metrics)),
            _ => job.answer(answer, chunk),
        });
    }

    /// Hands a job back that is to be run once more.
    pub(super) fn run_again(&mut self, seq: u64, job: Claimed, again: Again, after: &mut After) {
        let region = self.entry(seq).region;
        let job = Self::restore(&self.lane, job, region);
        after.retry.push((job, again));
        self.wake_joiners(after);
    }

    #[inline]
    fn free(&mut self) {
        let before = self.tail;
        while let Some(oldest) = self.entries.front() {
            if oldest.stage != Stage::Collected {
                break;
            }
            if let Some(region) = oldest.region {
                self.arena.free(region);
            }
            self.entries.pop_front();
            self.lane.slot(self.tail).free();
            self.tail += 1;
        }
        if self.tail != before {
            self.lane.header().set_collected(self.tail);
        }
    }

    /// Takes the newest task back, if the worker has not started it. Its initializer is its own.
    pub(super) fn take_back(&mut self, after: &mut After) -> Option<Claimed> {
        let newest = self.entries.back()?;
        let mine = self.life.is_initializing();
        if mine || self.head == self.done || newest.stage != Stage::Placed || newest.job.is_none() {
            return None;
        }
        let told = self.lane.slot(self.head - 1).take_back()?;
        self.lane.header().turn_bell();
        if told & TELL_JOINER != 0 {
            after.ring.push(Arc::clone(&self.lane));
        }
        let entry = self.entries.pop_back()?;
        self.head -= 1;
        self.life.was_taken_from();
        let job = Self::restore(&self.lane, entry.job?, entry.region);
        if let Some(region) = entry.region {
            self.arena.free(region);
        }
        Some(job)
    }

    /// A job that did not start, with its arguments.
    pub(super) fn restore(lane: &Lane, mut job: Claimed, region: Option<Region>) -> Claimed {
        if let Some(region) = region.filter(|_| job.args().is_empty()) {
            job.put_args(Bytes::from(lane.request.read_back(region)).into());
        }
        job
    }

    /// What a cancelled or overdue job is doing, and its end where it has not started.
    pub(super) fn stop_job(
        &mut self,
        seq: u64,
        error: TaskError,
        running: bool,
        after: &mut After,
    ) -> Stopped {
        if seq < self.done {
            return Stopped::Over;
        }
        let lane = Arc::clone(&self.lane);
        let slot = lane.slot(seq);
        let skipped = slot.skip().is_some();
        if !skipped && slot.state() != SlotState::Running {
            return Stopped::Over;
        }
        if !skipped && !running {
            if self.entry(seq).job.as_ref().is_some_and(Claimed::is_chunk) {
                // What it has not started never runs.
                self.forget_rest(seq);
            }
            return Stopped::NotTried;
        }
        let Some(job) = self.entry(seq).job.take() else {
            return Stopped::Over;
        };
        let error = error.worker_is(self.pid);
        after.watched.extend(fail(&self.metrics, job, error));
        self.wake_joiners(after);
        if skipped {
            return Stopped::NeverRan;
        }
        lane.header().ask_to_stop(seq);
        Stopped::Running
    }

    /// A job has left the lane other than by its worker: its joiners may sleep on the lane's bell.
    pub(super) fn wake_joiners(&self, after: &mut After) {
        self.lane.header().turn_bell();
        after.ring.push(Arc::clone(&self.lane));
    }

    /// Whether the arguments of task `seq` are being copied.
    pub(super) fn is_filling(&self, seq: u64) -> bool {
        let at = seq.checked_sub(self.tail);
        at.and_then(|at| self.entries.get(at as usize))
            .is_some_and(Entry::is_filling)
    }

    /// Whether the worker runs task `seq`.
    pub(super) fn runs(&self, seq: u64) -> bool {
        seq >= self.done && seq < self.head && self.lane.slot(seq).state() == SlotState::Running
    }

    /// Whether the worker notes when it starts task `seq`.
    pub(super) fn is_noted(&self, seq: u64) -> bool {
        let entry = seq
            .checked_sub(self.tail)
            .and_then(|at| self.entries.get(at as usize));
        entry.is_some_and(|entry| {
            let is_one = |job: &Claimed| !job.is_chunk() && job.options().timeout.is_some();
            let timed = entry.job.as_ref().is_some_and(is_one);
            timed || entry.stamp.is_some() && !entry.job.as_ref().is_some_and(Claimed::is_chunk)
        })
    }

    /// Whether task `seq` is a sample.
    pub(super) fn is_sample(&self, seq: u64) -> bool {
        let at = seq.checked_sub(self.tail);
        at.and_then(|at| self.entries.get(at as usize))
            .is_some_and(|entry| entry.stamp.is_some())
    }

    /// The task that the worker runs, in words.
    pub(super) fn running(&self) -> Option<String> {
        let job = self.job(self.done).filter(|_| self.runs(self.done))?;
        Some(format!("{} (worker process {})", job.info().name, self.pid))
    }

    /// Whether the worker, which has started task `seq`, is not done with it, whatever else it
    /// has written to the slot.
    pub(super) fn is_at(&self, seq: u64) -> bool {
        seq >= self.done && seq < self.head && self.lane.slot(seq).state() != SlotState::Done
    }

    /// The job of task `seq`, while somebody waits for it.
    pub(super) fn job(&self, seq: u64) -> Option<&Claimed> {
        let at = seq.checked_sub(self.tail)?;
        self.entries.get(at as usize)?.job.as_ref()
    }

    /// The number of the task that this job is, if it is in this lane.
    #[inline]
    pub(super) fn seq_of(&self, job: &Job, place: Place) -> Option<u64> {
        let at = place.slot().wrapping_sub(self.tail as usize) % SLOTS;
        let entry = self.entries.get(at)?;
        let placed = entry.job.as_ref()?;
        placed.is(job).then_some(self.tail + at as u64)
    }

    /// Asks for a word to the supervisor when task `seq` is done; `false`: it is done already.
    pub(super) fn tell_supervisor(&self, seq: u64) -> bool {
        !self.lane.slot(seq).ask(TELL_SUPERVISOR).is_settled()
    }

    /// Whether the worker has been at the same task for a while.
    #[inline]
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck && self.seen.0 == self.done && self.ahead() > 0
    }

    /// A look of the supervisor: notes progress, and says whether there was none for a while.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        if self.seen.0 != self.done || self.ahead() == 0 {
            self.seen = (self.done, now);
        }
        self.note_task(now);
        self.stuck = now.saturating_duration_since(self.seen.1) >= STUCK_AFTER;
        self.corrupt |= self.stuck && self.is_garbled_behind();
        self.stuck
    }

    /// Ends every job without a result: the pool is killed.
    pub(super) fn abandon_all(
        &mut self,
        error: impl Fn(&'static str) -> TaskError,
        after: &mut After,
    ) {
        self.cut_chunk();
        for seq in self.tail..self.head {
            // Its worker lives until the supervisor has killed it.
            self.lane.slot(seq).skip();
            if let Some(job) = self.entry(seq).job.take() {
                let error = error(job.info().name);
                after.watched.extend(fail(&self.metrics, job, error));
            }
        }
        self.wake_joiners(after);
    }
}

/// What [`WorkerQueue::stop_job`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It had an outcome.
    Over,
    /// It is running, which the caller leaves alone.
    NotTried,
    /// It was waiting, and never runs.
    NeverRan,
    /// It was running and has been asked to stop.
    Running,
}
