//! The forms of a map: in which order, how much at once, where it ends, what it returns.

use std::cell::Cell;
use std::time::Duration;

use pool_core::{OnTimeout, TaskExt, pool_task};
use pool_tests::gate::Gate;
use pool_tests::tasks::{add, nap};

use crate::harness::On;

#[pool_task]
fn odd_ones_panic(i: u32) -> u32 {
    assert!(i.is_multiple_of(2), "{i} is odd");
    i
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
    // Each of those that go alone is several messages on a cluster.
    let tasks = if on.cluster() { 2_000 } else { 10_000 };
    for workers in [1, 3] {
        let pool = on.pool_of(workers);
        for chunk in [None, Some(1), Some(100)] {
            let map = pool.map((0..tasks as u32).map(|i| slow_each::task(i.into(), 500)));
            let map = map.unordered();
            let map = match chunk {
                None => map,
                Some(tasks) => map.chunk(tasks),
            };
            assert_eq!(map.len(), tasks);
            let mut seen = vec![false; tasks];
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
