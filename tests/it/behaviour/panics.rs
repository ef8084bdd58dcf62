//! A panic in a task is an error of that task.

use std::cell::Cell;
use std::panic::panic_any;

use pool_core::pool_task;
use pool_tests::tasks::{add, pid};
use serde::{Deserialize, Serialize};

use crate::harness::On;

/// The line of the `panic!` below.
const LINE: u32 = line!() + 4;

#[pool_task]
fn panics(number: u32) -> u32 {
    panic!("number {number} is\nno good")
}

pub(crate) fn arrives_with_message_and_place(on: &On) {
    let pool = on.pool();
    let before = pool.submit(pid::task()).join().unwrap();
    let error = pool.submit(panics::task(7)).join().unwrap_err();
    assert!(
        error.is_panic() && !error.is_worker_lost() && !error.is_codec(),
        "{error}"
    );
    assert_eq!(error.message(), Some("number 7 is\nno good"));
    let place = error.location().unwrap();
    assert!(
        place.starts_with(&format!("{}:{LINE}:", file!())),
        "{place}"
    );
    assert!(error.task_name().ends_with("::panics"), "{error}");
    assert_eq!(error.attempt(), 1);
    assert_eq!((error.signal(), error.exit_code()), (None, None));
    assert_eq!(error.worker_pid().is_some(), on.processes());
    let text = error.to_string();
    assert!(
        text.contains("number 7") && text.contains(place) && text.contains("panicked"),
        "{text}"
    );
    if on.processes() {
        assert_ne!(before, std::process::id());
    }
}

pub(crate) fn leaves_its_worker_alive(on: &On) {
    let pool = on.pool_of(1);
    let before = pool.submit(pid::task()).join().unwrap();
    for number in 0..50 {
        let error = pool.submit(panics::task(number)).join().unwrap_err();
        if on.processes() {
            assert_eq!(error.worker_pid(), Some(before));
        }
        assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
    }
    assert_eq!(pool.submit(pid::task()).join().unwrap(), before);
}

#[pool_task]
fn panics_with(what: u8) {
    match what {
        0 => panic_any(42_u64),
        1 => panic_any(Box::new("boxed")),
        2 => panic_any(String::from("a string")),
        3 => panic!(),
        4 => panic_any(BombInPayload),
        _ => Option::<u8>::None.map(drop).expect("something"),
    }
}

struct BombInPayload;

impl Drop for BombInPayload {
    fn drop(&mut self) {
        panic!("from the payload's destructor");
    }
}

pub(crate) fn of_any_payload_is_an_error(on: &On) {
    let pool = on.pool();
    let expected = [
        "not text",
        "not text",
        "a string",
        "explicit panic",
        "not text",
        "something",
    ];
    for (what, expected) in (0..).zip(expected) {
        let error = pool.submit(panics_with::task(what)).join().unwrap_err();
        assert!(error.is_panic(), "{error}");
        assert!(error.message().unwrap().contains(expected), "{error}");
        assert!(error.location().is_some());
    }
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
}

#[pool_task]
fn panics_at_length(len: usize) {
    panic!("{}", "x".repeat(len))
}

pub(crate) fn of_any_length_is_an_error(on: &On) {
    let pool = on.pool();
    for len in [0, 1, 80, 100, 20_000, 2_000_000] {
        let error = pool.submit(panics_at_length::task(len)).join().unwrap_err();
        assert_eq!(error.message().unwrap().len(), len);
    }
}

#[derive(Serialize, Deserialize)]
struct Fuse(bool);

impl Drop for Fuse {
    fn drop(&mut self) {
        assert!(!self.0, "from a result's destructor");
    }
}

/// Where a result is serialized, its destructor runs in the worker too.
#[pool_task]
fn explosive(blows: bool) -> Fuse {
    Fuse(blows)
}

pub(crate) fn in_the_destructor_of_a_result_does_not_end_its_worker(on: &On) {
    let pool = on.pool_of(1);
    let before = pool.submit(pid::task()).join().unwrap();
    drop(pool.submit(explosive::task(false)).join().unwrap());
    match pool.submit(explosive::task(true)).join() {
        // Handed on as it is; it must not blow up here.
        Ok(fuse) => {
            assert!(!on.processes(), "its copy in the worker has panicked");
            std::mem::forget(fuse);
        }
        Err(error) => {
            assert!(on.processes() && error.is_panic(), "{error}");
            assert_eq!(error.message(), Some("from a result's destructor"));
        }
    }
    // Nobody joins this one: the pool drops the result.
    let unwatched = pool.submit(explosive::task(true));
    pool_tests::until("it is finished", || unwatched.is_finished());
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(unwatched)));
    assert!(dropped.is_ok() || !on.processes());
    assert_eq!(pool.submit(pid::task()).join().unwrap(), before);
}

/// An argument whose destructor panics, after the function is done.
#[pool_task]
fn burns(fuse: Fuse) -> bool {
    fuse.0
}

pub(crate) fn in_the_destructor_of_an_argument_is_an_error(on: &On) {
    let pool = on.pool();
    assert!(!pool.submit(burns::task(Fuse(false))).join().unwrap());
    let error = pool.submit(burns::task(Fuse(true))).join().unwrap_err();
    assert!(error.is_panic(), "{error}");
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

#[pool_task]
fn catches_its_own() -> String {
    let caught = std::panic::catch_unwind(|| {
        DEPTH.set(DEPTH.get() + 1);
        panic!("inner");
    });
    caught
        .unwrap_err()
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .unwrap()
}

pub(crate) fn caught_by_the_task_is_its_own_business(on: &On) {
    let pool = on.pool();
    assert_eq!(
        pool.submit(catches_its_own::task()).join().unwrap(),
        "inner"
    );
}

#[pool_task]
fn takes_the_hook() {
    let _ = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
}

/// A task that replaces the hook, as some libraries do: the place may be lost, the rest not.
pub(crate) fn under_a_hook_of_the_task_is_an_error_all_the_same(on: &On) {
    let pool = on.pool_of(1);
    pool.submit(takes_the_hook::task()).join().unwrap();
    let error = pool.submit(panics::task(1)).join().unwrap_err();
    assert!(error.is_panic(), "{error}");
    assert_eq!(error.message(), Some("number 1 is\nno good"));
}

#[pool_task]
fn thread_panics() -> bool {
    std::thread::spawn(|| panic!("in a thread of the task"))
        .join()
        .is_err()
}

pub(crate) fn in_a_thread_of_the_task_is_the_tasks_business(on: &On) {
    let pool = on.pool();
    assert!(pool.submit(thread_panics::task()).join().unwrap());
}
