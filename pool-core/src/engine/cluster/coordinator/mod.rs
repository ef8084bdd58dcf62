//! What the submitter knows of its tasks, and what it decides: without I/O, and without a clock.
//!
//! The README of this folder has the states. Whoever has the lock of the coordinator calls its methods with
//! what has happened; what is to be said to others goes to [`Coordinator::says`], what is to be done when
//! the lock is given up to [`After`].

mod agents;
mod clock;
mod ends;
mod entries;
mod floor;
mod looks;
mod outcomes;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::bytes::Bytes;

pub(super) use self::outcomes::stays;

use self::agents::Agents;
use super::wire::{self, Order, Part, Run, Verdict};
use crate::engine::timers::Timers;
use crate::engine::{Bounds, Config, SHUT_DOWN};
use crate::error::task_error::TaskError;
use crate::job::cell::{Claimed, Effects, Job, Watched};
use crate::metrics::recorder::Metrics;
use crate::metrics::stats::{Part as Timed, Stats};

/// How many jobs are published and not over. The others wait here, where a cancel costs nothing.
const MAX_OUT: usize = 10_000;

/// The same in bytes of arguments.
const MAX_OUT_BYTES: usize = 256 << 20;

/// How many publishes wait for the server's word.
const MAX_UNACKED: usize = 1_024;

/// How long the server may take for it.
const ACK_TIME: Duration = Duration::from_secs(2);

/// How long nothing is published after the server has refused something.
const REFUSED_TIME: Duration = Duration::from_millis(250);

/// From how many entries on their room is given back when they are over.
const SHRINK_FROM: usize = 4_096;

/// If the clock was not read for `STALL`, the process was suspended: messages that have arrived are
/// handled for `HEARING_TIME` before any peer is judged.
const STALL: Duration = Duration::from_secs(2);
const HEARING_TIME: Duration = Duration::from_millis(100);

/// For how long it is remembered that the message of a job that is over may still come.
const ORPHAN_TIME: Duration = Duration::from_secs(60);

/// How long after its deadline the submitter itself ends a task, whose agent should have.
const DEADLINE_SLACK: Duration = Duration::from_secs(1);

/// To be done when the lock of the coordinator was given up.
#[derive(Default)]
pub(super) struct After {
    /// Handles to be woken: runs wakers and callbacks.
    pub(super) watched: Vec<Watched>,
    /// Jobs that were resolved early: who watches them is to be woken.
    pub(super) abandoned: Vec<Job>,
    /// There is something to be said, or to be waited for.
    pub(super) wake: bool,
    /// The queue has become shorter.
    pub(super) room: bool,
}

impl After {
    /// Runs foreign code.
    pub(super) fn wake_watchers(self, effects: &Effects) {
        for job in self.abandoned {
            job.head().waiters.wake_all();
        }
        for watched in self.watched {
            watched.end(effects);
        }
    }
}

/// What is to be said to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Say {
    /// To an agent: nobody wants this any more; what runs is stopped, or only what has not started.
    Stop {
        agent: Arc<str>,
        part: Part,
        running: bool,
    },
    /// To the server: this message is not needed any more.
    Delete(u64),
    /// To the server: none of ours is, or none before this number.
    Purge { before: Option<u64> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be published.
    Waiting,
    /// Published.
    Queued { at: Instant },
    /// An agent has leave to run it.
    Granted { agent: usize, at: Instant },
    /// It has failed, and is published again later.
    Backoff { at: Instant },
}

struct Entry {
    part: Part,
    job: Claimed,
    state: State,
    /// The message of the run, where the server has told its number.
    seq: Option<u64>,
    bytes: usize,
    /// When it was submitted, then when it was given leave; of a sample of the tasks.
    timed: Option<Instant>,
    /// Nobody waits for it any more.
    is_unwanted: bool,
    /// Nobody waits for those of its tasks that have not started.
    is_cut: bool,
}

/// What happens by the clock, to the job with this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// It has not started in time.
    Expired(u64),
    /// It has run for too long since it was given away then, and its agent says nothing of it.
    Overdue(Run, Instant),
    /// It runs again.
    Again(Run),
}

/// Whether the coordinator takes jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    Draining,
    Killed,
    Broken(String),
}

