//! What a thread does to the pool, and what it makes of the outcomes.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use pool_core::{Backend, JoinHandle, Map, Pool, Task, TaskError, TaskErrorKind, TaskExt};
use pool_tests::block_on;
use pool_tests::chance::{Random, mix, pause};

use crate::figures::{FIGURES, blame, moved};
use crate::ledger::{Fate, LastRun, Leave};
use crate::round::Round;
use crate::tasks::{
    EXIT_CODE, bytes_of, carry, carry_answer, lasts, leaves, make, panic_message, panics, small,
    small_answer, stumbles, total, total_answer,
};

/// A time limit that no task reaches.
pub(crate) const AMPLE: Duration = Duration::from_secs(600);

/// How many workers a task may lose that is `idempotent`.
const LOST_WORKERS: u32 = 3;

/// The weights of what a thread may do next, together.
const CHOICES: u64 = 214;

const KIBIBYTE: usize = 1 << 10;
const MEBIBYTE: usize = 1 << 20;

/// The largest argument, and how much a thread has under way at a time.
const LARGEST: usize = 32 * MEBIBYTE;
const UNDER_WAY: usize = 40 * MEBIBYTE;

/// A handle that somebody else waits for.
pub(crate) struct Pending {
    asked: Asked,
    handle: JoinHandle<Result<u64, String>>,
}

/// What the caller knows of a task: which outcomes there can be.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    pub(crate) number: u64,
    /// It panics.
    pub(crate) panics: bool,
    /// It ends its process.
    pub(crate) leaves: bool,
    /// Its time limit is too short.
    pub(crate) late: bool,
    /// It takes more memory than it may, perhaps too shortly to be seen.
    pub(crate) hungry: bool,
    /// It may not wait long for its start.
    pub(crate) hurried: bool,
    pub(crate) retries: u32,
    pub(crate) idempotent: bool,
    /// Its cancel said that it was cancelled by it.
    pub(crate) cancelled: bool,
    /// A cancel is one in the queue, whoever it comes from: no worker can have taken it before.
    pub(crate) queued: bool,
    /// Its pool was killed, perhaps before its end.
    pub(crate) killed: bool,
    /// Its pool had been shut down.
    pub(crate) refused: bool,
}

impl Asked {
    pub(crate) fn of(number: u64) -> Self {
        Self {
            number,
            ..Self::default()
        }
    }

    pub(crate) fn leave(&self) -> Leave {
        let unasked = if self.idempotent { LOST_WORKERS } else { 1 };
        Leave {
            runs: (1 + self.retries).max(unasked),
            steady: !self.panics && !self.leaves && !self.late && !self.hungry,
        }
    }
}

pub(crate) struct User<'a> {
    pub(crate) round: &'a Round,
    pub(crate) random: Random,
}

impl<'a> User<'a> {
    pub(crate) fn new(round: &'a Round, seed: u64) -> Self {
        let random = Random::new(seed);
        Self { round, random }
    }

    /// Until the round is over: half of the time one thing, so that rounds differ.
    pub(crate) fn run(mut self) {
        let favourite = self.random.below(CHOICES);
        while !self.round.is_over() {
            let choice = match self.random.one_in(2) {
                true => favourite,
                false => self.random.below(CHOICES),
            };
            match choice {
                0..60 => self.one_by_one(),
                60..100 => self.burst(),
                100..130 => self.map_small(),
                130..138 => self.map_bytes(),
                138..158 => self.sizes(),
                158..166 => self.deadlines(),
                166..174 => self.cancels(),
                174..182 => self.failures(),
                182..198 => self.pass_on(),
                198..200 => self.side_pool(),
                200..208 => {
                    let is_bounded = self.round.rules.queue.is_some();
                    self.flood(&self.round.pool, is_bounded);
                }
                208..211 => self.hunger(),
                _ => self.resize(),
            }
        }
    }

    /// Waits for what nobody else waits for any more.
    pub(crate) fn finish(mut self) {
        let left = std::mem::take(&mut *self.round.passed_on.lock().unwrap());
        for pending in left {
            self.end_small(pending.asked, pending.handle);
        }
    }

    fn backend(&self) -> Backend {
        self.round.backend()
    }

