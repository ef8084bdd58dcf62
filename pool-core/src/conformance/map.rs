//! Maps.

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use super::gate::{Gate, after_later_ones, hold_if, note};
use super::tasks::{add, no_threes};
use super::tracked::{self, number_of};
use super::{Subject, outcome, until};
use crate::pool_task;
use crate::task::TaskExt;

/// A deadline that every task passes which waits for it.
const SHORT: Duration = Duration::from_millis(5);

/// A deadline that no task passes.
const LONG: Duration = Duration::from_secs(600);

pub(super) fn map_1(subject: &Subject) {
    let pool = subject.pool_of(3);
    let tasks = || (0..40).map(|i| add::task(i, i * i));
    let expected: Vec<_> = (0..40).map(|i| add(i, i * i)).collect();
    let results: Result<Vec<_>, _> = pool.map(tasks()).collect();
    assert_eq!(results.unwrap(), expected);
    // A chunk of nothing counts as one task.
    for chunk in [0, 1, 3, 6, 40, 50, usize::MAX] {
        let results: Result<Vec<_>, _> = pool.map(tasks()).chunk(chunk).collect();
        assert_eq!(results.unwrap(), expected, "chunks of {chunk}");
    }
}

pub(super) fn map_2(subject: &Subject) {
    let pool = subject.pool();
    let mut map = pool.map((1..20).map(no_threes::task));
    assert_eq!(map.next().unwrap().unwrap(), 1);
    assert_eq!(map.next().unwrap().unwrap(), 2);
    let error = map.next().unwrap().unwrap_err();
    assert!(error.is_panic(), "{error}");
    assert_eq!(error.message(), Some("3 is a multiple of three"));
    // As whoever stops at the first error sees it.
    let collected: Result<Vec<_>, _> = pool.map((1..20).map(no_threes::task)).collect();
    assert_eq!(collected.unwrap_err().message(), error.message());
}

pub(super) fn map_4(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool();
    let read = Cell::new(0);
    let tasks = (0..100).map(|number| {
        read.set(read.get() + 1);
        gate.pass(number)
    });
    let mut map = pool.map(tasks).in_flight(3);
    assert_eq!(read.get(), 0);
    // A task on the same pool has come and gone meanwhile.
    pool.submit(gate.pass(1_000)).join().unwrap();
    assert_eq!((read.get(), gate.numbers()), (0, vec![1_000]));
    assert_eq!(map.next().unwrap().unwrap(), 0);
    assert!((1..=4).contains(&read.get()), "{} were read", read.get());
    drop(map);
    drop(pool);
    assert!(gate.starts().len() <= 1 + read.get());
}

pub(super) fn map_5(subject: &Subject) {
    const WORKERS: usize = 4;
    let pool = subject.pool_of(WORKERS);
    for (window, tasks) in [(0, 3), (1, 3), (2, 2), (3, 9), (4, 9), (4, 3)] {
        for chunk in [None, Some(3)] {
            let gate = Gate::new();
            let read = AtomicUsize::new(0);
            let input = (0..tasks).map(|number| {
                read.fetch_add(1, SeqCst);
                gate.hold(number)
            });
            let mut map = pool.map(input).in_flight(window);
            if let Some(chunk) = chunk {
                map = map.chunk(chunk);
            }
            let window = window.max(1);
            thread::scope(|scope| {
                let read = &read;
                let consumer = scope.spawn(move || {
                    let mut returned = 0;
                    for result in map {
                        assert_eq!(result.unwrap() as usize, returned);
                        returned += 1;
                        let read = read.load(SeqCst);
                        assert!(
                            read <= returned + window,
                            "{read} read, {returned} returned"
                        );
                    }
                    returned
                });
                // Nothing has been returned: so many are in flight, and no more.
                let expected = window.min(tasks as usize);
                gate.wait_for_starts(expected);
                assert_eq!(read.load(SeqCst), expected, "window {window}, {chunk:?}");
                assert_eq!(gate.starts().len(), expected);
                gate.open();
                assert_eq!(consumer.join().unwrap(), tasks as usize);
            });
        }
    }
}

