//! All lanes, the backlog and the deadlines: the parent's state, behind one lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::after::After;
use super::alarms::Agenda;
use super::book::{Book, Settled, Stopped};
use super::dispatch;
use super::lane::Lane;
use super::place::Place;
use super::{Exit, TICK};
use crate::args::Args;
use crate::backend::SHUT_DOWN;
use crate::cell::{Abandon, Claimed, Job};
use crate::{TaskError, TaskErrorKind};

/// After how many submits into a backlog the submitter makes a turn.
const SUBMITS_PER_TURN: u32 = 16;

/// How much touched memory an idle lane keeps in each direction.
const KEEP_BYTES: u64 = 1 << 20;

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

/// What [`Hub::cancel`] did.
pub(super) enum Cancelled {
    No,
    Yes { watched: bool },
}

/// What has happened so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) retried: u64,
    pub(super) timed_out: u64,
}

pub(super) struct Hub {
    /// By worker; `None` while no worker serves there.
    pub(super) books: Vec<Option<Book>>,
    generations: u64,
    backlog: VecDeque<Claimed>,
    phase: Phase,
    /// The lane used last.
    last: usize,
    submits: u32,
    /// Jobs that failed and wait for another run.
    pub(super) retries: Agenda<Claimed>,
    /// Jobs that are to be started in time.
    pub(super) start_by: Agenda<Job>,
    pub(super) grace: Duration,
    pub(super) counts: Counts,
    /// Until when the supervisor sleeps, unless poked; `None`: for ever.
    pub(super) sleeps_until: Option<Instant>,
    /// Whether the supervisor looks every tick, or has been poked to.
    ticking: bool,
    /// How many jobs are being copied into a lane.
    filling: usize,
}

impl Hub {
    pub(super) fn new(workers: usize, grace: Duration) -> Self {
        Self {
            books: (0..workers).map(|_| None).collect(),
            generations: 0,
            backlog: VecDeque::new(),
            phase: Phase::Open,
            last: 0,
            submits: 0,
            retries: Agenda::new(),
            start_by: Agenda::new(),
            grace,
            counts: Counts::default(),
            sleeps_until: None,
            ticking: false,
            filling: 0,
        }
    }

    // ---- jobs ----

    pub(super) fn submit(&mut self, job: Claimed, after: &mut After) {
        match &self.phase {
            Phase::Open => {}
            Phase::Draining | Phase::Cancelling => return reject(job, SHUT_DOWN, after),
            Phase::Ended(why) => return reject(job, why, after),
        }
        let mut job = job;
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
        self.submits += 1;
        if self.submits >= SUBMITS_PER_TURN {
            self.submits = 0;
            self.turn(after);
        }
        self.watch_the_queue(after);
    }

    /// Gives a job to the best lane that has room.
    fn give(&mut self, job: Claimed, after: &mut After) -> Result<(), Claimed> {
        let chosen = dispatch::choose(self.books.len(), self.last, |i| {
            self.books[i].as_ref().map(Book::load)
        });
        let Some(index) = chosen else {
            return Err(job);
        };
        self.last = index;
        self.give_to(index, job, after)
    }

    fn give_to(&mut self, index: usize, job: Claimed, after: &mut After) -> Result<(), Claimed> {
        self.put(index, job, after)?;
        self.announce(index, after);
        Ok(())
    }

    fn announce(&self, index: usize, after: &mut After) {
        if let Some(book) = &self.books[index] {
            book.announce(after);
        }
    }

    /// Puts a job into a lane; the caller announces it.
    fn put(&mut self, index: usize, job: Claimed, after: &mut After) -> Result<(), Claimed> {
        let Some(book) = &mut self.books[index] else {
            return Err(job);
        };
        let before = book.ahead();
        let timeout = job.options().timeout;
        let fills = after.fills.len();
        book.put(job, after)?;
        self.filling += after.fills.len() - fills;
        // Not taken where it could never be sent.
        if let Some(timeout) = timeout.filter(|_| book.ahead() > before) {
            self.set_deadline(index, timeout, after);
        }
        Ok(())
    }

