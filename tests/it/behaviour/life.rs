//! The life of workers: what they run first, when they are replaced, how many there are, what they
//! are given.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use pool_core::{Error, JoinHandle, Pool, TaskExt, pool_task};
use pool_tests::gate::{Gate, pass};
use pool_tests::proc::{self, Process};
use pool_tests::tasks::{add, nap, pid};
use pool_tests::until;

use crate::harness::On;

// ---- the initializer ----

static READY: AtomicU32 = AtomicU32::new(0);

/// Leaves word, and makes the worker ready.
#[pool_task]
fn get_ready(folder: &Path, with: u32) {
    pass(folder, 0);
    READY.store(with, Relaxed);
}

/// What the worker was made ready with.
#[pool_task]
fn readiness() -> u32 {
    READY.load(Relaxed)
}

#[pool_task]
fn fails(folder: &Path, how: &str) -> Result<(), String> {
    pass(folder, 0);
    match how {
        "error" => Err("no model here".into()),
        "panic" => panic!("no model there"),
        "abort" => std::process::abort(),
        _ => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
    }
}

pub(crate) fn begins_with_the_initializer(on: &On) {
    let gate = Gate::new();
    let task = get_ready::task(gate.folder(), 42);
    let pool = on.builder().workers(3).initializer(task).build().unwrap();
    for result in pool.map((0..300).map(|_| readiness::task())) {
        assert_eq!(result.unwrap(), 42);
    }
    let handles: Vec<_> = (0..100).map(|_| pool.submit(readiness::task())).collect();
    for handle in handles {
        assert_eq!(handle.join().unwrap(), 42);
    }
    drop(pool);
    let starts = gate.starts();
    assert_eq!(starts.len(), if on.inline() { 1 } else { 3 }, "{starts:?}");
}

pub(crate) fn begins_again_with_it_after_a_death(on: &On) {
    let gate = Gate::new();
    let task = get_ready::task(gate.folder(), 7);
    let pool = on.builder().workers(1).initializer(task).build().unwrap();
    for _ in 0..3 {
        assert_eq!(pool.submit(readiness::task()).join().unwrap(), 7);
        let worker = pool.submit(pid::task()).join().unwrap();
        proc::kill(worker);
    }
    assert_eq!(pool.submit(readiness::task()).join().unwrap(), 7);
    assert!(gate.starts().len() >= 4);
}