pub(super) fn map_7(subject: &Subject) {
    let pool = subject.pool();
    assert!(pool.map(std::iter::empty::<add>()).next().is_none());
    let mut one = pool.map([add::task(1, 2)]);
    assert_eq!(one.next().unwrap().unwrap(), 3);
    assert!(one.next().is_none() && one.next().is_none());
    let uneven = [1, 2, 3].into_iter().zip([10, 20, 30, 40, 50]);
    let sums: Result<Vec<_>, _> = pool.map(uneven.map(|(a, b)| add::task(a, b))).collect();
    assert_eq!(sums.unwrap(), [11, 22, 33]);
}

pub(super) fn map_8(subject: &Subject) {
    let pool = subject.pool();
    for chunk in [1, 7, 100] {
        let map = pool.map((0..100).map(no_threes::task)).chunk(chunk);
        let mut count = 0;
        for (number, outcome) in (0..).zip(map) {
            match outcome {
                Ok(result) => assert_eq!(result, number),
                Err(error) => assert!(error.is_panic() && number % 3 == 0, "{number}: {error}"),
            }
            count += 1;
        }
        assert_eq!(count, 100);
    }
}

pub(super) fn map_9(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.build(subject.patient()).unwrap();
    let enough = (0..25).map(|number| gate.pass(number).timeout(LONG));
    for (number, result) in (0..).zip(pool.map(enough).chunk(5)) {
        assert_eq!(result.unwrap(), number);
    }
    let too_little = (0..25).map(|number| gate.hold_or_stop(100 + number).timeout(SHORT));
    let mut count = 0;
    for outcome in pool.map(too_little).chunk(5) {
        let error = outcome.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        count += 1;
    }
    assert_eq!(count, 25);
}

pub(super) fn map_10(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    let mut map = pool
        .map((0..1_000).map(|number| gate.hold_if(number == 1, number)))
        .in_flight(200);
    assert_eq!(map.next().unwrap().unwrap(), 0);
    let _ = gate.wait_for(1);
    drop(map);
    gate.open();
    drop(pool);
    // The one that ran ends in peace; of those behind it, none has started.
    assert_eq!(gate.numbers(), [0, 1]);
}

pub(super) fn map_13(subject: &Subject) {
    const TASKS: u32 = 4;
    for workers in [2, 4, 8] {
        // The first is done when all others are.
        let gate = Gate::new();
        let pool = subject.pool_of(workers);
        let last = |number| if number == 0 { TASKS - 1 } else { number };
        let task = |number| after_later_ones::task(gate.folder(), number, last(number));
        let results: Result<Vec<_>, _> = pool.map((0..TASKS).map(task)).collect();
        assert_eq!(results.unwrap(), (0..TASKS).collect::<Vec<_>>());
        assert_eq!(gate.numbers().last(), Some(&0), "it was the slowest");
    }
    for workers in [1, 2, 4, 8] {
        let pool = subject.pool_of(workers);
        // A consumer that pauses until everything has run.
        let gate = Gate::new();
        let mut map = pool.map((0..TASKS).map(|number| gate.pass(number)));
        for number in 0..TASKS {
            assert_eq!(map.next().unwrap().unwrap(), number);
            gate.wait_for_starts(TASKS as usize);
        }
        assert!(map.next().is_none());
        // One that stops.
        for stop in 0..=TASKS {
            let map = pool.map((0..TASKS).map(|number| gate.pass(number)));
            let taken: Result<Vec<_>, _> = map.take(stop as usize).collect();
            assert_eq!(taken.unwrap(), (0..stop).collect::<Vec<_>>());
        }
        // One that has the input beside the outcomes, of which some are errors.
        let inputs = [1, 3, 4, 6];
        let outcomes = pool.map(inputs.into_iter().map(no_threes::task));
        let mut count = 0;
        for (input, outcome) in inputs.into_iter().zip(outcomes) {
            assert_eq!(outcome.ok(), (input % 3 != 0).then_some(input));
            count += 1;
        }
        assert_eq!(count, inputs.len());
    }
}