    /// Jobs that were given out and did not start go in front of all others.
    pub(super) fn put_back(&mut self, jobs: Vec<Claimed>, after: &mut After) {
        for job in jobs.into_iter().rev() {
            match &self.phase {
                Phase::Ended(why) => reject(job, why, after),
                Phase::Cancelling => cancel(job, after),
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
                cancel(job, after);
                None
            }
            (job, _) => job,
        };
        let unused = match (self.book(index, generation), job) {
            (Some(book), job) => {
                book.filled(seq, job, after);
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
        loop {
            self.collect(after);
            if !self.backlog.is_empty() {
                self.refill(after);
            }
            self.balance(after);
            if !self.want_dry() {
                return;
            }
        }
    }

    /// A turn for one who waits for a job in this lane, which is done: where nothing waits anywhere
    /// there is nothing else to do, however many lanes there are.
    #[inline]
    pub(super) fn turn_at(&mut self, index: usize, generation: u64, after: &mut After) {
        if self.ticking || !self.backlog.is_empty() || self.is_draining() {
            return self.turn(after);
        }
        let Some(book) = self.book(index, generation) else {
            return self.turn(after);
        };
        book.collect(after);
        if book.corrupt || !after.again.is_empty() || !after.retry.is_empty() {
            self.turn(after);
        }
    }

    /// Collects what is done; says whether there was anything.
    fn collect(&mut self, after: &mut After) -> bool {
        let mut any = false;
        let starved = !self.backlog.is_empty();
        for book in self.books.iter_mut().flatten() {
            if book.ahead() == 0 {
                continue;
            }
            let collected = book.collect(after) > 0;
            any |= collected;
            if book.corrupt {
                // The supervisor kills it.
                after.poke = true;
            }
            if starved && collected && book.ahead() == 0 {
                book.depth = dispatch::deeper(book.depth);
            }
        }
        self.take_again(after);
        any
    }

    /// Takes in what runs again; parts of chunks go in front of all others.
    fn take_again(&mut self, after: &mut After) {
        if !after.again.is_empty() {
            let again = std::mem::take(&mut after.again);
            self.put_back(again, after);
        }
        for (job, again) in std::mem::take(&mut after.retry) {
            self.run_again(job, again, after);
        }
    }

    fn refill(&mut self, after: &mut After) {
        let total =
            self.backlog.len() + self.books.iter().flatten().map(Book::ahead).sum::<usize>();
        let lanes = self.books.iter().flatten().count();
        let share = dispatch::fair_share(total, lanes);
        for index in 0..self.books.len() {
            if self.refill_lane(index, share, after) {
                self.announce(index, after);
            }
        }
    }

    /// Puts jobs of the backlog into a lane; says whether there were any.
    fn refill_lane(&mut self, index: usize, share: usize, after: &mut After) -> bool {
        let mut any = false;
        while let Some(book) = &self.books[index] {
            let load = book.load();
            if load.ahead >= load.depth.min(share) || book.is_stuck() {
                break;
            }
            let Some(job) = self.backlog.pop_front() else {
                break;
            };
            // Cancelled while it waited.
            if job.head().is_resolved() {
                cancel(job, after);
                continue;
            }
            if let Err(job) = self.put(index, job, after) {
                self.backlog.push_front(job);
                break;
            }
            any = true;
        }
        any
    }

    /// An idle lane gets the newest waiting task of the one with the longest queue.
    fn balance(&mut self, after: &mut After) {
        loop {
            let ahead = |book: &Option<Book>| book.as_ref().map(Book::ahead);
            let Some(idle) = self
                .books
                .iter()
                .position(|book| book.as_ref().is_some_and(Book::is_hungry))
            else {
                return;
            };
            let Some((most, rich)) = (0..self.books.len())
                .filter_map(|i| Some((ahead(&self.books[i])?, i)))
                .max()
            else {
                return;
            };
            if most < 2 {
                return;
            }
            let job = self.books[rich]
                .as_mut()
                .and_then(|book| book.take_back(after));
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
        !self.backlog.is_empty() || self.books.iter().flatten().any(Book::is_restless)
    }

    /// Has the workers say when they run out of tasks, if that matters now. `true`: one has gone
    /// to sleep before it could be asked, so another look is due.
    fn want_dry(&self) -> bool {
        let wanted = self.is_restless() || self.is_draining();
        let mut missed = false;
        for book in self.books.iter().flatten() {
            missed |= book.lane.header().want_dry(wanted) && book.ahead() > 0;
        }
        missed
    }

    /// The same where nothing but this lane has changed: no look at all the others.
    #[inline]
    fn watch_lane(&mut self, index: usize, after: &mut After) {
        if !self.ticking && self.books[index].as_ref().is_some_and(Book::is_restless) {
            self.ticking = true;
            after.poke = true;
        }
    }

    /// What was left waiting is looked after by the supervisor.
    fn watch_the_queue(&mut self, after: &mut After) {
        if !self.ticking && self.is_restless() {
            self.ticking = true;
            after.poke = true;
        }
    }

    pub(super) fn book(&mut self, index: usize, generation: u64) -> Option<&mut Book> {
        self.books
            .get_mut(index)?
            .as_mut()
            .filter(|book| book.generation == generation)
    }

    /// The lane and number of a job that is in a lane.
    pub(super) fn find(&self, job: &Job) -> Option<(&Book, u64)> {
        let place = Place::of(job);
        let book = self.books.get(place.index())?.as_ref()?;
        let seq = book.seq_of(job, place)?;
        Some((book, seq))
    }

    /// Somebody waits for the job without driving: its end must be noticed.
    pub(super) fn watch(&mut self, job: &Job, after: &mut After) {
        self.turn(after);
        if let Some((book, seq)) = self.find(job)
            && !book.tell_supervisor(seq)
        {
            self.turn(after);
        }
        self.watch_the_queue(after);
    }

    pub(super) fn is_running(&self, job: &Job) -> bool {
        self.find(job).is_some_and(|(book, seq)| book.runs(seq))
    }

    /// Resolves the handle, if it has no outcome; with `running`, also of a job that a worker
    /// runs, which is then told to stop. Who waits is woken by the caller, without the lock.
    pub(super) fn cancel(&mut self, job: &Job, running: bool, after: &mut After) -> Cancelled {
        let error = TaskError::cancelled(job.name());
        let Some((book, seq)) = self.find(job) else {
            // In the backlog, or on its way into or out of a lane.
            return match job.head().state.abandon(Abandon::Cancelled) {
                None => Cancelled::No,
                Some(watched) => Cancelled::Yes { watched },
            };
        };
        let (index, generation) = (book.index, book.generation);
        if self.stop_job(index, generation, seq, error, running, after) {
            // Who waits is in `after`.
            Cancelled::Yes { watched: false }
        } else {
            Cancelled::No
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
        let Some(book) = self.book(index, generation) else {
            return false;
        };
        match book.stop_job(seq, error, running, after) {
            Stopped::Over => {
                book.collect(after);
                self.take_again(after);
                false
            }
            Stopped::NotTried => false,
            Stopped::NeverRan => true,
            Stopped::Running => {
                book.set_grace(seq, grace);
                if let Some(at) = book.next_look() {
                    self.supervisor_by(at, after);
                }
                true
            }
        }
    }

    // ---- the supervisor's part ----

    /// A tick: a turn, and the tasks behind a long one go elsewhere if anybody else moves.
    pub(super) fn tick(&mut self, now: Instant, after: &mut After) {
        self.turn(after);
        let mut moving = false;
        let mut stuck = Vec::new();
        for book in self.books.iter_mut().flatten() {
            let stuck_now = book.look(now);
            if stuck_now {
                book.rob(after);
            }
            match stuck_now {
                true if book.ahead() > 1 => stuck.push(book.index),
                true => {}
                false => moving = true,
            }
        }
        if !after.again.is_empty() {
            self.take_again(after);
            self.turn(after);
        }
        if !moving || stuck.is_empty() {
            return;
        }
        for index in stuck {
            let mut jobs = Vec::new();
            if let Some(book) = &mut self.books[index] {
                while let Some(job) = book.take_back(after) {
                    jobs.push(job);
                }
                book.depth = dispatch::FIRST_DEPTH;
            }
            jobs.reverse();
            self.put_back(jobs, after);
        }
        self.turn(after);
    }

    /// When the supervisor has to look again; it sleeps until then.
    pub(super) fn next_look(&mut self, now: Instant) -> Option<Instant> {
        self.ticking = self.is_restless();
        let tick = self.ticking.then(|| now + TICK);
        let next = tick.into_iter().chain(self.next_alarm()).min();
        self.sleeps_until = next;
        next
    }

    /// A worker has said hello.
    pub(super) fn serve(&mut self, index: usize, lane: Arc<Lane>, pid: u32, after: &mut After) {
        self.generations += 1;
        self.books[index] = Some(Book::new(lane, pid, index, self.generations));
        self.turn(after);
    }

    /// A worker is dead; says whether it ever ran a task.
    pub(super) fn settle(&mut self, index: usize, exit: Exit, after: &mut After) -> bool {
        let Some(book) = self.books[index].take() else {
            return false;
        };
        let Settled { waiting, did_work } = book.settle(exit, after);
        self.put_back(waiting, after);
        self.take_again(after);
        self.turn(after);
        did_work
    }

    /// Whether the worker at `index` runs no task.
    pub(super) fn is_drained(&self) -> bool {
        self.backlog.is_empty()
            && self.retries.is_empty()
            && self.filling == 0
            && self.books.iter().flatten().all(Book::is_idle)
    }

    /// Tells every worker to end; the pool is drained.
    pub(super) fn put_stops(&mut self, after: &mut After) {
        for book in self.books.iter_mut().flatten() {
            book.put_stop(after);
        }
    }

    pub(super) fn trim(&mut self) {
        for book in self.books.iter_mut().flatten() {
            book.trim(KEEP_BYTES);
        }
    }

    pub(super) fn drain(&mut self, after: &mut After) {
        if self.phase == Phase::Open {
            self.phase = Phase::Draining;
            self.turn(after);
            after.poke = true;
        }
    }

    /// What has not started is cancelled; takes no more jobs.
    pub(super) fn cancel_all_queued(&mut self, after: &mut After) {
        if !self.is_draining() {
            return;
        }
        self.phase = Phase::Cancelling;
        self.collect(after);
        for job in self.retries.take_all() {
            cancel(job, after);
        }
        for job in std::mem::take(&mut self.backlog) {
            cancel(job, after);
        }
        for book in self.books.iter_mut().flatten() {
            book.cancel_queued(after);
        }
        self.turn(after);
        after.poke = true;
    }

    /// What the workers run, in words.
    pub(super) fn running(&self) -> Vec<String> {
        self.books
            .iter()
            .flatten()
            .filter_map(Book::running)
            .collect()
    }

    /// Takes no more jobs and ends all there are: with `Cancelled` after a kill, with `Rejected`
    /// when the pool is broken.
    pub(super) fn end(&mut self, kind: TaskErrorKind, why: &str, after: &mut After) {
        if matches!(self.phase, Phase::Ended(_)) {
            return;
        }
        self.phase = Phase::Ended(why.to_owned());
        let error = |name| TaskError::new(kind, name).message_is(why);
        for book in self.books.iter_mut().flatten() {
            book.collect(after);
            book.abandon_all(error, after);
        }
        self.backlog.extend(std::mem::take(&mut after.again));
        let retries = std::mem::take(&mut after.retry);
        self.backlog.extend(retries.into_iter().map(|(job, _)| job));
        self.backlog.extend(self.retries.take_all());
        self.start_by.take_all().for_each(drop);
        for job in std::mem::take(&mut self.backlog) {
            let error = error(job.info().name);
            after.watched.extend(job.fail(error));
        }
        after.poke = true;
    }

    pub(super) fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining | Phase::Cancelling)
    }

    /// What fails does not run again.
    pub(super) fn ends_without_retries(&self) -> bool {
        matches!(self.phase, Phase::Cancelling | Phase::Ended(_))
    }

    /// Whether the job has run, and its result is being copied out.
    pub(super) fn is_being_fetched(&self, job: &Job) -> bool {
        Place::of(job) == Place::LEAVING
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }
}

fn cancel(job: Claimed, after: &mut After) {
    let error = TaskError::cancelled(job.info().name);
    after.watched.extend(job.fail(error));
}

fn reject(job: Claimed, why: &str, after: &mut After) {
    let error = TaskError::rejected(job.info().name, why);
    after.watched.extend(job.fail(error));
}
