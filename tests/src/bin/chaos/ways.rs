//! The ways into a pool, the narrow ones too: queues that are full, and pools that change their
//! size. And tasks that take more memory than they may.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pool_core::{JoinHandle, Pool, Task, TaskExt};
use pool_tests::block_on;
use pool_tests::chance::{mix, pause};

use crate::figures::{FIGURES, blame};
use crate::ledger::Fate;
use crate::rules::MOST_WORKERS;
use crate::tasks::{gorges, lasts, small};
use crate::users::{AMPLE, Asked, User};

/// How much more than its worker may have a task takes: it is far above any doubt.
const TOO_MUCH: u64 = 32 << 20;

type Small = JoinHandle<Result<u64, String>>;

impl User<'_> {
    /// Submits in any of the ways that end with a handle.
    pub(crate) fn submit<T: Task>(&mut self, pool: &Pool, task: T) -> JoinHandle<T::Output> {
        match self.random.below(12) {
            0 => block_on(pool.submit_async(task)),
            // What is handed back is as good as new.
            1 => pool
                .try_submit(task)
                .unwrap_or_else(|task| pool.submit(task)),
            _ => pool.submit(task),
        }
    }

    /// Gives a task leave to run as often as `asked` says.
    pub(crate) fn submit_with_leave<T: Task>(
        &mut self,
        pool: &Pool,
        asked: &Asked,
        task: T,
    ) -> JoinHandle<T::Output> {
        let task = task.retries(asked.retries);
        match asked.idempotent {
            true => self.submit(pool, task.idempotent()),
            false => self.submit(pool, task),
        }
    }

    /// Never waits for room: who holds a worker that only it gives back must not. A task that is
    /// not taken never runs.
    fn try_to_submit<T: Task>(
        &mut self,
        pool: &Pool,
        number: u64,
        task: T,
    ) -> Option<JoinHandle<T::Output>> {
        let handle = match self.random.one_in(3) {
            true => pool.try_submit(task).ok(),
            false => glance(pool.submit_async(task)),
        };
        if handle.is_none() {
            let leave = Asked::of(number).leave();
            self.round.ledger.close(number, Fate::NotTaken, leave);
        }
        handle
    }

    pub(crate) fn try_small(&mut self, pool: &Pool) -> Option<(Asked, Small)> {
        let number = self.round.ledger.open(1);
        let task = small::task(&self.round.call(number), self.random.micros());
        let handle = self.try_to_submit(pool, number, task)?;
        Some((Asked::of(number), handle))
    }

    /// One that goes on until it is told, or killed.
    pub(crate) fn try_long(&mut self) -> Option<(Asked, JoinHandle<bool>)> {
        let number = self.round.ledger.open(1);
        let (time, listens) = self.long_time(Duration::ZERO);
        let task = lasts::task(&self.round.call(number), time, listens);
        let handle = self.try_to_submit(&self.round.pool, number, task)?;
        Some((Asked::of(number), handle))
    }

    /// As many as find room, and some that wait for it.
    pub(crate) fn flood(&mut self, pool: &Pool, is_bounded: bool) {
        let pauses = self.random.one_in(2);
        let mut handles = Vec::new();
        for _ in 0..self.random.below(300) {
            if pauses {
                pause(self.random.micros());
            }
            if self.random.one_in(8) {
                handles.push(self.submit_small(pool));
                continue;
            }
            let taken = self.try_small(pool);
            if taken.is_none() && !is_bounded {
                blame(&FIGURES.wrong, "a queue without bounds is full");
            }
            handles.extend(taken);
        }
        for (asked, handle) in handles {
            self.end_small(asked, handle);
        }
    }

    /// Changes the number of workers, with everything under way.
    pub(crate) fn resize(&mut self) {
        pause(self.random.below(3_000));
        let pool = &self.round.pool;
        self.round.rules.check_stats(pool);
        if !self.round.resizes {
            return;
        }
        let Ok(_alone) = self.round.resizing.try_lock() else {
            return;
        };
        let workers = 1 + self.random.below(MOST_WORKERS) as usize;
        pool.resize(workers).unwrap();
        FIGURES.resizes.add(1);
        if !self.is_inline() && pool.workers() != workers {
            let text = format!("{} workers instead of {workers}", pool.workers());
            blame(&FIGURES.wrong, &text);
        }
    }

    /// Takes more memory than a worker may have, for a moment or for as long as it lives, among
    /// tasks that do not.
    pub(crate) fn hunger(&mut self) {
        let Some(limit) = self.round.rules.memory_limit.filter(|_| self.is_remote()) else {
            return;
        };
        let number = self.round.ledger.open(1);
        let stays = self.random.one_in(2);
        let time = match stays {
            true => AMPLE,
            false => Duration::from_micros(self.random.below(12_000)),
        };
        let asked = Asked {
            hungry: true,
            retries: u32::from(self.random.one_in(4)),
            ..Asked::of(number)
        };
        let task = gorges::task(&self.round.call(number), limit + TOO_MUCH, time);
        let handle = self.submit_with_leave(&self.round.pool, &asked, task);
        let others: Vec<_> = (0..self.random.below(30))
            .map(|_| self.submit_small(&self.round.pool))
            .collect();
        self.end(asked, handle, || (!stays).then_some(mix(number)));
        for (asked, handle) in others {
            self.end_small(asked, handle);
        }
    }
}

/// Looks once whether a future is ready, and drops it.
fn glance<F: Future>(future: F) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
