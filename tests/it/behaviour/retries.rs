//! Tasks that run again, and those that do not.

use std::path::Path;
use std::time::{Duration, Instant};

use pool_core::{JoinHandle, TaskErrorKind, TaskExt, current, pool_task};
use pool_tests::gate::{Gate, pass};
use pool_tests::proc;
use pool_tests::tasks::{add, boom};
use pool_tests::until;
use serde::ser::Error;
use serde::{Deserialize, Serialize, Serializer};

use crate::harness::On;

/// Leaves word, and panics before run `works`.
#[pool_task]
fn works_at(folder: &Path, works: u32) -> u32 {
    let attempt = current().attempt();
    pass(folder, attempt);
    assert!(attempt >= works, "run {attempt}");
    attempt
}

/// The same of the function.
#[pool_task(retries = 2, idempotent, queue_timeout = "300s")]
fn twice_more(folder: &Path) -> u32 {
    works_at(folder, 3)
}

/// Leaves word, and ends its process before run `works`.
#[pool_task]
fn dies_until(folder: &Path, works: u32) -> u32 {
    let attempt = current().attempt();
    pass(folder, attempt);
    if attempt < works {
        std::process::abort();
    }
    attempt
}

/// Never comes to its end before run `works`, whatever it is told.
#[pool_task]
fn hangs_until(folder: &Path, works: u32) -> u32 {
    let attempt = current().attempt();
    pass(folder, attempt);
    if attempt < works {
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    attempt
}

/// Comes to its end when it is told, before run `works`.
#[pool_task]
fn listens_until(folder: &Path, works: u32) -> u32 {
    let attempt = current().attempt();
    pass(folder, attempt);
    if attempt < works {
        until("it is told", || current().is_cancelled());
    }
    attempt
}

/// Its length, unless this is the first run.
#[pool_task]
fn length(bytes: &[u8]) -> usize {
    assert!(current().attempt() > 1, "the first run");
    bytes.len()
}

#[pool_task]
fn join_of_two(folder: &Path) -> u32 {
    works_at(folder, 2)
}

/// A value that is no bytes.
#[derive(Deserialize)]
struct Refuses;

impl Serialize for Refuses {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("never"))
    }
}

#[pool_task]
fn takes(_refuses: Refuses) {}

fn runs(gate: &Gate) -> Vec<u32> {
    gate.starts().iter().map(|(number, _)| *number).collect()
}

pub(crate) fn until_it_works(on: &On) {
    let pool = on.pool();
    let gate = Gate::new();
    let handle = pool.submit(works_at::task(gate.folder(), 3).retries(5));
    assert_eq!(handle.join().unwrap(), 3);
    assert_eq!(runs(&gate), [1, 2, 3]);
    let gate = Gate::new();
    assert_eq!(
        pool.submit(twice_more::task(gate.folder())).join().unwrap(),
        3
    );
    assert_eq!(runs(&gate), [1, 2, 3]);
}

pub(crate) fn until_there_are_no_more(on: &On) {
    let pool = on.pool();
    let gate = Gate::new();
    let error = pool
        .submit(works_at::task(gate.folder(), 9).retries(2))
        .join()
        .unwrap_err();
    assert!(error.is_panic() && error.attempt() == 3, "{error}");
    assert_eq!(error.message(), Some("run 3"));
    assert!(error.to_string().contains("(attempt 3)"), "{error}");
    assert_eq!(runs(&gate), [1, 2, 3]);
}

pub(crate) fn without_leave_nothing_runs_twice(on: &On) {
    let pool = on.pool();
    let gate = Gate::new();
    let error = pool
        .submit(works_at::task(gate.folder(), 2))
        .join()
        .unwrap_err();
    assert!(error.is_panic() && error.attempt() == 1, "{error}");
    let idempotent = works_at::task(gate.folder(), 2).idempotent();
    let error = pool.submit(idempotent).join().unwrap_err();
    assert!(error.is_panic() && error.attempt() == 1, "{error}");
    assert_eq!(runs(&gate), [1, 1]);
}

pub(crate) fn of_tasks_whose_worker_dies(on: &On) {
    let pool = on.pool();
    let gate = Gate::new();
    let retried = dies_until::task(gate.folder(), 3).retries(2);
    assert_eq!(pool.submit(retried).join().unwrap(), 3);
    assert_eq!(runs(&gate), [1, 2, 3]);
    let gate = Gate::new();
    let idempotent = dies_until::task(gate.folder(), 3).idempotent();
    assert_eq!(pool.submit(idempotent).join().unwrap(), 3);
    assert_eq!(runs(&gate), [1, 2, 3]);
    let gate = Gate::new();
    let error = pool
        .submit(dies_until::task(gate.folder(), 3))
        .join()
        .unwrap_err();
    assert!(error.is_worker_lost() && error.attempt() == 1, "{error}");
    assert_eq!(runs(&gate), [1]);
}

