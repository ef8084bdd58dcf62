//! Batches and seats under every interleaving: the command is in CONTRIBUTING.md.
//!
//! A wake-up that is lost is a dead-lock of the model, and an outcome that is read before it is
//! there a race, both of which loom reports.

#![allow(clippy::unwrap_used)] // A failed `unwrap` is a failed model.

use loom::cell::UnsafeCell;
use loom::sync::{Condvar, Mutex};
use loom::thread;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::batch::{Batch, BatchConsumer};
use super::seat::{self, OnSeat, Seat};
use super::{Job, JobCell};
use crate::task::Task;

/// A number that loom watches.
#[derive(Serialize, Deserialize, Clone, Default)]
struct Traced {
    #[serde(skip)]
    number: Arc<UnsafeCell<u32>>,
}

// SAFETY: loom reports who touches the number without having it alone.
unsafe impl Send for Traced {}

/// Counts up.
#[derive(Serialize, Deserialize)]
struct Count(Traced);

impl Task for Count {
    type Output = Traced;
    const NAME: &'static str = "count";

    fn run(self) -> Traced {
        // SAFETY: the pointer is valid; loom reports a race.
        self.0.number.with_mut(|number| unsafe { *number += 1 });
        self.0
    }
}

fn batch(tasks: usize) -> (Arc<Batch<Count>>, BatchConsumer<Count>) {
    Batch::new(
        (0..tasks).map(|_| Count(Traced::default())).collect(),
        None,
        1,
    )
}

/// The consumer's loop, as in `map.rs`; says how often the task has run.
fn next(consumer: &mut BatchConsumer<Count>, ahead: usize) -> u32 {
    loop {
        if let Some(outcome) = consumer.take() {
            // SAFETY: the pointer is valid; loom reports a race.
            return outcome.unwrap().number.with(|number| unsafe { *number });
        }
        if consumer.watch(ahead) {
            thread::park();
        }
    }
}

fn worker(batch: &Arc<Batch<Count>>) -> thread::JoinHandle<()> {
    let batch = Arc::clone(batch);
    thread::spawn(move || {
        batch.work();
    })
}

fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn model_the_consumer_of_a_batch_is_woken() {
    bounded(3, || {
        let (batch, mut consumer) = batch(2);
        let worker = worker(&batch);
        assert_eq!([next(&mut consumer, 0), next(&mut consumer, 0)], [1, 1]);
        worker.join().unwrap();
    });
}

#[test]
fn model_the_consumer_of_a_batch_is_woken_once_for_many() {
    bounded(3, || {
        let (batch, mut consumer) = batch(2);
        let worker = worker(&batch);
        assert_eq!([next(&mut consumer, 1), next(&mut consumer, 1)], [1, 1]);
        worker.join().unwrap();
    });
}

#[test]
fn model_two_workers_run_each_task_of_a_batch_once() {
    bounded(2, || {
        let (batch, mut consumer) = batch(2);
        let workers = [worker(&batch), worker(&batch)];
        assert_eq!([next(&mut consumer, 0), next(&mut consumer, 0)], [1, 1]);
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn model_what_is_passed_over_is_run_or_dropped() {
    bounded(3, || {
        let numbers = [Traced::default(), Traced::default()];
        let (batch, mut consumer) = Batch::new(numbers.clone().map(Count).into(), None, 1);
        let worker = worker(&batch);
        consumer.skip();
        consumer.cancel();
        worker.join().unwrap();
        for Traced { number } in numbers {
            // SAFETY: the pointer is valid; loom reports a race.
            assert!(number.with(|number| unsafe { *number }) <= 1);
        }
    });
}

/// A task that goes on until it is ended, and one more inside it.
fn kill(nested: bool) {
    let seat = Arc::new(Seat::new());
    let ended = Arc::new((Mutex::new(0), Condvar::new()));
    let worker = thread::spawn({
        let (seat, ended) = (Arc::clone(&seat), Arc::clone(&ended));
        move || {
            let job = || -> Job { JobCell::new(Count(Traced::default())).1 };
            let (outer, inner) = (job(), job());
            let done = seat::Count::default();
            let on = || {
                Some(OnSeat {
                    seat: &seat,
                    alarm: &|_| {},
                    later: None,
                    begins: &|_| {},
                    count: &done,
                    failed: &|_| {},
                })
            };
            let wait = |count| {
                let mut is = ended.0.lock().unwrap();
                while *is < count {
                    is = ended.1.wait(is).unwrap();
                }
            };
            let _ = seat::enter(on(), &outer, None, || {
                if nested && seat::enter(on(), &inner, None, || wait(2)).is_ok() {
                    return;
                }
                wait(1);
            });
        }
    });
    // As in `Threads::kill`.
    seat.close();
    let found = seat.jobs().len();
    *ended.0.lock().unwrap() += found;
    ended.1.notify_all();
    worker.join().unwrap();
    assert!(seat.jobs().is_empty());
    let on = OnSeat {
        seat: &seat,
        alarm: &|_| {},
        later: None,
        begins: &|_| {},
        count: &seat::Count::default(),
        failed: &|_| {},
    };
    let late = JobCell::new(Count(Traced::default())).1;
    assert!(seat::enter(Some(on), &late, None, || ()).is_err());
}

#[test]
fn model_a_kill_ends_what_has_begun_and_nothing_begins_after_it() {
    bounded(3, || kill(false));
}

#[test]
fn model_a_kill_ends_jobs_inside_each_other() {
    bounded(3, || kill(true));
}

#[test]
fn model_a_visitor_finds_what_is_there() {
    loom::model(|| {
        let seat = Arc::new(Seat::new());
        let visitor = thread::spawn({
            let seat = Arc::clone(&seat);
            move || seat.jobs().len()
        });
        let job = JobCell::new(Count(Traced::default())).1;
        let on = OnSeat {
            seat: &seat,
            alarm: &|_| {},
            later: None,
            begins: &|_| {},
            count: &seat::Count::default(),
            failed: &|_| {},
        };
        let inside = seat::enter(Some(on), &job, None, || seat.jobs().len());
        assert_eq!(inside.unwrap(), 1);
        assert!(visitor.join().unwrap() <= 1);
        assert!(seat.jobs().is_empty());
    });
}
