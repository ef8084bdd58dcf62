//! Short tasks of a map travel together; nobody can tell. Each test begins with enough of them
//! that chunks have grown.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use pool_core::{Map, Pool, Task, TaskErrorKind, TaskExt, current, pool_task};
use pool_tests::gate::{self, Gate};
use pool_tests::proc;
use pool_tests::tasks::{add, echo, nap};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::harness::On;

/// How many short tasks come first.
const WARM: u32 = 3_000;

/// What a task of these tests does: one type, since a map has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Deed {
    Nothing,
    Pass,
    Hold,
    Exit,
    Panic,
    Large(u32),
    GivesUnencodable,
    GivesUndecodable,
}

#[pool_task]
fn does(folder: &Path, number: u32, deed: Deed) -> (u32, Given) {
    let mut given = Given::Bytes(Vec::new());
    match deed {
        Deed::Nothing => {}
        Deed::Pass => drop(gate::pass(folder, number)),
        Deed::Hold => drop(gate::hold(folder, number)),
        Deed::Exit => std::process::exit(number.cast_signed()),
        Deed::Panic => panic!("number {number}"),
        Deed::Large(len) => given = Given::Bytes(vec![number as u8; len as usize]),
        Deed::GivesUnencodable => given = Given::Unencodable,
        Deed::GivesUndecodable => given = Given::Undecodable,
    }
    (number, given)
}

#[derive(Debug, PartialEq, Eq)]
enum Given {
    Bytes(Vec<u8>),
    Unencodable,
    Undecodable,
}

impl Serialize for Given {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bytes(bytes) => Some(bytes).serialize(out),
            Self::Unencodable => Err(S::Error::custom("no")),
            Self::Undecodable => Option::<Vec<u8>>::None.serialize(out),
        }
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let bytes = Option::<Vec<u8>>::deserialize(input)?;
        bytes.map(Self::Bytes).ok_or_else(|| D::Error::custom("no"))
    }
}

/// Short tasks, which are done when it returns, then these.
fn warm(
    on: &On,
    workers: usize,
    gate: &Gate,
    deeds: impl IntoIterator<Item = Deed>,
) -> Map<impl Iterator<Item = does>> {
    warm_on(on.pool_of(workers), gate, deeds)
}

fn warm_on(
    pool: Pool,
    gate: &Gate,
    deeds: impl IntoIterator<Item = Deed>,
) -> Map<impl Iterator<Item = does>> {
    let deeds = std::iter::repeat_n(Deed::Nothing, WARM as usize).chain(deeds);
    let task = |(number, deed)| does::task(gate.folder(), number, deed);
    let mut map = pool.map((0..).zip(deeds).map(task));
    for number in 0..WARM {
        assert_eq!(map.next().unwrap().unwrap().0, number);
    }
    map
}

pub(crate) fn each_failure_is_that_of_its_own_task(on: &On) {
    let gate = Gate::new();
    let deed = |i: u32| match i % 97 {
        5 => Deed::Panic,
        20 => Deed::Large(100),
        30 => Deed::Large(20_000),
        40 => Deed::GivesUnencodable,
        41 => Deed::GivesUndecodable,
        60 if i.is_multiple_of(3) => Deed::Large(400_000),
        _ => Deed::Pass,
    };
    let deeds: Vec<_> = (0..1_500).map(deed).collect();
    let mut map = warm(on, 2, &gate, deeds.clone());
    for (number, deed) in (WARM..).zip(deeds) {
        let outcome = map.next().unwrap();
        let kind = match deed {
            Deed::Panic => Some(TaskErrorKind::Panicked),
            Deed::GivesUnencodable if on.processes() => Some(TaskErrorKind::Encode),
            Deed::GivesUndecodable if on.processes() => Some(TaskErrorKind::Decode),
            _ => None,
        };
        match outcome {
            Err(error) => {
                assert_eq!(Some(error.kind()), kind, "{number}: {error}");
                if deed == Deed::Panic {
                    assert_eq!(error.message(), Some(&*format!("number {number}")));
                }
            }
            Ok((back, given)) => {
                assert_eq!((back, kind), (number, None));
                if let Deed::Large(len) = deed {
                    assert!(
                        given == Given::Bytes(vec![number as u8; len as usize]),
                        "{number}"
                    );
                }
            }
        }
        if deed == Deed::Pass {
            assert_eq!(gate.starts_of(number), 1);
        }
    }
    assert!(map.next().is_none());
}