#[track_caller]
fn breaks(on: &On, how: &str, text: &str) {
    let gate = Gate::new();
    // To print the place of a panic may take a while.
    let limit = if how == "hang" { 100 } else { 300_000 };
    let task = fails::task(gate.folder(), how).timeout(Duration::from_millis(limit));
    let pool = match on.builder().initializer(task).build() {
        Ok(pool) => pool,
        // All its tries may be over before the last worker has said hello.
        Err(error) => {
            assert!(
                how == "abort" && error.to_string().contains(text),
                "{error}"
            );
            return;
        }
    };
    let submitted: Vec<_> = (0..20).map(|i| pool.submit(add::task(i, 0))).collect();
    for handle in submitted {
        let error = handle.join().unwrap_err();
        assert!(error.is_rejected(), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    for result in pool.map((0..20).map(|i| add::task(i, 0))) {
        assert!(result.unwrap_err().to_string().contains(text));
    }
    let error = pool.submit(add::task(1, 1)).join().unwrap_err();
    assert!(
        error.is_rejected() && error.to_string().contains(text),
        "{error}"
    );
    assert!(!gate.starts().is_empty());
}

pub(crate) fn an_initializer_that_fails_breaks_the_pool(on: &On) {
    breaks(on, "error", "no model here");
    breaks(on, "panic", "no model there");
}

pub(crate) fn an_initializer_that_hangs_breaks_the_pool(on: &On) {
    breaks(on, "hang", "timed out");
}

pub(crate) fn an_initializer_that_dies_breaks_the_pool_after_some_tries(on: &On) {
    breaks(on, "abort", "SIGABRT");
}

// ---- how long they live ----

pub(crate) fn ends_after_its_tasks(on: &On) {
    let pool = on
        .builder()
        .workers(1)
        .max_tasks_per_worker(3)
        .build()
        .unwrap();
    let mut pids = Vec::new();
    for _ in 0..9 {
        pids.push(pool.submit(pid::task()).join().unwrap());
    }
    let distinct: BTreeSet<_> = pids.iter().collect();
    assert_eq!(distinct.len(), 3, "{pids:?}");
    assert!(
        pids.chunks(3)
            .all(|same| same.iter().all(|pid| *pid == same[0])),
        "{pids:?}"
    );
    // The same for many at once, and for maps.
    let handles: Vec<_> = (0..30).map(|_| pool.submit(pid::task())).collect();
    let mut pids: Vec<_> = handles
        .into_iter()
        .map(|handle| handle.join().unwrap())
        .collect();
    pids.extend(pool.map((0..30).map(|_| pid::task())).map(Result::unwrap));
    for pid in pids.iter().collect::<BTreeSet<_>>() {
        assert!(
            pids.iter().filter(|same| *same == pid).count() <= 3,
            "{pids:?}"
        );
    }
    assert_eq!(pool.stats().workers_lost, 0);
    // Drained while workers change.
    let handles: Vec<_> = (0..20).map(|i| pool.submit(add::task(i, 1))).collect();
    drop(pool);
    for (i, handle) in (0..).zip(handles) {
        assert_eq!(handle.join().unwrap(), i + 1);
    }
}

pub(crate) fn ends_when_there_is_nothing_to_do_and_comes_back(on: &On) {
    let pool = on
        .builder()
        .idle_timeout(Duration::from_millis(30))
        .build()
        .unwrap();
    for round in 0..3 {
        let handles: Vec<_> = (0..40).map(|i| pool.submit(add::task(i, round))).collect();
        for (i, handle) in (0..).zip(handles) {
            assert_eq!(handle.join().unwrap(), i + round);
        }
        until("no worker is left", || {
            proc::children_of(std::process::id()).is_empty()
        });
        assert_eq!(pool.workers(), 2);
        assert_eq!(pool.stats().workers, 0);
    }
    // One long task keeps one.
    let gate = Gate::new();
    let held = pool.submit(gate.hold(1));
    let worker = Process::of(gate.wait_for(1)).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(worker.lives());
    gate.open();
    assert_eq!(held.join().unwrap(), 1);
    assert_eq!(pool.stats().workers_lost, 0);
}

// ---- how many there are ----

fn held(pool: &Pool, gate: &Gate, tasks: u32) -> Vec<JoinHandle<u32>> {
    (0..tasks)
        .map(|number| pool.submit(gate.hold(number)))
        .collect()
}

pub(crate) fn can_become_more(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let handles = held(&pool, &gate, 5);
    until("one runs", || gate.starts().len() == 1);
    pool.resize(5).unwrap();
    assert_eq!(pool.workers(), 5);
    until("all run", || gate.starts().len() == 5);
    gate.open();
    for (i, handle) in (0..).zip(handles) {
        assert_eq!(handle.join().unwrap(), i);
    }
}

pub(crate) fn can_become_fewer(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(4);
    let handles = held(&pool, &gate, 8);
    until("four run", || gate.starts().len() == 4);
    pool.resize(1).unwrap();
    assert_eq!(pool.workers(), 1);
    // Who is at a task ends it first, and nobody else begins one but the one that stays.
    gate.open();
    for (i, handle) in (0..).zip(handles) {
        assert_eq!(handle.join().unwrap(), i);
    }
    until("three have ended", || pool.stats().workers == 1);
    let gate = Gate::new();
    let handles = held(&pool, &gate, 3);
    until("one runs", || gate.starts().len() == 1);
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(gate.starts().len(), 1);
    }
    gate.open();
    handles
        .into_iter()
        .for_each(|handle| assert!(handle.join().is_ok()));
    if on.processes() {
        until("they are gone", || {
            proc::children_of(std::process::id()).len() == 1
        });
    }
}

pub(crate) fn can_change_at_any_time(on: &On) {
    let pool = on.pool_of(2);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let resizer = pool.clone();
        let stop = &stop;
        scope.spawn(move || {
            for round in 0.. {
                resizer.resize(1 + round * 7 % 6).unwrap();
                std::thread::sleep(Duration::from_millis(3));
                if stop.load(Relaxed) {
                    return;
                }
            }
        });
        for round in 0..20 {
            let handles: Vec<_> = (0..200).map(|i| pool.submit(add::task(i, round))).collect();
            let naps: Vec<_> = (0..4).map(|_| pool.submit(nap::task(1))).collect();
            let map = pool.map((0..300).map(|i| add::task(i, round)));
            for (i, result) in (0..).zip(map) {
                assert_eq!(result.unwrap(), i + round);
            }
            for (i, handle) in (0..).zip(handles) {
                assert_eq!(handle.join().unwrap(), i + round);
            }
            naps.into_iter().for_each(|nap| nap.join().unwrap());
        }
        stop.store(true, Relaxed);
    });
    assert_eq!(pool.resize(0).unwrap_err(), Error::ZeroWorkers);
    let too_many = pool_core::MAX_WORKERS + 1;
    let error = Error::TooManyWorkers { asked: too_many };
    assert_eq!(pool.resize(too_many).unwrap_err(), error);
    pool.shutdown();
    pool.resize(3).unwrap();
    assert!(
        pool.submit(add::task(1, 1))
            .join()
            .unwrap_err()
            .is_rejected()
    );
}

