//! Pools on the side: built, used and ended while the round's own pool is at work.

use std::sync::PoisonError;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use pool_core::{Backend, JoinHandle, Pool};
use pool_tests::chance::pause;
use pool_tests::until;

use crate::figures::{FIGURES, blame};
use crate::round::Round;
use crate::rules::Rules;
use crate::tasks::lasts;
use crate::users::{AMPLE, Asked, User};

/// How many threads fill the queue of a pool.
const SUBMITTERS: usize = 3;

/// Counts a pool as long as it is there.
struct Counted<'a>(&'a Round);

impl<'a> Counted<'a> {
    fn new(round: &'a Round) -> Self {
        FIGURES.side_pools.add(1);
        round.side_pools.fetch_add(1, SeqCst);
        Self(round)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.side_pools.fetch_sub(1, SeqCst);
    }
}

impl User<'_> {
    /// One at a time.
    pub(crate) fn side_pool(&mut self) {
        let Ok(_one) = self.round.aside.try_lock() else {
            return;
        };
        match self.random.below(8) {
            6 | 7 => self.narrow(),
            0 if self.round.backend() != Backend::Inline => self.cancelled_in_the_queue(),
            0 | 1 => self.killed(None),
            2 => {
                let grace = Duration::from_millis(self.random.below(10));
                self.killed(Some(grace));
            }
            3 => self.shut_down_early(),
            4 => self.shut_down(true),
            _ => self.shut_down(false),
        }
    }

    /// A pool of which no worker is killed before it stands: that would be an error of `build`.
    fn build_calmly(&mut self) -> Pool {
        let _calm = self
            .round
            .calm
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        self.build()
    }

    fn build(&mut self) -> Pool {
        // Some put more into it than its workers get done in time.
        self.build_with_queue(None)
    }

    fn build_with_queue(&mut self, queue: Option<usize>) -> Pool {
        let workers = 1 + self.random.below(2) as usize;
        let grace = Duration::from_millis(self.random.below(30));
        let rules = self.round.rules.with_queue(queue);
        let backend = self.round.backend();
        rules.build(backend, workers, grace, &self.round.journal())
    }

    fn submit_some(&mut self, pool: &Pool) -> Vec<(Asked, JoinHandle<Result<u64, String>>)> {
        (0..self.random.below(100))
            .map(|_| self.submit_small(pool))
            .collect()
    }

    /// A pool that is shut down, or dropped, does before what was submitted.
    fn shut_down(&mut self, by_drop: bool) {
        let _counted = Counted::new(self.round);
        let pool = self.build_calmly();
        let handles = self.submit_some(&pool);
        if by_drop {
            drop(pool);
        } else {
            pool.shutdown();
            self.is_refused(&pool);
        }
        for (asked, handle) in handles {
            is_finished(&handle);
            self.end_small(asked, handle);
        }
    }

    /// A pool that is killed, perhaps after some grace, gives every task an outcome at once.
    fn killed(&mut self, grace: Option<Duration>) {
        let _counted = Counted::new(self.round);
        let pool = self.build_calmly();
        let mut handles = self.submit_some(&pool);
        let number = self.round.ledger.open(1);
        let (time, listens) = self.long_time(Duration::ZERO);
        let long = pool.submit(lasts::task(&self.round.call(number), time, listens));
        handles.extend(self.submit_some(&pool));
        pause(self.random.below(2_000));
        match grace {
            // Whether that did comes down to whether the long one had started.
            Some(grace) => drop(pool.shutdown_timeout(grace)),
            None => pool.kill(),
        }
        self.is_refused(&pool);
        for (asked, handle) in handles {
            is_finished(&handle);
            let killed = true;
            self.end_small(Asked { killed, ..asked }, handle);
        }
        let asked = Asked {
            killed: true,
            ..Asked::of(number)
        };
        let inline = self.round.backend() == Backend::Inline;
        self.end(asked, long, || inline.then_some(false));
    }

    /// Only what has started is done; what has not never is.
    fn shut_down_early(&mut self) {
        let _counted = Counted::new(self.round);
        let pool = self.build_calmly();
        let handles = self.submit_some(&pool);
        pause(self.random.micros());
        if !pool.shutdown_timeout(AMPLE) {
            blame(&FIGURES.wrong, "a pool that had time enough was killed");
        }
        self.is_refused(&pool);
        for (asked, handle) in handles {
            is_finished(&handle);
            let queued = true;
            self.end_small(Asked { queued, ..asked }, handle);
        }
    }

    /// No more tasks wait than may, however many there are.
    fn narrow(&mut self) {
        // To the end: what a worker leaves behind waits for another one, room or not.
        let _calm = self
            .round
            .calm
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let _counted = Counted::new(self.round);
        let bound = 1 + self.random.below(8) as usize;
        let pool = self.build_with_queue(Some(bound));
        thread::scope(|scope| {
            let pool = &pool;
            for _ in 0..SUBMITTERS {
                let mut user = User::new(self.round, self.random.number());
                scope.spawn(move || user.flood(pool, true));
            }
        });
        pool.shutdown();
        let stats = pool.stats();
        if stats.queue_peak > bound {
            let text = format!("{bound} tasks may wait: {stats:?}");
            blame(&FIGURES.wrong, &text);
        }
        Rules::check_last_stats(&pool);
    }

    /// A pool that has ended takes nothing.
    fn is_refused(&mut self, pool: &Pool) {
        let (asked, handle) = self.submit_small(pool);
        let refused = true;
        self.end_small(Asked { refused, ..asked }, handle);
    }

    /// What is cancelled while every worker is busy with something else never starts.
    fn cancelled_in_the_queue(&mut self) {
        // To the end: a worker that dies would take up what waits.
        let _calm = self
            .round
            .calm
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let _counted = Counted::new(self.round);
        let pool = self.build();
        let mut long = Vec::new();
        for _ in 0..pool.workers() {
            let number = self.round.ledger.open(1);
            let (time, listens) = self.long_time(Duration::ZERO);
            let task = lasts::task(&self.round.call(number), time, listens);
            long.push((Asked::of(number), pool.submit(task)));
        }
        until("every worker has its task", || {
            long.iter().all(|(_, handle)| handle.is_running())
        });
        let mut handles = self.submit_some(&pool);
        for (asked, handle) in &mut handles {
            asked.cancelled = handle.cancel();
            asked.queued = true;
            // One in a hurry may have given up before.
            if !asked.cancelled && !asked.hurried {
                blame(&FIGURES.wrong, "a task that waits could not be cancelled");
            }
        }
        for (mut asked, handle) in long {
            asked.cancelled = handle.cancel();
            self.end(asked, handle, || None);
        }
        drop(pool);
        for (asked, handle) in handles {
            self.end_small(asked, handle);
        }
    }
}

/// A pool has ended: so have its tasks.
fn is_finished<T>(handle: &JoinHandle<T>) {
    if !handle.is_finished() {
        blame(&FIGURES.wrong, "a pool has ended before its tasks");
    }
}