pub(crate) fn a_task_that_kills_its_workers_is_given_up(on: &On) {
    let pool = on.pool();
    let (poison, others) = (Gate::new(), 0..300);
    let idempotent = pool.submit(dies_until::task(poison.folder(), 99).idempotent());
    let handles: Vec<_> = others.map(|i| pool.submit(add::task(i, 1))).collect();
    let error = idempotent.join().unwrap_err();
    assert!(error.is_worker_lost() && error.attempt() == 3, "{error}");
    assert_eq!(error.signal(), Some(6));
    assert_eq!(runs(&poison), [1, 2, 3]);
    let poison = Gate::new();
    let retried = pool.submit(dies_until::task(poison.folder(), 99).retries(1));
    let error = retried.join().unwrap_err();
    assert!(error.is_worker_lost() && error.attempt() == 2, "{error}");
    assert_eq!(runs(&poison), [1, 2]);
    for (i, handle) in (0..).zip(handles) {
        assert_eq!(handle.join().unwrap(), i + 1);
    }
}

pub(crate) fn of_tasks_that_are_killed_from_outside(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let handle = pool.submit(gate.hold(1).idempotent());
    let mut before = 0;
    for _ in 0..2 {
        let mut pid = before;
        until("it runs", || {
            pid = gate.wait_for(1);
            pid != before
        });
        proc::kill(pid);
        before = pid;
    }
    until("it runs for the third time", || gate.starts_of(1) == 3);
    gate.open();
    assert_eq!(handle.join().unwrap(), 1);
}

pub(crate) fn after_a_deadline(on: &On) {
    let limit = Duration::from_millis(200);
    let pool = on.pool();
    let gate = Gate::new();
    let hangs = hangs_until::task(gate.folder(), 2)
        .timeout(limit)
        .retries(3);
    assert_eq!(pool.submit(hangs).join().unwrap(), 2);
    assert_eq!(runs(&gate), [1, 2]);
    let gate = Gate::new();
    let listens = listens_until::task(gate.folder(), 2)
        .timeout(limit)
        .retries(3);
    assert_eq!(pool.submit(listens).join().unwrap(), 2);
    assert_eq!(runs(&gate), [1, 2]);
    let gate = Gate::new();
    let hangs = hangs_until::task(gate.folder(), 9)
        .timeout(limit)
        .retries(1);
    let error = pool.submit(hangs).join().unwrap_err();
    assert!(error.is_timeout() && error.attempt() == 2, "{error}");
    assert_eq!(runs(&gate), [1, 2]);
}

pub(crate) fn of_arguments_of_every_size(on: &On) {
    let pool = on.pool();
    for len in [0, 10, 80, 200, 20_000, 300_000, 40 << 20] {
        let bytes = vec![7; len];
        let handle = pool.submit(length::task(&bytes).retries(1));
        assert_eq!(handle.join().unwrap(), len);
    }
}

pub(crate) fn not_of_what_cannot_be_encoded(on: &On) {
    let pool = on.pool();
    let fails = takes::task(Refuses).retries(5);
    let error = pool.submit(fails).join().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Encode, "{error}");
    assert_eq!(error.attempt(), 1);
}

pub(crate) fn a_cancelled_one_does_not_come_back(on: &On) {
    let pool = on.pool_of(1);
    for _ in 0..5 {
        let gate = Gate::new();
        let handle = pool.submit(works_at::task(gate.folder(), 99).retries(1_000));
        until("it has run some times", || gate.starts().len() >= 2);
        assert!(handle.cancel());
        assert!(handle.join().unwrap_err().is_cancelled());
        // The worker comes to the next one, so it is at none of these.
        assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
        let runs = gate.starts().len();
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(gate.starts().len(), runs);
    }
}

/// Fails without a message after some microseconds.
#[pool_task]
fn fails_after(us: u64) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(us) {}
    std::panic::resume_unwind(Box::new("no"));
}