// ---- what they are given ----

/// Takes so much memory, and touches it.
#[pool_task]
fn takes_memory(bytes: usize, keeps: bool) -> usize {
    let block = vec![1_u8; bytes];
    let sum = block.iter().step_by(4096).map(|byte| *byte as usize).sum();
    if keeps {
        std::mem::forget(block);
    } else {
        // Long enough to be seen.
        nap(50);
    }
    sum
}

/// Takes memory until it is stopped.
#[pool_task]
fn takes_all_memory() -> usize {
    let mut blocks = Vec::new();
    loop {
        blocks.push(vec![1_u8; 1 << 20]);
        if blocks.len() > 8 << 10 {
            // Not on a machine with less than this.
            return blocks.len();
        }
    }
}

pub(crate) fn has_no_more_memory_than_it_may(on: &On) {
    const LIMIT: u64 = 200 << 20;
    let pool = on.builder().memory_limit(LIMIT).build().unwrap();
    let others: Vec<_> = (0..50).map(|i| pool.submit(add::task(i, 1))).collect();
    let error = pool.submit(takes_all_memory::task()).join().unwrap_err();
    assert!(
        error.is_out_of_memory() && !error.is_worker_lost(),
        "{error}"
    );
    assert_eq!(error.memory_limit(), Some(LIMIT));
    assert!(error.memory_peak().unwrap() > LIMIT, "{error}");
    assert!(
        error.to_string().contains("the limit is 200.0 MiB"),
        "{error}"
    );
    for (i, handle) in (0..).zip(others) {
        assert_eq!(handle.join().unwrap(), i + 1);
    }
    // Below the limit nothing happens, and neither do large arguments count.
    assert!(
        pool.submit(takes_memory::task(50 << 20, false))
            .join()
            .is_ok()
    );
    let error = pool
        .submit(takes_all_memory::task().retries(1))
        .join()
        .unwrap_err();
    assert!(error.is_out_of_memory() && error.attempt() == 2, "{error}");
}

pub(crate) fn that_leaks_is_replaced_between_two_tasks(on: &On) {
    let pool = on
        .builder()
        .workers(1)
        .memory_limit(200 << 20)
        .build()
        .unwrap();
    let before = pool.submit(pid::task()).join().unwrap();
    // It may be found while it still runs.
    let leak = pool.submit(takes_memory::task(300 << 20, true)).join();
    assert!(leak.as_ref().is_ok_and(|sum| *sum > 0) || leak.unwrap_err().is_out_of_memory());
    until("it is another one", || {
        pool.submit(pid::task())
            .join()
            .is_ok_and(|pid| pid != before)
    });
}

#[pool_task]
fn surroundings(key: &str) -> (Option<String>, std::path::PathBuf) {
    (std::env::var(key).ok(), std::env::current_dir().unwrap())
}

pub(crate) fn has_the_environment_and_folder_that_it_is_given(on: &On) {
    let folder = tempfile::tempdir().unwrap();
    let folder = fs::canonicalize(folder.path()).unwrap();
    let keeps = folder.clone();
    fs::create_dir_all(&keeps).unwrap();
    let pool = on
        .builder()
        .env("POOL_TESTS_GIVEN", "something = else")
        .env("PATH", "/nowhere")
        .current_dir(&folder)
        .build()
        .unwrap();
    let (value, there) = pool
        .submit(surroundings::task("POOL_TESTS_GIVEN"))
        .join()
        .unwrap();
    assert_eq!(value.as_deref(), Some("something = else"));
    assert_eq!(there, folder);
    let (path, _) = pool.submit(surroundings::task("PATH")).join().unwrap();
    assert_eq!(path.as_deref(), Some("/nowhere"));
    let (home, _) = pool.submit(surroundings::task("HOME")).join().unwrap();
    assert_eq!(home, std::env::var("HOME").ok());
    assert_ne!(std::env::var("PATH").unwrap(), "/nowhere");
    let error = on
        .builder()
        .current_dir("/no/such/folder")
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("/no/such/folder"), "{error}");
    fs::remove_dir_all(&keeps).unwrap();
}