pub(super) fn map_14(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.build(subject.patient()).unwrap();
    let is_late = |number: u32| number % 5 == 2;
    let task = |number| {
        let limit = if is_late(number) { SHORT } else { LONG };
        gate.hold_if(is_late(number), number).timeout(limit)
    };
    let mut count = 0;
    for (input, outcome) in (0..20).zip(pool.map((0..20).map(task))) {
        match outcome {
            Ok(number) => assert!(number == input && !is_late(input)),
            Err(error) => assert!(is_late(input) && error.is_timeout(), "{input}: {error}"),
        }
        count += 1;
    }
    assert_eq!(count, 20);
}

/// Leaves word, and panics if it is the first.
#[pool_task(crate = crate)]
fn not_the_first(folder: &Path, number: u32) -> u32 {
    note(folder, number);
    assert!(number > 0, "the first one fails, on purpose");
    number
}

pub(super) fn map_15(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool();
    let map = pool.map((0..100).map(|number| not_the_first::task(gate.folder(), number)));
    let failed: Vec<_> = map.map(|outcome| outcome.is_err()).collect();
    assert_eq!(failed.iter().position(|failed| *failed), Some(0));
    assert_eq!(failed.iter().filter(|failed| **failed).count(), 1);
    let mut numbers = gate.numbers();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

pub(super) fn map_16(subject: &Subject) {
    const WINDOW: usize = 8;
    let pool = subject.pool();
    for chunk in [1, 4] {
        let set = tracked::Set::new();
        let mut map = pool
            .map((0..200).map(|number| number_of::task(set.value(number))))
            .chunk(chunk)
            .in_flight(WINDOW);
        for number in 0..200 {
            assert_eq!(map.next().unwrap().unwrap(), number);
            assert!(set.living() <= WINDOW, "{} at {number}", set.living());
        }
        // It is not at its end as far as it knows.
        assert_eq!(set.living(), 0);
        assert!(map.next().is_none());
    }
}

/// A short task, or one that leaves word and may wait.
#[pool_task(crate = crate)]
fn short_at_first(long: u32, folder: &Path, number: u32) -> u32 {
    if number >= long {
        hold_if(number == long, folder, number);
    }
    number
}

pub(super) fn map_17(subject: &Subject) {
    const SHORT_ONES: u32 = 5_000;
    const NEIGHBOURS: usize = 10;
    let gate = Gate::new();
    let pool = subject.pool();
    let read = AtomicUsize::new(0);
    let input = (0..SHORT_ONES + 1_000).map(|number| {
        read.fetch_add(1, SeqCst);
        short_at_first::task(SHORT_ONES, gate.folder(), number)
    });
    let map = pool.map(input);
    thread::scope(|scope| {
        let consumer = scope.spawn(|| {
            let results = map.map(Result::unwrap);
            results.zip(0..).all(|(result, number)| result == number)
        });
        // What was read behind the long one has run while that waits: its consumer reads no more.
        until("the neighbours of the long one have run", || {
            let read = read.load(SeqCst);
            let neighbours = read.saturating_sub(SHORT_ONES as usize + 1);
            neighbours >= NEIGHBOURS && gate.starts().len() == neighbours + 1
        });
        assert!(!consumer.is_finished());
        gate.open();
        assert!(consumer.join().unwrap(), "not in order");
    });
}

pub(super) fn map_19(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    let pass = |number| gate.pass(number);
    let handles: Vec<_> = (0..100).map(|number| pool.submit(pass(number))).collect();
    // Tasks of a larger chunk may be taken back from a worker that is slow.
    let results = pool.map((100..200).map(pass)).chunk(1);
    assert!(
        results
            .zip(100..)
            .all(|(result, number)| result.unwrap() == number)
    );
    for (number, handle) in (0..).zip(handles) {
        assert_eq!(outcome(handle).unwrap(), number);
    }
    assert_eq!(gate.numbers(), (0..200).collect::<Vec<_>>());
}