pub(crate) fn a_worker_that_dies_costs_one_of_them(on: &On) {
    let gate = Gate::new();
    // The first and the last of all, two in a row, and some in between.
    let dies = |i: u32| matches!(i, 0 | 100 | 101 | 500 | 777 | 999);
    let deeds = (0..1_000).map(move |i| if dies(i) { Deed::Exit } else { Deed::Pass });
    for (i, outcome) in (0..).zip(warm(on, 2, &gate, deeds)) {
        match outcome {
            Ok((number, _)) => {
                assert!(!dies(i), "{i}");
                assert_eq!(number, WARM + i);
                assert_eq!(gate.starts_of(number), 1, "{number}");
            }
            Err(error) => {
                assert!(dies(i) && error.is_worker_lost(), "{i}: {error}");
                assert_eq!(error.exit_code(), Some((WARM + i).cast_signed() & 0xff));
            }
        }
    }
}

pub(crate) fn a_worker_that_is_killed_costs_one_of_them(on: &On) {
    let gate = Gate::new();
    let deeds = (0..500).map(|i| if i == 50 { Deed::Hold } else { Deed::Pass });
    let map = warm(on, 1, &gate, deeds);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            proc::kill(gate.wait_for(WARM + 50));
            gate.open();
        });
        for (i, outcome) in (0..).zip(map) {
            assert_eq!(outcome.is_err(), i == 50, "{i}: {outcome:?}");
            assert_eq!(gate.starts_of(WARM + i), 1);
        }
    });
}

pub(crate) fn a_long_one_keeps_back_neither_results_nor_tasks(on: &On) {
    let gate = Gate::new();
    let deeds = (0..500).map(|i| if i == 250 { Deed::Hold } else { Deed::Pass });
    let mut map = warm(on, 2, &gate, deeds);
    // Those before it come out while it runs,
    for i in 0..250 {
        assert_eq!(map.next().unwrap().unwrap().0, WARM + i);
    }
    let _ = gate.wait_for(WARM + 250);
    // and those behind it run.
    for i in 251..300 {
        let _ = gate.wait_for(WARM + i);
    }
    gate.open();
    for i in 250..500 {
        assert_eq!(map.next().unwrap().unwrap().0, WARM + i);
        assert_eq!(gate.starts_of(WARM + i), 1);
    }
    assert!(map.next().is_none());
}

pub(crate) fn many_long_ones_at_once_keep_back_nothing(on: &On) {
    let gate = Gate::new();
    // Each second one is held, until all workers but one are taken.
    let held = |i: u32| i.is_multiple_of(2) && i < 6;
    let deeds = (0..400).map(move |i| if held(i) { Deed::Hold } else { Deed::Pass });
    let mut map = warm(on, 4, &gate, deeds);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..100 {
                let _ = gate.wait_for(WARM + i);
            }
            gate.open();
        });
        for i in 0..400 {
            assert_eq!(map.next().unwrap().unwrap().0, WARM + i);
        }
    });
}

pub(crate) fn a_worker_that_dies_after_it_was_robbed_costs_one_of_them(on: &On) {
    let gate = Gate::new();
    let deeds = (0..500).map(|i| if i == 250 { Deed::Hold } else { Deed::Pass });
    let mut map = warm(on, 2, &gate, deeds);
    // To get these its worker must have been robbed of them.
    for i in 0..250 {
        assert_eq!(map.next().unwrap().unwrap().0, WARM + i);
    }
    proc::kill(gate.wait_for(WARM + 250));
    let error = map.next().unwrap().unwrap_err();
    assert!(error.is_worker_lost(), "{error}");
    for i in 251..500 {
        assert_eq!(map.next().unwrap().unwrap().0, WARM + i);
        assert_eq!(gate.starts_of(WARM + i), 1);
    }
}

pub(crate) fn dropping_the_map_starts_no_more_of_them(on: &On) {
    let pool = on.pool_of(1);
    let attempt = || {
        let gate = Gate::new();
        drop(up_to_a_held_one(&pool, &gate)?);
        gate.open();
        // The worker goes on with what comes after.
        assert_eq!(pool.submit(add::task(1, 2)).join().unwrap(), 3);
        Some((gate.starts().len(), gate))
    };
    let (starts, gate) = (0..20).find_map(|_| attempt()).unwrap();
    pool.shutdown();
    assert_eq!((starts, gate.starts().len()), (101, 101));
}