#[derive(Debug, Default)]
struct Counts {
    finished: u64,
    retried: u64,
    timed_out: u64,
    /// Entries in *Waiting* or *Queued*, and their bytes.
    queued: usize,
    queued_bytes: usize,
    /// In *Queued*.
    published: usize,
    granted: usize,
    peak: (usize, usize),
    /// Published and not over, and their bytes.
    out: usize,
    out_bytes: usize,
}

pub(super) struct Coordinator {
    /// By the lower half of a job's number; the upper half is which one it is in this place.
    entries: Vec<(u32, Option<Entry>)>,
    free: Vec<u32>,
    /// Where the parts of chunks are that are not the whole.
    parts: HashMap<Part, u32>,
    /// In the order in which they are to be published; some are over.
    waiting: VecDeque<Run>,
    /// When those were published whose acknowledgement is not there.
    unacked: BTreeMap<Run, Instant>,
    /// Those of them that are over: their messages are to be deleted when their numbers are known.
    orphans: HashMap<Run, Instant>,
    /// Nothing is published before.
    hold_until: Option<Instant>,
    timers: Timers<Due>,
    agents: Agents,
    counts: Counts,
    pub(super) bounds: Bounds,
    /// How many submitters have been promised room.
    pub(super) reserved: usize,
    grace: Duration,
    max_inline: usize,
    phase: Phase,
    /// Nothing starts any more, a next run neither.
    is_cancelling: bool,
    is_connected: bool,
    /// How often in a row there was less in the queue than there should be.
    short_looks: u32,
    /// There may be messages in the queue that nobody will ever take out of it, and how often in a row
    /// there were too many.
    is_unsure: bool,
    long_looks: u32,
    /// The number of the last message of ours that the server has told.
    last_seq: u64,
    /// When the clock was last looked at.
    ticked: Instant,
    /// How many entries nobody waits for any more.
    unwanted: usize,
    /// The turn that places begin with.
    first_turn: u32,
    metrics: Arc<Metrics>,
    pub(super) says: Vec<Say>,
}

/// What a cancel came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cancelled {
    No,
    Yes,
}

