//! How soon a result is there among tasks some of which take long.

use std::thread;
use std::time::{Duration, Instant};

use pool_core::{TaskError, pool_task};

use super::{Pools, check};
use crate::Fault;
use crate::figures::{Figure, Row, Taker, tell};
use crate::group::Unit;
use crate::tasks::now;

/// The rows of one way of taking the results.
macro_rules! rows {
    ($($name:literal $title:literal,)+) => {
        &[$(
            Row::new(
                concat!("mixed.", $name),
                concat!($title, ": seconds in all"),
                Unit::Seconds,
            ),
            Row::new(
                concat!("mixed.", $name, ".delay"),
                "from the end of a task until its result is there",
                Unit::Seconds,
            ),
        )+]
    };
}

pub(super) static MIXED: Figure = Figure {
    name: "unordered.mixed",
    rows: rows! {
        "unordered.threads" "10,000 tasks, 1 in 100 sleeps for 5 ms, unordered map, threads",
        "ordered.threads" "the same in order, threads",
        "unordered.processes" "the same, unordered map, processes",
        "ordered.processes" "the same in order, processes",
    },
    taker: Taker::Itself(|_| {
        let pools = Pools::start()?;
        for _ in 0..ROUNDS {
            for (backend, pool) in pools.each() {
                let map = || pool.map((0..ITEMS).map(|i| nap::task(nap_of(i))));
                take(&format!("mixed.unordered.{backend}"), map().unordered())?;
                take(&format!("mixed.ordered.{backend}"), map())?;
            }
        }
        Ok(())
    }),
};

pub(super) static PYTHON: Figure = Figure {
    name: "unordered.mixed.python",
    rows: rows! {
        "py.threads" "Python ThreadPoolExecutor: as_completed of submits",
        "py.processes" "Python ProcessPoolExecutor: as_completed of submits",
        "py.pool" "Python multiprocessing.Pool: imap_unordered",
    },
    taker: Taker::Python("mixed"),
};

const ROUNDS: usize = 5;

const ITEMS: u64 = 10_000;

/// How many milliseconds an item sleeps.
fn nap_of(item: u64) -> u64 {
    if item % 100 == 50 { 5 } else { 0 }
}

/// When it ended.
#[pool_task]
fn nap(ms: u64) -> u64 {
    if ms > 0 {
        thread::sleep(Duration::from_millis(ms));
    }
    now()
}

fn take(row: &str, results: impl Iterator<Item = Result<u64, TaskError>>) -> Result<(), Fault> {
    let mut delays = Vec::with_capacity(ITEMS as usize);
    let begin = Instant::now();
    for end in results {
        let end = end?;
        delays.push(now().saturating_sub(end));
    }
    tell(row, begin.elapsed().as_secs_f64());
    check(delays.len() as u64, ITEMS)?;
    for delay in delays {
        tell(&format!("{row}.delay"), delay as f64 / 1e9);
    }
    Ok(())
}
