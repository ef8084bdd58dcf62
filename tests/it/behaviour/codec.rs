//! What does not encode or decode: an error of that task, where anything is encoded at all.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use pool_core::{Pool, TaskError, TaskErrorKind, pool_task};
use pool_tests::gate::Gate;
use pool_tests::tasks::{add, pid};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::harness::On;

/// What goes wrong with a value on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Mode {
    Fine,
    EncodeError,
    EncodePanic,
    DecodeError,
    DecodePanic,
}

use Mode::{DecodeError, DecodePanic, EncodeError, EncodePanic, Fine};

#[derive(Debug, PartialEq, Eq)]
struct Fussy(Mode);

impl Serialize for Fussy {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            EncodeError => Err(S::Error::custom("will not be written")),
            EncodePanic => panic!("blew up as it was written"),
            mode => mode.serialize(out),
        }
    }
}

impl<'de> Deserialize<'de> for Fussy {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match Mode::deserialize(input)? {
            DecodeError => Err(D::Error::custom("will not be read")),
            DecodePanic => panic!("blew up as it was read"),
            mode => Ok(Self(mode)),
        }
    }
}

#[pool_task]
fn takes(before: Vec<u8>, fussy: Fussy, after: u8) -> (usize, u8) {
    let _ = fussy;
    (before.len(), after)
}

#[pool_task]
fn gives(len: usize, mode: Mode) -> (Vec<u8>, Fussy) {
    (vec![1; len], Fussy(mode))
}

const MODES: [Mode; 5] = [Fine, EncodeError, EncodePanic, DecodeError, DecodePanic];

#[track_caller]
fn check<T>(on: &On, mode: Mode, outcome: Result<T, TaskError>) {
    if mode == Fine || !on.processes() {
        assert!(outcome.is_ok(), "{mode:?}");
        return;
    }
    let Err(error) = outcome else {
        panic!("{mode:?} is no error");
    };
    let kind = match mode {
        EncodeError | EncodePanic => TaskErrorKind::Encode,
        _ => TaskErrorKind::Decode,
    };
    assert_eq!(error.kind(), kind, "{mode:?}: {error}");
    assert!(error.is_codec() && !error.is_panic());
    let text = error.to_string();
    if matches!(mode, EncodePanic | DecodePanic) {
        assert!(text.contains("blew up"), "{text}");
    }
}

fn worker(pool: &Pool) -> u32 {
    pool.submit(pid::task()).join().unwrap()
}

pub(crate) fn of_an_argument(on: &On) {
    let pool = on.pool_of(1);
    let before = worker(&pool);
    for len in [0, 200, 100_000] {
        for mode in MODES {
            let handle = pool.submit(takes::task(vec![0; len], Fussy(mode), 9));
            check(on, mode, handle.join());
            assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
        }
    }
    assert_eq!(worker(&pool), before, "the worker lives");
}

pub(crate) fn of_a_result(on: &On) {
    let pool = on.pool_of(1);
    let before = worker(&pool);
    for len in [0, 200, 100_000] {
        for mode in MODES {
            check(on, mode, pool.submit(gives::task(len, mode)).join());
            assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
        }
    }
    assert_eq!(worker(&pool), before, "the worker lives");
}

pub(crate) fn says_whether_it_is_the_argument_or_the_result(on: &On) {
    let pool = on.pool();
    for mode in [EncodeError, EncodePanic, DecodeError, DecodePanic] {
        let takes = pool.submit(takes::task(Vec::new(), Fussy(mode), 9)).join();
        let gives = pool.submit(gives::task(0, mode)).join();
        let [takes, gives] = [takes.unwrap_err(), gives.unwrap_err()].map(|e| e.to_string());
        assert!(takes.contains("argument"), "{mode:?}: {takes}");
        assert!(gives.contains("result"), "{mode:?}: {gives}");
    }
}

pub(crate) fn costs_one_task_among_many(on: &On) {
    let pool = on.pool();
    let handles: Vec<_> = (0..500)
        .map(|i| {
            let mode = MODES[i % MODES.len()];
            let task = takes::task(vec![0; i], Fussy(mode), 3);
            (
                mode,
                i,
                pool.submit(task),
                pool.submit(gives::task(i, mode)),
            )
        })
        .collect();
    for (mode, len, takes, gives) in handles {
        let (takes, gives) = (takes.join(), gives.join());
        if let Ok(result) = &takes {
            assert_eq!(*result, (len, 3));
        }
        if let Ok((bytes, _)) = &gives {
            assert_eq!(bytes.len(), len);
        }
        check(on, mode, takes);
        check(on, mode, gives);
    }
}

/// Writes two fields and reads one.
#[derive(Debug)]
struct Lopsided;

