//! The same on every backend.

use super::gate::Gate;
use super::tasks::{add, boom, echo, no_threes, prints, refuses};
use super::{Need, Subject, outcome, program, until};
use crate::api::pool::Pool;
use crate::error::task_error::TaskError;

/// What became of a task, in words that do not name its worker.
fn describe<T: std::fmt::Debug>(outcome: Result<T, TaskError>) -> String {
    match outcome {
        Ok(result) => format!("{result:?}"),
        Err(error) => format!(
            "{:?} {} {:?} {:?} {}",
            error.kind(),
            error.task_name(),
            error.message(),
            error.location(),
            error.attempt(),
        ),
    }
}

/// A program that does a little of everything, and what comes out of it.
fn transcript(pool: &Pool) -> Vec<String> {
    let mut lines = vec![
        describe(outcome(pool.submit(add::task(-1, 2)))),
        describe(outcome(pool.submit(echo::task(vec![1, 2, 3])))),
        describe(outcome(pool.submit(boom::task("on purpose")))),
        describe(outcome(pool.submit(refuses::task("not today")))),
    ];
    for chunk in [1, 4] {
        let map = pool.map((0..20).map(no_threes::task)).chunk(chunk);
        lines.extend(map.map(describe));
    }
    let handles: Vec<_> = (0..20).map(|i| pool.submit(add::task(i, i))).collect();
    lines.extend(handles.into_iter().rev().map(outcome).map(describe));
    let handle = pool.submit(add::task(1, 1));
    until("it is finished", || handle.is_finished());
    lines.push(format!("{:?}", handle.cancel()));
    lines.push(describe(handle.try_join().expect("it is finished")));
    lines.push(describe(outcome(handle)));
    pool.shutdown();
    lines.push(describe(outcome(pool.submit(add::task(1, 1)))));
    lines
}

pub(super) fn eq_1(subject: &Subject) {
    let here = transcript(&subject.pool());
    assert_eq!(here, transcript(&Pool::inline()));
    if !subject.has(Need::Program) {
        return;
    }
    let program = program::start(subject, "EQ-1", |_| {
        let pool = subject.pool();
        let lines = (0..20).map(|number| prints::task(&format!("line {number} of a task")));
        for outcome in pool.map(lines) {
            outcome.unwrap();
        }
    });
    let ended = program.end();
    for number in 0..20 {
        let line = format!("line {number} of a task\n");
        assert_eq!(ended.out.matches(&line).count(), 1, "{ended:?}");
    }
}

pub(super) fn eq_4(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool();
    let running = pool.submit(gate.hold(1));
    let failed = pool.submit(boom::task("on purpose"));
    until("it has failed", || failed.is_finished());
    let error = failed.try_join().expect("it is finished").unwrap_err();
    assert!(error.is_panic(), "{error}");
    assert!(!running.is_finished());
    gate.open();
    assert_eq!(outcome(running).unwrap(), 1);
}

pub(super) fn dist_2(subject: &Subject) {
    const TASKS: u32 = 300;
    for round in 0..5 {
        let gate = Gate::new();
        let pool = subject.pool_of(3);
        // Two workers are held up, each with what waits behind.
        let holds = |number| number % 50 == round && number < 100;
        let handles: Vec<_> = (0..TASKS)
            .map(|number| pool.submit(gate.hold_if(holds(number), number)))
            .collect();
        gate.wait_for_starts(TASKS as usize);
        gate.open();
        for (number, handle) in (0..).zip(handles) {
            assert_eq!(outcome(handle).unwrap(), number);
        }
        drop(pool);
        let mut numbers = gate.numbers();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..TASKS).collect::<Vec<_>>(), "each once");
    }
}