    pub(crate) fn is_inline(&self) -> bool {
        self.backend() == Backend::Inline
    }

    pub(crate) fn is_remote(&self) -> bool {
        self.backend() == Backend::Processes
    }

    // ---- what is done ----

    pub(crate) fn submit_small(&mut self, pool: &Pool) -> (Asked, JoinHandle<Result<u64, String>>) {
        let number = self.round.ledger.open(1);
        let task = small::task(&self.round.call(number), self.random.micros());
        let mut asked = Asked::of(number);
        let handle = match self.random.below(24) {
            0 => self.submit(pool, task.timeout(AMPLE)),
            1 => self.submit(pool, task.queue_timeout(AMPLE)),
            2 => {
                asked.hurried = true;
                let limit = Duration::from_micros(self.random.below(4_000));
                self.submit(pool, task.queue_timeout(limit))
            }
            3 => {
                asked.idempotent = self.random.one_in(2);
                asked.retries = self.random.below(3) as u32;
                self.submit_with_leave(pool, &asked, task)
            }
            _ => self.submit(pool, task),
        };
        (asked, handle)
    }

    fn one_by_one(&mut self) {
        for _ in 0..self.random.below(100) {
            pause(self.random.micros());
            let (asked, handle) = self.submit_small(&self.round.pool);
            self.end_small(asked, handle);
            if self.round.is_over() {
                return;
            }
        }
    }

    fn burst(&mut self) {
        let pauses = self.random.one_in(2);
        let mut handles = Vec::new();
        for _ in 0..self.random.below(300) {
            if pauses {
                pause(self.random.micros());
            }
            let (asked, handle) = self.submit_small(&self.round.pool);
            // One in a hurry may never run, and nobody would know why.
            if !asked.hurried && self.random.one_in(50) {
                drop(handle);
                let leave = asked.leave();
                self.round.ledger.close(asked.number, Fate::Detached, leave);
            } else {
                handles.push((asked, handle));
            }
        }
        if self.random.one_in(3) {
            handles.reverse();
        }
        for (asked, handle) in handles {
            self.end_small(asked, handle);
        }
    }

    fn map_small(&mut self) {
        let len = self.random.below(2_000);
        let first = self.round.ledger.open(len as usize);
        let quick = self.random.one_in(2);
        let mut random = Random::new(self.random.number());
        let pulled = Cell::new(0);
        let round = self.round;
        let tasks = (first..first + len).map(|number| {
            pulled.set(pulled.get() + 1);
            let micros = if quick { 0 } else { random.micros() };
            small::task(&round.call(number), micros)
        });
        let mut asked = Asked::of(first);
        match self.random.below(10) {
            0 => {
                let map = round.pool.map(tasks.map(|task| task.timeout(AMPLE)));
                self.walk(map, asked, len, &pulled, small_answer);
            }
            1 => {
                asked.retries = 2;
                let map = round.pool.map(tasks.map(|task| task.retries(2)));
                self.walk(map, asked, len, &pulled, small_answer);
            }
            2 => {
                asked.idempotent = true;
                let map = round.pool.map(tasks.map(TaskExt::idempotent));
                self.walk(map, asked, len, &pulled, small_answer);
            }
            _ => self.walk(round.pool.map(tasks), asked, len, &pulled, small_answer),
        }
    }

    fn map_bytes(&mut self) {
        let len = self.random.below(60);
        let first = self.round.ledger.open(len as usize);
        let most = 1 << (6 + self.random.below(14));
        let size = |number: u64| (number * 7_919) as usize % most;
        let pulled = Cell::new(0);
        let round = self.round;
        let tasks = (first..first + len).map(|number| {
            pulled.set(pulled.get() + 1);
            carry::task(&round.call(number), bytes_of(number, size(number)))
        });
        let answer = |number| carry_answer(number, bytes_of(number, size(number)));
        let map = round.pool.map(tasks);
        self.walk(map, Asked::of(first), len, &pulled, answer);
    }

