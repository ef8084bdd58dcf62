//! `Pool::map`: ordered, lazy, bounded.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::StreamExt;
use pool_core::{Pool, TaskError, pool_task};
use pool_tests::gate::Gate;
use pool_tests::tasks::{add, nap};
use pool_tests::{block_on, until};

use crate::harness::On;

#[pool_task]
fn slow_when_even(i: u64) -> u64 {
    if i.is_multiple_of(2) {
        nap(2);
    }
    i
}

#[pool_task]
fn odd_ones_panic(i: u32) -> u32 {
    assert!(i.is_multiple_of(2), "{i} is odd");
    i
}

pub(crate) fn keeps_the_order(on: &On) {
    let pool = on.pool_of(3);
    let results: Vec<_> = pool
        .map((0..300).map(slow_when_even::task))
        .map(Result::unwrap)
        .collect();
    assert_eq!(results, (0..300).collect::<Vec<_>>());
}

pub(crate) fn of_nothing_is_nothing(on: &On) {
    let pool = on.pool();
    assert!(pool.map(std::iter::empty::<add>()).next().is_none());
}

pub(crate) fn pulls_nothing_before_the_first_next(on: &On) {
    let pool = on.pool();
    let pulled = Cell::new(0);
    let map = pool.map((0..10).map(|i| {
        pulled.set(pulled.get() + 1);
        add::task(i, i)
    }));
    assert_eq!(pulled.get(), 0);
    drop(map);
    assert_eq!(pulled.get(), 0);
}

pub(crate) fn pulls_at_most_the_window_ahead(on: &On) {
    let pool = on.pool();
    for window in [1, 2, 7, 100] {
        let pulled = Cell::new(0_usize);
        let input = (0..).map(|i| {
            pulled.set(pulled.get() + 1);
            add::task(i, 0)
        });
        let mut map = pool.map(input).in_flight(window);
        for returned in 0..50_usize {
            assert_eq!(map.next().unwrap().unwrap(), returned as i64);
            assert!(pulled.get() > returned);
            assert!(
                pulled.get() <= returned + window,
                "{} pulled, {returned} returned, window {window}",
                pulled.get()
            );
        }
    }
}

pub(crate) fn a_window_of_nothing_is_one(on: &On) {
    let pool = on.pool();
    let sum: i64 = pool
        .map((0..10).map(|i| add::task(i, 0)))
        .in_flight(0)
        .map(Result::unwrap)
        .sum();
    assert_eq!(sum, 45);
}

pub(crate) fn takes_an_endless_input(on: &On) {
    let pool = on.pool();
    let first: Vec<_> = pool
        .map((0..).map(|i| add::task(i, 1)))
        .take(1_000)
        .map(Result::unwrap)
        .collect();
    assert_eq!(first, (1..=1_000).collect::<Vec<_>>());
}

pub(crate) fn goes_on_after_errors(on: &On) {
    let pool = on.pool();
    let outcomes: Vec<_> = pool.map((0..100).map(odd_ones_panic::task)).collect();
    assert_eq!(outcomes.len(), 100);
    for (i, outcome) in (0..).zip(outcomes) {
        match outcome {
            Ok(result) => assert_eq!(result, i),
            Err(error) => {
                assert!(error.is_panic() && !i.is_multiple_of(2), "{i}: {error}");
                assert_eq!(error.message(), Some(&*format!("{i} is odd")));
            }
        }
    }
}

pub(crate) fn borrows_its_input(on: &On) {
    let pool = on.pool();
    let words = vec!["a".to_owned(), "bb".to_owned()];
    let lens: Vec<_> = pool
        .map(words.iter().map(|word| len::task(word)))
        .map(Result::unwrap)
        .collect();
    assert_eq!(lens, [1, 2]);
    drop(words);
}

#[pool_task]
fn len(word: &str) -> usize {
    word.len()
}

pub(crate) fn knows_its_length(on: &On) {
    let pool = on.pool();
    let mut map = pool
        .map((0_i32..10).map(|i| add::task(i.into(), 0)))
        .in_flight(3);
    for left in (0..10).rev() {
        map.next().unwrap().unwrap();
        assert_eq!(map.len(), left);
        assert_eq!(map.size_hint(), (left, Some(left)));
    }
    assert!(map.next().is_none());
    assert!(map.next().is_none());
}

pub(crate) fn asks_no_input_again_after_its_end(on: &On) {
    let pool = on.pool();
    let mut ended = false;
    let mut i = 0;
    let input = std::iter::from_fn(|| {
        assert!(!ended, "asked again");
        i += 1;
        ended = i > 5;
        (!ended).then(|| add::task(i, 0))
    });
    let mut map = pool.map(input);
    assert_eq!(map.by_ref().count(), 5);
    assert!(map.next().is_none());
}

