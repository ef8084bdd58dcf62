//! How far a task comes beyond the memory limit of its worker.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use pool_core::{Backend, Pool, pool_task};

use crate::Fault;
use crate::figures::notes::Notes;
use crate::figures::{Figure, Row, Taker, tell};
use crate::group::Unit;

pub(super) static MEMORY: Figure = Figure {
    name: "memory",
    rows: &[
        Row::new(
            "memory.beyond",
            "limit of 200 MiB: what the task had allocated beyond it when it was killed",
            Unit::Bytes,
        ),
        Row::new("memory.told", "the same as the error tells it", Unit::Bytes),
    ],
    taker: Taker::Itself(|notes| {
        let pool = Pool::builder()
            .backend(Backend::Processes)
            .workers(1)
            .memory_limit(LIMIT as u64)
            .build()?;
        for _ in 0..ROUNDS {
            let (beyond, told) = devour_on(&pool, notes)?;
            tell("memory.beyond", beyond);
            tell("memory.told", told);
        }
        Ok(())
    }),
};

const ROUNDS: usize = 100;

const LIMIT: usize = 200 << 20;

/// Where a task stops by itself, to spare the machine when the limit does not work.
const ENOUGH: usize = 1 << 30;

const STEP: usize = 1 << 20;

/// Allocates as fast as it can, and notes how much it has so far.
#[pool_task]
fn devour(note: &Path) -> Result<(), String> {
    let note = File::create(note).map_err(|error| error.to_string())?;
    // Addresses only: the memory comes when it is written to.
    let mut held = Vec::with_capacity(ENOUGH);
    while held.len() < ENOUGH {
        held.resize(held.len() + STEP, 1_u8);
        let so_far = std::hint::black_box(&held).len() as u64;
        note.write_all_at(&so_far.to_le_bytes(), 0)
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// How many bytes beyond the limit the task came: as it counted, and as the pool says.
fn devour_on(pool: &Pool, notes: &Notes) -> Result<(f64, f64), Fault> {
    let note = notes.path("allocated");
    let told = match pool.submit(devour::task(&note)).join() {
        Err(error) if error.is_out_of_memory() => error.memory_peak().ok_or("no peak is told")?,
        other => return Err(format!("a task without measure came to {other:?}").into()),
    };
    let counted = fs::read(&note)?;
    let counted = u64::from_le_bytes(counted.as_slice().try_into()?);
    let beyond = |bytes: u64| bytes as f64 - LIMIT as f64;
    Ok((beyond(counted), beyond(told)))
}
