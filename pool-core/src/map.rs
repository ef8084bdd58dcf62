//! Many tasks, one ordered stream of results.
//!
//! Short tasks go together, since a job of its own costs more than they do: as a *batch* where
//! they stay in this process ([`cell::batch`](crate::cell)), as a *chunk* where they are sent to
//! another one ([`work`](crate::work)). How many is learnt from how long the last ones took
//! ([`Pace`]). Neither makes a task wait for another one: workers help each other with a batch, and
//! from a worker that is at one task of a chunk for long the others are taken back, the done ones
//! with their results.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::blocked;
use crate::cell::{Batch, Found, Taker, drop_quietly};
use crate::codec::Stop;
use crate::handle::JoinHandle;
use crate::work::{Ran, SentChunk, Ticket};
use crate::{Pool, Task, TaskError};

/// How many tasks of a map are in flight for each worker at least, unless [`Map::in_flight`] says
/// otherwise: enough to keep a worker busy while the consumer is busy elsewhere, few enough that
/// an endless input stays cheap.
const IN_FLIGHT_PER_WORKER: usize = 64;

/// How many chunks are in flight for each worker.
const CHUNKS_PER_WORKER: usize = 4;

/// The most tasks in a chunk or batch.
const MAX_CHUNK: usize = 4096;

/// How long a chunk should run.
const CHUNK_TIME: Duration = Duration::from_micros(150);

/// How long a worker should run what it claims of a batch in one step.
const RUN_TIME: Duration = Duration::from_micros(5);
const MAX_RUN: usize = 64;

/// How many workers are called to a batch at first. As long as its consumer waits, it calls one
/// more each [`LOOK_AFTER`].
const FIRST_TICKETS: usize = 8;

/// The consumer of a batch sleeps until so much work has been done, to be woken once for many short
/// tasks; and at most until it is [`LOOK_AFTER`] later, since one of them may take long.
const NAP_TIME: Duration = Duration::from_micros(200);
const LOOK_AFTER: Duration = Duration::from_millis(1);

/// How often the consumer looks before it sleeps, where it is to be woken for each task.
const SPINS: u32 = 100;

/// The results of [`Pool::map`], in the order of the inputs.
///
/// It is lazy: nothing is submitted before the first `next`, the input is read one bounded window
/// ahead of the results, and it goes on after an error. Dropping it half-way reads no more input
/// and cancels what has not started.
///
/// Short tasks go to the workers many at a time, as many as run in a fraction of a millisecond by
/// what the last ones took. That changes nothing else: each task keeps its own outcome, a worker
/// process that dies loses the one task that it ran, and a task that takes long keeps back neither
/// the tasks that were sent with it nor their results for more than some milliseconds. Tasks with
/// options (a timeout, retries, …) are sent by themselves.
pub struct Map<I: Iterator<Item: Task>> {
    pool: Pool,
    /// `None` once it has ended: an iterator is not asked again after its `None`.
    input: Option<I>,
    window: VecDeque<Part<I::Item>>,
    /// How many tasks are in `window`.
    ahead: usize,
    in_flight: Option<usize>,
    pace: Pace,
    /// What was read and not submitted: a call that ended in a panic of the input left it behind.
    read: Vec<I::Item>,
}

/// A part of the window: tasks that come after one another.
enum Part<T: Task> {
    Outcome(Result<T::Output, TaskError>),
    Outcomes(std::vec::IntoIter<Result<T::Output, TaskError>>),
    One(JoinHandle<T::Output>),
    Batch(Waiting<T>),
    Sent(JoinHandle<Ran<T>>, usize),
}

impl<I: Iterator<Item: Task>> Map<I> {
    pub(crate) fn new(pool: Pool, input: I) -> Self {
        Self {
            pool,
            input: Some(input),
            window: VecDeque::new(),
            ahead: 0,
            in_flight: None,
            pace: Pace::adaptive(),
            read: Vec::new(),
        }
    }

    /// Sends this many tasks together (from 1 to 4,096), instead of as many as are found to run in
    /// a fraction of a millisecond. With 1 each task is a job of its own.
    #[must_use]
    pub fn chunk(mut self, tasks: usize) -> Self {
        self.pace = Pace::fixed(tasks.clamp(1, MAX_CHUNK));
        self
    }

    /// Bounds how many tasks are submitted and not yet returned by `next`; at least one.
    #[must_use]
    pub fn in_flight(mut self, tasks: usize) -> Self {
        self.in_flight = Some(tasks.max(1));
        self
    }

