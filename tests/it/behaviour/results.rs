//! Tasks that return errors: of their own, and those that any error turns into.

use std::error::Error;
use std::fmt::{self, Display};
use std::io;
use std::num::ParseIntError;

use anyhow::Context;
use pool_core::{Failure, Pool, RemoteError, TaskErrorKind, flatten, pool_task};
use serde::{Deserialize, Serialize};

use crate::harness::On;

/// An error of a library: it cannot be sent.
#[derive(Debug)]
enum Broken {
    Number(ParseIntError),
    File(Box<Broken>),
}

impl Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(_) => f.write_str("not a number"),
            Self::File(_) => f.write_str("a broken file"),
        }
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Number(error) => Some(error),
            Self::File(error) => Some(error),
        }
    }
}

fn number(text: &str) -> Result<u8, ParseIntError> {
    text.parse()
}

fn broken() -> Result<u8, Broken> {
    number("x")
        .map_err(Broken::Number)
        .map_err(|error| Broken::File(Box::new(error)))
}

fn not_send() -> Result<u8, Box<dyn Error>> {
    Ok(broken()?)
}

const KINDS: [&str; 11] = [
    "io", "number", "own", "anyhow", "context", "eyre", "box", "not send", "text", "String", "fine",
];

#[pool_task]
fn fails(kind: &str) -> Result<u8, RemoteError> {
    match kind {
        "io" => Err(io::Error::from(io::ErrorKind::NotFound))?,
        "number" => Ok(number("x")?),
        "own" => Ok(broken()?),
        "anyhow" => Ok(Err(anyhow::anyhow!("words"))?),
        "context" => Ok(broken().context("around it")?),
        "eyre" => Ok(Err(eyre::Report::new(Broken::Number(
            number("").unwrap_err(),
        )))?),
        "box" => Err(Box::<dyn Error + Send + Sync>::from(broken().unwrap_err()))?,
        "not send" => not_send().map_err(RemoteError::new),
        "text" => Ok(None.ok_or("text")?),
        "String" => Err(format!("text {}", 7))?,
        _ => Ok(7),
    }
}

pub(crate) fn errors_of_every_kind_arrive_as_they_were(on: &On) {
    let pool = on.pool();
    for kind in KINDS {
        let result = pool.submit(fails::task(kind)).join().unwrap();
        assert_eq!(result, fails(kind), "{kind}");
        assert_eq!(result.is_ok(), kind == "fine", "{kind}: {result:?}");
    }
}

pub(crate) fn chains_keep_their_messages_and_types(on: &On) {
    let pool = on.pool();
    let own = concat!(module_path!(), "::Broken");
    let digit = "invalid digit found in string";
    let number = Some("core::num::error::ParseIntError");
    let expected: [(&str, &[_]); 9] = [
        ("io", &[("entity not found", Some("std::io::error::Error"))]),
        ("number", &[(digit, number)]),
        (
            "own",
            &[
                ("a broken file", Some(own)),
                ("not a number", None),
                (digit, number),
            ],
        ),
        ("anyhow", &[("words", Some("anyhow::Error"))]),
        (
            "context",
            &[
                ("around it", Some("anyhow::Error")),
                ("a broken file", None),
                ("not a number", None),
                (digit, number),
            ],
        ),
        (
            "eyre",
            &[
                ("not a number", Some("eyre::Report")),
                ("cannot parse integer from empty string", number),
            ],
        ),
        (
            "not send",
            &[
                ("a broken file", None),
                ("not a number", None),
                (digit, number),
            ],
        ),
        ("text", &[("text", None)]),
        ("String", &[("text 7", None)]),
    ];
    for (kind, expected) in expected {
        let error = pool.submit(fails::task(kind)).join().unwrap().unwrap_err();
        let chain = error
            .chain()
            .map(|cause| (cause.message(), cause.type_name()));
        assert_eq!(chain.collect::<Vec<_>>(), expected, "{kind}");
    }
    let error = pool.submit(fails::task("own")).join().unwrap().unwrap_err();
    let line = format!("a broken file: not a number: {digit}");
    assert_eq!(error.to_string(), line);
    let report = format!("a broken file\n\nCaused by:\n    0: not a number\n    1: {digit}");
    assert_eq!(format!("{error:?}"), report);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Refused {
    TooLarge { limit: u32 },
    Because(RemoteError),
}

#[pool_task]
fn checked(value: u32) -> Result<u32, Refused> {
    match value {
        0 => Err(Refused::Because(RemoteError::msg("nothing"))),
        1..=9 => Ok(value),
        _ => Err(Refused::TooLarge { limit: 9 }),
    }
}

pub(crate) fn an_error_type_of_their_own_is_itself(on: &On) {
    let pool = on.pool();
    for value in [0, 1, 10] {
        let result = pool.submit(checked::task(value)).join().unwrap();
        assert_eq!(result, checked(value));
    }
}

#[pool_task]
fn complains(bytes: usize, times: usize) -> Result<(), RemoteError> {
    let text = "é".repeat(bytes / 2);
    let error = (1..times).fold(RemoteError::msg(&text), |error, _| error.context(&text));
    Err(error)
}

pub(crate) fn long_errors_are_cut_and_arrive(on: &On) {
    let pool = on.pool();
    for (bytes, times) in [(0, 1), (1 << 16, 1), (1 << 20, 2), (20, 64), (1 << 17, 100)] {
        let error = pool
            .submit(complains::task(bytes, times))
            .join()
            .unwrap()
            .unwrap_err();
        assert!(error.message().len() <= (64 << 10) + 100);
        assert_eq!(error.chain().count(), times.min(64));
        assert_eq!(Err(error), complains(bytes, times));
    }
}

/// An error that cannot be displayed.
#[derive(Debug)]
struct Unspeakable;

impl Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no words")
    }
}

