//! The workers of a thread pool, whose number can change.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crossbeam_utils::CachePadded;

use super::ledger::Ledger;
use super::worker::{Queues, Stealers};
use crate::job::cell::Seat;
use crate::metrics::recorder::Metrics;

/// What others see of a worker. It stays when the worker has ended, for the next one in its place.
pub(super) struct Worker {
    pub(super) stealers: Stealers,
    /// What it runs.
    pub(super) seat: Seat,
    /// How many jobs it has begun.
    pub(super) ran: AtomicU64,
    pub(super) ledger: Arc<Ledger>,
}

/// Places for workers. They are taken in order and never given back, so that others may look at
/// all of them without a lock.
pub(super) struct WorkerTable {
    places: Box<[OnceLock<Box<CachePadded<Worker>>>]>,
    /// How many places are taken.
    len: AtomicUsize,
    /// How many workers there are to be: those from here on end. Changed under the lock only.
    target: AtomicUsize,
    /// The queues of workers that have ended, by place.
    vacant: Mutex<Vec<Option<Queues>>>,
    metrics: Arc<Metrics>,
}

impl WorkerTable {
    pub(super) fn new(target: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            places: (0..crate::error::pool_error::MAX_WORKERS)
                .map(|_| OnceLock::new())
                .collect(),
            len: AtomicUsize::new(0),
            target: AtomicUsize::new(target),
            vacant: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn target(&self) -> usize {
        self.target.load(Acquire)
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Acquire)
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<&Worker> {
        self.places.get(index)?.get().map(|worker| &***worker)
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Worker> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// As long as it is held, nobody is hired and nobody leaves.
    pub(super) fn lock(&self) -> Vacancies<'_> {
        Vacancies {
            worker_table: self,
            vacant: self.vacant.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// The lock of a worker table.
pub(super) struct Vacancies<'a> {
    worker_table: &'a WorkerTable,
    vacant: MutexGuard<'a, Vec<Option<Queues>>>,
}

impl Vacancies<'_> {
    pub(super) fn set_target(&self, target: usize) {
        self.worker_table.target.store(target, Release);
    }

    /// A vacant place that should be filled, with its queues.
    pub(super) fn fill(&mut self) -> Option<(usize, Queues)> {
        let target = self.worker_table.target();
        let vacant = self.vacant.iter_mut().take(target).enumerate();
        for (index, queues) in vacant {
            if let Some(queues) = queues.take() {
                return Some((index, queues));
            }
        }
        let index = self.vacant.len();
        if index >= target {
            return None;
        }
        let queues = Queues::new();
        let worker = Worker {
            stealers: queues.stealers(),
            seat: Seat::new(),
            ran: AtomicU64::new(0),
            ledger: Arc::new(Ledger::new(Arc::clone(&self.worker_table.metrics))),
        };
        let place = &self.worker_table.places[index];
        debug_assert!(place.get().is_none(), "places are taken in order");
        place.get_or_init(|| Box::new(CachePadded::new(worker)));
        self.vacant.push(None);
        self.worker_table.len.store(index + 1, Release);
        Some((index, queues))
    }

    /// Whether nobody works in this place.
    pub(super) fn is_vacant(&self, index: usize) -> bool {
        self.vacant.get(index).is_some_and(Option::is_some)
    }

    /// A worker has ended, or was not started.
    pub(super) fn vacate(&mut self, index: usize, queues: Queues) {
        self.vacant[index] = Some(queues);
    }
}