    /// Takes the results of a map of tasks that are all like the `first`, perhaps not all.
    fn walk<I, T>(
        &mut self,
        mut map: Map<I>,
        first: Asked,
        len: u64,
        pulled: &Cell<u64>,
        answer: impl Fn(u64) -> T,
    ) where
        I: Iterator<Item: Task<Output = T>>,
        T: PartialEq,
    {
        FIGURES.maps.add(1);
        if self.random.one_in(3) {
            map = map.chunk(1 + self.random.below(100) as usize);
        }
        if self.random.one_in(3) {
            map = map.in_flight(1 + self.random.below(300) as usize);
        }
        let last = self.random.one_in(3).then(|| Arc::new(AtomicU64::new(0)));
        if let Some(last) = last.clone() {
            map = map.on_progress(move |state| {
                if state.is_over() {
                    last.fetch_add(1 + state.done, Relaxed);
                }
            });
        }
        let end = match self.random.one_in(4) {
            true => self.random.below(len + 1),
            false => len,
        };
        let pauses = self.random.one_in(4);
        let mut at = 0;
        while at < end && !self.round.is_over() {
            let number = first.number + at;
            let Some(outcome) = map.next() else {
                let text = format!("a map of {len} ended after {at} results");
                blame(&FIGURES.lost, &text);
                break;
            };
            let asked = Asked { number, ..first };
            self.judge(&asked, || Some(answer(number)), outcome);
            at += 1;
            if pauses && self.random.one_in(20) {
                pause(self.random.micros());
            }
        }
        if at == len && map.next().is_some() {
            blame(&FIGURES.wrong, "a map has more results than tasks");
        }
        drop(map);
        // Once, if it has ever begun.
        let told = if at > 0 || len == 0 { at + 1 } else { 0 };
        if last.is_some_and(|last| last.load(Relaxed) != told) {
            blame(&FIGURES.wrong, "a map says that it did what it did not");
        }
        for at in at..len {
            let was_read = at < pulled.get();
            let fate = if was_read { Fate::Dropped } else { Fate::Never };
            let number = first.number + at;
            self.round.ledger.close(number, fate, first.leave());
        }
    }

    /// Any size, small ones more often.
    fn any_size(&mut self) -> usize {
        let doublings = self.random.below(17);
        let doublings = self.random.below(doublings + 1);
        let least = KIBIBYTE << doublings;
        (least + self.random.below(least as u64) as usize).min(LARGEST)
    }

    /// Arguments and results of up to [`LARGEST`].
    fn sizes(&mut self) {
        let mut carried = Vec::new();
        let mut totals = Vec::new();
        let mut made = Vec::new();
        let mut left = UNDER_WAY;
        for _ in 0..self.random.below(10) {
            let size = self.any_size();
            if size > left {
                break;
            }
            left -= size;
            let number = self.round.ledger.open(1);
            let (asked, call) = (Asked::of(number), self.round.call(number));
            let pool = &self.round.pool;
            match self.random.below(3) {
                0 => {
                    let bytes = bytes_of(number, size);
                    carried.push((asked, size, pool.submit(carry::task(&call, bytes))));
                }
                1 => {
                    let values: Vec<u64> = (0..size as u64 / 8).map(|at| at ^ number).collect();
                    let handle = pool.submit(total::task(&call, &values));
                    totals.push((asked, total_answer(&values), handle));
                }
                _ => made.push((asked, size, pool.submit(make::task(&call, size)))),
            }
        }
        FIGURES
            .mebibytes
            .add(((UNDER_WAY - left) / MEBIBYTE) as u64);
        for (asked, answer, handle) in totals {
            self.end(asked, handle, || Some(answer));
        }
        for (asked, size, handle) in made {
            self.end(asked, handle, || Some(bytes_of(asked.number, size)));
        }
        for (asked, size, handle) in carried {
            let number = asked.number;
            self.end(asked, handle, || {
                Some(carry_answer(number, bytes_of(number, size)))
            });
        }
    }

    /// Limits that are too short, for tasks that go on until they are told or killed.
    fn deadlines(&mut self) {
        let mut handles = Vec::new();
        for _ in 0..=self.random.below(3) {
            let number = self.round.ledger.open(1);
            let limit = Duration::from_millis(self.random.below(20));
            let (time, listens) = self.long_time(limit);
            let task = lasts::task(&self.round.call(number), time, listens);
            let asked = Asked {
                late: true,
                retries: u32::from(self.random.one_in(4)),
                ..Asked::of(number)
            };
            let task = task.timeout(limit).retries(asked.retries);
            handles.push((asked, self.round.pool.submit(task)));
            let (asked, handle) = self.submit_small(&self.round.pool);
            self.end_small(asked, handle);
        }
        for (asked, handle) in handles {
            self.end(asked, handle, || None);
        }
    }