    /// How many tasks may be in the window now.
    fn bound(&self) -> usize {
        let workers = self.pool.workers();
        let wanted = self.in_flight.unwrap_or_else(|| {
            (workers * IN_FLIGHT_PER_WORKER).max(workers * CHUNKS_PER_WORKER * self.pace.chunk)
        });
        // As many as may wait, and one for each worker.
        let limit = self.pool.queue_limit();
        limit.map_or(wanted, |limit| wanted.min(limit.saturating_add(workers)))
    }

    fn fill(&mut self) {
        if self.pool.runs_at_once() {
            // Nothing is gained by running ahead of the consumer.
            if self.ahead == 0 {
                let task = self.next_input();
                self.submit_single(task);
            }
            return;
        }
        // Refilled by halves, so that chunks are not cut small by a window that is nearly full.
        let bound = self.bound();
        if self.pace.chunk > 1 && self.ahead + self.pace.chunk > bound && self.ahead > bound / 2 {
            return;
        }
        while self.ahead < bound && !self.is_read_out() {
            let room = bound - self.ahead;
            let share = self.share();
            let most = self.pool.max_chunk().unwrap_or(MAX_CHUNK);
            let tasks = self.pace.chunk.min(room).min(share).min(most).max(1);
            if self.pool.is_remote() {
                self.submit_sent(tasks);
            } else {
                self.submit_batch(tasks);
            }
        }
    }

    /// How many tasks a chunk may have so that every worker gets some of what is left.
    fn share(&self) -> usize {
        let Some(input) = &self.input else {
            return 1;
        };
        match input.size_hint().1 {
            Some(left) => (left / (2 * self.pool.workers())).max(1),
            None => MAX_CHUNK,
        }
    }

    fn next_input(&mut self) -> Option<I::Item> {
        let task = self.input.as_mut()?.next();
        if task.is_none() {
            self.input = None;
        }
        task
    }

    /// Whether everything was submitted.
    fn is_read_out(&self) -> bool {
        self.input.is_none() && self.read.is_empty()
    }

    /// Reads so many tasks, or fewer and one that has options of its own, which is a job of its own.
    fn read(&mut self, tasks: usize) -> (Vec<I::Item>, Option<I::Item>) {
        let missing = tasks.saturating_sub(self.read.len());
        self.read.reserve_exact(missing);
        let mut single = None;
        while self.read.len() < tasks {
            match self.next_input() {
                Some(task) if task.options().needs_a_job() => {
                    single = Some(task);
                    break;
                }
                Some(task) => self.read.push(task),
                None => break,
            }
        }
        (std::mem::take(&mut self.read), single)
    }

    fn submit_batch(&mut self, tasks: usize) {
        let (batch, single) = self.read(tasks);
        let len = batch.len();
        if len > 0 {
            let waiting = Waiting::new(&self.pool, batch, self.pace.run());
            self.push(Part::Batch(waiting), len);
        }
        self.submit_single(single);
    }

    fn submit_sent(&mut self, tasks: usize) {
        let (mut tasks, single) = self.read(tasks);
        while !tasks.is_empty() {
            let (chunk, stop) = SentChunk::of(&tasks);
            let len = chunk.len();
            let mut rest = tasks.split_off(len).into_iter();
            if len > 0 {
                let handle = self.pool.submit_work(chunk);
                self.push(Part::Sent(handle, len), len);
            }
            match stop {
                None | Some(Stop::Full) => {}
                Some(Stop::Large) => self.submit_single(rest.next()),
                Some(Stop::Failed(message)) => {
                    drop_quietly(rest.next());
                    let error = TaskError::not_encoded(I::Item::NAME, &message);
                    self.push(Part::Outcome(Err(error)), 1);
                }
            }
            // The user's destructors: no panic of one takes the others along.
            let sent = std::mem::replace(&mut tasks, rest.collect());
            sent.into_iter().for_each(drop_quietly);
        }
        self.submit_single(single);
    }

    fn submit_single(&mut self, task: Option<I::Item>) {
        if let Some(task) = task {
            let handle = self.pool.submit(task);
            self.push(Part::One(handle), 1);
        }
    }

    fn push(&mut self, part: Part<I::Item>, tasks: usize) {
        self.window.push_back(part);
        self.ahead += tasks;
    }

    /// Takes a chunk's outcomes; what it has not started is jobs of its own by now.
    fn ran(&mut self, ran: Result<Ran<I::Item>, TaskError>, len: usize) {
        let outcomes = match ran {
            Ok(Ran {
                outcomes,
                others,
                run_time,
            }) => {
                self.pace.learn(outcomes.len().max(1), run_time);
                for (handle, len) in others.into_iter().rev() {
                    let handle = self.pool.handle(handle);
                    self.window.push_front(Part::Sent(handle, len));
                }
                outcomes
            }
            // The whole chunk has one fate.
            Err(error) => (0..len).map(|_| Err(error.clone())).collect(),
        };
        self.window.push_front(Part::Outcomes(outcomes.into_iter()));
    }
}

