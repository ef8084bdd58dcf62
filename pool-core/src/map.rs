//! Many tasks, one ordered stream of results.
//!
//! Short tasks can travel in chunks ([`Map::chunk`]), since a job of its own costs more than they
//! do. How many go together is learnt from how long the last chunks ran ([`Pace`]); a worker hands
//! back what it has not started when a chunk takes longer than expected.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::time::Duration;

use crate::handle::JoinHandle;
use crate::work::{LocalChunk, Ran, SentChunk};
use crate::{Pool, Task, TaskError};

/// How many tasks of a map are in flight for each worker at least, unless [`Map::in_flight`] says
/// otherwise: enough to keep a worker busy while the consumer is busy elsewhere, few enough that
/// an endless input stays cheap.
const IN_FLIGHT_PER_WORKER: usize = 64;

/// How many chunks are in flight for each worker.
const CHUNKS_PER_WORKER: usize = 4;

/// The most tasks in a chunk.
const MAX_CHUNK: usize = 4096;

/// How many tasks travel together unless [`Map::chunk`] says otherwise.
const DEFAULT_CHUNK: usize = 1;

/// The most bytes of arguments in a chunk.
const MAX_CHUNK_BYTES: usize = 12 * 1024;

/// How long a chunk should run.
const CHUNK_TIME: Duration = Duration::from_micros(150);

/// The results of [`Pool::map`], in the order of the inputs.
///
/// It is lazy: nothing is submitted before the first `next`, the input is read one bounded window
/// ahead of the results, and it goes on after an error. Dropping it half-way reads no more input
/// and cancels what has not started.
///
/// Each task is a job of its own, unless [`chunk`](Self::chunk) lets short ones travel together.
pub struct Map<I: Iterator<Item: Task>> {
    pool: Pool,
    /// `None` once it has ended: an iterator is not asked again after its `None`.
    input: Option<I>,
    window: VecDeque<Part<I::Item>>,
    /// How many tasks are in `window`.
    ahead: usize,
    in_flight: Option<usize>,
    pace: Pace,
}

/// A part of the window: tasks that come after one another.
enum Part<T: Task> {
    Outcome(Result<T::Output, TaskError>),
    Outcomes(std::vec::IntoIter<Result<T::Output, TaskError>>),
    One(JoinHandle<T::Output>),
    Local(JoinHandle<Ran<LocalChunk<T>, T::Output>>, usize),
    Sent(JoinHandle<Ran<SentChunk<T>, T::Output>>, usize),
}

impl<I: Iterator<Item: Task>> Map<I> {
    pub(crate) fn new(pool: Pool, input: I) -> Self {
        Self {
            pool,
            input: Some(input),
            window: VecDeque::new(),
            ahead: 0,
            in_flight: None,
            pace: Pace::new(DEFAULT_CHUNK),
        }
    }

    /// Lets up to this many tasks travel together (at most 4,096; one unless set), for tasks of
    /// some microseconds, which cost less than sending each by itself. How many really do is
    /// learnt from how long they take, so that a chunk runs for a fraction of a millisecond.
    ///
    /// Each task keeps its own outcome, and a worker that dies loses the one task that it ran.
    /// But the tasks of a chunk run one after another, and its results come back together: a task
    /// that suddenly takes long keeps back the results of those before it in its chunk and delays
    /// those behind it, tasks that wait for one another do not belong in a chunk, and when the map is
    /// dropped a chunk that runs goes on for some milliseconds. Tasks with a timeout are sent by
    /// themselves.
    #[must_use]
    pub fn chunk(mut self, tasks: usize) -> Self {
        self.pace = Pace::new(tasks.clamp(1, MAX_CHUNK));
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
        self.in_flight.unwrap_or_else(|| {
            (workers * IN_FLIGHT_PER_WORKER).max(workers * CHUNKS_PER_WORKER * self.pace.chunk)
        })
    }

