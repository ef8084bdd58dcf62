//! What two maps that share a pool leave to each other.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use pool_core::Pool;

use super::Pools;
use crate::Fault;
use crate::figures::{Figure, Row, Taker, tell};
use crate::group::Unit;
use crate::tasks::{busy, churn, churn_per_us};

pub(super) static EQUAL: Figure = Figure {
    name: "fair",
    rows: &[
        Row::new(
            "fair.threads",
            "two maps of equal tasks: what the other has when one ends, threads",
            Unit::Share,
        ),
        Row::new("fair.processes", "the same, processes", Unit::Share),
    ],
    taker: Taker::Itself(|_| {
        let pools = Pools::start()?;
        let rounds = (100.0 * churn_per_us()) as u64;
        for _ in 0..EQUAL_ROUNDS {
            for (backend, pool) in pools.each() {
                tell(&format!("fair.{backend}"), share_of_other(pool, rounds)?);
            }
        }
        Ok(())
    }),
};

/// What the rows of one backend are.
macro_rules! beside {
    ($($backend:literal)+) => {
        &[$(
            Row::new(
                concat!("fair.short.alone.", $backend),
                concat!("map of tasks of 100 µs, alone, ", $backend),
                Unit::PerSecond,
            ),
            Row::new(
                concat!("fair.short.beside.", $backend),
                "the same beside a map of tasks of 10 ms",
                Unit::PerSecond,
            ),
            Row::new(
                concat!("fair.short.gap.", $backend),
                "longest time without a result of it meanwhile",
                Unit::Seconds,
            ),
            Row::new(
                concat!("fair.long.alone.", $backend),
                concat!("map of tasks of 10 ms, alone, ", $backend),
                Unit::PerSecond,
            ),
            Row::new(
                concat!("fair.long.beside.", $backend),
                "the same beside that map of tasks of 100 µs",
                Unit::PerSecond,
            ),
        )+]
    };
}

pub(super) static BESIDE: Figure = Figure {
    name: "fair.beside",
    rows: beside!("threads" "processes"),
    taker: Taker::Itself(|_| {
        let pools = Pools::start()?;
        for _ in 0..BESIDE_ROUNDS {
            for (backend, pool) in pools.each() {
                let tell = |row: &str, value| tell(&format!("fair.{row}.{backend}"), value);
                let going = AtomicBool::new(true);
                tell(
                    "short.alone",
                    during(&going, ALONE, || go(pool, SHORT, &going))?.rate,
                );
                tell(
                    "long.alone",
                    during(&going, ALONE, || go(pool, LONG, &going))?.rate,
                );
                let (short, long) = during(&going, BESIDE_FOR, || {
                    thread::scope(|scope| {
                        let long = scope.spawn(|| go(pool, LONG, &going));
                        let short = go(pool, SHORT, &going)?;
                        let long = long.join().map_err(|_| "a map panicked")??;
                        Ok((short, long))
                    })
                })?;
                tell("short.beside", short.rate);
                tell("short.gap", short.gap);
                tell("long.beside", long.rate);
            }
        }
        Ok(())
    }),
};

const EQUAL_ROUNDS: usize = 7;

const EQUAL_ITEMS: u64 = 4_000;

const BESIDE_ROUNDS: usize = 3;

const SHORT: Duration = Duration::from_micros(100);
const LONG: Duration = Duration::from_millis(10);

const ALONE: Duration = Duration::from_secs(1);
const BESIDE_FOR: Duration = Duration::from_secs(3);

/// The share of its results that the other map has when the first one has all.
fn share_of_other(pool: &Pool, rounds: u64) -> Result<f64, Fault> {
    let start = Barrier::new(2);
    let done = [const { AtomicU64::new(0) }; 2];
    let map = |own: usize| -> Result<f64, Fault> {
        start.wait();
        for result in pool.map((0..EQUAL_ITEMS).map(|_| churn::task(rounds))) {
            result?;
            done[own].fetch_add(1, Relaxed);
        }
        Ok(done[1 - own].load(Relaxed) as f64 / EQUAL_ITEMS as f64)
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| map(1));
        let one = map(0)?;
        let other = other.join().map_err(|_| "a map panicked")??;
        // Who ended last has seen all of the other's.
        Ok(one.min(other))
    })
}

/// How a map of tasks of one length went on.
struct Going {
    /// Results a second.
    rate: f64,
    /// The longest time in seconds without one.
    gap: f64,
}

/// An endless map, until it is told to stop.
fn go(pool: &Pool, length: Duration, going: &AtomicBool) -> Result<Going, Fault> {
    let begin = Instant::now();
    let mut results = 0;
    let mut gap = Duration::ZERO;
    let mut last = begin;
    for result in pool.map((0..).map(|_: u64| busy::task(length.as_nanos() as u64))) {
        result?;
        let now = Instant::now();
        gap = gap.max(now - last);
        last = now;
        results += 1;
        if !going.load(Relaxed) {
            break;
        }
    }
    let rate = f64::from(results) / begin.elapsed().as_secs_f64();
    Ok(Going {
        rate,
        gap: gap.as_secs_f64(),
    })
}

/// Runs the work and tells it to stop when the time is over.
fn during<R: Send>(
    going: &AtomicBool,
    time: Duration,
    work: impl FnOnce() -> Result<R, Fault> + Send,
) -> Result<R, Fault> {
    going.store(true, Relaxed);
    thread::scope(|scope| {
        let work = scope.spawn(work);
        thread::sleep(time);
        going.store(false, Relaxed);
        work.join().map_err(|_| "a map panicked")?
    })
}
