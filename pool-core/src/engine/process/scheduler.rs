//! All lanes, the backlog and the deadlines: the parent's state, behind one lock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::after::After;
use super::backlog::Backlog;
use super::count::fail;
use super::describe::Seen;
use super::dispatch;
use super::life::Rules;
use super::place::Place;
use super::pressure::Queue;
use super::trim::KEEP_BYTES;
use super::worker_queue::{Stopped, WorkerQueue};
use crate::codec::args::Args;
use crate::engine::timers::Timers;
use crate::engine::{Config, SHUT_DOWN};
use crate::error::task_error::{Abandon, TaskError, TaskErrorKind};
use crate::job::cell::{Claimed, Job};
use crate::metrics::recorder::Metrics;
use crate::metrics::stats::Mean;

/// After how many submits into a backlog the submitter makes a turn.
const SUBMITS_PER_TURN: u32 = 16;

/// How often a turn looks again, since a worker went to sleep before it could be asked to say so.
const LOOKS_PER_TURN: usize = 4;

/// What the pool does with jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Takes no more, does what it has.
    Draining,
    /// The same, but what has not started is cancelled.
    Cancelling,
    /// Takes no more, has ended what it had; why.
    Ended(String),
}

/// What [`Scheduler::cancel`] did.
pub(super) enum Cancelled {
    No,
    Yes { watched: bool },
}

/// What has happened so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) started: u64,
    pub(super) lost: u64,
    pub(super) retried: u64,
    pub(super) timed_out: u64,
}

pub(super) struct Scheduler {
    pub(super) metrics: Arc<Metrics>,
    /// Tasks that came to a result on workers that have ended, and how long those of chunks took.
    pub(super) before: (u64, Mean),
    /// What the supervisor said last.
    pub(super) worker_lifecycle: Seen,
    /// By worker; `None` while no worker serves there.
    pub(super) worker_queues: Vec<Option<WorkerQueue>>,
    pub(super) generations: u64,
    pub(super) backlog: Backlog,
    pub(super) phase: Phase,
    /// The lane used last.
    last: usize,
    submits: u32,
    /// Jobs that failed and wait for another run.
    pub(super) retries: Timers<Claimed>,
    /// Jobs that are to be started in time.
    pub(super) start_by: Timers<Job>,
    pub(super) grace: Duration,
    pub(super) counts: Counts,
    /// Until when the supervisor sleeps, unless poked; `None`: for ever.
    pub(super) sleeps_until: Option<Instant>,
    /// Whether the supervisor looks every tick, or has been poked to.
    pub(super) ticking: bool,
    /// How many jobs are being copied into a lane.
    pub(super) filling: usize,
    /// Whether the supervisor checks for memory to give back.
    pub(super) trims: bool,
    pub(super) rules: Rules,
    pub(super) queue: Queue,
    /// How many workers there are to be.
    pub(super) target: usize,
    /// How many threads sleep that look for themselves when they are awake.
    pub(super) sleepers: usize,
}

