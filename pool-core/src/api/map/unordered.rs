//! The tasks in flight of an unordered map.

use std::collections::VecDeque;
use std::fmt;
#[cfg(feature = "async")]
use std::task::Waker;

use super::Outcome;
use super::flow::Sent;
use crate::api::completions::Completions;
use crate::api::pool::Pool;
use crate::error::panics::drop_quietly;
use crate::task::Task;

pub(super) struct Unordered<T: Task> {
    completions: Completions,
    /// The jobs by their numbers there, with the indices of their first tasks.
    jobs: Vec<Option<(Sent<T>, usize)>>,
    pub(super) ready: VecDeque<(usize, Outcome<T>)>,
}

impl<T: Task> Unordered<T> {
    /// One job more.
    pub(super) fn push(&mut self, sent: Sent<T>, first: usize) {
        let number = match &sent {
            Sent::One(handle) => handle.enter(&mut self.completions),
            Sent::Chunk(handle, _) => handle.enter(&mut self.completions),
        };
        if number == self.jobs.len() {
            self.jobs.push(None);
        }
        self.jobs[number] = Some((sent, first));
    }

    /// Whether there is an outcome, or a job that is done.
    pub(super) fn has_result(&mut self) -> bool {
        !self.ready.is_empty() || self.completions.has_next()
    }

    /// Waits for a job that is done; `None`: there is no job.
    pub(super) fn wait(&mut self) -> Option<(Sent<T>, usize)> {
        let number = self.completions.next(None)?;
        self.jobs[number].take()
    }

    /// A job that is done; without one the waker is woken when there is.
    #[cfg(feature = "async")]
    pub(super) fn poll(&mut self, waker: &Waker) -> Option<(Sent<T>, usize)> {
        let number = self.completions.poll_next(waker)?;
        self.jobs[number].take()
    }

    pub(super) fn give_up(&mut self, pool: &Pool, running: bool) {
        self.ready.drain(..).for_each(drop_quietly);
        self.completions = Completions::new();
        for (sent, _) in self.jobs.drain(..).rev().flatten() {
            sent.give_up(pool, running);
        }
    }
}

impl<T: Task> Default for Unordered<T> {
    fn default() -> Self {
        Self {
            completions: Completions::new(),
            jobs: Vec::new(),
            ready: VecDeque::new(),
        }
    }
}

impl<T: Task> fmt::Debug for Unordered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unordered").finish_non_exhaustive()
    }
}
