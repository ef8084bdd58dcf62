//! What a pool says of itself: in numbers, and in words.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use pool_core::{
    Backend, Description, Finding, JoinHandle, Phase, Pool, Stats, TaskErrorKind, TaskExt,
    WorkerInfo, WorkerState, pool_task,
};
use pool_tests::gate::Gate;
use pool_tests::proc;
use pool_tests::tasks::{add, boom, echo, exit};
use pool_tests::{until, until_some};
use rustix::process::Signal;
use serde::{Deserialize, Serialize, Serializer};

use crate::harness::On;

/// Panics if the number is divided by ten.
#[pool_task]
fn picky(n: u64) -> u64 {
    assert!(!n.is_multiple_of(10), "not {n}");
    n
}

fn failed(stats: &Stats, kind: TaskErrorKind) -> u64 {
    stats.failed.of(kind)
}

fn findings(pool: &Pool) -> Vec<Finding> {
    let described = pool.describe();
    for line in described.to_string().lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    described.findings
}

/// Waits until something is found that this is true of.
#[track_caller]
fn finds(pool: &Pool, what: &str, is: impl Fn(&Finding) -> bool) -> Finding {
    until_some(what, || findings(pool).into_iter().find(&is))
}

fn busy(described: &Description) -> Option<WorkerInfo> {
    described.longest().cloned()
}

// ---- numbers ----

pub(crate) fn every_task_counts_once(on: &On) {
    let pool = on.pool();
    let mut expected = (0, 0);
    for i in 0..50 {
        let outcome = pool.submit(picky::task(i)).join();
        match outcome {
            Ok(_) => expected.0 += 1,
            Err(_) => expected.1 += 1,
        }
        // Who has an outcome finds it counted.
        let stats = pool.stats();
        assert_eq!(
            (stats.finished, stats.failed.total()),
            expected,
            "{stats:?}"
        );
    }
    for chunk in [None, Some(1), Some(7), Some(100)] {
        let mut map = pool.map((0..3_000).map(picky::task));
        if let Some(chunk) = chunk {
            map = map.chunk(chunk);
        }
        let failed = map.filter(Result::is_err).count() as u64;
        assert_eq!(failed, 300);
        expected.0 += 2_700;
        expected.1 += 300;
        until("all of a map are counted", || {
            let stats = pool.stats();
            (stats.finished, stats.failed.total()) == expected
        });
    }
    let handles: Vec<_> = (0..500).map(|i| pool.submit(picky::task(i))).collect();
    // Detached ones count too.
    drop(handles);
    expected.0 += 450;
    expected.1 += 50;
    until("the detached are counted", || {
        let stats = pool.stats();
        (stats.finished, stats.failed.total()) == expected
    });
    let stats = pool.stats();
    assert_eq!(failed(&stats, TaskErrorKind::Panicked), expected.1);
    assert_eq!((stats.running, stats.queued), (0, 0), "{stats:?}");
    pool.shutdown();
    assert_eq!(pool.stats().finished, expected.0);
    assert_eq!(pool.stats().failed.total(), expected.1);
}

pub(crate) fn each_worker_counts_its_own(on: &On) {
    let pool = on.pool();
    assert_eq!(pool.map((0..2_000).map(|i| add::task(i, 1))).count(), 2_000);
    for i in 0..100 {
        pool.submit(add::task(i, 1)).join().unwrap();
    }
    until("all are counted", || pool.stats().finished == 2_100);
    let workers = pool.describe().workers;
    let sum: u64 = workers.iter().map(|worker| worker.finished).sum();
    assert_eq!(sum, if on.inline() { 0 } else { 2_100 }, "{workers:?}");
}

struct Unspeakable;

impl Serialize for Unspeakable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("unspeakable"))
    }
}

impl<'de> Deserialize<'de> for Unspeakable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

#[pool_task]
fn hear(_: Unspeakable) {}

#[pool_task]
fn speak() -> Unspeakable {
    Unspeakable
}