pub(crate) fn a_cancel_that_meets_the_end_of_a_run_counts(on: &On) {
    let pool = on.pool_of(1);
    for round in 0..5_000 {
        let handle = pool.submit(fails_after::task(20 + round % 7).retries(1_000));
        let start = Instant::now();
        while start.elapsed() < Duration::from_nanos(18_000 + round * 37 % 20_000) {}
        // It has no outcome before its last run.
        assert!(handle.cancel());
        assert!(handle.join().unwrap_err().is_cancelled());
    }
}

pub(crate) fn others_run_while_one_waits(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let failing = pool.submit(works_at::task(gate.folder(), 6).retries(5));
    until("it has failed thrice", || gate.starts().len() >= 3);
    while !failing.is_finished() {
        assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
    }
    assert_eq!(failing.join().unwrap(), 6);
}

pub(crate) fn a_pool_that_ends_waits_for_them(on: &On) {
    for _ in 0..3 {
        let gate = Gate::new();
        let pool = on.pool();
        let handle = pool.submit(works_at::task(gate.folder(), 4).retries(3));
        drop(pool);
        assert_eq!(runs(&gate), [1, 2, 3, 4]);
        assert_eq!(handle.join().unwrap(), 4);
    }
}

pub(crate) fn a_pool_that_is_killed_does_not(on: &On) {
    for with_limit in [false, true] {
        let gate = Gate::new();
        let pool = on.pool();
        let handles: Vec<JoinHandle<u32>> = (0..20)
            .map(|_| pool.submit(works_at::task(gate.folder(), 99).retries(1_000)))
            .collect();
        until("they have failed", || gate.starts().len() >= 40);
        if with_limit {
            pool.shutdown_timeout(Duration::from_secs(3600));
        } else {
            pool.kill();
        }
        let runs = gate.starts().len();
        for handle in handles {
            let error = handle.try_join().expect("it is resolved").unwrap_err();
            assert!(error.is_cancelled(), "{error}");
        }
        assert_eq!(gate.starts().len(), runs);
    }
}

pub(crate) fn of_a_map_keep_their_places(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let tasks = (0..20).map(|i| works_at::task(gate.folder(), 1 + i % 3).retries(2));
    let attempts: Vec<_> = pool.map(tasks).map(Result::unwrap).collect();
    assert_eq!(attempts, (0..20).map(|i| 1 + i % 3).collect::<Vec<_>>());
}

pub(crate) fn of_a_task_that_a_task_waits_for(on: &On) {
    // One worker: who waits has to run it, each time.
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let folder = gate.folder().to_owned();
    let inner = pool.clone();
    let (said, hear) = std::sync::mpsc::channel();
    let first = pool.submit(add::task(1, 1));
    first.on_finish(move || {
        let joined = inner.submit(join_of_two::task(&folder).retries(3)).join();
        said.send(joined.unwrap()).unwrap();
    });
    assert_eq!(hear.recv().unwrap(), 2);
    assert_eq!(
        pool.submit(boom::task("once").retries(1))
            .join()
            .unwrap_err()
            .attempt(),
        2
    );
}

pub(crate) fn who_does_not_start_in_time_never_does(on: &On) {
    let limit = Duration::from_millis(30);
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let running = pool.submit(gate.hold(0).queue_timeout(Duration::from_secs(300)));
    let _ = gate.wait_for(0);
    // Behind it in the lane, in the backlog, and large.
    let late: Vec<_> = (1..200)
        .map(|number| pool.submit(gate.pass(number).queue_timeout(limit)))
        .collect();
    let large = pool.submit(length::task(&vec![1; 20 << 20]).queue_timeout(limit));
    let patient = pool.submit(gate.pass(200).queue_timeout(Duration::MAX));
    for handle in late {
        let error = handle.join().unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert!(error.message().unwrap().contains("in the queue"), "{error}");
    }
    assert!(large.join().unwrap_err().is_timeout());
    assert!(!running.is_finished() && !patient.is_finished());
    gate.open();
    assert_eq!(running.join().unwrap(), 0);
    assert_eq!(patient.join().unwrap(), 200);
    assert_eq!(runs(&gate), [0, 200], "what came too late has not run");
}

pub(crate) fn who_has_started_in_time_may_take_longer(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let handle = pool.submit(gate.hold(0).queue_timeout(Duration::from_secs(2)));
    let again = pool.submit(
        works_at::task(gate.folder(), 3)
            .queue_timeout(Duration::from_secs(300))
            .retries(3),
    );
    let _ = gate.wait_for(0);
    std::thread::sleep(Duration::from_millis(2_100));
    assert!(!handle.is_finished());
    gate.open();
    assert_eq!(handle.join().unwrap(), 0);
    assert_eq!(again.join().unwrap(), 3);
}