    /// What a task takes that is to be longer than `limit`, and whether it listens: a thread
    /// cannot be killed, and inline nobody can tell it anything.
    pub(crate) fn long_time(&mut self, limit: Duration) -> (Duration, bool) {
        match self.backend() {
            Backend::Inline => (limit + Duration::from_millis(1), false),
            Backend::Threads => (AMPLE, true),
            _ => (AMPLE, self.random.one_in(2)),
        }
    }

    /// Long tasks and short ones, which are cancelled while they wait or run.
    fn cancels(&mut self) {
        let mut long = Vec::new();
        for _ in 0..=self.random.below(3) {
            long.extend(self.try_long());
        }
        let mut short = Vec::new();
        for _ in 0..self.random.below(60) {
            match self.round.rules.queue {
                None => short.push(self.submit_small(&self.round.pool)),
                // All who wait for room may do it for a worker that one of them holds.
                Some(_) => short.extend(self.try_small(&self.round.pool)),
            }
        }
        pause(self.random.below(3_000));
        let stays = self.random.one_in(2);
        for (asked, handle) in &mut short {
            if !stays || self.random.one_in(3) {
                asked.cancelled = handle.cancel();
            }
        }
        let inline = self.is_inline();
        for (mut asked, handle) in long {
            asked.cancelled = handle.cancel();
            self.end(asked, handle, || inline.then_some(false));
        }
        for (asked, handle) in short {
            self.end_small(asked, handle);
        }
    }

    /// Tasks that panic, and tasks that end their worker, among others.
    fn failures(&mut self) {
        let mut handles = Vec::new();
        for _ in 0..=self.random.below(5) {
            let number = self.round.ledger.open(1);
            let call = self.round.call(number);
            let leaves = self.is_remote() && self.random.one_in(5);
            let asked = Asked {
                leaves,
                panics: !leaves,
                retries: self.random.below(8).saturating_sub(5) as u32,
                idempotent: leaves && self.random.one_in(8),
                ..Asked::of(number)
            };
            let pool = &self.round.pool;
            let good = 1 + self.random.below(4) as u32;
            let stumbles = !leaves && self.random.one_in(2);
            let handle = if leaves {
                self.submit_with_leave(pool, &asked, leaves::task(&call))
            } else if stumbles {
                self.submit_with_leave(pool, &asked, stumbles::task(&call, good))
            } else {
                self.submit_with_leave(pool, &asked, panics::task(&call))
            };
            handles.push((asked, handle, stumbles));
            let (asked, handle) = self.submit_small(&self.round.pool);
            self.end_small(asked, handle);
        }
        for (asked, handle, stumbles) in handles {
            self.end(asked, handle, || stumbles.then_some(mix(asked.number)));
        }
    }

    /// Submits for others, and waits for what others have submitted.
    fn pass_on(&mut self) {
        for _ in 0..self.random.below(50) {
            let (asked, handle) = self.submit_small(&self.round.pool);
            let next = {
                let mut passed_on = self.round.passed_on.lock().unwrap();
                passed_on.push(Pending { asked, handle });
                let any = self.random.below(passed_on.len() as u64);
                passed_on.swap_remove(any as usize)
            };
            self.end_small(next.asked, next.handle);
        }
    }

    // ---- what comes of it ----

    pub(crate) fn end_small(&mut self, asked: Asked, handle: JoinHandle<Result<u64, String>>) {
        self.end(asked, handle, || Some(small_answer(asked.number)));
    }

    /// Waits in one of the ways there are. `answer` is what the serial call gives, if it returns.
    pub(crate) fn end<T: PartialEq>(
        &mut self,
        asked: Asked,
        handle: JoinHandle<T>,
        answer: impl FnOnce() -> Option<T>,
    ) {
        let outcome = self.wait(handle);
        self.judge(&asked, answer, outcome);
    }

