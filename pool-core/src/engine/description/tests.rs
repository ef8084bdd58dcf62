//! What is concluded from which state, and what it looks like.

use std::time::Duration;

use super::text::{Human, count, shorten, summary, wrap};
use super::{Description, Finding, Phase, WorkerInfo, WorkerState};
use crate::error::backend::Backend;
use crate::error::task_error::TaskErrorKind;
use crate::metrics::stats::Stats;

fn pool(backend: Backend, workers: usize) -> Description {
    let mut pool = Description::new(backend, workers, Stats::default());
    pool.stats.workers = workers;
    pool.workers = (0..workers)
        .map(|index| WorkerInfo {
            pid: (backend == Backend::Processes).then_some(100 + index as u32),
            ..WorkerInfo::new(index)
        })
        .collect();
    pool
}

fn busy(mut pool: Description, seconds: &[u64]) -> Description {
    for (worker, seconds) in pool.workers.iter_mut().zip(seconds) {
        worker.state = WorkerState::Running;
        worker.task = Some("app::parse");
        worker.age = Some(Duration::from_secs(*seconds));
        worker.age_is_exact = true;
    }
    pool.stats.running = seconds.len();
    pool
}

fn said(pool: &Description) -> Vec<String> {
    let findings = pool.clone().concluded().findings;
    findings.iter().map(Finding::to_string).collect()
}

#[test]
fn idle_pools_say_so() {
    for backend in [Backend::Inline, Backend::Threads, Backend::Processes] {
        let mut idle = pool(backend, 2);
        assert_eq!(said(&idle), ["idle: nothing was submitted"]);
        idle.stats.finished = 1;
        assert_eq!(said(&idle), ["idle: everything that was submitted is done"]);
    }
    let mut resting = pool(Backend::Processes, 0);
    (resting.target, resting.resting) = (2, 2);
    assert!(said(&resting)[0].starts_with("idle: its workers have ended for want of work"));
}

#[test]
fn busy_ones_name_the_longest() {
    let mut all = busy(pool(Backend::Processes, 2), &[3, 12]);
    all.stats.queued = 500;
    let longest =
        "all 2 workers run tasks, the longest (`app::parse`, worker process 101) for 12 s";
    assert_eq!(said(&all), [format!("{longest}; 500 tasks wait behind")]);
    all.workers[1].age_is_exact = false;
    assert!(said(&all)[0].contains("for at least 12 s"));
    all.workers[1].age = Some(Duration::from_micros(7));
    all.workers[0].age = None;
    assert!(said(&all)[0].contains("process 101); 500 tasks"), "{all}");
    let one = busy(pool(Backend::Threads, 1), &[200]);
    let runs = "the worker runs a task (`app::parse`, worker 0) for 3 min; nothing waits behind";
    assert_eq!(said(&one), [runs]);
    let mut some = busy(pool(Backend::Threads, 3), &[1]);
    assert_eq!(
        said(&some),
        ["working: 1 of 3 workers runs a task, nothing waits"]
    );
    some.stats.queued = 2;
    assert!(said(&some)[0].ends_with(", 2 on their way"));
}

#[test]
fn what_waits_is_told_with_what_for() {
    let mut nested = busy(pool(Backend::Threads, 2), &[1, 1]);
    nested.waiting_inside = 2;
    nested.stats.queued = 1;
    assert_eq!(
        said(&nested)[0],
        "all 2 workers wait inside of their tasks for others (nested join); 1 task waits behind"
    );
    let mut full = busy(pool(Backend::Threads, 1), &[1]);
    full.waiting_for_room = 3;
    assert_eq!(
        said(&full)[1],
        "the queue is full: 3 submitters wait for room"
    );
    let mut retrying = pool(Backend::Processes, 2);
    (retrying.retries, retrying.next_retry) = (2, Some(Duration::from_millis(400)));
    assert_eq!(
        said(&retrying),
        ["2 tasks have failed and wait for another run, the next in 400 ms"]
    );
}

#[test]
fn workers_that_are_missing_are_told_with_the_reason() {
    let mut none = pool(Backend::Processes, 0);
    (none.target, none.starting) = (2, 2);
    assert_eq!(said(&none), ["no worker is up: 2 are starting"]);
    none.starting = 0;
    (none.failed_starts, none.last_failed_start) = (3, Some("exit code 1".into()));
    assert_eq!(
        said(&none),
        ["no worker is up; the last 3 starts failed: exit code 1"]
    );
    let mut one = pool(Backend::Processes, 1);
    one.target = 2;
    assert_eq!(said(&one), ["1 worker is not up"]);
    one.workers[0].state = WorkerState::Initializing;
    assert_eq!(said(&one)[1], "1 worker runs its initializer");
}

