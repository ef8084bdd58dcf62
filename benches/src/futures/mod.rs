//! What it costs to take results as they come: `pool-benches futures` prints one table of
//! `as_completed` and `wait`, of maps that are endless, beside each other, or unordered, and of
//! streams.

mod completed;
mod cost;
mod endless;
mod fair;
mod mixed;
mod stream;
mod unordered;

use std::fmt;

use pool_core::{Backend, Pool};

use crate::Fault;
use crate::figures::Chapter;
use crate::tasks::add;

pub(crate) static CHAPTER: Chapter = Chapter {
    name: "futures",
    figures: &[
        &completed::COMPLETED,
        &completed::PYTHON,
        &cost::COST,
        &endless::THREADS,
        &endless::THREADS_UNORDERED,
        &endless::PROCESSES,
        &endless::PROCESSES_UNORDERED,
        &endless::BLOCKS,
        &fair::EQUAL,
        &fair::BESIDE,
        &unordered::UNORDERED,
        &unordered::PYTHON,
        &mixed::MIXED,
        &mixed::PYTHON,
        &stream::STREAM,
    ],
    script: include_str!("futures.py"),
};

const WORKERS: usize = 2;

/// One pool for each of the two backends that have workers, all of which have run something.
struct Pools {
    threads: Pool,
    processes: Pool,
}

impl Pools {
    fn start() -> Result<Self, Fault> {
        Ok(Self {
            threads: pool(Backend::Threads)?,
            processes: pool(Backend::Processes)?,
        })
    }

    /// With what the names of their rows end in.
    fn each(&self) -> [(&'static str, &Pool); 2] {
        [("threads", &self.threads), ("processes", &self.processes)]
    }
}

/// A pool whose workers have run something.
fn pool(backend: Backend) -> Result<Pool, Fault> {
    let pool = Pool::builder().backend(backend).workers(WORKERS).build()?;
    for outcome in pool.map((0..1_000).map(|i| add::task(i, 1))) {
        outcome?;
    }
    Ok(pool)
}

/// The sum of what `add` returns for the numbers up to here and 1.
fn sum_to(items: u64) -> u64 {
    items * (items + 1) / 2
}

fn check<T: PartialEq + fmt::Debug>(found: T, right: T) -> Result<(), Fault> {
    match found == right {
        true => Ok(()),
        false => Err(format!("{found:?} instead of {right:?}").into()),
    }
}
