//! The parking protocol under every interleaving: the command is in CONTRIBUTING.md.
//!
//! [`Sleepers`] is the real one. What stands in for the rest keeps its orderings: [`Parker`] for
//! crossbeam's, the queue for a shard of `queue.rs`, the loop for the one of `worker.rs` without
//! its spinning, `submit` and `one_ended` for those of `mod.rs`. A lost wake-up is a dead-lock of
//! the model, which loom reports.

#![allow(clippy::unwrap_used)] // A failed `unwrap` is a failed model.

use std::collections::VecDeque;

use loom::sync::atomic::Ordering::{Relaxed, SeqCst};
use loom::sync::atomic::{AtomicBool, AtomicUsize, fence};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::sleep::{Park, Sleepers};

/// A token behind a lock.
struct Parker(Arc<(Mutex<bool>, Condvar)>);

impl Parker {
    fn new() -> Self {
        Self(Arc::new((Mutex::new(false), Condvar::new())))
    }
}

impl Park for Parker {
    type Unparker = Arc<(Mutex<bool>, Condvar)>;

    fn unparker(&self) -> Self::Unparker {
        Arc::clone(&self.0)
    }

    fn park(&self) {
        let mut token = self.0.0.lock().unwrap();
        while !*token {
            token = self.0.1.wait(token).unwrap();
        }
        *token = false;
    }

    fn unpark(unparker: &Self::Unparker) {
        *unparker.0.lock().unwrap() = true;
        unparker.1.notify_one();
    }
}

/// A job of a model: what it adds to the sum of the worker that runs it, and whether it waits until
/// as many jobs as that have begun.
#[derive(Clone, Copy)]
struct Job {
    worth: u32,
    meets: usize,
}

/// A shard of `queue.rs`.
struct Queue {
    len: AtomicUsize,
    jobs: Mutex<VecDeque<Job>>,
}

impl Queue {
    fn push(&self, job: Job) {
        let mut jobs = self.jobs.lock().unwrap();
        jobs.push_back(job);
        self.len.store(jobs.len(), Relaxed);
    }

    fn is_empty(&self) -> bool {
        self.len.load(Relaxed) == 0
    }

    fn take(&self) -> Option<Job> {
        if self.is_empty() {
            return None;
        }
        let mut jobs = self.jobs.lock().unwrap();
        let job = jobs.pop_front()?;
        self.len.store(jobs.len(), Relaxed);
        Some(job)
    }
}

struct Shared {
    queue: Queue,
    sleepers: Sleepers<Parker>,
    closed: AtomicBool,
    killed: AtomicBool,
    alive: AtomicUsize,
    /// How many jobs have begun.
    begun: (Mutex<usize>, Condvar),
    /// What the refused jobs are worth.
    refused: AtomicUsize,
}

impl Shared {
    fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            queue: Queue {
                len: AtomicUsize::new(0),
                jobs: Mutex::new(VecDeque::new()),
            },
            sleepers: Sleepers::new(workers),
            closed: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            alive: AtomicUsize::new(workers),
            begun: (Mutex::new(0), Condvar::new()),
            refused: AtomicUsize::new(0),
        })
    }

    fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    fn run(&self, job: Job) -> u32 {
        let mut begun = self.begun.0.lock().unwrap();
        *begun += 1;
        self.begun.1.notify_all();
        while *begun < job.meets {
            begun = self.begun.1.wait(begun).unwrap();
        }
        job.worth
    }

    fn submit(&self, job: Job) {
        if self.is_closed() {
            self.refuse(job);
            return;
        }
        self.queue.push(job);
        self.sleepers.wake_one();
        let nobody_runs_it = || self.killed.load(SeqCst) || self.alive.load(SeqCst) == 0;
        if self.is_closed() && nobody_runs_it() {
            self.refuse_queued();
        }
    }

    fn refuse(&self, job: Job) {
        self.refused.fetch_add(job.worth as usize, SeqCst);
    }

    fn refuse_queued(&self) {
        fence(SeqCst);
        while let Some(job) = self.queue.take() {
            self.refuse(job);
        }
    }

    fn close(&self) {
        self.closed.store(true, SeqCst);
        self.sleepers.wake_all();
    }

    /// A worker: runs jobs until it has run `most` of them or the pool is closed; says what they
    /// were worth.
    fn work(&self, worker: usize, most: usize) -> u32 {
        let parker = Parker::new();
        let mut sum = 0;
        let mut ran = 0;
        while ran < most {
            let closed = self.is_closed();
            if let Some(job) = self.queue.take() {
                sum += self.run(job);
                ran += 1;
            } else if closed {
                break;
            } else {
                let ready = || !self.queue.is_empty() || self.is_closed();
                self.sleepers.sleep(worker, &parker, ready);
            }
        }
        if self.alive.fetch_sub(1, SeqCst) == 1 {
            self.refuse_queued();
        }
        sum
    }
}

