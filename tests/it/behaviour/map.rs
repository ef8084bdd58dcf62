//! `Pool::map`: ordered, lazy, bounded.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use pool_core::{OnTimeout, TaskExt, pool_task};
use pool_tests::gate::Gate;
use pool_tests::tasks::{add, nap};

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

pub(crate) fn unordered_the_first_that_is_ready_comes_first(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(2);
    let tasks = [gate.hold(0)].into_iter().map(Passing::Hold);
    let tasks = tasks.chain((1..200).map(|i| Passing::Pass(gate.pass(i))));
    let mut map = pool
        .map(tasks.map(held_or_passed::task))
        .unordered()
        .with_index();
    let before: Vec<_> = map.by_ref().take(199).map(|(index, _)| index).collect();
    assert!(!before.contains(&0), "{before:?}");
    gate.open();
    let (index, last) = map.next().unwrap();
    assert_eq!((index, last.unwrap()), (0, 0));
    assert!(map.next().is_none());
}

#[derive(serde::Serialize, serde::Deserialize)]
enum Passing {
    Hold(pool_tests::gate::hold),
    Pass(pool_tests::gate::pass),
}

#[pool_task]
fn held_or_passed(task: Passing) -> u32 {
    match task {
        Passing::Hold(task) => pool_core::Task::run(task),
        Passing::Pass(task) => pool_core::Task::run(task),
    }
}

pub(crate) fn unordered_each_comes_once(on: &On) {
    for workers in [1, 3] {
        let pool = on.pool_of(workers);
        for chunk in [None, Some(1), Some(100)] {
            let map = pool.map((0..10_000_u32).map(|i| slow_each::task(i.into(), 500)));
            let map = map.unordered();
            let map = match chunk {
                None => map,
                Some(tasks) => map.chunk(tasks),
            };
            assert_eq!(map.len(), 10_000);
            let mut seen = vec![false; 10_000];
            for (index, result) in map.with_index() {
                assert_eq!(result.unwrap(), index as u64);
                assert!(!std::mem::replace(&mut seen[index], true));
            }
            assert!(seen.into_iter().all(|seen| seen));
        }
    }
}

#[pool_task]
fn slow_each(i: u64, each: u64) -> u64 {
    if i.is_multiple_of(each) {
        nap(2);
    }
    i
}

pub(crate) fn unordered_it_keeps_to_its_bound(on: &On) {
    let pool = on.pool();
    for window in [1, 3, 100] {
        let pulled = Cell::new(0_usize);
        let input = (0..1_000).map(|i| {
            pulled.set(pulled.get() + 1);
            add::task(i, 0)
        });
        let map = pool.map(input).unordered().in_flight(window);
        for (returned, result) in map.enumerate() {
            assert!(result.is_ok());
            assert!(pulled.get() <= returned + window, "{window}");
        }
        assert_eq!(pulled.get(), 1_000);
    }
}

#[pool_task]
fn dies_at(i: u32, at: u32) -> u32 {
    if i == at {
        std::process::abort();
    }
    i
}

pub(crate) fn unordered_a_worker_that_dies_costs_one_of_them(on: &On) {
    let pool = on.pool();
    let map = pool
        .map((0..5_000).map(|i| dies_at::task(i, 3_333)))
        .unordered();
    let (mut good, mut lost) = (0, Vec::new());
    for result in map {
        match result {
            Ok(_) => good += 1,
            Err(error) => lost.push((error.is_worker_lost(), error.index())),
        }
    }
    assert_eq!((good, lost), (4_999, vec![(true, Some(3_333))]));
}

#[pool_task]
fn length(bytes: Vec<u8>) -> usize {
    bytes.len()
}

/// Of tasks of 1,000 bytes and some, three fit.
pub(crate) fn keeps_to_its_bound_of_bytes(on: &On) {
    let pool = on.pool();
    for unordered in [false, true] {
        let pulled = Cell::new(0_usize);
        let input = (0..300).map(|_| {
            pulled.set(pulled.get() + 1);
            length::task(vec![0; 1_000])
        });
        let map = pool.map(input).in_flight_bytes(3_500);
        let map = if unordered { map.unordered() } else { map };
        assert_eq!(map.len(), 300);
        for (returned, result) in map.enumerate() {
            assert_eq!(result.unwrap(), 1_000);
            // One more is read to see that it does not fit.
            assert!(
                pulled.get() <= returned + 3 + 1,
                "{} {returned}",
                pulled.get()
            );
        }
        assert_eq!(pulled.get(), 300);
    }
}

