//! Arguments in, results out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pool_core::{Task, TaskErrorKind, pool_task};
use pool_tests::tasks::add;
use serde::{Deserialize, Serialize};

use crate::harness::On;

pub(crate) fn returns_what_the_function_returns(on: &On) {
    let pool = on.pool();
    for (a, b) in [(0, 0), (2, 3), (i64::MIN, i64::MAX), (-1, i64::MIN + 1)] {
        assert_eq!(pool.submit(add::task(a, b)).join().unwrap(), add(a, b));
    }
}

#[pool_task]
fn lent(
    text: &str,
    numbers: &[u16],
    path: &Path,
    map: &BTreeMap<String, u8>,
    owned: String,
) -> String {
    format!("{text}|{numbers:?}|{}|{map:?}|{owned}", path.display())
}

pub(crate) fn lends_borrowed_arguments(on: &On) {
    let pool = on.pool();
    let map = BTreeMap::from([("é".to_owned(), 1), (String::new(), 2)]);
    let handle = {
        // The task owns what it was given: these may go before it runs.
        let text = "ünï\0code".to_owned();
        let path = PathBuf::from("/some/where");
        pool.submit(lent::task(&text, &[1, 2, 3], &path, &map, "own".into()))
    };
    let direct = lent(
        "ünï\0code",
        &[1, 2, 3],
        Path::new("/some/where"),
        &map,
        "own".into(),
    );
    assert_eq!(handle.join().unwrap(), direct);
    let empty = pool.submit(lent::task(
        "",
        &[],
        Path::new(""),
        &BTreeMap::new(),
        String::new(),
    ));
    assert_eq!(empty.join().unwrap(), "|[]||{}|");
}

#[pool_task]
fn none() -> String {
    "nothing".to_owned()
}

#[pool_task]
fn unit(_: ()) {}

#[pool_task]
#[allow(clippy::too_many_arguments)]
fn sixteen(
    a: u8,
    b: u16,
    c: u32,
    d: u64,
    e: i8,
    f: i16,
    g: i32,
    h: i64,
    i: bool,
    j: char,
    k: &str,
    l: &[u8],
    m: f32,
    n: Option<u8>,
    o: (u8, u8),
    p: [u8; 3],
) -> String {
    format!("{a} {b} {c} {d} {e} {f} {g} {h} {i} {j} {k} {l:?} {m} {n:?} {o:?} {p:?}")
}

pub(crate) fn takes_no_argument_and_many(on: &On) {
    let pool = on.pool();
    assert_eq!(pool.submit(none::task()).join().unwrap(), none());
    pool.submit(unit::task(())).join().unwrap();
    let many = sixteen::task(
        1,
        2,
        3,
        4,
        -5,
        -6,
        -7,
        -8,
        true,
        'j',
        "k",
        b"l",
        1.5,
        None,
        (1, 2),
        [3; 3],
    );
    let direct = sixteen(
        1,
        2,
        3,
        4,
        -5,
        -6,
        -7,
        -8,
        true,
        'j',
        "k",
        b"l",
        1.5,
        None,
        (1, 2),
        [3; 3],
    );
    assert_eq!(pool.submit(many).join().unwrap(), direct);
}

#[pool_task]
fn fallible(number: &str) -> Result<u8, String> {
    number
        .parse()
        .map_err(|error: std::num::ParseIntError| error.to_string())
}

pub(crate) fn an_error_of_the_function_is_its_result(on: &On) {
    let pool = on.pool();
    assert_eq!(pool.submit(fallible::task("7")).join().unwrap(), Ok(7));
    assert_eq!(
        pool.submit(fallible::task("x")).join().unwrap(),
        fallible("x")
    );
}

pub(crate) fn handles_join_in_any_order(on: &On) {
    let pool = on.pool();
    let mut handles: Vec<_> = (0..2_000)
        .map(|i| Some(pool.submit(add::task(i, 1))))
        .collect();
    // 787 and 2000 have no common divisor: each is visited once.
    for step in 0..2_000 {
        let i = step * 787 % 2_000;
        let handle = handles[i].take().unwrap();
        assert_eq!(handle.join().unwrap(), i as i64 + 1);
    }
}

mod private {
    #[pool_core::pool_task]
    pub(super) fn r#match(r#type: u8, mut count: u8, (a, b): (u8, u8)) -> u8 {
        count += a + b;
        r#type + count
    }
}

pub(crate) fn a_task_can_stand_anywhere(on: &On) {
    #[pool_task]
    fn inside(x: u8) -> u8 {
        x + 1
    }
    let pool = on.pool();
    assert_eq!(pool.submit(inside::task(1)).join().unwrap(), inside(1));
    let task = private::r#match::task(1, 2, (3, 4));
    assert_eq!(
        pool.submit(task).join().unwrap(),
        private::r#match(1, 2, (3, 4))
    );
}

pub(crate) fn a_task_is_a_plain_struct(on: &On) {
    let pool = on.pool();
    let task = add { a: 20, b: 22 };
    assert_eq!(pool.submit(task).join().unwrap(), 42);
}

#[derive(Serialize, Deserialize)]
struct ByHand(u32);

impl Task for ByHand {
    type Output = u32;
    const NAME: &'static str = "by hand";
    fn run(self) -> u32 {
        self.0 * 2
    }
}
pool_core::register_task!(ByHand);

#[derive(Serialize, Deserialize)]
struct Unregistered;

impl Task for Unregistered {
    type Output = u32;
    const NAME: &'static str = "unregistered";
    fn run(self) -> u32 {
        7
    }
}

pub(crate) fn a_task_can_be_written_by_hand(on: &On) {
    let pool = on.pool();
    assert_eq!(pool.submit(ByHand(21)).join().unwrap(), 42);
    // What is not in the catalog runs where it is not looked up.
    let outcome = pool.submit(Unregistered).join();
    if on.processes() {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::UnknownTask);
        assert_eq!(error.task_name(), "unregistered");
        assert!(error.to_string().contains("register_task!"), "{error}");
    } else {
        assert_eq!(outcome.unwrap(), 7);
    }
    assert_eq!(pool.submit(ByHand(1)).join().unwrap(), 2);
}

#[pool_task(name = "a name of its own / ünusual")]
fn renamed() -> String {
    pool_core::current().task_name().to_owned()
}

/// A task that only this program links.
pub(crate) fn unknown_elsewhere() -> impl Task<Output = u32> {
    ByHand(1)
}

pub(crate) fn a_task_can_have_a_name_of_its_own(on: &On) {
    let pool = on.pool();
    let name = pool.submit(renamed::task()).join().unwrap();
    assert_eq!(name, "a name of its own / ünusual");
    assert_eq!(name, renamed::NAME);
}

pub(crate) fn a_dropped_handle_detaches(on: &On) {
    let gate = pool_tests::gate::Gate::new();
    let pool = on.pool();
    for number in 0..100 {
        drop(pool.submit(gate.pass(number)));
    }
    drop(pool);
    let mut numbers: Vec<_> = gate
        .starts()
        .into_iter()
        .map(|(number, _)| number)
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}