#[test]
fn workers_that_are_held_up_are_told() {
    let mut stopped = busy(pool(Backend::Processes, 2), &[1]);
    stopped.workers[0].state = WorkerState::Stopped;
    assert_eq!(
        said(&stopped),
        [
            "worker process 100 is stopped (SIGSTOP, or a debugger) in `app::parse`; \
          `kill -CONT 100` lets it go on"
        ]
    );
    let mut late = busy(pool(Backend::Threads, 1), &[1]);
    late.workers[0].state = WorkerState::Overdue;
    assert!(said(&late)[0].contains("a thread cannot be stopped"));
    let mut late = busy(pool(Backend::Processes, 1), &[1]);
    late.workers[0].state = WorkerState::Overdue;
    assert!(said(&late)[0].contains("until it returns or the grace is over"));
}

#[test]
fn ends_are_told() {
    let mut pool = pool(Backend::Threads, 2);
    for (phase, begin) in [
        (Phase::Draining, "shut down: its workers are ending"),
        (Phase::Ended, "shut down: everything is done"),
        (Phase::Killed, "killed"),
        (
            Phase::Broken("the pool is broken: why".into()),
            "the pool is broken: why",
        ),
        (Phase::Forked, "this process was forked"),
    ] {
        pool.phase = phase;
        let said = said(&pool);
        assert!(said[0].starts_with(begin), "{said:?}");
    }
    pool.phase = Phase::Draining;
    pool.stats.queued = 3;
    assert_eq!(said(&pool)[0], "shut down: 3 tasks still to be done");
}

#[test]
fn the_text_fits_a_terminal() {
    let long = "a::very::long::path::with_many_segments::that_nobody::wants::to_read::the_name";
    let mut pool = busy(pool(Backend::Processes, 1_000), &[7; 1_000]);
    for worker in &mut pool.workers {
        worker.task = Some(long);
        worker.pid = Some(4_194_304);
        worker.age = Some(Duration::from_millis(9_999));
        worker.age_is_exact = false;
        worker.memory = Some(u64::MAX >> 24);
        worker.finished = u64::MAX >> 20;
        worker.inside = Some(long);
    }
    pool.stats.finished = u64::MAX;
    pool.stats.queued = usize::MAX;
    pool.waiting_for_room = usize::MAX;
    for kind in TaskErrorKind::ALL {
        pool.stats.failed.add(kind, 1 << 40);
    }
    pool.phase = Phase::Broken("x".repeat(1_000));
    let text = pool.concluded().to_string();
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(text.lines().count() <= 30, "{text}");
    assert!(text.contains("988 more, 0 of all idle"), "{text}");
}

#[test]
fn the_text_is_this() {
    let mut pool = busy(pool(Backend::Processes, 2), &[12]);
    pool.workers[0].memory = Some(35 << 20);
    pool.workers[0].finished = 602;
    pool.stats.finished = 1_204;
    pool.stats.uptime = Duration::from_secs(90);
    pool.stats.failed.add(TaskErrorKind::Panicked, 2);
    pool.stats.failed.add(TaskErrorKind::WorkerLost, 1);
    let text = "\
processes pool: 2 workers, 1 running, 0 queued, 1,204 finished, 3 failed
* working: 1 of 2 workers runs a task, nothing waits
worker     pid state         for   memory    done task
     0     100 running      12 s   35 MiB     602 app::parse
     1     101 idle                     -       0
failed: 2 panicked, 1 worker lost
so far: 90 s, 13 tasks/s, at most 0 waited";
    assert_eq!(pool.concluded().to_string(), text);
}

#[test]
fn one_line_says_most() {
    let mut stats = Stats {
        workers: 1,
        overdue: 2,
        ..Stats::default()
    };
    assert_eq!(
        summary(Backend::Threads, &stats),
        "threads pool: 1 worker, 0 running, 0 queued, 2 overdue, 0 finished, 0 failed"
    );
    stats.overdue = 0;
    assert_eq!(
        summary(Backend::Inline, &stats),
        "inline pool: 0 running, 0 queued, 0 finished, 0 failed"
    );
}

#[test]
fn numbers_names_and_times_are_as_people_write_them() {
    for (number, text) in [
        (0, "0"),
        (999, "999"),
        (1_000, "1,000"),
        (1_234_567, "1,234,567"),
    ] {
        assert_eq!(count(number as usize), text);
    }
    assert_eq!(shorten("short", 5), "short");
    assert_eq!(shorten("abcdefghij", 7), "ab…ghij");
    assert_eq!(wrap("one two", 2), "one two\n");
    let wrapped = wrap(&"word ".repeat(40), 2);
    assert!(
        wrapped
            .lines()
            .skip(1)
            .all(|line| line.starts_with("  word"))
    );
    for (nanos, text) in [
        (0, "0 ns"),
        (1_250, "1.2 µs"),
        (999_999, "999 µs"),
        (3_200_000, "3.2 ms"),
        (450_000_000, "450 ms"),
        (3_250_000_000, "3.2 s"),
        (9_999_999_999, "9.9 s"),
        (119_000_000_000, "119 s"),
        (120_000_000_000, "2 min"),
        (7_200_000_000_000, "2 h"),
        (300_000_000_000_000, "3 days"),
    ] {
        assert_eq!(Human(Duration::from_nanos(nanos)).to_string(), text);
    }
}
