//! Values that are counted while they live.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::pool_task;

/// How many values of each set live in this process.
static LIVING: Mutex<Option<HashMap<u32, usize>>> = Mutex::new(None);

/// Values that are counted together.
#[derive(Debug)]
pub(super) struct Set(u32);

/// A value that is counted as long as it lives, also where it was copied by way of bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tracked {
    set: u32,
    number: u32,
}

/// The same value.
#[pool_task(crate = crate)]
pub(super) fn through(value: Tracked) -> Tracked {
    value
}

/// The number of the value, which goes.
#[pool_task(crate = crate)]
pub(super) fn number_of(value: Tracked) -> u32 {
    value.number
}

impl Set {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self(NEXT.fetch_add(1, Relaxed))
    }

    pub(super) fn value(&self, number: u32) -> Tracked {
        Tracked::new(self.0, number)
    }

    /// How many of its values live in this process.
    pub(super) fn living(&self) -> usize {
        let mut living = lock();
        let living = living.get_or_insert_default();
        living.get(&self.0).copied().unwrap_or(0)
    }
}

fn lock() -> MutexGuard<'static, Option<HashMap<u32, usize>>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tracked {
    fn new(set: u32, number: u32) -> Self {
        *lock().get_or_insert_default().entry(set).or_default() += 1;
        Self { set, number }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if let Some(living) = lock().get_or_insert_default().get_mut(&self.set) {
            *living -= 1;
        }
    }
}

impl Serialize for Tracked {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        (self.set, self.number).serialize(out)
    }
}

impl<'de> Deserialize<'de> for Tracked {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let (set, number) = Deserialize::deserialize(input)?;
        Ok(Self::new(set, number))
    }
}
