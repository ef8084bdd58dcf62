//! Waiting for whichever of many jobs is done next, of any mix of pools.
//!
//! Each job has a number. Its cell tells the number to the *inbox* when the job is resolved
//! ([`Notice`]), so a completion costs the same however many jobs there are. Who waits takes the
//! numbers out of the inbox; where it is empty it looks after the pools by itself for a while, as a
//! `join` does, and then says to them that it sleeps ([`Engine::sleeps`]) and waits for the inbox.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

#[cfg(feature = "async")]
use crate::engine::asynchronous;
use crate::engine::help::{Awaited, LOOK_EVERY, Search};
use crate::engine::{EngineRef, Help};
use crate::job::cell::{Job, Notice};
use crate::sync::adaptive_spin::AdaptiveSpin;
use crate::sync::blocked;

/// The numbers of the jobs that are resolved, until they are taken.
struct Inbox {
    state: Mutex<Arrived>,
    bell: Condvar,
}

#[derive(Default)]
struct Arrived {
    numbers: VecDeque<usize>,
    /// The waiter that the next one wakes.
    waker: Option<Waker>,
    /// Whether a thread sleeps on the bell: to ring it is a system call.
    sleeps: bool,
}

impl Inbox {
    fn new() -> Self {
        Self {
            state: Mutex::default(),
            bell: Condvar::new(),
        }
    }

    fn arrived(&self) -> MutexGuard<'_, Arrived> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a number, at most until the limit.
    fn sleep(&self, limit: Option<Duration>) {
        let mut arrived = self.arrived();
        arrived.sleeps = true;
        let is_empty = |arrived: &mut Arrived| arrived.numbers.is_empty();
        // Nothing is done under the lock that could panic.
        match limit {
            Some(limit) => drop(self.bell.wait_timeout_while(arrived, limit, is_empty)),
            None => drop(self.bell.wait_while(arrived, is_empty)),
        }
    }
}

impl Notice for Inbox {
    fn resolved(&self, number: usize) -> Option<Waker> {
        let mut arrived = self.arrived();
        arrived.numbers.push_back(number);
        let waker = arrived.waker.take();
        let sleeps = std::mem::take(&mut arrived.sleeps);
        drop(arrived);
        if sleeps {
            self.bell.notify_one();
        }
        waker
    }
}

/// Jobs, of which the next one that is done is waited for.
pub(crate) struct Completions {
    inbox: Arc<Inbox>,
    /// What was taken out of the inbox, all at once, and not returned.
    taken: VecDeque<usize>,
    /// By number; `None`: free.
    jobs: Vec<Option<Awaited>>,
    free: Vec<usize>,
    /// One job of each pool.
    pools: Vec<Awaited>,
    /// How many of the pools belong to a process that this one was forked from.
    orphans: usize,
    adaptive_spin: AdaptiveSpin,
    search: Search,
    /// Where somebody polls: those that were added since a poll has last found nothing.
    unwatched: Option<Vec<usize>>,
}

impl Completions {
    pub(crate) fn new() -> Self {
        Self {
            inbox: Arc::new(Inbox::new()),
            taken: VecDeque::new(),
            jobs: Vec::new(),
            free: Vec::new(),
            pools: Vec::new(),
            orphans: 0,
            adaptive_spin: AdaptiveSpin::new(),
            search: Search::default(),
            unwatched: None,
        }
    }

    /// How many jobs there are that [`next`](Self::next) has not returned.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One job more; its number: the lowest ones go on from 0, until `next` has freed some.
    pub(crate) fn add(&mut self, engine: &EngineRef, job: &Job) -> usize {
        self.notice_fork();
        let number = self.free.pop().unwrap_or_else(|| {
            self.jobs.push(None);
            self.jobs.len() - 1
        });
        self.jobs[number] = Some((EngineRef::clone(engine), job.clone()));
        // Most often it is the pool of the one before.
        let is_known = |pool: &Awaited| Arc::ptr_eq(&pool.0, engine);
        if !self.pools.iter().rev().any(is_known) {
            self.pools.push((EngineRef::clone(engine), job.clone()));
            self.orphans += usize::from(engine.is_forked());
        }
        if self.orphans > 0 {
            // In a fork nobody else will ever resolve it.
            engine.poll(job);
        }
        let head = job.head();
        let inbox: Arc<Inbox> = Arc::clone(&self.inbox);
        let effects = engine.effects().cloned();
        head.waiters.add_notice(inbox, number, effects, &head.state);
        self.unwatched.iter_mut().for_each(|new| new.push(number));
        number
    }

