//! Many tasks, one ordered stream of results.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;

use crate::{JoinHandle, Pool, Task, TaskError};

/// How many tasks of a map are in flight for each worker, unless [`Map::in_flight`] says
/// otherwise: enough to keep a worker busy while the consumer is busy elsewhere, few enough that
/// an endless input stays cheap.
const IN_FLIGHT_PER_WORKER: usize = 64;

/// The results of [`Pool::map`], in the order of the inputs.
///
/// It is lazy: nothing is submitted before the first `next`, the input is read one bounded window
/// ahead of the results, and it goes on after an error. Dropping it half-way reads no more input
/// and cancels what has not started.
pub struct Map<I: Iterator<Item: Task>> {
    pool: Pool,
    /// `None` once it has ended: an iterator is not asked again after its `None`.
    input: Option<I>,
    window: VecDeque<JoinHandle<<I::Item as Task>::Output>>,
    in_flight: usize,
}

impl<I: Iterator<Item: Task>> Map<I> {
    pub(crate) fn new(pool: Pool, input: I) -> Self {
        let in_flight = pool.workers() * IN_FLIGHT_PER_WORKER;
        Self {
            pool,
            input: Some(input),
            window: VecDeque::new(),
            in_flight,
        }
    }

    /// Bounds how many tasks are submitted and not yet returned by `next`; at least one.
    #[must_use]
    pub fn in_flight(mut self, tasks: usize) -> Self {
        self.in_flight = tasks.max(1);
        self
    }

    fn fill(&mut self) {
        while self.window.len() < self.in_flight {
            let Some(input) = &mut self.input else {
                return;
            };
            match input.next() {
                Some(task) => self.window.push_back(self.pool.submit(task)),
                None => self.input = None,
            }
        }
    }
}

impl<I: Iterator<Item: Task>> Iterator for Map<I> {
    type Item = Result<<I::Item as Task>::Output, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.fill();
        Some(self.window.pop_front()?.join())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let ahead = self.window.len();
        let (least, most) = self.input.as_ref().map_or((0, Some(0)), I::size_hint);
        (
            least.saturating_add(ahead),
            most.and_then(|most| most.checked_add(ahead)),
        )
    }
}

impl<I: ExactSizeIterator<Item: Task>> ExactSizeIterator for Map<I> {}

impl<I: Iterator<Item: Task>> FusedIterator for Map<I> {}

impl<I: Iterator<Item: Task>> Drop for Map<I> {
    fn drop(&mut self) {
        // From the back: what started last has the best chance of not having started.
        for handle in self.window.drain(..).rev() {
            if !handle.is_running() {
                handle.cancel();
            }
        }
    }
}

impl<I: Iterator<Item: Task>> fmt::Debug for Map<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("pool", &self.pool)
            .field("window", &self.window.len())
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}