fn spawn_worker(shared: &Arc<Shared>, worker: usize, most: usize) -> thread::JoinHandle<u32> {
    let shared = Arc::clone(shared);
    thread::spawn(move || shared.work(worker, most))
}

fn job(worth: u32) -> Job {
    Job { worth, meets: 0 }
}

fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn model_a_job_wakes_the_worker() {
    loom::model(|| {
        let shared = Shared::new(1);
        let worker = spawn_worker(&shared, 0, 1);
        shared.submit(job(1));
        assert_eq!(worker.join().unwrap(), 1);
    });
}

#[test]
fn model_a_worker_is_woken_again() {
    bounded(3, || {
        let shared = Shared::new(1);
        let worker = spawn_worker(&shared, 0, 2);
        shared.submit(job(1));
        shared.submit(job(2));
        assert_eq!(worker.join().unwrap(), 3);
    });
}

#[test]
fn model_two_submitters_wake_the_worker() {
    bounded(3, || {
        let shared = Shared::new(1);
        let worker = spawn_worker(&shared, 0, 2);
        let other = thread::spawn({
            let shared = shared.clone();
            move || shared.submit(job(1))
        });
        shared.submit(job(2));
        other.join().unwrap();
        assert_eq!(worker.join().unwrap(), 3);
    });
}

/// No worker sleeps beside a job that waits: each of these goes on when the other one runs.
#[test]
fn model_two_jobs_wake_two_workers() {
    bounded(2, || {
        let shared = Shared::new(2);
        let workers = [0, 1].map(|worker| spawn_worker(&shared, worker, 1));
        shared.submit(Job { worth: 1, meets: 2 });
        shared.submit(Job { worth: 2, meets: 2 });
        let sum: u32 = workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum();
        assert_eq!(sum, 3);
    });
}

#[test]
fn model_closing_wakes_every_worker() {
    bounded(3, || {
        let shared = Shared::new(2);
        let workers = [0, 1].map(|worker| spawn_worker(&shared, worker, 1));
        shared.close();
        for worker in workers {
            assert_eq!(worker.join().unwrap(), 0);
        }
    });
}

#[test]
fn model_what_was_submitted_before_the_end_is_run() {
    bounded(3, || {
        let shared = Shared::new(2);
        let workers = [0, 1].map(|worker| spawn_worker(&shared, worker, 1));
        shared.submit(job(1));
        shared.close();
        let sum: u32 = workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum();
        assert_eq!(sum, 1);
    });
}

/// A job that is submitted while the pool is closed is run or refused, once.
#[test]
fn model_a_job_beside_the_end_is_run_or_refused() {
    bounded(3, || {
        let shared = Shared::new(1);
        let worker = spawn_worker(&shared, 0, usize::MAX);
        let submitter = thread::spawn({
            let shared = shared.clone();
            move || shared.submit(job(1))
        });
        shared.close();
        submitter.join().unwrap();
        let ran = worker.join().unwrap();
        assert_eq!(ran as usize + shared.refused.load(SeqCst), 1);
    });
}

/// The same where the pool is killed, and its only worker never comes back from its task.
#[test]
fn model_a_job_beside_a_kill_is_refused() {
    loom::model(|| {
        let shared = Shared::new(1);
        let submitter = thread::spawn({
            let shared = shared.clone();
            move || shared.submit(job(1))
        });
        shared.killed.store(true, SeqCst);
        shared.close();
        shared.refuse_queued();
        submitter.join().unwrap();
        assert_eq!(shared.refused.load(SeqCst), 1);
    });
}