impl Scheduler {
    pub(super) fn new(config: &Config, metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            before: (0, Mean::default()),
            worker_lifecycle: Seen::default(),
            rules: Rules::new(config),
            queue: Queue::new(config),
            target: config.workers,
            worker_queues: (0..config.workers).map(|_| None).collect(),
            generations: 0,
            backlog: Backlog::default(),
            phase: Phase::Open,
            last: 0,
            submits: 0,
            retries: Timers::new(),
            start_by: Timers::new(),
            grace: config.grace,
            counts: Counts::default(),
            sleeps_until: None,
            ticking: false,
            filling: 0,
            trims: false,
            sleepers: 0,
        }
    }

    // ---- jobs ----

    /// Takes a job, with or without a reserved place in the queue; returns it if the queue is full.
    pub(super) fn submit(
        &mut self,
        job: Claimed,
        reserved: bool,
        after: &mut After,
    ) -> Result<(), Claimed> {
        self.queue.reserved -= usize::from(reserved);
        // It may go right to a worker: then there is room for another one.
        after.room |= reserved;
        match &self.phase {
            Phase::Open => {}
            Phase::Draining | Phase::Cancelling => {
                reject(job, SHUT_DOWN, &self.metrics, after);
                return Ok(());
            }
            Phase::Ended(why) => {
                reject(job, why, &self.metrics, after);
                return Ok(());
            }
        }
        if !reserved && self.queue.may_be_full(&self.backlog) && self.is_full(after) {
            return Err(job);
        }
        // Its time to start may have passed while its submitter waited for room.
        if job.head().is_resolved() {
            cancel(job, &self.metrics, after);
        } else {
            self.enter(job, after);
        }
        Ok(())
    }

    fn enter(&mut self, mut job: Claimed, after: &mut After) {
        if self.backlog.is_empty() {
            match self.give(job, after) {
                Ok(()) => return self.watch_lane(self.last, after),
                Err(back) => job = back,
            }
            // Finished tasks may be in the way.
            if self.collect(after) {
                match self.give(job, after) {
                    Ok(()) => return self.watch_lane(self.last, after),
                    Err(back) => job = back,
                }
            }
        }
        self.backlog.push_back(job);
        self.note_peak();
        self.submits += 1;
        if self.submits >= SUBMITS_PER_TURN {
            self.submits = 0;
            self.turn(after);
        }
        self.watch_the_queue(after);
    }

    /// Gives a job to the best lane that has room.
    fn give(&mut self, job: Claimed, after: &mut After) -> Result<(), Claimed> {
        let chosen = dispatch::choose(self.worker_queues.len(), self.last, |i| {
            self.worker_queues[i].as_ref().map(WorkerQueue::load)
        });
        let Some(index) = chosen else {
            return Err(job);
        };
        self.last = index;
        self.give_to(index, job, after)
    }

    pub(super) fn give_to(
        &mut self,
        index: usize,
        job: Claimed,
        after: &mut After,
    ) -> Result<(), Claimed> {
        self.put(index, job, after)?;
        self.announce(index, after);
        Ok(())
    }

    fn announce(&mut self, index: usize, after: &mut After) {
        if let Some(worker_queue) = &mut self.worker_queues[index] {
            worker_queue.announce(after);
        }
    }

    /// Puts a job into a lane; the caller announces it.
    fn put(&mut self, index: usize, job: Claimed, after: &mut After) -> Result<(), Claimed> {
        let Some(worker_queue) = &mut self.worker_queues[index] else {
            return Err(job);
        };
        let before = worker_queue.ahead();
        let timeout = job.options().timeout;
        let fills = after.fills.len();
        worker_queue.put(job, after)?;
        self.filling += after.fills.len() - fills;
        if !self.trims && worker_queue.arena.touched() > KEEP_BYTES {
            self.trims = true;
            after.poke = true;
        }
        // Not taken where it could never be sent.
        if let Some(timeout) = timeout.filter(|_| worker_queue.ahead() > before) {
            self.set_deadline(index, timeout, after);
        }
        Ok(())
    }

    /// Jobs that were given out and did not start go in front of all others.
    pub(super) fn put_back(&mut self, jobs: Vec<Claimed>, after: &mut After) {
        for job in jobs.into_iter().rev() {
            match &self.phase {
                Phase::Ended(why) => reject(job, why, &self.metrics, after),
                Phase::Cancelling => cancel(job, &self.metrics, after),
                Phase::Open | Phase::Draining => self.backlog.push_front(job),
            }
        }
    }

    /// The arguments of a job are copied into its lane, and come back to be dropped; or the lane is
    /// gone, and they are in the job again. Without the job: it has failed, since they could not be
    /// written.
    pub(super) fn filled(
        &mut self,
        index: usize,
        generation: u64,
        seq: u64,
        job: Option<Claimed>,
        args: Args,
        after: &mut After,
    ) -> Option<Args> {
        self.filling -= 1;
        let job = match (job, &self.phase) {
            (Some(job), Phase::Cancelling) => {
                cancel(job, &self.metrics, after);
                None
            }
            (job, _) => job,
        };
        let unused = match (self.worker_queue(index, generation), job) {
            (Some(worker_queue), Some(mut job)) if worker_queue.life.condemned => {
                // The worker passes over it, or is dead before.
                worker_queue.filled(seq, None, after);
                job.put_args(args);
                self.put_back(vec![job], after);
                None
            }
            (Some(worker_queue), job) => {
                let timeout = job.as_ref().and_then(|job| job.options().timeout);
                worker_queue.filled(seq, job, after);
                // A look at the deadlines that came meanwhile has not seen it.
                if let Some(timeout) = timeout {
                    self.set_deadline(index, timeout, after);
                }
                Some(args)
            }
            (None, Some(mut job)) => {
                job.put_args(args);
                self.put_back(vec![job], after);
                self.turn(after);
                None
            }
            (None, None) => Some(args),
        };
        self.watch_the_queue(after);
        unused
    }

    /// One look at everything: collects, refills, balances.
    pub(super) fn turn(&mut self, after: &mut After) {
        for _ in 0..LOOKS_PER_TURN {
            self.collect(after);
            if !self.backlog.is_empty() {
                self.refill(after);
            }
            self.balance(after);
            if !self.want_dry() {
                return;
            }
        }
        // Not here: a worker may go on like this for ever.
        after.poke = true;
    }

    /// A turn for one who waits for a job in this lane, which is done: where nothing waits anywhere
    /// there is nothing else to do, however many lanes there are.
    #[inline]
    pub(super) fn turn_at(&mut self, index: usize, generation: u64, after: &mut After) {
        if self.ticking || !self.backlog.is_empty() || self.is_draining() {
            return self.turn(after);
        }
        let Some(worker_queue) = self.worker_queue(index, generation) else {
            return self.turn(after);
        };
        worker_queue.collect(after);
        if worker_queue.corrupt || !after.again.is_empty() || !after.retry.is_empty() {
            self.turn(after);
        }
    }

    /// Collects finished tasks; returns whether there were any.
    pub(super) fn collect(&mut self, after: &mut After) -> bool {
        let mut any = false;
        let starved = !self.backlog.is_empty();
        for worker_queue in self.worker_queues.iter_mut().flatten() {
            if worker_queue.ahead() == 0 {
                continue;
            }
            let collected = worker_queue.collect(after) > 0;
            any |= collected;
            if worker_queue.corrupt {
                // The supervisor kills it.
                after.poke = true;
            }
            if starved && collected && worker_queue.ahead() == 0 {
                worker_queue.depth = dispatch::deeper(worker_queue.depth);
            }
        }
        self.take_again(after);
        if self.rules.has_initializer() {
            self.take_initialized(after);
        }
        any
    }

    /// Takes what was cancelled out of the backlog, if there may be something.
    pub(super) fn sweep(&mut self, after: &mut After) {
        if std::mem::take(&mut self.queue.stale) > 0 {
            for job in self.backlog.take_unwanted() {
                cancel(job, &self.metrics, after);
            }
        }
    }

    pub(super) fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// Takes in what runs again; parts of chunks go in front of all others.
    pub(super) fn take_again(&mut self, after: &mut After) {
        if !after.again.is_empty() {
            let again = std::mem::take(&mut after.again);
            self.put_back(again, after);
        }
        for (job, again) in std::mem::take(&mut after.retry) {
            self.run_again(job, again, after);
        }
    }

    fn refill(&mut self, after: &mut After) {
        let total = self.backlog.len()
            + self
                .worker_queues
                .iter()
                .flatten()
                .map(WorkerQueue::ahead)
                .sum::<usize>();
        let lanes = self.worker_queues.iter().flatten().count();
        let share = dispatch::fair_share(total, lanes);
        for index in 0..self.worker_queues.len() {
            if self.refill_lane(index, share, after) {
                self.announce(index, after);
            }
        }
    }

    /// Puts jobs of the backlog into a lane; says whether there were any.
    fn refill_lane(&mut self, index: usize, share: usize, after: &mut After) -> bool {
        let mut any = false;
        while let Some(worker_queue) = &self.worker_queues[index] {
            let load = worker_queue.load();
            if load.ahead >= load.depth.min(share) || worker_queue.is_stuck() {
                break;
            }
            let Some(job) = self.backlog.pop_front() else {
                break;
            };
            // Cancelled while it waited.
            if job.head().is_resolved() {
                cancel(job, &self.metrics, after);
                continue;
            }
            if let Err(job) = self.put(index, job, after) {
                self.backlog.push_front(job);
                break;
            }
            any = true;
        }
        after.room |= any;
        any
    }

    /// An idle lane gets the newest waiting task of the one with the longest queue.
    fn balance(&mut self, after: &mut After) {
        loop {
            let ahead =
                |worker_queue: &Option<WorkerQueue>| worker_queue.as_ref().map(WorkerQueue::ahead);
            let Some(idle) = self
                .worker_queues
                .iter()
                .position(|worker_queue| worker_queue.as_ref().is_some_and(WorkerQueue::is_hungry))
            else {
                return;
            };
            let Some((most, rich)) = (0..self.worker_queues.len())
                .filter_map(|i| Some((ahead(&self.worker_queues[i])?, i)))
                .max()
            else {
                return;
            };
            if most < 2 {
                return;
            }
            let job = self.worker_queues[rich]
                .as_mut()
                .and_then(|worker_queue| worker_queue.take_back(after));
            let Some(job) = job else {
                return;
            };
            if let Err(job) = self.give_to(idle, job, after) {
                self.backlog.push_front(job);
                return;
            }
        }
    }

    /// Whether there is something that a look now and then could move.
    pub(super) fn is_restless(&self) -> bool {
        let watched = self.rules.memory_limit.is_some();
        let restless = |worker_queue: &WorkerQueue| {
            worker_queue.is_restless() || watched && worker_queue.ahead() > 0
        };
        !self.backlog.is_empty() || self.worker_queues.iter().flatten().any(restless)
    }

    /// Has the workers say when they run out of tasks, if that matters now. `true`: one has gone
    /// to sleep before it could be asked, so another look is due.
    fn want_dry(&self) -> bool {
        let wanted = self.is_restless() || self.is_draining();
        let mut missed = false;
        for worker_queue in self.worker_queues.iter().flatten() {
            missed |= worker_queue.lane.header().want_dry(wanted) && worker_queue.ahead() > 0;
        }
        missed
    }

    /// The same where nothing but this lane has changed: no look at all the others.
    #[inline]
    fn watch_lane(&mut self, index: usize, after: &mut After) {
        let watched = self.rules.memory_limit.is_some();
        let restless = |worker_queue: &WorkerQueue| worker_queue.is_restless() || watched;
        let Some(worker_queue) = &self.worker_queues[index] else {
            return;
        };
        let waits = worker_queue.ahead() > 1;
        if !self.ticking && restless(worker_queue) {
            self.ticking = true;
            after.poke = true;
        }
        if waits {
            self.note_peak();
        }
    }

    /// What was left waiting is looked after by the supervisor.
    fn watch_the_queue(&mut self, after: &mut After) {
        if !self.ticking && self.is_restless() {
            self.ticking = true;
            after.poke = true;
        }
    }

    pub(super) fn worker_queue(
        &mut self,
        index: usize,
        generation: u64,
    ) -> Option<&mut WorkerQueue> {
        self.worker_queues
            .get_mut(index)?
            .as_mut()
            .filter(|worker_queue| worker_queue.generation == generation)
    }

    /// The lane and number of a job that is in a lane.
    pub(super) fn find(&self, job: &Job) -> Option<(&WorkerQueue, u64)> {
        let place = Place::of(job);
        let worker_queue = self.worker_queues.get(place.index())?.as_ref()?;
        let seq = worker_queue.seq_of(job, place)?;
        Some((worker_queue, seq))
    }

    /// Somebody waits for the job without driving: its end must be noticed.
    pub(super) fn watch(&mut self, job: &Job, after: &mut After) {
        self.turn(after);
        if let Some((worker_queue, seq)) = self.find(job)
            && !worker_queue.tell_supervisor(seq)
        {
            self.turn(after);
        }
        self.watch_the_queue(after);
    }

    /// Somebody who looks for itself goes to sleep, or is awake again.
    pub(super) fn sleeps(&mut self, sleeps: bool, after: &mut After) {
        match sleeps {
            true => self.sleepers += 1,
            false => self.sleepers -= 1,
        }
        let mut all = true;
        for worker_queue in self.worker_queues.iter_mut().flatten() {
            worker_queue.has_sleepers = self.sleepers > 0;
            all &= !sleeps || worker_queue.alert();
        }
        if !all {
            self.turn(after);
        }
        if sleeps {
            self.watch_the_queue(after);
        }
    }

    pub(super) fn is_running(&self, job: &Job) -> bool {
        self.find(job)
            .is_some_and(|(worker_queue, seq)| worker_queue.runs(seq))
    }

    /// Resolves the handle, if it has no outcome; with `running`, also of a job that a worker
    /// runs, which is then told to stop. Who waits is woken by the caller, without the lock.
    pub(super) fn cancel(&mut self, job: &Job, running: bool, after: &mut After) -> Cancelled {
        if let Some((worker_queue, seq)) = self.find(job) {
            let error = TaskError::cancelled(job.name());
            let (index, generation) = (worker_queue.index, worker_queue.generation);
            if self.stop_job(index, generation, seq, error, running, after) {
                // Who waits is in `after`.
                return Cancelled::Yes { watched: false };
            }
            if self.find(job).is_some() {
                return Cancelled::No;
            }
            // Its run ended this moment; perhaps it waits for another one.
        }
        // It has run: an agent that took this for a cancel in the queue would have it run again.
        if !running && self.is_being_fetched(job) {
            return Cancelled::No;
        }
        // In the backlog, or on its way into or out of a lane.
        match job.head().state.abandon(Abandon::Cancelled) {
            None => Cancelled::No,
            Some(watched) => {
                if !job.is_many() {
                    self.metrics.failed(TaskErrorKind::Cancelled, 1);
                }
                self.queue.stale += 1;
                after.room = true;
                // It may be the last one, which waits for another run.
                after.poke |= self.is_draining();
                Cancelled::Yes { watched }
            }
        }
    }

    /// Resolves the handle of a job in a lane and stops it; `false`: it has an outcome.
    pub(super) fn stop_job(
        &mut self,
        index: usize,
        generation: u64,
        seq: u64,
        error: TaskError,
        running: bool,
        after: &mut After,
    ) -> bool {
        let grace = self.grace;
        let Some(worker_queue) = self.worker_queue(index, generation) else {
            return false;
        };
        match worker_queue.stop_job(seq, error, running, after) {
            Stopped::Over => {
                worker_queue.collect(after);
                worker_queue.give_up(seq, after);
                self.take_again(after);
                false
            }
            Stopped::NotTried => false,
            Stopped::NeverRan => {
                after.room = true;
                true
            }
            Stopped::Running => {
                worker_queue.set_grace(seq, grace);
                if let Some(at) = worker_queue.next_look() {
                    self.supervisor_by(at, after);
                }
                true
            }
        }
    }
}

pub(super) fn cancel(job: Claimed, metrics: &Metrics, after: &mut After) {
    let error = TaskError::cancelled(job.info().name);
    after.watched.extend(fail(metrics, job, error));
}

fn reject(job: Claimed, why: &str, metrics: &Metrics, after: &mut After) {
    let error = TaskError::rejected(job.info().name, why);
    after.watched.extend(fail(metrics, job, error));
}