pub(crate) fn dropped_half_way_it_cancels_what_has_not_started(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let mut map = pool
        .map((0..1_000).map(|number| {
            {
                if number == 1 {
                    Held::Hold(gate.hold(1))
                } else {
                    Held::Pass(gate.pass(number))
                }
            }
            .task()
        }))
        .in_flight(200);
    assert_eq!(map.next().unwrap().unwrap(), 0);
    let _ = gate.wait_for(1);
    drop(map);
    gate.open();
    drop(pool);
    // The running one ends in peace; of those behind it, none has run.
    assert_eq!(gate.starts_of(1), 1);
    let numbers: Vec<_> = gate
        .starts()
        .into_iter()
        .map(|(number, _)| number)
        .collect();
    assert_eq!(numbers, [0, 1]);
}

/// Two kinds of task in one input.
enum Held {
    Hold(pool_tests::gate::hold),
    Pass(pool_tests::gate::pass),
}

impl Held {
    fn task(self) -> hold_or_pass {
        match self {
            Self::Hold(task) => hold_or_pass::task(true, &task.folder, task.number),
            Self::Pass(task) => hold_or_pass::task(false, &task.folder, task.number),
        }
    }
}

#[pool_task]
fn hold_or_pass(holds: bool, folder: &std::path::Path, number: u32) -> u32 {
    if holds {
        pool_tests::gate::hold(folder, number)
    } else {
        pool_tests::gate::pass(folder, number)
    }
}

pub(crate) fn dropped_while_tasks_run_it_leaves_the_pool_usable(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let mut map = pool
        .map((0..100).map(|number| gate.hold(number)))
        .in_flight(10);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = gate.wait_for(0);
            gate.open();
        });
        assert_eq!(map.next().unwrap().unwrap(), 0);
        drop(map);
    });
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
}

pub(crate) fn several_share_a_pool(on: &On) {
    let pool = on.pool();
    let maps: Vec<_> = (0..5)
        .map(|m| {
            pool.map((0..200).map(move |i| add::task(m * 1_000, i)))
                .in_flight(3)
        })
        .collect();
    let mut maps = maps;
    for i in 0..200 {
        for (m, map) in (0..).zip(&mut maps) {
            assert_eq!(map.next().unwrap().unwrap(), m * 1_000 + i);
        }
    }
    assert!(maps.iter_mut().all(|map| map.next().is_none()));
}

pub(crate) fn of_the_results_of_a_map(on: &On) {
    let pool = on.pool();
    let inner = pool.map((0..500).map(|i| add::task(i, 1)));
    let outer: Vec<_> = pool
        .map(inner.map(|result| add::task(result.unwrap(), 10)))
        .map(Result::unwrap)
        .collect();
    assert_eq!(outer, (11..511).collect::<Vec<_>>());
}

pub(crate) fn a_panic_of_the_input_leaves_the_pool_usable(on: &On) {
    let pool = on.pool();
    let mut map = pool.map((0..).map(|i| {
        assert!(i < 20, "no more");
        add::task(i, 0)
    }));
    let caught = catch_unwind(AssertUnwindSafe(|| map.by_ref().count())).unwrap_err();
    assert_eq!(caught.downcast_ref::<&str>(), Some(&"no more"));
    drop(map);
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
}

pub(crate) fn outlives_the_last_name_of_its_pool(on: &On) {
    let pool = on.pool();
    let mut map = pool.map((0..100).map(|i| add::task(i, 0)));
    map.next().unwrap().unwrap();
    drop(pool);
    assert_eq!(map.count(), 99);
}

pub(crate) fn moves_to_another_thread(on: &On) {
    let pool = on.pool();
    let mut map = pool.map((0..100).map(|i| add::task(i, 0)));
    map.next().unwrap().unwrap();
    let rest = std::thread::spawn(move || map.map(Result::unwrap).sum::<i64>());
    assert_eq!(rest.join().unwrap(), (1..100).sum::<i64>());
}

pub(crate) fn on_a_pool_that_was_shut_down_every_task_is_rejected(on: &On) {
    let pool = on.pool();
    pool.shutdown();
    let outcomes: Vec<_> = pool.map((0..10).map(|i| add::task(i, 0))).collect();
    assert_eq!(outcomes.len(), 10);
    assert!(
        outcomes
            .into_iter()
            .all(|outcome| outcome.unwrap_err().is_rejected())
    );
}