pub(crate) fn what_is_larger_than_the_bound_goes_alone(on: &On) {
    let pool = on.pool();
    let sizes = [10, 100_000, 20, 30, 200_000, 40];
    let map = pool
        .map(sizes.map(|len| length::task(vec![0; len])))
        .in_flight_bytes(100);
    assert_eq!(map.map(Result::unwrap).collect::<Vec<_>>(), sizes);
    let none = pool
        .map(sizes.map(|len| length::task(vec![0; len])))
        .in_flight_bytes(0);
    assert_eq!(none.map(Result::unwrap).collect::<Vec<_>>(), sizes);
}

pub(crate) fn each_item_has_its_time(on: &On) {
    let gate = Gate::new();
    let pool = on
        .builder()
        .grace(Duration::from_millis(10))
        .build()
        .unwrap();
    let tasks = [gate.hold_or_stop(0), gate.hold_or_stop(1)];
    let late = pool.map(tasks).timeout(Duration::from_millis(50));
    for (i, result) in late.enumerate() {
        let error = result.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert_eq!(error.index(), Some(i));
    }
    // It has what follows, and does not end.
    let good = pool
        .map([add::task(1, 1), add::task(2, 2)])
        .timeout(Duration::from_secs(50));
    assert_eq!(good.map(Result::unwrap).collect::<Vec<_>>(), [2, 4]);
}

pub(crate) fn an_item_keeps_a_timeout_of_its_own(on: &On) {
    let gate = Gate::new();
    let pool = on
        .builder()
        .grace(Duration::from_millis(10))
        .build()
        .unwrap();
    let own = gate.hold_or_stop(0).timeout(Duration::from_millis(30));
    let mut map = pool.map([own]).timeout(Duration::from_secs(1_000));
    assert!(map.next().unwrap().unwrap_err().is_timeout());
}

pub(crate) fn stops_at_the_first_error(on: &On) {
    let pool = on.pool();
    for unordered in [false, true] {
        for chunk in [1, 50] {
            let map = pool
                .map((0..).map(odd_ones_panic::task))
                .chunk(chunk)
                .stop_on_error();
            let mut map = if unordered { map.unordered() } else { map };
            let results: Vec<_> = map.by_ref().collect();
            let (last, before) = results.split_last().unwrap();
            assert!(before.iter().all(Result::is_ok));
            let error = last.as_ref().unwrap_err();
            let index = error.index().unwrap();
            assert_eq!(error.message(), Some(&*format!("{index} is odd")));
            assert!(unordered || index == 1);
            assert_eq!(map.size_hint().1, Some(0));
        }
    }
    // A task's own error is its result.
    let fine = pool.map([fails::task(), fails::task()]).stop_on_error();
    assert_eq!(fine.count(), 2);
    assert_eq!(pool.submit(add::task(1, 2)).join().unwrap(), 3);
}

#[pool_task]
fn fails() -> Result<(), String> {
    Err("of its own".into())
}

#[pool_task]
fn fails_when_it_runs(folder: &std::path::Path, number: u32) -> u32 {
    let gate = pool_tests::gate::hold_or_stop(folder, number);
    u32::from(gate)
}