impl<I: Iterator<Item: Task>> Iterator for Map<I> {
    type Item = Result<<I::Item as Task>::Output, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.window.front_mut() {
                Some(Part::Outcomes(outcomes)) => {
                    if let Some(outcome) = outcomes.next() {
                        self.ahead -= 1;
                        return Some(outcome);
                    }
                    self.window.pop_front();
                }
                Some(Part::Batch(waiting)) => {
                    if let Some(outcome) = waiting.taker.take() {
                        self.ahead -= 1;
                        return Some(outcome);
                    }
                    if waiting.taker.left() == 0 {
                        let (ran, run_time) = waiting.taker.batch().pace();
                        self.pace.learn(ran, run_time);
                        if let Some(Part::Batch(waiting)) = self.window.pop_front() {
                            waiting.end();
                        }
                    }
                }
                _ => {}
            }
            self.fill();
            match self.window.pop_front()? {
                Part::Outcome(outcome) => {
                    self.ahead -= 1;
                    return Some(outcome);
                }
                Part::One(handle) => {
                    self.ahead -= 1;
                    return Some(handle.join());
                }
                outcomes @ Part::Outcomes(_) => self.window.push_front(outcomes),
                Part::Batch(mut waiting) => {
                    let outcome = waiting.wait(&self.pool, self.pace.nap());
                    self.window.push_front(Part::Batch(waiting));
                    self.ahead -= 1;
                    return Some(outcome);
                }
                Part::Sent(handle, len) => self.ran(handle.join(), len),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.as_ref().map_or((0, Some(0)), I::size_hint);
        (
            least.saturating_add(self.ahead),
            most.and_then(|most| most.checked_add(self.ahead)),
        )
    }
}

impl<I: ExactSizeIterator<Item: Task>> ExactSizeIterator for Map<I> {}

impl<I: Iterator<Item: Task>> FusedIterator for Map<I> {}

impl<I: Iterator<Item: Task>> Drop for Map<I> {
    fn drop(&mut self) {
        // From the back: what started last has the best chance of not having started.
        while let Some(part) = self.window.pop_back() {
            match part {
                Part::Outcome(outcome) => drop_quietly(outcome),
                Part::Outcomes(outcomes) => outcomes.for_each(drop_quietly),
                Part::One(handle) => handle.cancel_queued(),
                Part::Batch(waiting) => {
                    waiting.taker.cancel();
                    waiting.end();
                }
                Part::Sent(handle, _) => {
                    handle.cancel_queued();
                    // It may have been divided.
                    if let Some(Ok(Ran { others, .. })) = handle.try_join() {
                        for (handle, len) in others {
                            let handle = self.pool.handle(handle);
                            self.window.push_back(Part::Sent(handle, len));
                        }
                    }
                }
            }
        }
    }
}

impl<I: Iterator<Item: Task>> fmt::Debug for Map<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("pool", &self.pool)
            .field("ahead", &self.ahead)
            .field("in_flight", &self.bound())
            .finish_non_exhaustive()
    }
}

/// A batch that is being worked on.
struct Waiting<T: Task> {
    taker: Taker<T>,
    /// The first ticket, until it is known to have come to its end: from then on every task has
    /// started.
    ticket: Option<JoinHandle<bool>>,
    /// Why the first ticket did not: the pool takes no more work, cancels what has not started, or
    /// was killed.
    failed: Option<TaskError>,
    /// The others, which nobody joins.
    helpers: Vec<JoinHandle<bool>>,
    /// How many more there can be: as many as could be held up at a task each while others go on.
    more: usize,
}

impl<T: Task> Waiting<T> {
    fn new(pool: &Pool, tasks: Vec<T>, run: usize) -> Self {
        let most = tasks.len().min(pool.workers());
        let (batch, taker) = Batch::new(tasks, run);
        let ticket = pool.submit_work(Ticket(batch));
        let mut this = Self {
            taker,
            ticket: Some(ticket),
            failed: None,
            helpers: Vec::new(),
            more: most - 1,
        };
        for _ in 1..most.min(FIRST_TICKETS) {
            this.call_one_more(pool);
        }
        this
    }

    /// Whoever comes late finds nothing to do.
    fn call_one_more(&mut self, pool: &Pool) {
        self.more -= 1;
        let batch = Arc::clone(self.taker.batch());
        self.helpers.push(pool.submit_work(Ticket(batch)));
    }

    /// Nothing is left to be done: tickets that nobody has taken up hold the batch no longer. On a
    /// worker's own stack they would until the task that maps has ended.
    fn end(self) {
        for ticket in self.ticket.iter().chain(&self.helpers) {
            ticket.cancel_queued();
        }
    }

