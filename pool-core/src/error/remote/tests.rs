//! What is kept of an error, and what is cut.

use std::error::Error;
use std::fmt::{self, Display};
use std::io;
use std::rc::Rc;

use super::{Cause, MAX_CAUSES, RemoteError};
use crate::error::flatten::Failure;
use crate::error::task_error::{TaskError, TaskErrorKind};

/// An error with a message and perhaps a source.
#[derive(Debug)]
struct Layer(&'static str, Option<Box<dyn Error + Send + Sync>>);

impl Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Layer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

fn layers() -> Layer {
    let inner = Layer("inner", Some(Box::new(not_found())));
    Layer("outer", Some(Box::new(inner)))
}

fn shown(error: &RemoteError) -> Vec<(&str, Option<&str>)> {
    error
        .chain()
        .map(|cause| (cause.message(), cause.type_name()))
        .collect()
}

const LAYER: Option<&str> = Some(concat!(module_path!(), "::Layer"));
const IO: Option<&str> = Some("std::io::error::Error");

#[test]
fn the_chain_has_messages_and_known_types() {
    let error = RemoteError::from(layers());
    assert_eq!(
        shown(&error),
        [
            ("outer", LAYER),
            // An error below does not tell its type, unless it is one of those that are known.
            ("inner", None),
            ("entity not found", IO),
        ]
    );
    assert_eq!(error.message(), "outer");
    assert_eq!(error.root_cause().message(), "entity not found");
    assert_eq!(error.to_string(), "outer: inner: entity not found");
    assert_eq!(error.chain().next_back(), Some(error.root_cause()));
}

#[test]
fn debug_is_a_report() {
    let report = |error: &RemoteError| format!("{error:?}");
    let one = RemoteError::msg("first\nsecond");
    assert_eq!(report(&one), "first\nsecond");
    let two = one.context("top");
    assert_eq!(report(&two), "top\n\nCaused by:\n    first\n    second");
    let three = two.context("above");
    assert_eq!(
        report(&three),
        "above\n\nCaused by:\n    0: top\n    1: first\n       second"
    );
    let names = format!("{:#?}", RemoteError::from(not_found()));
    assert!(names.contains("std::io::error::Error"), "{names}");
}

#[test]
fn text_has_no_type() {
    let borrowed = String::from("borrowed");
    for error in [
        RemoteError::from(&*borrowed),
        RemoteError::from(borrowed.clone()),
        RemoteError::from(std::borrow::Cow::Borrowed(&*borrowed)),
        RemoteError::new(&*borrowed),
        RemoteError::msg(&borrowed),
    ] {
        assert_eq!(shown(&error), [("borrowed", None)]);
    }
}

#[test]
fn a_box_is_not_the_error() {
    let known: Box<dyn Error + Send + Sync> = Box::new(not_found());
    assert_eq!(RemoteError::from(known).root_cause().type_name(), IO);
    let unknown: Box<dyn Error + Send + Sync> = Box::new(layers());
    assert_eq!(shown(&RemoteError::from(unknown))[0], ("outer", None));
    let not_send: Box<dyn Error> = Box::new(layers());
    assert_eq!(shown(&RemoteError::new(not_send))[0], ("outer", None));
}

/// An error that stays in its thread.
#[derive(Debug)]
struct Local(#[allow(dead_code)] Rc<()>);

impl Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("local")
    }
}

impl Error for Local {}

#[test]
fn an_error_that_is_not_send() {
    let error = RemoteError::new(Local(Rc::default()));
    let name = concat!(module_path!(), "::Local");
    assert_eq!(shown(&error), [("local", Some(name))]);
}

/// Whichever way a remote error goes, it comes back as what it was.
#[test]
fn it_survives_being_an_error_among_others() {
    let error = RemoteError::from(layers()).context("top");
    let boxed: Box<dyn Error> = error.clone().into();
    assert_eq!(format!("{boxed:?}"), format!("{error:?}"));
    assert_eq!(RemoteError::new(boxed), error);
    assert_eq!(RemoteError::new(error.clone()), error);
    assert_eq!(RemoteError::from(error.clone().into_error()), error);

    let below = Layer("around", Some(Box::new(error.clone().into_error())));
    let mut expected = vec![("around", LAYER)];
    expected.extend(shown(&error));
    assert_eq!(shown(&RemoteError::from(below)), expected);
}

