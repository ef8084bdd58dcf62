//! Results as they come, beside the same in order.

use std::time::Instant;

use pool_core::{JoinHandle, Pool, as_completed};

use super::{Pools, check, sum_to};
use crate::Fault;
use crate::figures::{Figure, Row, Taker, tell};
use crate::group::Unit;
use crate::tasks::add;

pub(super) static COMPLETED: Figure = Figure {
    name: "completed",
    rows: &[
        Row::new(
            "completed.threads",
            "submit of 100,000 tiny tasks, results by as_completed, threads",
            Unit::Seconds,
        ),
        Row::new(
            "joined.threads",
            "the same, results by join in order",
            Unit::Seconds,
        ),
        Row::new(
            "completed.processes",
            "submit of 100,000 tiny tasks, results by as_completed, processes",
            Unit::Seconds,
        ),
        Row::new(
            "joined.processes",
            "the same, results by join in order",
            Unit::Seconds,
        ),
    ],
    taker: Taker::Itself(|_| {
        let pools = Pools::start()?;
        for _ in 0..ROUNDS {
            for (backend, pool) in pools.each() {
                tell(
                    &format!("completed.{backend}"),
                    seconds(pool, in_any_order)?,
                );
                tell(&format!("joined.{backend}"), seconds(pool, in_order)?);
            }
        }
        Ok(())
    }),
};

pub(super) static PYTHON: Figure = Figure {
    name: "completed.python",
    rows: &[
        Row::new(
            "completed.py.threads",
            "Python ThreadPoolExecutor, 20,000: futures.as_completed",
            Unit::Seconds,
        ),
        Row::new(
            "joined.py.threads",
            "Python ThreadPoolExecutor, 20,000: result() in order",
            Unit::Seconds,
        ),
        Row::new(
            "completed.py.processes",
            "Python ProcessPoolExecutor, 20,000: futures.as_completed",
            Unit::Seconds,
        ),
        Row::new(
            "joined.py.processes",
            "Python ProcessPoolExecutor, 20,000: result() in order",
            Unit::Seconds,
        ),
    ],
    taker: Taker::Python("completed"),
};

const ROUNDS: usize = 20;

const TASKS: u64 = 100_000;

/// The sum of the results.
type Collect = fn(Vec<JoinHandle<u64>>) -> Result<u64, Fault>;

fn in_any_order(handles: Vec<JoinHandle<u64>>) -> Result<u64, Fault> {
    let mut sum = 0;
    for (_, result) in as_completed(handles) {
        sum += result?;
    }
    Ok(sum)
}

fn in_order(handles: Vec<JoinHandle<u64>>) -> Result<u64, Fault> {
    let mut sum = 0;
    for handle in handles {
        sum += handle.join()?;
    }
    Ok(sum)
}

/// From before the first submit until the last result is there.
fn seconds(pool: &Pool, collect: Collect) -> Result<f64, Fault> {
    let begin = Instant::now();
    let handles = (0..TASKS).map(|i| pool.submit(add::task(i, 1)));
    let sum = collect(handles.collect())?;
    let seconds = begin.elapsed().as_secs_f64();
    check(sum, sum_to(TASKS))?;
    Ok(seconds)
}