    fn fill(&mut self) {
        // Refilled by halves, so that chunks are not cut small by a window that is nearly full.
        let bound = self.bound();
        if self.pace.chunk > 1 && self.ahead + self.pace.chunk > bound && self.ahead > bound / 2 {
            return;
        }
        while self.ahead < bound && self.input.is_some() {
            let room = bound - self.ahead;
            let share = self.share();
            let tasks = self.pace.chunk.min(room).min(share).max(1);
            self.submit_chunk(tasks);
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

    fn submit_chunk(&mut self, tasks: usize) {
        if self.pool.is_remote() {
            self.submit_sent(tasks);
        } else {
            self.submit_local(tasks);
        }
    }

    fn next_input(&mut self) -> Option<I::Item> {
        let task = self.input.as_mut()?.next();
        if task.is_none() {
            self.input = None;
        }
        task
    }

    fn submit_local(&mut self, tasks: usize) {
        let mut chunk = Vec::with_capacity(tasks);
        let mut single = None;
        while chunk.len() < tasks {
            match self.next_input() {
                // A task with options of its own is a job of its own.
                Some(task) if task.options().timeout.is_some() => {
                    single = Some(task);
                    break;
                }
                Some(task) => chunk.push(task),
                None => break,
            }
        }
        let len = chunk.len();
        if len > 0 {
            let handle = self.pool.submit_work(LocalChunk(chunk));
            self.push(Part::Local(handle, len), len);
        }
        self.submit_single(single);
    }

    fn submit_sent(&mut self, tasks: usize) {
        let mut chunk = SentChunk::new();
        let mut len = 0;
        let mut single = None;
        let mut failed = None;
        while len < tasks && chunk.bytes() < MAX_CHUNK_BYTES {
            match self.next_input() {
                Some(task) if task.options().timeout.is_some() => {
                    single = Some(task);
                    break;
                }
                Some(task) => match chunk.push(&task) {
                    Ok(()) => len += 1,
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                },
                None => break,
            }
        }
        if len > 0 {
            let handle = self.pool.submit_work(chunk);
            self.push(Part::Sent(handle, len), len);
        }
        if let Some(error) = failed {
            self.push(Part::Outcome(Err(error)), 1);
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

    /// Takes a chunk's outcomes; what it has not started goes to the pool again, in small parts.
    fn ran<C: crate::work::Chunk>(
        &mut self,
        ran: Result<Ran<C, <I::Item as Task>::Output>, TaskError>,
        len: usize,
        part: impl Fn(JoinHandle<C::Output>, usize) -> Part<I::Item>,
    ) {
        let outcomes = match ran {
            Ok(Ran {
                outcomes,
                mut rest,
                run_time,
            }) => {
                self.pace.learn(outcomes.len(), run_time);
                let mut parts = Vec::new();
                while rest.len() > 0 {
                    let some = rest.split_to(self.pace.chunk);
                    let len = some.len();
                    parts.push(part(self.pool.submit_work(some), len));
                }
                for part in parts.into_iter().rev() {
                    self.window.push_front(part);
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
            if let Some(Part::Outcomes(outcomes)) = self.window.front_mut() {
                if let Some(outcome) = outcomes.next() {
                    self.ahead -= 1;
                    return Some(outcome);
                }
                self.window.pop_front();
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
                Part::Local(handle, len) => self.ran(handle.join(), len, Part::Local),
                Part::Sent(handle, len) => self.ran(handle.join(), len, Part::Sent),
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
        for part in self.window.drain(..).rev() {
            match part {
                Part::Outcome(_) | Part::Outcomes(_) => {}
                Part::One(handle) => handle.cancel_queued(),
                Part::Local(handle, _) => handle.cancel_queued(),
                Part::Sent(handle, _) => handle.cancel_queued(),
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

/// How many tasks go together, learnt from the chunks that came back.
#[derive(Debug)]
struct Pace {
    chunk: usize,
    most: usize,
}

impl Pace {
    fn new(most: usize) -> Self {
        Self { chunk: 1, most }
    }

    /// `tasks` tasks took `run_time` together. Grows by steps, falls at once.
    fn learn(&mut self, tasks: usize, run_time: Duration) {
        if run_time.is_zero() || tasks == 0 {
            return;
        }
        let each = (run_time.as_nanos() / tasks as u128).max(1);
        let fitting = usize::try_from(CHUNK_TIME.as_nanos() / each).unwrap_or(MAX_CHUNK);
        self.chunk = fitting.clamp(1, (self.chunk * 4).min(self.most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_grows_by_steps_and_falls_at_once() {
        let mut pace = Pace::new(MAX_CHUNK);
        for expected in [4, 16, 64, 256, 1024, 4096, 4096] {
            pace.learn(10, Duration::from_nanos(100));
            assert_eq!(pace.chunk, expected);
        }
        pace.learn(100, Duration::from_micros(1_000));
        assert_eq!(pace.chunk, 15);
        pace.learn(1, Duration::from_millis(50));
        assert_eq!(pace.chunk, 1);
        pace.learn(0, Duration::ZERO);
        assert_eq!(pace.chunk, 1);
    }
}