#[test]
fn a_failure_is_what_is_inside() {
    let error = RemoteError::from(layers());
    let returned = Failure::Returned(error.clone());
    assert_eq!(RemoteError::from(returned.clone()), error);
    let around = RemoteError::from(Layer("around", Some(Box::new(returned))));
    assert_eq!(shown(&around)[1..], shown(&error));

    let task = TaskError::new(TaskErrorKind::Cancelled, "f");
    let of_task = RemoteError::from(Failure::<RemoteError>::Task(task.clone()));
    assert_eq!(of_task, RemoteError::from(task));
    let name = of_task.root_cause().type_name();
    assert_eq!(name, Some("pool_core::error::task_error::TaskError"));
}

/// An error that is its own source.
#[derive(Debug)]
struct Circle;

impl Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("again")
    }
}

impl Error for Circle {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&Circle)
    }
}

#[test]
fn a_chain_without_an_end_is_cut() {
    let error = RemoteError::from(Circle);
    assert_eq!(error.chain().count(), MAX_CAUSES);
    assert_eq!(
        error.root_cause().message(),
        "(further causes are left out)"
    );
    let more = error.context("more");
    assert_eq!(more.chain().count(), MAX_CAUSES);
    assert_eq!(more.root_cause().message(), "(further causes are left out)");
}

#[test]
fn a_chain_that_is_just_short_enough_is_whole() {
    let add = |error: RemoteError, number: usize| error.context(number);
    let whole = (1..MAX_CAUSES).fold(RemoteError::msg("root"), add);
    assert_eq!(whole.chain().count(), MAX_CAUSES);
    assert_eq!(whole.root_cause().message(), "root");
    assert_ne!(whole.context("one more").root_cause().message(), "root");
}

#[test]
fn a_long_message_is_cut_between_two_characters() {
    let exact = "é".repeat(32 << 10);
    assert_eq!(RemoteError::from(&*exact).message(), exact);
    for long in [format!("x{exact}"), exact.repeat(3), format!("{exact}.")] {
        let error = RemoteError::msg(&long);
        let (kept, note) = error
            .message()
            .split_at(error.message().find(" … ").unwrap());
        assert!(long.starts_with(kept) && kept.len() >= (64 << 10) - 1);
        assert_eq!(note, " … (the message is longer)");
    }
}

/// A `Display` that writes in pieces and then fails.
struct Broken;

impl Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("so ")?;
        f.write_str("far")?;
        Err(fmt::Error)
    }
}

#[test]
fn a_display_that_fails_keeps_what_it_has_said() {
    assert_eq!(RemoteError::msg(Broken).message(), "so far");
}

#[test]
fn it_travels() {
    let error = RemoteError::from(layers()).context("top");
    let bytes = postcard::to_allocvec(&error).unwrap();
    assert_eq!(postcard::from_bytes::<RemoteError>(&bytes).unwrap(), error);
}

/// What a worker writes is not believed.
#[test]
fn a_chain_of_any_length_is_read() {
    let nothing: [(&str, Option<&str>); 0] = [];
    let bytes = postcard::to_allocvec(nothing.as_slice()).unwrap();
    assert!(postcard::from_bytes::<RemoteError>(&bytes).is_err());
    let many = vec![("again", None::<&str>); 100_000];
    let bytes = postcard::to_allocvec(&many).unwrap();
    let error: RemoteError = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(error.chain().count(), MAX_CAUSES);
    drop(Box::<dyn Error>::from(error));
}

#[test]
fn a_cause_can_be_kept() {
    let cause: Cause = RemoteError::msg("kept").root_cause().clone();
    assert_eq!(cause.message(), "kept");
}