/// The map when the only worker is at the hundredth of these and all before it are returned. `None`:
/// one before it waits behind it. That happens where a worker that was without a processor in the
/// middle of a chunk was robbed of the rest, and went on with the next chunk at that moment.
fn up_to_a_held_one(pool: &Pool, gate: &Gate) -> Option<Map<impl Iterator<Item = does> + use<>>> {
    let (pool, own) = (pool.clone(), gate.folder().to_owned());
    let consumer = thread::spawn(move || {
        let deeds = (0..2_000).map(|i| if i == 100 { Deed::Hold } else { Deed::Pass });
        let tasks = (0..WARM).map(|_| Deed::Nothing).chain(deeds);
        let tasks = (0..)
            .zip(tasks)
            .map(move |(i, deed)| does::task(&own, i, deed));
        let mut map = pool.map(tasks);
        for i in 0..WARM + 100 {
            assert_eq!(map.next().unwrap().unwrap().0, i);
        }
        map
    });
    let _ = gate.wait_for(WARM + 100);
    let begin = Instant::now();
    while !consumer.is_finished() {
        if begin.elapsed() > Duration::from_secs(2) {
            gate.open();
            drop(consumer.join().unwrap());
            return None;
        }
        nap(1);
    }
    Some(consumer.join().unwrap())
}

pub(crate) fn a_panic_of_the_input_loses_none(on: &On) {
    let pool = on.pool();
    let mut next = 0;
    let input = std::iter::from_fn(|| {
        next += 1;
        assert!(next != 4_001, "once");
        (next <= 5_001).then(|| add::task(next - 1, 0))
    });
    let mut map = pool.map(input);
    let mut results = Vec::new();
    let mut panics = 0;
    loop {
        match catch_unwind(AssertUnwindSafe(|| map.next())) {
            Ok(Some(result)) => results.push(result.unwrap()),
            Ok(None) => break,
            Err(_) => panics += 1,
        }
    }
    assert_eq!(panics, 1);
    let expected: Vec<_> = (0..4_000).chain(4_001..=5_000).collect();
    assert!(results == expected, "{} results", results.len());
}

/// Its argument does not encode when the number says so.
#[derive(Debug)]
struct Sometimes(u32);

impl Serialize for Sometimes {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        // Something of it is written before the end comes.
        match self.0 % 50 {
            7 => (1_u8, Refuses).serialize(out),
            8 => panic!("blew up as it was written"),
            _ => (self.0, 0_u8).serialize(out),
        }
    }
}

struct Refuses;

impl Serialize for Refuses {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("no"))
    }
}

impl<'de> Deserialize<'de> for Sometimes {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        <(u32, u8)>::deserialize(input).map(|(number, _)| Self(number))
    }
}

#[pool_task]
fn sometimes(number: Sometimes) -> u32 {
    number.0
}

pub(crate) fn an_argument_that_does_not_encode_spoils_no_other(on: &On) {
    let pool = on.pool();
    let mut count = 0;
    for (i, outcome) in (0..).zip(pool.map((0..5_000).map(|i| sometimes::task(Sometimes(i))))) {
        count += 1;
        if on.processes() && matches!(i % 50, 7 | 8) {
            assert_eq!(outcome.unwrap_err().kind(), TaskErrorKind::Encode, "{i}");
        } else {
            assert_eq!(outcome.unwrap(), i);
        }
    }
    assert_eq!(count, 5_000);
}

pub(crate) fn large_and_small_arguments_mix(on: &On) {
    let pool = on.pool();
    let len = |i: usize| match i % 40 {
        10 => 3_000,
        20 => 13_000,
        30 => 100_000,
        39 => 0,
        _ => i % 7,
    };
    let sent = |i: usize| vec![i as u8; len(i)];
    for (i, result) in pool
        .map((0..4_000_usize).map(|i| echo::task(sent(i))))
        .enumerate()
    {
        assert!(result.unwrap() == sent(i), "{i}");
    }
}

pub(crate) fn tasks_with_deadlines_keep_their_place(on: &On) {
    let pool = on.pool();
    let late = |i: u32| i == 3_300;
    let task = |i: u32| {
        let limit = if late(i) {
            Duration::from_millis(30)
        } else {
            Duration::MAX
        };
        numbered_nap::task(if late(i) { 300 } else { 0 }, i).timeout(limit)
    };
    let mut results = 0;
    for (i, outcome) in (0..).zip(pool.map((0..3_600).map(task))) {
        results += 1;
        match outcome {
            Ok(number) => assert_eq!(number, i),
            Err(error) => assert!(late(i) && error.is_timeout(), "{i}: {error}"),
        }
    }
    assert_eq!(results, 3_600);
}