impl Coordinator {
    pub(super) fn new(
        config: &Config,
        no_worker_timeout: Option<Duration>,
        abi: &str,
        metrics: Arc<Metrics>,
        now: Instant,
    ) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            parts: HashMap::new(),
            waiting: VecDeque::new(),
            unacked: BTreeMap::new(),
            orphans: HashMap::new(),
            hold_until: None,
            timers: Timers::new(),
            agents: Agents::new(abi, no_worker_timeout, now),
            counts: Counts::default(),
            bounds: config.bounds(),
            reserved: 0,
            grace: config.grace,
            max_inline: wire::MAX_INLINE,
            phase: Phase::Open,
            is_cancelling: false,
            is_connected: true,
            short_looks: 0,
            is_unsure: false,
            long_looks: 0,
            last_seq: 0,
            ticked: now,
            unwanted: 0,
            first_turn: 0,
            metrics,
            says: Vec::new(),
        }
    }

    /// What fits into a message of the server.
    pub(super) fn set_max_payload(&mut self, max_payload: usize) {
        self.max_inline = wire::MAX_INLINE.min(max_payload / 2);
    }

    // ---- in ----

    /// How many tasks wait or have been promised room, and how many bytes of arguments.
    pub(super) fn waiting_now(&self) -> (usize, usize) {
        let waiting = self.counts.queued + self.reserved;
        (waiting, self.counts.queued_bytes)
    }

    /// Whether no task is to be taken now.
    fn is_full(&self) -> bool {
        let (tasks, bytes) = self.waiting_now();
        self.bounds.are_reached(tasks, bytes)
    }

    /// Promises room to a submitter, if there is any. One that would be refused needs none.
    pub(super) fn reserve(&mut self) -> bool {
        let full = self.phase == Phase::Open && self.is_full();
        self.reserved += usize::from(!full);
        !full
    }

    /// Takes a job, or rejects it; it comes back where there is no room.
    pub(super) fn submit(
        &mut self,
        job: Claimed,
        reserved: bool,
        start_by: Option<Instant>,
        timed: Option<Instant>,
        after: &mut After,
    ) -> Result<(), Claimed> {
        if self.phase == Phase::Open && !reserved && self.is_full() {
            return Err(job);
        }
        self.reserved -= usize::from(reserved);
        let why = match &self.phase {
            Phase::Open => None,
            Phase::Broken(why) => Some(why.as_str()),
            Phase::Draining | Phase::Killed => Some(SHUT_DOWN),
        };
        if let Some(why) = why {
            let error = TaskError::rejected(job.info().name, why);
            self.fail(job, error, after);
            return Ok(());
        }
        let run = self.add(job, State::Waiting, None);
        if let Some(entry) = self.entry_mut(run.job as u32) {
            entry.timed = timed.filter(|_| !entry.job.is_chunk());
        }
        self.waiting.push_back(run);
        if self.waiting.len() > 2 * self.counts.queued + SHRINK_FROM {
            self.forget_over();
        }
        if let Some(at) = start_by {
            self.at(at, Due::Expired(run.job));
        }
        after.wake = true;
        Ok(())
    }

    /// Forgets what was to be published and is over.
    fn forget_over(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|run| {
            let entry = self.find(run.whole()).and_then(|index| self.entry(index));
            entry.is_some_and(|entry| entry.state == State::Waiting)
        });
        self.waiting = waiting;
    }

    fn at(&mut self, at: Instant, due: Due) {
        let entries = &self.entries;
        let is_wanted = |due: &Due| {
            let job = match *due {
                Due::Expired(job) => job,
                Due::Overdue(run, _) | Due::Again(run) => run.job,
            };
            let place = entries.get(job as u32 as usize);
            place.is_some_and(|(turn, _)| *turn == (job >> 32) as u32)
        };
        // Numbers only: nothing foreign is dropped.
        drop(self.timers.add(at, due, is_wanted));
    }

    // ---- out ----

    /// The next message to be published.
    pub(super) fn next_order(&mut self, now: Instant) -> Option<(Run, Bytes)> {
        if !self.is_connected
            || self.hold_until.is_some_and(|at| at > now)
            || self.unacked.len() >= MAX_UNACKED
            || self.counts.out >= MAX_OUT
            || self.counts.out_bytes >= MAX_OUT_BYTES
        {
            return None;
        }
        loop {
            let run = self.waiting.pop_front()?;
            let Some(index) = self.find(run.whole()) else {
                continue;
            };
            let entry = self.entry(index)?;
            if entry.state != State::Waiting {
                continue;
            }
            let message = self.order(entry);
            self.set_state(index, State::Queued { at: now });
            self.unacked.insert(run, now);
            return Some((run, message));
        }
    }

    fn order(&self, entry: &Entry) -> Bytes {
        let options = entry.job.options();
        let args = entry.job.args();
        let stays = (args.len() > self.max_inline).then_some(args.len() as u64);
        let order = Order {
            run: entry.part.run,
            task: entry.job.info().id.0,
            attempt: options.attempt(),
            chunk: options.chunk,
            is_seeded: options.seed.is_some(),
            timeout: options.timeout,
            stays,
        };
        match stays {
            None => wire::encode(&order, &[args]),
            Some(_) => wire::encode(&order, &[]),
        }
    }

    /// A piece of the arguments of a run that was given away.
    pub(super) fn piece(&self, fetch: &wire::Fetch) -> Option<Bytes> {
        let entry = self.entry(self.find(fetch.part)?)?;
        let State::Granted { .. } = entry.state else {
            return None;
        };
        piece_of(entry.job.args(), fetch).map(Bytes::copy_from_slice)
    }

    /// The server has a message.
    pub(super) fn acked(&mut self, run: Run, seq: u64) {
        self.unacked.remove(&run);
        self.last_seq = seq;
        let place = self.find(run.whole());
        if let Some(entry) = place.and_then(|index| self.entry_mut(index)) {
            entry.seq = Some(seq);
        } else if self.orphans.remove(&run).is_some() {
            self.says.push(Say::Delete(seq));
        }
    }

    /// The server does not take a message now.
    pub(super) fn refused(&mut self, run: Run, now: Instant) {
        self.unacked.remove(&run);
        self.orphans.remove(&run);
        self.hold_until = Some(now + REFUSED_TIME);
        self.publish_again(run);
    }

    fn publish_again(&mut self, run: Run) {
        if let Some(index) = self.find(run.whole())
            && let Some(Entry {
                state: State::Queued { .. },
                ..
            }) = self.entry(index)
        {
            self.set_state(index, State::Waiting);
            self.waiting.push_front(run);
        }
    }

    // ---- what agents ask ----

    /// Whether an agent may start a run.
    pub(super) fn ask(
        &mut self,
        agent: &str,
        run: Run,
        now: Instant,
        after: &mut After,
    ) -> Verdict {
        let agent = self.agents.heard(agent, now);
        let Some(index) = self.find(run.whole()) else {
            return Verdict::Drop;
        };
        let Some(entry) = self.entry(index) else {
            return Verdict::Drop;
        };
        match entry.state {
            State::Backoff { .. } => Verdict::Drop,
            State::Granted { agent: other, .. } if other == agent => match entry.is_unwanted {
                true => Verdict::Drop,
                false => Verdict::Go,
            },
            State::Granted { .. } => Verdict::Elsewhere,
            State::Waiting | State::Queued { .. } => {
                let timeout = entry.job.options().timeout;
                self.set_state(index, State::Granted { agent, at: now });
                after.room = true;
                if let Some(Entry {
                    timed: Some(at), ..
                }) = self.entry_mut(index)
                {
                    let waited = now.saturating_duration_since(std::mem::replace(at, now));
                    self.metrics.took(Timed::Wait, 1, waited);
                }
                // Large arguments are fetched first, for who knows how long.
                let is_small = self
                    .entry(index)
                    .is_some_and(|entry| entry.bytes <= self.max_inline);
                if let Some(timeout) = timeout.filter(|_| is_small) {
                    // As long as one likes.
                    let limit = timeout
                        .saturating_add(self.grace)
                        .saturating_add(DEADLINE_SLACK);
                    if let Some(at) = now.checked_add(limit) {
                        self.at(at, Due::Overdue(run, now));
                    }
                }
                Verdict::Go
            }
        }
    }

    /// An agent has not started a run that it was given, and will not.
    pub(super) fn back(&mut self, agent: &str, run: Run, now: Instant, after: &mut After) {
        let agent = self.agents.heard(agent, now);
        let Some(index) = self.find(run.whole()) else {
            return;
        };
        let Some(entry) = self.entry(index) else {
            return;
        };
        match entry.state {
            State::Granted { agent: owner, .. } if owner == agent => {}
            _ => return,
        }
        let name = entry.job.info().name;
        if entry.is_unwanted {
            // It has its outcome.
            self.remove(index, after);
        } else if self.is_cancelling {
            self.give_up(index, TaskError::cancelled(name), after);
        } else {
            self.set_state(index, State::Queued { at: now });
        }
        after.wake = true;
    }

    // ---- numbers ----

    pub(super) fn is_running(&self, job: &Job) -> bool {
        let entry = self.find_job(job).and_then(|index| self.entry(index));
        entry.is_some_and(|entry| matches!(entry.state, State::Granted { .. }))
    }

    /// The names of the tasks that agents have.
    pub(super) fn running(&self) -> Vec<String> {
        let entries = self.entries.iter().filter_map(|(_, entry)| entry.as_ref());
        let running = entries.filter(|entry| matches!(entry.state, State::Granted { .. }));
        running
            .map(|entry| format!("`{}`", entry.job.info().name))
            .collect()
    }

    /// When the first of the tasks that wait for another run comes, and how many they are.
    pub(super) fn retries(&self) -> (usize, Option<Instant>) {
        let entries = self.entries.iter().filter_map(|(_, entry)| entry.as_ref());
        entries.fold((0, None), |(count, first), entry| match entry.state {
            State::Backoff { at } => (
                count + 1,
                Some(first.map_or(at, |first: Instant| first.min(at))),
            ),
            _ => (count, first),
        })
    }

    pub(super) fn stats(&self) -> Stats {
        let overdue = self.unwanted;
        let stats = self.metrics.stats();
        Stats {
            workers: self.agents.seats(),
            queued: self.counts.queued,
            running: self.counts.granted.saturating_sub(overdue),
            overdue,
            finished: self.counts.finished,
            queue_peak: self.counts.peak.0,
            queue_bytes: self.counts.queued_bytes,
            queue_bytes_peak: self.counts.peak.1,
            workers_started: self.agents.seen(),
            workers_lost: self.agents.lost_count(),
            retried: self.counts.retried,
            timed_out: self.counts.timed_out,
            ..stats
        }
    }
}

/// The piece of a value that somebody asks for; `None` where it has no such piece.
pub(super) fn piece_of<'a>(value: &'a [u8], fetch: &wire::Fetch) -> Option<&'a [u8]> {
    let begin = usize::try_from(fetch.offset).ok()?;
    let len = (fetch.len as usize).min(wire::PIECE);
    let end = begin.checked_add(len)?.min(value.len());
    value.get(begin..end).filter(|piece| !piece.is_empty())
}
