//! What one completion costs, by how many are waited for.

use std::time::{Duration, Instant};

use pool_core::{JoinHandle, Pool, Until, as_completed, wait};

use super::{Pools, check, sum_to};
use crate::Fault;
use crate::figures::{Figure, Row, Taker, tell};
use crate::group::Unit;
use crate::tasks::add;

/// The rows of one way and backend, for each of [`SIZES`].
macro_rules! rows {
    ($($name:literal $title:literal,)+) => {
        &[$(
            Row::new(concat!($name, ".100"), concat!($title, ", of 100"), Unit::Seconds),
            Row::new(concat!($name, ".10k"), "of 10,000", Unit::Seconds),
            Row::new(concat!($name, ".100k"), "of 100,000", Unit::Seconds),
            Row::new(concat!($name, ".1m"), "of 1,000,000", Unit::Seconds),
        )+]
    };
}

pub(super) static COST: Figure = Figure {
    name: "completed.cost",
    rows: rows! {
        "cost.completed.threads" "time per handle in as_completed, after the submits, threads",
        "cost.wait.threads" "time per handle in wait(Until::All), after the submits, threads",
        "cost.joined.threads" "time per handle in join in order, after the submits, threads",
        "cost.completed.processes" "time per handle in as_completed, after the submits, processes",
        "cost.wait.processes" "time per handle in wait(Until::All), after the submits, processes",
        "cost.joined.processes" "time per handle in join in order, after the submits, processes",
    },
    taker: Taker::Itself(|_| {
        const WAYS: [(&str, Collect); 3] = [
            ("completed", completed),
            ("wait", waited),
            ("joined", joined),
        ];
        let pools = Pools::start()?;
        for _ in 0..ROUNDS {
            for (size, tasks) in SIZES {
                for (backend, pool) in pools.each() {
                    for (way, collect) in WAYS {
                        let seconds = seconds_each(pool, tasks, collect)?;
                        tell(&format!("cost.{way}.{backend}.{size}"), seconds);
                    }
                }
            }
        }
        Ok(())
    }),
};

const ROUNDS: usize = 7;

const SIZES: [(&str, u64); 4] = [
    ("100", 100),
    ("10k", 10_000),
    ("100k", 100_000),
    ("1m", 1_000_000),
];

/// Fewer handles are waited for several times.
const LEAST: u64 = 50_000;

/// How long the collecting took, and the sum of the results.
type Collect = fn(Vec<JoinHandle<u64>>) -> Result<(Duration, u64), Fault>;

fn completed(handles: Vec<JoinHandle<u64>>) -> Result<(Duration, u64), Fault> {
    let begin = Instant::now();
    let mut sum = 0;
    for (_, result) in as_completed(handles) {
        sum += result?;
    }
    Ok((begin.elapsed(), sum))
}

fn waited(handles: Vec<JoinHandle<u64>>) -> Result<(Duration, u64), Fault> {
    let begin = Instant::now();
    let finished = wait(&handles, Until::All, None);
    let passed = begin.elapsed();
    check(finished.len(), handles.len())?;
    let (_, sum) = joined(handles)?;
    Ok((passed, sum))
}

fn joined(handles: Vec<JoinHandle<u64>>) -> Result<(Duration, u64), Fault> {
    let begin = Instant::now();
    let mut sum = 0;
    for handle in handles {
        sum += handle.join()?;
    }
    Ok((begin.elapsed(), sum))
}

/// From the last submit until the last result, by the number of handles.
fn seconds_each(pool: &Pool, tasks: u64, collect: Collect) -> Result<f64, Fault> {
    let times = (LEAST / tasks).max(1);
    let mut passed = Duration::ZERO;
    for _ in 0..times {
        let handles = (0..tasks).map(|i| pool.submit(add::task(i, 1)));
        let (once, sum) = collect(handles.collect())?;
        check(sum, sum_to(tasks))?;
        passed += once;
    }
    Ok(passed.as_secs_f64() / (times * tasks) as f64)
}