pub(crate) fn failures_count_by_kind(on: &On) {
    let pool = on.pool_of(1);
    let _ = pool.submit(hear::task(Unspeakable)).join();
    let _ = pool.submit(speak::task()).join();
    let encode = if on.processes() { 2 } else { 0 };
    assert_eq!(failed(&pool.stats(), TaskErrorKind::Encode), encode);
    let tries = pool.submit(boom::task("thrice").retries(2)).join();
    assert_eq!(tries.unwrap_err().attempt(), 3);
    assert_eq!(failed(&pool.stats(), TaskErrorKind::Panicked), 1);
    assert_eq!(pool.stats().retried, if on.inline() { 0 } else { 2 });
    if on.inline() {
        pool.shutdown();
        assert!(pool.submit(add::task(1, 1)).join().is_err());
        assert_eq!(failed(&pool.stats(), TaskErrorKind::Rejected), 1);
        return;
    }
    let gate = Gate::new();
    let held = pool.submit(gate.hold(0));
    let _ = gate.wait_for(0);
    let queued: Vec<_> = (1..=3).map(|n| pool.submit(gate.pass(n))).collect();
    assert!(queued[1].cancel() && !queued[1].cancel());
    let late = pool.submit(gate.pass(4).queue_timeout(Duration::from_millis(10)));
    assert!(late.join().unwrap_err().is_timeout());
    let stats = pool.stats();
    assert_eq!(failed(&stats, TaskErrorKind::Cancelled), 1);
    assert_eq!(failed(&stats, TaskErrorKind::TimedOut), 1);
    gate.open();
    assert_eq!(held.join().unwrap(), 0);
    for (number, handle) in queued.into_iter().enumerate() {
        assert_eq!(handle.join().is_ok(), number != 1);
    }
    // One that runs when it is cancelled or late counts as that, whatever it returns.
    let gate = Gate::new();
    let running = pool.submit(gate.hold_or_stop(5));
    let _ = gate.wait_for(5);
    assert!(running.cancel());
    let late = pool.submit(gate.hold_or_stop(6).timeout(Duration::from_millis(20)));
    assert!(late.join().unwrap_err().is_timeout());
    drop(gate);
    until("they are over", || pool.stats().overdue == 0);
    pool.shutdown();
    assert!(pool.submit(add::task(1, 1)).join().is_err());
    let stats = pool.stats();
    assert_eq!(failed(&stats, TaskErrorKind::Cancelled), 2, "{stats:?}");
    assert_eq!(failed(&stats, TaskErrorKind::TimedOut), 2, "{stats:?}");
    assert_eq!(failed(&stats, TaskErrorKind::Rejected), 1, "{stats:?}");
    // The two at the gate, and those that came before them.
    assert_eq!(
        stats.finished,
        if on.processes() { 3 } else { 5 },
        "{stats:?}"
    );
    assert_eq!(
        stats.failed.iter().count(),
        if on.processes() { 5 } else { 4 }
    );
}

pub(crate) fn what_a_worker_has_done_outlives_it(on: &On) {
    let pool = on.pool_of(1);
    for _ in 0..3 {
        for i in 0..10 {
            pool.submit(add::task(i, 1)).join().unwrap();
        }
        assert!(
            pool.submit(exit::task(3))
                .join()
                .unwrap_err()
                .is_worker_lost()
        );
    }
    let stats = pool.stats();
    assert_eq!(stats.finished, 30, "{stats:?}");
    assert_eq!(failed(&stats, TaskErrorKind::WorkerLost), 3, "{stats:?}");
    // The one that died in the middle of a map has done the rest of its part.
    let tasks = (0..100).map(|n| if n == 50 { -1 } else { n });
    let lost = pool.map(tasks.map(exits_at::task)).chunk(100);
    assert_eq!(lost.filter(Result::is_err).count(), 1);
    let stats = pool.stats();
    assert_eq!(stats.finished, 129, "{stats:?}");
    assert_eq!(failed(&stats, TaskErrorKind::WorkerLost), 4, "{stats:?}");
}

#[pool_task]
fn exits_at(n: i32) -> i32 {
    if n < 0 {
        std::process::exit(n);
    }
    n
}

#[pool_task]
fn ready() {}

pub(crate) fn an_initializer_is_no_task(on: &On) {
    let pool = on.builder().initializer(ready::task()).build().unwrap();
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
    assert_eq!(pool.stats().finished, 1);
    until("every worker is ready", || {
        let ready = |worker: &WorkerInfo| worker.state == WorkerState::Idle;
        pool.describe().workers.iter().all(ready)
    });
    assert_eq!(pool.stats().finished, 1);
    assert_eq!(pool.stats().failed.total(), 0);
}

#[pool_task]
fn takes_a_while(bytes: Vec<u8>) -> Vec<u8> {
    let end = Instant::now() + Duration::from_millis(1);
    while Instant::now() < end {}
    bytes
}