impl Error for Unspeakable {}

#[pool_task]
fn unspeakable() -> Result<(), RemoteError> {
    Err(Unspeakable)?
}

pub(crate) fn a_panic_of_an_error_is_one_of_its_task(on: &On) {
    let pool = on.pool();
    let error = pool.submit(unspeakable::task()).join().unwrap_err();
    assert!(
        error.is_panic() && error.message() == Some("no words"),
        "{error}"
    );
    assert_eq!(pool.submit(fails::task("fine")).join().unwrap(), Ok(7));
}

/// Runs `fails` one level further down, and what comes of it goes on in one of these ways.
#[pool_task]
fn passes(backend: &str, kind: &str, way: &str) -> Result<u8, RemoteError> {
    let pool = On::new(backend.parse()?).pool_of(1);
    let handle = pool.submit(fails::task(kind));
    match way {
        "twice" => Ok(handle.join()??),
        "flat" => Ok(flatten(handle.join())?),
        "error" => Ok(handle.join()?.map_err(RemoteError::into_error)?),
        "anyhow" => Ok(through_anyhow(handle)?),
        _ => Ok(through_box(handle).map_err(RemoteError::new)?),
    }
}

fn through_box(
    handle: pool_core::JoinHandle<Result<u8, RemoteError>>,
) -> Result<u8, Box<dyn Error>> {
    Ok(handle.join()??)
}

fn through_anyhow(handle: pool_core::JoinHandle<Result<u8, RemoteError>>) -> anyhow::Result<u8> {
    flatten(handle.join()).context("below")
}

pub(crate) fn errors_pass_through_nested_pools(on: &On) {
    let pool = on.pool();
    let send = |way| {
        pool.submit(passes::task(&on.backend().to_string(), "own", way))
            .join()
            .unwrap()
    };
    for way in ["twice", "flat", "error", "box"] {
        assert_eq!(send(way), fails("own"), "{way}");
    }
    let around = send("anyhow").unwrap_err();
    assert_eq!(around.message(), "below");
    let below: Vec<_> = around.chain().skip(1).cloned().collect();
    let expected: Vec<_> = fails("own").unwrap_err().chain().cloned().collect();
    assert_eq!(below, expected);
}

#[pool_task]
fn ends(how: &str) -> Result<String, String> {
    assert!(how != "panic", "as it was told");
    match how {
        "error" => Err("its own".to_owned()),
        _ => Ok(how.to_owned()),
    }
}

pub(crate) fn flatten_makes_one_of_two(on: &On) {
    let pool = on.pool();
    let end = |how| flatten(pool.submit(ends::task(how)).join());
    assert_eq!(end("well"), Ok("well".to_owned()));
    assert_eq!(end("error"), Err(Failure::Returned("its own".to_owned())));
    let failure = end("panic").unwrap_err();
    let error = failure.task_error().unwrap();
    assert_eq!(error.kind(), TaskErrorKind::Panicked);
    assert_eq!(failure.to_string(), error.to_string());
    assert_eq!(failure.into_returned(), None);
}

pub(crate) fn flatten_takes_a_map_apart(on: &On) {
    let pool = on.pool();
    let all = ["a", "error", "panic", "b"].map(ends::task);
    let results: Vec<_> = pool.map(all).map(flatten).collect();
    assert_eq!(results[0], Ok("a".to_owned()));
    assert_eq!(results[1], Err(Failure::Returned("its own".to_owned())));
    assert!(matches!(&results[2], Err(Failure::Task(error)) if error.is_panic()));
    assert_eq!(results[3], Ok("b".to_owned()));

    let until_the_first: Result<Vec<_>, _> = pool
        .map(["a", "error", "b"].map(ends::task))
        .map(flatten)
        .collect();
    assert_eq!(until_the_first.unwrap_err().returned().unwrap(), "its own");
}

/// The caller's side, in a function of each usual kind.
pub(crate) fn errors_go_on_with_a_question_mark(on: &On) {
    fn boxed(pool: &Pool) -> Result<u8, Box<dyn Error>> {
        Ok(pool.submit(fails::task("own")).join()??)
    }
    fn sent(pool: &Pool) -> Result<u8, Box<dyn Error + Send + Sync>> {
        Ok(flatten(pool.submit(fails::task("own")).join())?)
    }
    fn any(pool: &Pool) -> anyhow::Result<u8> {
        let result = pool.submit(fails::task("own")).join()?;
        Ok(result.map_err(RemoteError::into_error)?)
    }
    fn report(pool: &Pool) -> eyre::Result<u8> {
        Ok(flatten(pool.submit(fails::task("own")).join())?)
    }
    let pool = on.pool();
    let line = fails("own").unwrap_err().to_string();
    let first = boxed(&pool).unwrap_err();
    assert_eq!(first.to_string(), "a broken file");
    assert_eq!(first.source().unwrap().to_string(), "not a number");
    assert_eq!(sent(&pool).unwrap_err().to_string(), line);
    assert_eq!(format!("{:#}", any(&pool).unwrap_err()), line);
    assert_eq!(format!("{:#}", report(&pool).unwrap_err()), line);
}