pub(crate) fn stops_what_runs_elsewhere(on: &On) {
    for unordered in [false, true] {
        let gate = Gate::new();
        let pool = on.builder().grace(Duration::from_secs(50)).build().unwrap();
        let folder = gate.folder();
        let tasks = (0..10).map(|i| match i {
            1 => Either::Boom,
            _ => Either::Hold(fails_when_it_runs::task(folder, i)),
        });
        let map = pool.map(tasks.map(either::task)).stop_on_error();
        let last = match unordered {
            // The error comes while the other one runs.
            true => map.unordered().last(),
            // In order it would come after that.
            false => map.unordered().chunk(1).last(),
        };
        assert!(last.unwrap().unwrap_err().is_panic());
        drop(pool);
        assert!(gate.starts().len() <= 3, "{:?}", gate.starts());
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
enum Either {
    Boom,
    Hold(fails_when_it_runs),
}

#[pool_task]
fn either(which: Either) -> u32 {
    match which {
        Either::Boom => panic!("boom"),
        Either::Hold(task) => pool_core::Task::run(task),
    }
}

pub(crate) fn stops_at_a_timeout_if_it_is_told_to(on: &On) {
    let gate = Gate::new();
    for (what, count) in [(OnTimeout::Stop, 2), (OnTimeout::Continue, 3)] {
        let pool = on
            .builder()
            .grace(Duration::from_millis(10))
            .build()
            .unwrap();
        let tasks = [gate.pass(0).timeout(FOREVER), gate.pass(1).timeout(FOREVER)];
        let tasks = tasks.into_iter().map(Slow::Passes);
        let tasks = tasks
            .take(1)
            .chain([Slow::Never, Slow::Passes(gate.pass(2).timeout(FOREVER))]);
        let map = pool
            .map(tasks.map(slow::task))
            .timeout(Duration::from_millis(100));
        let results: Vec<_> = map.in_flight(1).on_timeout(what).collect();
        assert_eq!(results.len(), count);
        assert!(results[1].as_ref().unwrap_err().is_timeout());
    }
}

const FOREVER: Duration = Duration::from_secs(1_000);

#[derive(serde::Serialize, serde::Deserialize)]
enum Slow {
    Passes(pool_core::WithOptions<pool_tests::gate::pass>),
    Never,
}

#[pool_task]
fn slow(which: Slow) -> u32 {
    match which {
        Slow::Passes(task) => pool_core::Task::run(task),
        Slow::Never => loop {
            nap(1_000);
        },
    }
}

pub(crate) fn gives_the_input_back_beside_an_error(on: &On) {
    let pool = on.pool();
    for chunk in [1, 10] {
        let map = pool
            .map((0..100).map(odd_ones_panic::task))
            .chunk(chunk)
            .unordered();
        let mut odd: Vec<_> = map
            .with_input()
            .filter_map(Result::err)
            .map(|failed| {
                assert!(failed.error.is_panic());
                assert!(failed.to_string().contains("is odd"), "{failed}");
                let input = failed.input.unwrap();
                assert_eq!(failed.error.index(), Some(input.i as usize));
                input.i
            })
            .collect();
        odd.sort_unstable();
        assert_eq!(odd, (0..100).filter(|i| i % 2 == 1).collect::<Vec<_>>());
    }
}

/// Says no when it is serialized.
struct Mute;

impl serde::Serialize for Mute {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("mute"))
    }
}

impl<'de> serde::Deserialize<'de> for Mute {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

#[pool_task]
fn takes_mute(_mute: Mute) -> u32 {
    panic!("it got it");
}

pub(crate) fn gives_no_input_back_that_cannot_be_copied(on: &On) {
    let pool = on.pool();
    let mut map = pool.map([takes_mute::task(Mute)]).with_input();
    let failed = map.next().unwrap().unwrap_err();
    assert!(failed.input.is_none());
    assert_eq!(failed.error.is_panic(), !on.processes());
}

pub(crate) fn errors_know_their_item(on: &On) {
    let pool = on.pool();
    for (index, result) in pool.map((0..500).map(odd_ones_panic::task)).enumerate() {
        if let Err(error) = result {
            assert_eq!(error.index(), Some(index));
            assert!(
                error.to_string().contains(&format!("(item {index})")),
                "{error}"
            );
        }
    }
    let alone = pool.submit(odd_ones_panic::task(1)).join().unwrap_err();
    assert_eq!(alone.index(), None);
}

/// Neither is done before the other one has had a good part of its turn.
pub(crate) fn two_maps_share_a_pool_fairly(on: &On) {
    #[pool_task]
    fn short(i: u64) -> u64 {
        std::thread::sleep(Duration::from_micros(300));
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

pub(crate) fn knows_its_length_unless_it_may_end_early(on: &On) {
    let pool = on.pool();
    let tasks = || (0..100_i32).map(|i| add::task(i.into(), 0));
    let mut map = pool.map(tasks()).unordered();
    for left in (0..100).rev() {
        assert!(map.next().is_some());
        assert_eq!(map.len(), left);
    }
    assert_eq!(pool.map(tasks()).with_index().len(), 100);
    assert_eq!(pool.map(tasks()).with_input().len(), 100);
    let mut early = pool.map(tasks()).stop_on_error();
    assert_eq!(early.size_hint(), (0, Some(100)));
    early.next();
    assert_eq!(early.size_hint(), (0, Some(99)));
    assert_eq!(pool.map((0..).map(|i| add::task(i, 0))).size_hint().1, None);
}