pub(crate) fn what_is_not_measured_is_not_told(on: &On) {
    let pool = on.pool();
    let none = pool.stats().times;
    assert_eq!((none.encode(), none.wait()), (None, None));
    assert_eq!((none.run(), none.decode()), (None, None));
    for _ in 0..10 {
        pool.submit(takes_a_while::task(vec![1; 100]))
            .join()
            .unwrap();
    }
    let first = pool.stats();
    let run = first.times.run().unwrap();
    assert!(run >= Duration::from_millis(1), "{run:?}");
    let times = &first.times;
    assert_eq!(times.encode().is_some(), on.processes());
    assert_eq!(times.decode().is_some(), on.processes());
    assert_eq!(times.wait().is_some(), !on.inline());
    // The time of maps is taken where they run together.
    let map = pool.map((0..50).map(|_| takes_a_while::task(vec![1; 100])));
    assert_eq!(map.chunk(5).filter(Result::is_ok).count(), 50);
    until("they are counted", || pool.stats().finished == 60);
    let lately = pool.stats().since(&first);
    assert_eq!(lately.finished, 50);
    assert!(lately.elapsed >= Duration::from_millis(10) && lately.tasks_per_second() > 0.0);
    assert!(lately.times.run().unwrap() >= Duration::from_millis(1));
}

// ---- words ----

pub(crate) fn an_idle_pool_says_so(on: &On) {
    let pool = on.pool();
    assert_eq!(finds(&pool, "it is idle", |_| true), Finding::Unused);
    let line = pool.to_string();
    let begin = match on.backend() {
        Backend::Inline => "inline pool: 0 running".to_owned(),
        other => format!("{other} pool: 2 workers, 0 running"),
    };
    assert!(line.starts_with(&begin), "{line}");
    pool.submit(add::task(1, 1)).join().unwrap();
    assert_eq!(findings(&pool), [Finding::Idle]);
    assert!(pool.to_string().ends_with("1 finished, 0 failed"));
    let described = pool.describe();
    assert_eq!(described.phase, Phase::Open);
    for worker in &described.workers {
        assert_eq!(worker.state, WorkerState::Idle);
        assert_eq!(worker.pid.is_some(), on.processes());
        assert_eq!(worker.memory.is_some(), on.processes());
        assert_eq!((worker.task, worker.age), (None, None));
    }
    assert_eq!(described.workers.len(), if on.inline() { 0 } else { 2 });
}

pub(crate) fn a_running_task_is_told(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    std::thread::scope(|scope| {
        let submitted = scope.spawn(|| pool.submit(gate.hold(0)).join());
        let pid = gate.wait_for(0);
        let begin = Instant::now();
        let working = finds(&pool, "it works", |found| {
            matches!(found, Finding::Working { .. })
        });
        let Finding::Working {
            running, queued, ..
        } = working
        else {
            unreachable!();
        };
        assert_eq!((running, queued), (1, 0));
        if !on.inline() {
            // Once it was seen it is known to have run for so long, at the least.
            let seen = Instant::now();
            std::thread::sleep(Duration::from_millis(20));
            let known = seen.elapsed();
            let worker = busy(&pool.describe()).unwrap();
            assert_eq!(worker.state, WorkerState::Running);
            assert!(worker.task.unwrap().ends_with("hold"), "{worker:?}");
            assert!(worker.age.unwrap() >= known, "{worker:?}");
            // The first task of a pool is timed.
            assert!(worker.age_is_exact, "{worker:?} {:?}", begin.elapsed());
            assert_eq!(worker.pid, on.processes().then_some(pid));
        }
        gate.open();
        assert_eq!(submitted.join().unwrap().unwrap(), 0);
    });
}

pub(crate) fn busy_workers_name_the_longest_task(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let held: Vec<_> = (0..2).map(|n| pool.submit(gate.hold(n))).collect();
    for number in 0..2 {
        let _ = gate.wait_for(number);
    }
    let behind: Vec<_> = (2..7).map(|n| pool.submit(gate.pass(n))).collect();
    let found = finds(&pool, "all are busy", |found| {
        matches!(found, Finding::Busy { .. })
    });
    let Finding::Busy {
        workers,
        longest,
        queued,
    } = &found
    else {
        unreachable!();
    };
    assert_eq!((*workers, *queued), (2, 5));
    assert!(longest.task.unwrap().ends_with("hold") && longest.age.is_some());
    let text = pool.describe().to_string();
    assert!(
        text.contains("all 2 workers run tasks, the longest"),
        "{text}"
    );
    gate.open();
    for handle in held.into_iter().chain(behind) {
        handle.join().unwrap();
    }
    until("it is idle", || findings(&pool) == [Finding::Idle]);
}