    fn wait<T>(&mut self, handle: JoinHandle<T>) -> Result<T, TaskError> {
        match self.random.below(40) {
            0 => loop {
                if let Some(outcome) = handle.try_join() {
                    return outcome;
                }
                thread::yield_now();
            },
            1 | 2 => loop {
                let limit = Duration::from_micros(self.random.below(300));
                if let Some(outcome) = handle.join_timeout(limit) {
                    return outcome;
                }
            },
            3 => {
                let (finished, is_finished) = mpsc::channel::<()>();
                handle.on_finish(move || drop(finished));
                // Its end, without a message.
                let _ = is_finished.recv();
                if !handle.is_finished() {
                    blame(&FIGURES.wrong, "a callback was called before the end");
                }
                handle.join()
            }
            4 => {
                while !handle.is_finished() {
                    // Either may be true a moment later.
                    let _ = handle.is_running();
                    pause(self.random.below(200));
                }
                handle.join()
            }
            5 | 6 => block_on(handle),
            _ => handle.join(),
        }
    }

    /// Enters what became of a task, and says if it cannot have.
    pub(crate) fn judge<T: PartialEq>(
        &self,
        asked: &Asked,
        answer: impl FnOnce() -> Option<T>,
        outcome: Result<T, TaskError>,
    ) {
        let number = asked.number;
        let wrong = |what: &str| {
            let text = format!("task {number}, of which {asked:?}: {what}");
            blame(&FIGURES.wrong, &text);
            Fate::Odd
        };
        let fate = match outcome {
            Ok(_) if asked.cancelled || asked.late || asked.refused => wrong("it has a result"),
            Ok(found) if Some(&found) == answer().as_ref() => Fate::Returned,
            Ok(_) => wrong("another result than that of the serial call"),
            Err(error) => self
                .fate_of(asked, &error)
                .unwrap_or_else(|| wrong(&format!("{error:?}"))),
        };
        self.round.ledger.close(number, fate, asked.leave());
        moved();
    }

    /// `None`: nothing explains it.
    fn fate_of(&self, asked: &Asked, error: &TaskError) -> Option<Fate> {
        let kind = error.kind();
        if asked.cancelled && kind != TaskErrorKind::Cancelled {
            return None;
        }
        let Leave { runs, .. } = asked.leave();
        let attempt = error.attempt();
        let is_last = |runs| asked.killed || attempt == runs;
        match kind {
            TaskErrorKind::Panicked if asked.panics && is_last(1 + asked.retries) => {
                let message = panic_message(asked.number);
                let is_ours = error.message() == Some(&message)
                    && error.location().is_some_and(|at| at.contains("tasks.rs"));
                is_ours.then_some(Fate::Panicked)
            }
            TaskErrorKind::WorkerLost if self.is_remote() && is_last(runs) => {
                let pid = error.worker_pid()?;
                let last = LastRun { attempt, pid };
                // With a message it was the pool that killed the worker, which says why.
                match (error.signal(), error.exit_code()) {
                    (Some(9), None) if error.message().is_none() => Some(Fate::Lost(last)),
                    (None, Some(EXIT_CODE)) if asked.leaves => Some(Fate::Exited(last)),
                    _ => None,
                }
            }
            TaskErrorKind::OutOfMemory if asked.hungry && is_last(1 + asked.retries) => {
                let limit = self.round.rules.memory_limit;
                let pid = error.worker_pid()?;
                let is_above = error.memory_limit() == limit && error.memory_peak() > limit;
                is_above.then_some(Fate::OutOfMemory(LastRun { attempt, pid }))
            }
            // A thread that is late cannot be had again for another run.
            TaskErrorKind::TimedOut if asked.late => {
                let is_final = self.backend() == Backend::Threads || is_last(runs);
                is_final.then_some(Fate::TimedOut)
            }
            TaskErrorKind::TimedOut if asked.hurried => Some(Fate::TimedOutQueued),
            TaskErrorKind::Cancelled if asked.queued && runs == 1 => Some(Fate::CancelledQueued),
            TaskErrorKind::Cancelled if asked.cancelled || asked.killed || asked.queued => {
                Some(Fate::Cancelled)
            }
            TaskErrorKind::Rejected if asked.refused => Some(Fate::Rejected),
            _ => None,
        }
    }
}