    /// Whether a job is done.
    pub(crate) fn has_next(&mut self) -> bool {
        self.notice_fork();
        if self.taken.is_empty() {
            self.take();
        }
        if self.taken.is_empty() {
            self.poll();
            self.take();
        }
        !self.taken.is_empty()
    }

    /// The number of a job that is done, if there is one: without waiting.
    pub(crate) fn try_next(&mut self) -> Option<usize> {
        if !self.has_next() {
            return None;
        }
        let number = self.taken.pop_front()?;
        self.jobs[number] = None;
        self.free.push(number);
        Some(number)
    }

    /// If this is a fork: the jobs of the parent's pools are resolved. The lock of the inbox may be
    /// held for ever in the copy, so there is a new inbox.
    fn notice_fork(&mut self) {
        let is_forked = |pool: &&Awaited| pool.0.is_forked();
        let orphans = self.pools.iter().filter(is_forked).count();
        if orphans == self.orphans {
            return;
        }
        self.orphans = orphans;
        let old = std::mem::replace(&mut self.inbox, Arc::new(Inbox::new()));
        let old: Arc<dyn Notice> = old;
        self.taken.clear();
        for (number, awaited) in self.jobs.iter().enumerate() {
            let Some((engine, job)) = awaited else {
                continue;
            };
            let head = job.head();
            if !head.is_resolved() {
                head.waiters.remove_notice(&old);
                engine.poll(job);
            }
            match head.is_resolved() {
                true => self.taken.push_back(number),
                false => {
                    let inbox: Arc<Inbox> = Arc::clone(&self.inbox);
                    let effects = engine.effects().cloned();
                    head.waiters.add_notice(inbox, number, effects, &head.state);
                }
            }
        }
    }

    fn take(&mut self) {
        std::mem::swap(&mut self.taken, &mut self.inbox.arrived().numbers);
    }

    /// Waits for a job that is done, at most until the deadline; `None` where there is none, or no
    /// job at all.
    pub(crate) fn next(&mut self, deadline: Option<Instant>) -> Option<usize> {
        loop {
            let found = self.try_next();
            if found.is_some() || self.is_empty() {
                return found;
            }
            let limit = match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return None,
                limit => limit,
            };
            if self.is_soon() {
                continue;
            }
            if let Some((engine, job)) = self.sleep(limit) {
                engine.help(&job);
            }
        }
    }

    /// Looks for a job that is done for as long as that is worth it; whether there is one.
    pub(crate) fn is_soon(&self) -> bool {
        self.adaptive_spin.spin_until(|| {
            self.poll();
            !self.inbox.arrived().numbers.is_empty()
        })
    }

    /// The number of a job that is done; without one the waker is woken when there is.
    #[cfg(feature = "async")]
    pub(crate) fn poll_next(&mut self, waker: &Waker) -> Option<usize> {
        let found = self.try_next();
        if found.is_some() || self.is_empty() {
            return found;
        }
        // Clones and drops of wakers are user code: not under the lock.
        let new = waker.clone();
        let replaced = self.inbox.arrived().waker.replace(new);
        drop(replaced);
        // Whoever polls does not look for itself until it is woken.
        let all = || (0..self.jobs.len()).collect();
        let new = self.unwatched.replace(Vec::new()).unwrap_or_else(all);
        for number in new {
            if let Some((engine, job)) = &self.jobs[number]
                && job.head().state.watch(true)
            {
                engine.watch(job);
                asynchronous::awaits(engine, job);
            }
        }
        self.try_next()
    }

    /// Looks at the pools.
    fn poll(&self) {
        for (engine, job) in &self.pools {
            engine.poll(job);
        }
    }

    /// Sleeps until something arrives or the time is over; or returns a job that the calling thread
    /// has to run, since it may be the last that could.
    fn sleep(&mut self, limit: Option<Duration>) -> Option<Awaited> {
        struct Awake<'a>(&'a [Awaited]);
        impl Drop for Awake<'_> {
            fn drop(&mut self) {
                for (engine, _) in self.0 {
                    engine.sleeps(false);
                }
            }
        }
        blocked::during(|| {
            let mut longest = limit;
            // Who waits for a limited time only cannot run a task for as long as it takes.
            if limit.is_none() {
                match self.search.look(&self.jobs, true) {
                    Ok(left) => return Some(left),
                    Err(Help::Never) => {}
                    Err(_) => longest = Some(LOOK_EVERY),
                }
            }
            for (engine, _) in &self.pools {
                engine.sleeps(true);
            }
            let _awake = Awake(&self.pools);
            self.inbox.sleep(longest);
            None
        })
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        let inbox: Arc<dyn Notice> = Arc::<Inbox>::clone(&self.inbox);
        for (_, job) in self.jobs.iter().flatten() {
            job.head().waiters.remove_notice(&inbox);
        }
    }
}