/// Neither is done before the other one has had a good part of its turn.
pub(crate) fn two_maps_share_a_pool_fairly(on: &On) {
    #[pool_task]
    fn short(i: u64) -> u64 {
        std::thread::sleep(std::time::Duration::from_micros(300));
        i
    }
    let pool = on.pool_of(2);
    let done = [const { std::sync::atomic::AtomicUsize::new(0) }; 2];
    let start = std::sync::Barrier::new(2);
    let others = std::thread::scope(|scope| {
        [0, 1]
            .map(|own| {
                let (pool, done, start) = (&pool, &done, &start);
                scope.spawn(move || {
                    start.wait();
                    for result in pool.map((0..2_000).map(short::task)) {
                        result.unwrap();
                        done[own].fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    }
                    done[1 - own].load(std::sync::atomic::Ordering::SeqCst)
                })
            })
            .map(|map| map.join().unwrap())
    });
    assert!(others.iter().all(|done| *done >= 500), "{others:?}");
}

#[pool_task]
fn maps(items: u32) -> u32 {
    let pool = pool_core::Pool::threads().unwrap();
    let ordered = pool.map((0..items).map(plus_one::task));
    let sum: u32 = ordered.map(Result::unwrap).sum();
    let unordered = pool.map((0..items).map(plus_one::task)).unordered();
    sum + unordered.map(Result::unwrap).sum::<u32>()
}

#[pool_task]
fn plus_one(i: u32) -> u32 {
    i + 1
}

pub(crate) fn inside_of_a_task_it_ends(on: &On) {
    let pool = on.pool_of(1);
    assert_eq!(pool.submit(maps::task(100)).join().unwrap(), 2 * 5_050);
    let (send, receive) = std::sync::mpsc::channel();
    let inner = pool.clone();
    // On threads, the only worker maps on its own pool.
    pool.submit(add::task(0, 0)).on_finish(move || {
        let map = inner.map((0..100).map(plus_one::task)).unordered();
        let sum: u32 = map.map(Result::unwrap).sum();
        drop(inner);
        send.send(sum).unwrap();
    });
    assert_eq!(receive.recv().unwrap(), 5_050);
}

const FORMS: [&str; 4] = ["ordered", "unordered", "chunks", "stream"];

/// The results of a map over `input` in one of the [`FORMS`].
fn results<'a>(
    form: &str,
    pool: &Pool,
    input: impl Iterator<Item = add> + 'a,
) -> Box<dyn Iterator<Item = Result<i64, TaskError>> + 'a> {
    let map = pool.map(input);
    match form {
        "ordered" => Box::new(map),
        "unordered" => Box::new(map.unordered()),
        "chunks" => Box::new(map.chunk(10)),
        _ => {
            let mut stream = map.into_stream();
            Box::new(std::iter::from_fn(move || block_on(stream.next())))
        }
    }
}

/// Returns the task with this number after all tasks before it are done, and takes so long that the
/// input is slow.
fn slow_item(pool: &Pool, number: u64) -> add {
    until("all before it are done", || pool.stats().finished == number);
    nap(70);
    add::task(number as i64, 0)
}

/// When item `item` is read, all results are returned but those of the task before it, and of one whose
/// result was on its way.
#[track_caller]
fn assert_returned(form: &str, returned: u64, item: u64) {
    assert!(
        returned + 2 >= item,
        "{form}: item {item} was read after {returned} results"
    );
}

/// Takes all results; calls `pause` with the number of results so far, after each one.
fn take_all(
    results: impl Iterator<Item = Result<i64, TaskError>>,
    returned: &Cell<u64>,
    mut pause: impl FnMut(u64),
) {
    let mut numbers = Vec::new();
    for result in results {
        numbers.push(result.unwrap());
        returned.set(returned.get() + 1);
        pause(returned.get());
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..returned.get() as i64));
}

pub(crate) fn returns_what_is_ready_before_it_reads_a_slow_input(on: &On) {
    for form in FORMS {
        let pool = on.pool_of(1);
        let returned = Cell::new(0);
        let input = (0..6).map(|item| {
            assert_returned(form, returned.get(), item);
            slow_item(&pool, item)
        });
        take_all(results(form, &pool, input), &returned, |_| ());
        assert_eq!(returned.get(), 6);
    }
}

pub(crate) fn reads_ahead_again_once_a_slow_input_is_quick(on: &On) {
    const SLOW: u64 = 4;
    const ALL: u64 = SLOW + 3;
    for form in FORMS {
        let pool = on.pool_of(1);
        let returned = Cell::new(0);
        let input = (0..ALL).map(|item| {
            if item >= SLOW {
                return add::task(item as i64, 0);
            }
            assert_returned(form, returned.get(), item);
            slow_item(&pool, item)
        });
        take_all(results(form, &pool, input), &returned, |returned| {
            if returned > SLOW {
                // The consumer pauses until the tasks have run that were read ahead.
                until("the window has run", || pool.stats().finished == ALL);
            }
        });
        assert_eq!(returned.get(), ALL);
    }
}