#[pool_task]
fn numbered_nap(ms: u64, number: u32) -> u32 {
    nap(ms);
    number
}

#[pool_task]
fn who_am_i(number: u32) -> (u32, String, String, usize, bool) {
    let current = current();
    (
        number,
        current.task_name().to_owned(),
        current.backend().to_string(),
        current.worker(),
        current.is_cancelled(),
    )
}

pub(crate) fn each_knows_itself(on: &On) {
    let pool = on.pool();
    for (i, result) in (0..).zip(pool.map((0..4_000).map(who_am_i::task))) {
        let (number, name, backend, worker, cancelled) = result.unwrap();
        assert_eq!(
            (number, &*name, &*backend),
            (i, who_am_i::NAME, on.backend().name())
        );
        assert!(worker < pool.workers() && !cancelled);
    }
}

pub(crate) fn the_window_holds_for_chunks_too(on: &On) {
    let pool = on.pool();
    // On a cluster each step of a small window is a way there and back.
    let tasks = if on.cluster() { 300 } else { 3_000 };
    for window in [1, 3, 10, 1_000] {
        let pulled = std::cell::Cell::new(0_usize);
        let input = (0..).map(|i| {
            pulled.set(pulled.get() + 1);
            add::task(i, 0)
        });
        let mut map = pool.map(input).in_flight(window);
        for returned in 0..tasks {
            assert_eq!(map.next().unwrap().unwrap(), returned as i64);
            assert!(
                pulled.get() <= returned + window,
                "{} pulled, {returned} returned",
                pulled.get()
            );
        }
    }
}

pub(crate) fn a_kill_in_the_middle_resolves_all(on: &On) {
    for round in 0..10 {
        let pool = on.pool();
        let mut map = pool.map((0..50_000).map(|i| add::task(i, 0)));
        for i in 0..1_000 * round {
            assert_eq!(map.next().unwrap().unwrap(), i);
        }
        pool.kill();
        let mut rest = 0;
        for (i, outcome) in (1_000 * round..).zip(map) {
            rest += 1;
            match outcome {
                Ok(sum) => assert_eq!(sum, i),
                Err(error) => assert!(error.is_cancelled() || error.is_rejected(), "{error}"),
            }
        }
        assert_eq!(rest, 50_000 - 1_000 * round);
    }
}

pub(crate) fn after_a_kill_none_of_them_starts(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let deeds = (0..100).map(|i| if i == 0 { Deed::Hold } else { Deed::Pass });
    let task = |(number, deed)| does::task(gate.folder(), number, deed);
    let mut map = pool.map((0..).zip(deeds).map(task)).chunk(100);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = gate.wait_for(0);
            // Returns when the worker has ended.
            pool.kill();
        });
        // At once, although the task runs on where it cannot be stopped.
        assert!(map.next().unwrap().unwrap_err().is_cancelled());
        if !on.cluster() {
            gate.open();
        }
    });
    // An agent goes on with the chunk that it has until it hears of the end, a moment later.
    gate.open();
    for outcome in map {
        let error = outcome.unwrap_err();
        assert!(error.is_cancelled() || error.is_rejected(), "{error}");
    }
    assert_eq!(gate.starts().len(), 1);
}

pub(crate) fn a_shutdown_in_the_middle_resolves_all(on: &On) {
    let pool = on.pool();
    let mut map = pool.map((0..50_000).map(|i| add::task(i, 0)));
    for i in 0..5_000 {
        assert_eq!(map.next().unwrap().unwrap(), i);
    }
    pool.shutdown();
    let mut rejected = 0;
    for (i, outcome) in (5_000..).zip(map) {
        match outcome {
            // Submitted before.
            Ok(sum) => assert_eq!((sum, rejected), (i, 0)),
            Err(error) => {
                assert!(error.is_rejected(), "{error}");
                rejected += 1;
            }
        }
    }
    assert!(rejected > 0);
}

pub(crate) fn of_many_threads_do_not_mix(on: &On) {
    let pool = on.pool_of(3);
    std::thread::scope(|scope| {
        for thread in 0..6_i64 {
            let pool = &pool;
            scope.spawn(move || {
                let sums = pool.map((0..5_000).map(|i| add::task(thread << 32, i)));
                for (i, sum) in (0..).zip(sums) {
                    assert_eq!(sum.unwrap(), (thread << 32) + i);
                }
            });
        }
    });
}
