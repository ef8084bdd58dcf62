//! Values of every kind come back as they went, the same on every backend.

use std::collections::{BTreeMap, BTreeSet, HashMap, LinkedList, VecDeque};
use std::ffi::CString;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::ops::{Bound, RangeInclusive};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pool_core::pool_task;
use serde::{Deserialize, Serialize};

use crate::harness::On;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    One(f64),
    Two(i8, Box<Shape>),
    Named {
        text: String,
        inner: Vec<Option<Shape>>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Newtype(u128);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    unit: ((), Unit),
    integers: (i128, u128, i64, u8, Newtype),
    characters: Vec<char>,
    texts: Vec<String>,
    nothing: Vec<Vec<u8>>,
    options: [Option<Option<u8>>; 3],
    results: [Result<u8, String>; 2],
    shapes: Vec<Shape>,
    map: BTreeMap<(i32, String), Vec<Shape>>,
    hashed: HashMap<String, HashMap<u8, bool>>,
    set: BTreeSet<char>,
    lists: (VecDeque<u16>, LinkedList<i16>),
    standard: (
        Duration,
        SystemTime,
        PathBuf,
        CString,
        IpAddr,
        NonZeroU8,
        RangeInclusive<u8>,
        Bound<i8>,
    ),
    arrays: [[u8; 4]; 4],
    boxed: Box<[u64]>,
    long: (u8, u16, u32, u64, i8, i16, i32, i64, bool, char, (), String),
}

fn everything() -> Everything {
    let shape = Shape::Named {
        text: "\0 in the middle\u{10ffff}".into(),
        inner: vec![
            None,
            Some(Shape::Two(-128, Box::new(Shape::One(f64::MIN_POSITIVE)))),
            Some(Shape::Nothing),
        ],
    };
    Everything {
        unit: ((), Unit),
        integers: (i128::MIN, u128::MAX, i64::MIN, 255, Newtype(1 << 127)),
        characters: vec!['\0', 'a', 'é', '\u{10ffff}', '\u{d7ff}'],
        texts: vec![
            String::new(),
            "\0".into(),
            "ünï\r\n\t\"'\\".into(),
            "x".repeat(70_000),
        ],
        nothing: vec![Vec::new(), vec![0], Vec::new()],
        options: [None, Some(None), Some(Some(0))],
        results: [Ok(1), Err("no".into())],
        shapes: vec![shape.clone(); 3],
        map: BTreeMap::from([
            ((-1, String::new()), vec![shape]),
            ((0, "b".into()), Vec::new()),
        ]),
        hashed: HashMap::from([
            ("a".into(), HashMap::from([(1, true), (2, false)])),
            (String::new(), HashMap::new()),
        ]),
        set: "the quick brown fox".chars().collect(),
        lists: (VecDeque::from([1, 2]), LinkedList::from([-1])),
        standard: (
            Duration::new(u64::MAX, 999_999_999),
            UNIX_EPOCH + Duration::from_nanos(1),
            "/a/b".into(),
            CString::from(c"c string"),
            "::1".parse().unwrap(),
            NonZeroU8::MAX,
            3..=7,
            Bound::Excluded(-3),
        ),
        arrays: [[1, 2, 3, 4]; 4],
        boxed: vec![u64::MAX; 3].into(),
        long: (1, 2, 3, 4, -5, -6, -7, -8, true, 'z', (), "end".into()),
    }
}

#[pool_task]
fn back(value: Everything, lent: &Everything) -> (Everything, bool) {
    let same = value == *lent;
    (value, same)
}

pub(crate) fn of_every_kind_come_back(on: &On) {
    let pool = on.pool();
    let sent = everything();
    let (got, same) = pool.submit(back::task(sent.clone(), &sent)).join().unwrap();
    assert!(same);
    assert_eq!(got, sent);
}

#[pool_task]
fn floats(values: Vec<f64>, narrow: Vec<f32>) -> (Vec<f64>, Vec<f32>) {
    (values, narrow)
}

pub(crate) fn of_floating_point_keep_every_bit(on: &On) {
    let pool = on.pool();
    let bits: [u64; 9] = [
        0,
        1 << 63,
        1,
        0x7ff0 << 48,
        0xfff0 << 48,
        0x7ff8 << 48,
        0xfff8_0000_dead_beef,
        0x7ff0_0000_0000_0001,
        u64::MAX,
    ];
    let narrow: [u32; 5] = [0x8000_0000, 0x7fc0_0001, 0xffff_ffff, 0x7f80_0001, 1];
    let task = floats::task(
        bits.map(f64::from_bits).to_vec(),
        narrow.map(f32::from_bits).to_vec(),
    );
    let (wide_back, narrow_back) = pool.submit(task).join().unwrap();
    assert_eq!(
        wide_back.iter().map(|f| f.to_bits()).collect::<Vec<_>>(),
        bits
    );
    assert_eq!(
        narrow_back.iter().map(|f| f.to_bits()).collect::<Vec<_>>(),
        narrow
    );
}

#[pool_task]
fn empty_strings(count: usize) -> Vec<String> {
    vec![String::new(); count]
}

#[pool_task]
fn units(count: usize) -> Vec<()> {
    vec![(); count]
}

/// Elements of no length: the count is all there is.
pub(crate) fn of_no_size_are_counted(on: &On) {
    let pool = on.pool();
    assert_eq!(
        pool.submit(empty_strings::task(100_000))
            .join()
            .unwrap()
            .len(),
        100_000
    );
    assert_eq!(pool.submit(units::task(1_000)).join().unwrap().len(), 1_000);
}

#[derive(Clone, Serialize, Deserialize)]
struct Tower(Option<Box<Tower>>);

fn tower(height: usize) -> Tower {
    (0..height).fold(Tower(None), |below, _| Tower(Some(Box::new(below))))
}

#[pool_task]
fn height(tower: &Tower) -> usize {
    std::iter::successors(Some(tower), |tower| tower.0.as_deref()).count() - 1
}

pub(crate) fn of_some_depth_survive(on: &On) {
    let pool = on.pool();
    assert_eq!(pool.submit(height::task(&tower(500))).join().unwrap(), 500);
}
