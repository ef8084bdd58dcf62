//! What is run, and what it must give: every result is a function of the arguments, which the
//! caller computes too.

use std::hint::black_box;
use std::panic;
use std::process;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pool_core::{current, pool_task};
use pool_tests::chance::{mix, pause};

use crate::journal::Call;

/// The code with which [`leaves()`] ends its process.
pub(crate) const EXIT_CODE: i32 = 7;

/// How long [`lasts()`] naps between two looks.
const NAP: Duration = Duration::from_millis(1);

/// Every eighth fails in its own way: an `Err` is a result like any other.
pub(crate) fn small_answer(number: u64) -> Result<u64, String> {
    match number % 8 {
        5 => Err(format!("{number} is one of those")),
        _ => Ok(mix(number)),
    }
}

/// What a worker runs before all tasks.
#[pool_task]
pub(crate) fn prepares(call: &Call, micros: u64) {
    call.begin_initializer();
    pause(micros);
}

/// Little in, little out, after some microseconds.
#[pool_task]
pub(crate) fn small(call: &Call, micros: u64) -> Result<u64, String> {
    call.begin();
    pause(micros);
    small_answer(call.number)
}

/// So many bytes that follow from a number.
pub(crate) fn bytes_of(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, word) in (0_u64..).zip(bytes.chunks_mut(8)) {
        let from = mix(number ^ at).to_le_bytes();
        word.copy_from_slice(&from[..word.len()]);
    }
    bytes
}

pub(crate) fn carry_answer(number: u64, mut bytes: Vec<u8>) -> Vec<u8> {
    for byte in &mut bytes {
        *byte = byte.wrapping_add(number as u8 | 1);
    }
    bytes
}

/// Much in, much out.
#[pool_task]
pub(crate) fn carry(call: &Call, bytes: Vec<u8>) -> Vec<u8> {
    call.begin();
    carry_answer(call.number, bytes)
}

pub(crate) fn total_answer(values: &[u64]) -> u64 {
    values.iter().fold(0, |sum, value| mix(sum ^ value))
}

/// Much in, little out.
#[pool_task]
pub(crate) fn total(call: &Call, values: &[u64]) -> u64 {
    call.begin();
    total_answer(values)
}

/// Little in, much out.
#[pool_task]
pub(crate) fn make(call: &Call, len: usize) -> Vec<u8> {
    call.begin();
    bytes_of(call.number, len)
}

/// How the message of every expected panic ends.
const AS_IT_SHOULD: &str = "panics, as it should";

pub(crate) fn panic_message(number: u64) -> String {
    format!("task {number} {AS_IT_SHOULD}")
}

/// Other panics are printed.
pub(crate) fn keep_expected_panics_quiet() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let message = info.payload().downcast_ref::<String>();
        if !message.is_some_and(|message| message.ends_with(AS_IT_SHOULD)) {
            print(info);
        }
    }));
}

/// Panics.
#[pool_task]
pub(crate) fn panics(call: &Call) -> u64 {
    call.begin();
    panic!("{}", panic_message(call.number))
}

/// Panics until it is tried for the `good`th time.
#[pool_task]
pub(crate) fn stumbles(call: &Call, good: u32) -> u64 {
    call.begin();
    assert!(
        current().attempt() >= good,
        "{}",
        panic_message(call.number)
    );
    mix(call.number)
}

/// Ends its process.
#[pool_task]
pub(crate) fn leaves(call: &Call) -> u64 {
    call.begin();
    process::exit(EXIT_CODE)
}

/// Takes so much memory and keeps it so long, unless it is told to end.
#[pool_task]
pub(crate) fn gorges(call: &Call, bytes: u64, time: Duration) -> u64 {
    call.begin();
    let memory = vec![1_u8; bytes as usize];
    let begin = Instant::now();
    while begin.elapsed() < time && !current().is_cancelled() {
        sleep(NAP.min(time));
    }
    // Until here it is there.
    black_box(memory);
    mix(call.number)
}

/// Takes so long; one that listens ends when it is told to. Says whether it was told.
#[pool_task]
pub(crate) fn lasts(call: &Call, time: Duration, listens: bool) -> bool {
    call.begin();
    let begin = Instant::now();
    while begin.elapsed() < time {
        if listens && current().is_cancelled() {
            return true;
        }
        sleep(NAP.min(time));
    }
    false
}