    /// Waits for the next outcome; `nap` tasks take [`NAP_TIME`].
    fn wait(&mut self, pool: &Pool, nap: usize) -> Result<T::Output, TaskError> {
        let mut spins = 0;
        loop {
            // Before the look at the task: it may have become done in between.
            self.look_at_ticket();
            let found = self.taker.look();
            if let Some(outcome) = self.taker.take() {
                return outcome;
            }
            if let Some(error) = &self.failed {
                // One that runs has its own outcome, unless it was killed.
                if found != Found::Running || pool.is_killed() {
                    self.taker.skip();
                    return Err(error.clone());
                }
                if self.taker.watch(0) {
                    std::thread::park_timeout(LOOK_AFTER);
                }
                continue;
            }
            if found == Found::Queued && pool.needs_this_thread() {
                // A worker that waits for it may be the only one that can run it.
                let batch = self.taker.batch();
                if pool.submit_work(Ticket(Arc::clone(batch))).join().is_err() {
                    // The pool takes no more work, but the first ticket is still to be run.
                    let ticket = self.ticket.as_ref();
                    batch.work_until(|| ticket.is_none_or(JoinHandle::is_finished));
                }
            } else if nap == 0 && spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                let ticket_runs = self.ticket.as_ref().is_none_or(JoinHandle::watch);
                if ticket_runs && self.taker.watch(nap) {
                    self.park(pool, nap);
                }
            }
        }
    }

    fn park(&mut self, pool: &Pool, nap: usize) {
        if self.more == 0 && nap == 0 && !blocked::is_worker() {
            blocked::during(std::thread::park);
            return;
        }
        let begin = Instant::now();
        blocked::during(|| std::thread::park_timeout(LOOK_AFTER));
        if self.more > 0 && begin.elapsed() >= LOOK_AFTER {
            self.call_one_more(pool);
        }
    }

    fn look_at_ticket(&mut self) {
        if let Some(ticket) = &self.ticket
            && let Some(outcome) = ticket.try_join()
        {
            self.ticket = None;
            self.failed = match outcome {
                Ok(true) => None,
                Ok(false) => Some(TaskError::cancelled(T::NAME)),
                Err(error) => Some(error),
            };
        }
    }
}

/// How many tasks go together, learnt from those that came back.
#[derive(Debug)]
struct Pace {
    chunk: usize,
    is_fixed: bool,
    /// How long a task takes; 0 until it is known.
    nanos: u128,
}

impl Pace {
    fn adaptive() -> Self {
        Self {
            chunk: 1,
            is_fixed: false,
            nanos: 0,
        }
    }

    fn fixed(chunk: usize) -> Self {
        Self {
            chunk,
            is_fixed: true,
            nanos: 0,
        }
    }

    /// `tasks` tasks took `run_time` together. Grows by steps, falls at once.
    fn learn(&mut self, tasks: usize, run_time: Duration) {
        if run_time.is_zero() || tasks == 0 {
            return;
        }
        self.nanos = (run_time.as_nanos() / tasks as u128).max(1);
        if !self.is_fixed {
            self.chunk = self.fitting(CHUNK_TIME, (self.chunk * 4).min(MAX_CHUNK));
        }
    }

    /// How many tasks a worker claims of a batch at once.
    fn run(&self) -> usize {
        match self.nanos {
            0 => 1,
            _ => self.fitting(RUN_TIME, MAX_RUN),
        }
    }

    /// How many tasks are done while the consumer sleeps.
    fn nap(&self) -> usize {
        match self.nanos {
            0 => 0,
            nanos => usize::try_from(NAP_TIME.as_nanos() / nanos).unwrap_or(0),
        }
    }

    fn fitting(&self, time: Duration, most: usize) -> usize {
        usize::try_from(time.as_nanos() / self.nanos)
            .unwrap_or(most)
            .clamp(1, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_grows_by_steps_and_falls_at_once() {
        let mut pace = Pace::adaptive();
        assert_eq!(pace.run(), 1);
        for expected in [4, 16, 64, 256, 1024, 4096, 4096] {
            pace.learn(10, Duration::from_nanos(100));
            assert_eq!(pace.chunk, expected);
            assert_eq!(pace.run(), MAX_RUN);
        }
        pace.learn(100, Duration::from_micros(1_000));
        assert_eq!((pace.chunk, pace.run()), (15, 1));
        pace.learn(1, Duration::from_millis(50));
        assert_eq!((pace.chunk, pace.run()), (1, 1));
        pace.learn(0, Duration::ZERO);
        assert_eq!(pace.chunk, 1);
    }

    #[test]
    fn a_fixed_pace_stays() {
        let mut pace = Pace::fixed(10);
        pace.learn(10, Duration::from_nanos(100));
        assert_eq!(pace.chunk, 10);
    }
}
