//! Tiny items as they come, beside the same in order.

use std::time::Instant;

use pool_core::TaskError;

use super::{Pools, check, sum_to};
use crate::Fault;
use crate::figures::{Figure, Row, Taker, tell};
use crate::group::Unit;
use crate::tasks::add;

pub(super) static UNORDERED: Figure = Figure {
    name: "unordered",
    rows: &[
        Row::new(
            "unordered.threads",
            "tiny items through map, unordered, threads",
            Unit::PerSecond,
        ),
        Row::new(
            "ordered.threads",
            "the same in order, threads",
            Unit::PerSecond,
        ),
        Row::new(
            "unordered.processes",
            "tiny items through map, unordered, processes",
            Unit::PerSecond,
        ),
        Row::new(
            "ordered.processes",
            "the same in order, processes",
            Unit::PerSecond,
        ),
    ],
    taker: Taker::Itself(|_| {
        let pools = Pools::start()?;
        for _ in 0..ROUNDS {
            for (backend, pool) in pools.each() {
                let map = || pool.map((0..ITEMS).map(|i| add::task(i, 1)));
                tell(&format!("unordered.{backend}"), rate(|| map().unordered())?);
                tell(&format!("ordered.{backend}"), rate(map)?);
            }
        }
        Ok(())
    }),
};

pub(super) static PYTHON: Figure = Figure {
    name: "unordered.python",
    rows: &[
        Row::new(
            "unordered.py.threads",
            "Python ThreadPoolExecutor, 20,000: as_completed of submits",
            Unit::PerSecond,
        ),
        Row::new(
            "unordered.py.processes",
            "Python ProcessPoolExecutor, 20,000: as_completed of submits",
            Unit::PerSecond,
        ),
        Row::new(
            "unordered.py.pool",
            "Python multiprocessing.Pool, 20,000: imap_unordered",
            Unit::PerSecond,
        ),
        Row::new(
            "unordered.py.pool.chunks",
            "the same with 500,000 in chunks of 1,000",
            Unit::PerSecond,
        ),
    ],
    taker: Taker::Python("unordered"),
};

const ROUNDS: usize = 7;

const ITEMS: u64 = 1_000_000;

/// Items a second, of the first use of a map until its end.
fn rate<R>(map: impl FnOnce() -> R) -> Result<f64, Fault>
where
    R: Iterator<Item = Result<u64, TaskError>>,
{
    let begin = Instant::now();
    let mut sum = 0;
    for result in map() {
        sum += result?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    check(sum, sum_to(ITEMS))?;
    Ok(ITEMS as f64 / seconds)
}
