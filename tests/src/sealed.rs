//! A task whose result shows that it is one: bytes that a worker made up are refused.

use std::process;

use pool_core::pool_task;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// What [`seal()`] returns.
#[derive(Debug, Serialize)]
pub struct Sealed {
    /// What was sealed.
    pub id: u64,
    /// The process that sealed it.
    pub pid: u32,
    /// As many bytes as were wanted.
    pub load: Vec<u8>,
    sum: u64,
}

impl Sealed {
    fn new(id: u64, pid: u32, load: Vec<u8>) -> Self {
        let facts = [id.to_le_bytes(), u64::from(pid).to_le_bytes()];
        let bytes = facts.iter().flatten().chain(&load);
        let sum = bytes.fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self { id, pid, load, sum }
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let (id, pid, load, sum): (_, _, _, u64) = Deserialize::deserialize(input)?;
        let sealed = Self::new(id, pid, load);
        if sealed.sum == sum {
            Ok(sealed)
        } else {
            Err(D::Error::custom("the seal is broken"))
        }
    }
}

/// Seals a number, and as many bytes as are wanted.
#[pool_task]
pub fn seal(id: u64, load: Vec<u8>, wanted: usize) -> Sealed {
    let byte = load.last().copied().unwrap_or(id as u8);
    Sealed::new(id, process::id(), vec![byte; wanted])
}
