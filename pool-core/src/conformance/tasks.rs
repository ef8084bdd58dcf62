//! Tasks that many statements use, and a value that does not travel.

use std::io::{self, Write};
use std::process;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde::{de::Error as _, ser::Error as _};

use crate::job::current::current;
use crate::pool_task;

/// The sum.
#[pool_task(crate = crate)]
pub(super) fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// What it was given.
#[pool_task(crate = crate)]
pub(super) fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// Where it runs: process and worker.
#[pool_task(crate = crate)]
pub(super) fn place() -> (u32, usize) {
    (process::id(), current().worker())
}

/// Panics.
#[pool_task(crate = crate)]
pub(super) fn boom(text: &str) -> u32 {
    panic!("{text}")
}

/// Panics where the number is a multiple of three.
#[pool_task(crate = crate)]
pub(super) fn no_threes(number: u32) -> u32 {
    assert!(!number.is_multiple_of(3), "{number} is a multiple of three");
    number
}

/// A result of its own that is an error.
#[pool_task(crate = crate)]
pub(super) fn refuses(text: &str) -> Result<u32, String> {
    Err(text.to_owned())
}

/// Prints a line, past what a test harness may do with `println!`.
#[pool_task(crate = crate)]
pub(super) fn prints(text: &str) {
    let line = format!("{text}\n");
    io::stdout().write_all(line.as_bytes()).unwrap();
}

/// Ends its process with this code.
#[pool_task(crate = crate)]
pub(super) fn exits(code: i32) -> u32 {
    process::exit(code)
}

/// Takes what cannot be sent.
#[pool_task(crate = crate)]
pub(super) fn takes(fussy: Fussy) -> u8 {
    fussy as u8
}

/// Returns what cannot be sent.
#[pool_task(crate = crate)]
pub(super) fn gives(mode: u8) -> Fussy {
    Fussy::of(mode)
}

/// A value that fails on its way, in one of four manners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fussy {
    EncodeError,
    EncodePanic,
    DecodeError,
    DecodePanic,
}

impl Fussy {
    pub(super) const ALL: [Self; 4] = [
        Self::EncodeError,
        Self::EncodePanic,
        Self::DecodeError,
        Self::DecodePanic,
    ];

    fn of(mode: u8) -> Self {
        Self::ALL[usize::from(mode)]
    }
}

impl Serialize for Fussy {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::EncodeError => Err(S::Error::custom("will not be written")),
            Self::EncodePanic => panic!("blew up as it was written"),
            mode => (*mode as u8).serialize(out),
        }
    }
}

impl<'de> Deserialize<'de> for Fussy {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match Self::of(u8::deserialize(input)?) {
            Self::DecodePanic => panic!("blew up as it was read"),
            _ => Err(D::Error::custom("will not be read")),
        }
    }
}