impl Serialize for Lopsided {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        (1_u8, 2_u8).serialize(out)
    }
}

impl<'de> Deserialize<'de> for Lopsided {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        u8::deserialize(input).map(|_| Self)
    }
}

#[pool_task]
fn takes_lopsided(lopsided: Lopsided) {
    let _ = lopsided;
}

#[pool_task]
fn gives_lopsided() -> Lopsided {
    Lopsided
}

pub(crate) fn of_bytes_that_are_left_over(on: &On) {
    let pool = on.pool();
    let check = |outcome: Result<(), TaskError>| {
        if on.processes() {
            assert_eq!(outcome.unwrap_err().kind(), TaskErrorKind::Decode);
        } else {
            outcome.unwrap();
        }
    };
    check(pool.submit(takes_lopsided::task(Lopsided)).join());
    check(pool.submit(gives_lopsided::task()).join().map(drop));
}

/// What a type of serde's can ask of its input, and ours cannot answer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u8),
    Text(String),
}

#[pool_task]
fn untagged(value: Untagged) -> Untagged {
    value
}

/// A type that reads whatever is there arrives.
pub(crate) fn of_a_type_that_needs_another_format(on: &On) {
    let pool = on.pool();
    let value = || Untagged::Text("x".into());
    assert_eq!(
        pool.submit(untagged::task(value())).join().unwrap(),
        value()
    );
}

/// What is written differs from time to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Second {
    Same,
    Longer,
    Shorter,
    Fails,
    Panics,
}

#[derive(Debug)]
struct Moody(Second, AtomicUsize);

impl Serialize for Moody {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let first = self.1.fetch_add(1, SeqCst) == 0;
        let bytes: &[u8] = match self.0 {
            _ if first => b"abc",
            Second::Same => b"abc",
            Second::Longer => b"abcd",
            Second::Shorter => b"ab",
            Second::Fails => return Err(S::Error::custom("not again")),
            Second::Panics => panic!("blew up the second time"),
        };
        (self.0, bytes).serialize(out)
    }
}

impl<'de> Deserialize<'de> for Moody {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let (mood, _) = <(Second, Vec<u8>)>::deserialize(input)?;
        Ok(Self(mood, AtomicUsize::new(0)))
    }
}

#[pool_task]
fn moody(block: Vec<u64>, moody: Moody, after: u8) -> (usize, u64, u8) {
    let _ = moody;
    (block.len(), block[block.len() - 1], after)
}

/// Arguments are written once, also beside a large block.
pub(crate) fn of_large_arguments_that_are_written_otherwise_the_second_time(on: &On) {
    let pool = on.pool_of(1);
    for len in [1_000, 100_000, 4_000_000] {
        for mood in [
            Second::Same,
            Second::Longer,
            Second::Shorter,
            Second::Fails,
            Second::Panics,
        ] {
            let task = || moody::task(vec![7; len], Moody(mood, AtomicUsize::new(0)), 9);
            // One behind the other, by itself and in a map.
            let handles: Vec<_> = (0..3).map(|_| pool.submit(task())).collect();
            let handles = handles.into_iter().map(pool_core::JoinHandle::join);
            let mapped = pool.map((0..3).map(|_| task()));
            for outcome in handles.chain(mapped) {
                assert_eq!(outcome.unwrap(), (len, 7, 9), "{mood:?}");
            }
        }
    }
    assert_eq!(pool.submit(add::task(1, 2)).join().unwrap(), 3);
}

/// A large argument is dropped where it is not written: with the handle's end, once.
pub(crate) fn of_large_arguments_that_never_run(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let held = pool.submit(gate.hold(1));
    let _ = gate.wait_for(1);
    let task = || {
        moody::task(
            vec![7; 100_000],
            Moody(Second::Same, AtomicUsize::new(0)),
            9,
        )
    };
    let handles: Vec<_> = (0..8).map(|_| pool.submit(task())).collect();
    for handle in &handles[..4] {
        assert!(handle.cancel());
    }
    drop(pool.submit(task()));
    gate.open();
    held.join().unwrap();
    for (i, handle) in handles.into_iter().enumerate() {
        match handle.join() {
            Ok(outcome) => assert_eq!((outcome, i >= 4), ((100_000, 7, 9), true)),
            Err(error) => assert!(error.is_cancelled() && i < 4, "{i}: {error}"),
        }
    }
    let last = pool.submit(gate.never(2));
    let _ = gate.wait_for(2);
    let queued = pool.submit(task());
    pool.kill();
    for error in [last.join().map(drop), queued.join().map(drop)] {
        assert!(error.unwrap_err().is_cancelled());
    }
}