/// A task that hangs among many quick ones: none of these is timed.
pub(crate) fn one_that_hangs_among_quick_ones_grows_old(on: &On) {
    let pool = on.pool_of(1);
    for i in 0..2_000 {
        pool.submit(add::task(i, 1)).join().unwrap();
    }
    let gate = Gate::new();
    let held = pool.submit(gate.hold(0));
    let _ = gate.wait_for(0);
    let mut before = busy(&pool.describe()).unwrap().age.unwrap();
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(5));
        let age = busy(&pool.describe()).unwrap().age.unwrap();
        assert!(
            age >= before + Duration::from_millis(5),
            "{age:?} after {before:?}"
        );
        before = age;
    }
    gate.open();
    held.join().unwrap();
}

pub(crate) fn submitters_that_wait_are_told(on: &On) {
    let gate = Gate::new();
    let pool = on.builder().workers(1).queue(1).build().unwrap();
    let held = pool.submit(gate.hold(0));
    let _ = gate.wait_for(0);
    let queued = pool.submit(add::task(1, 1));
    std::thread::scope(|scope| {
        let submitters = [0; 2].map(|_| scope.spawn(|| pool.submit(add::task(1, 1)).join()));
        let full = Finding::Full { waiting: 2 };
        assert_eq!(finds(&pool, "two wait", |found| *found == full), full);
        gate.open();
        for submitter in submitters {
            assert_eq!(submitter.join().unwrap().unwrap(), 2);
        }
    });
    held.join().unwrap();
    queued.join().unwrap();
    assert_eq!(findings(&pool), [Finding::Idle]);
}

pub(crate) fn retries_that_wait_are_told(on: &On) {
    let pool = on.pool_of(1);
    // Its later tries come after longer and longer.
    let fails = pool.submit(boom::task("again").retries(10));
    let found = finds(&pool, "one waits for another run", |found| {
        matches!(found, Finding::Retrying { tasks: 1, .. })
    });
    assert!(
        matches!(found, Finding::Retrying { next: Some(_), .. }),
        "{found}"
    );
    assert!(fails.cancel());
    until("nothing waits", || {
        !findings(&pool)
            .iter()
            .any(|found| matches!(found, Finding::Retrying { .. }))
    });
}

static OTHER: Mutex<Option<JoinHandle<u32>>> = Mutex::new(None);

#[pool_task]
fn waits_for_the_other() -> u32 {
    let other = OTHER.lock().unwrap().take().unwrap();
    other.join().unwrap()
}

pub(crate) fn workers_that_wait_inside_are_told(on: &On) {
    let gate = Gate::new();
    let (pool, other) = (on.pool_of(1), on.pool_of(1));
    *OTHER.lock().unwrap() = Some(other.submit(gate.hold(0)));
    let _ = gate.wait_for(0);
    let waits = pool.submit(waits_for_the_other::task());
    let queued = pool.submit(add::task(1, 1));
    let inside = Finding::WaitInside {
        workers: 1,
        queued: 1,
    };
    assert_eq!(
        finds(&pool, "it waits inside", |found| *found == inside),
        inside
    );
    gate.open();
    assert_eq!(waits.join().unwrap(), 0);
    assert_eq!(queued.join().unwrap(), 2);
}

pub(crate) fn overdue_tasks_are_told(on: &On) {
    let gate = Gate::new();
    let pool = on
        .builder()
        .workers(1)
        .grace(Duration::from_secs(3600))
        .build()
        .unwrap();
    let held = pool.submit(gate.hold(0));
    let _ = gate.wait_for(0);
    assert!(held.cancel());
    let found = finds(&pool, "it is overdue", |found| {
        matches!(found, Finding::Overdue { .. })
    });
    let are_killed = on.processes();
    assert_eq!(
        found,
        Finding::Overdue {
            workers: 1,
            are_killed
        }
    );
    assert_eq!(pool.stats().overdue, 1);
    gate.open();
    until("it is idle", || findings(&pool) == [Finding::Idle]);
}

pub(crate) fn stopped_workers_are_told(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let held = pool.submit(gate.hold(0));
    let pid = gate.wait_for(0);
    proc::signal(pid, Signal::STOP);
    let found = finds(&pool, "it is stopped", |found| {
        matches!(found, Finding::Stopped { .. })
    });
    let Finding::Stopped {
        pid: told, task, ..
    } = found
    else {
        unreachable!();
    };
    assert!(told == pid && task.unwrap().ends_with("hold"));
    proc::signal(pid, Signal::CONT);
    gate.open();
    held.join().unwrap();
    until("it is idle", || findings(&pool) == [Finding::Idle]);
}

#[pool_task]
fn waits_first(gate: &std::path::Path) {
    until("the gate is open", || gate.join("open").exists());
}

pub(crate) fn initializers_that_run_are_told(on: &On) {
    let gate = Gate::new();
    let pool = on
        .builder()
        .initializer(waits_first::task(gate.folder()))
        .build()
        .unwrap();
    let waits = pool.submit(add::task(1, 1));
    let all = Finding::Initializing { workers: 2 };
    assert_eq!(finds(&pool, "both begin", |found| *found == all), all);
    gate.open();
    assert_eq!(waits.join().unwrap(), 2);
    until("it is idle", || findings(&pool) == [Finding::Idle]);
}

#[pool_task]
fn fails_first() -> Result<(), String> {
    Err("no model here".into())
}

pub(crate) fn ends_are_told(on: &On) {
    let pool = on
        .builder()
        .initializer(fails_first::task())
        .build()
        .unwrap();
    let broken = finds(&pool, "it is broken", |found| {
        matches!(found, Finding::Broken { .. })
    });
    assert!(broken.to_string().contains("no model here"), "{broken}");
    let pool = on.pool();
    pool.submit(add::task(1, 1)).join().unwrap();
    pool.shutdown();
    assert_eq!(findings(&pool), [Finding::Ended]);
    let killed = on.pool();
    killed.kill();
    let end = if on.inline() {
        Finding::Ended
    } else {
        Finding::Killed
    };
    assert_eq!(findings(&killed), [end]);
}

pub(crate) fn a_pool_that_drains_says_what_is_left(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let held = pool.submit(gate.hold(0));
    let _ = gate.wait_for(0);
    let queued = [1, 2].map(|number| pool.submit(gate.pass(number)));
    std::thread::scope(|scope| {
        let ends = scope.spawn(|| pool.shutdown());
        let left = Finding::Draining { left: 3 };
        assert_eq!(finds(&pool, "it drains", |found| *found == left), left);
        gate.open();
        ends.join().unwrap();
    });
    held.join().unwrap();
    for handle in queued {
        handle.join().unwrap();
    }
    assert_eq!(findings(&pool), [Finding::Ended]);
}

#[pool_task]
fn dies_first() {
    std::process::abort();
}

pub(crate) fn starts_that_fail_are_told(on: &On) {
    let pool = on
        .builder()
        .workers(1)
        .initializer(dies_first::task())
        .build()
        .unwrap();
    let mut missing = None;
    until("it is broken", || {
        let described = pool.describe();
        let up = described.workers.len();
        if up == 0 && described.phase == Phase::Open && described.failed_starts > 0 {
            missing = Some(described.findings[0].clone());
        }
        described.phase != Phase::Open
    });
    // Between two tries, if anybody looked then.
    if let Some(missing) = missing {
        let text = missing.to_string();
        assert!(
            text.starts_with("no worker is up") && text.contains("SIGABRT"),
            "{text}"
        );
    }
    let described = pool.describe();
    assert!(described.failed_starts > 0);
    assert!(described.last_failed_start.unwrap().contains("SIGABRT"));
}

pub(crate) fn resting_workers_are_told(on: &On) {
    let pool = on
        .builder()
        .idle_timeout(Duration::from_millis(10))
        .build()
        .unwrap();
    assert_eq!(
        finds(&pool, "they rest", |found| *found == Finding::Resting),
        Finding::Resting
    );
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
}

/// Who only looks changes nothing, however often.
pub(crate) fn looking_harms_nobody(on: &On) {
    let pool = on.pool();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut before = 0;
            while !over.load(std::sync::atomic::Ordering::SeqCst) {
                let stats = pool.stats();
                assert!(stats.finished >= before, "{stats:?} after {before}");
                before = stats.finished;
                assert!(!findings(&pool).is_empty());
                assert!(pool.to_string().contains(" pool: "));
            }
        });
        for round in 0..20 {
            let map = pool.map((0..2_000).map(|i| add::task(i, round)));
            assert!(map.zip(0..).all(|(sum, i)| sum.unwrap() == i + round));
            let large = pool.submit(echo::task(vec![1; 100_000])).join();
            assert_eq!(large.unwrap().len(), 100_000);
        }
        over.store(true, std::sync::atomic::Ordering::SeqCst);
        looks.join().unwrap();
    });
    until("all are counted", || pool.stats().finished == 20 * 2_001);
}
