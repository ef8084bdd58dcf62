//! A map as a stream, beside the iterator.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Instant;

use futures_core::Stream;
use pool_core::TaskError;

use super::{Pools, check, sum_to};
use crate::Fault;
use crate::figures::{Figure, Row, Taker, tell};
use crate::group::Unit;
use crate::tasks::add;

/// The rows of one backend.
macro_rules! rows {
    ($($backend:literal)+) => {
        &[$(
            Row::new(
                concat!("stream.", $backend),
                concat!("tiny items through into_stream(), pollster, ", $backend),
                Unit::PerSecond,
            ),
            Row::new(
                concat!("stream.iterator.", $backend),
                "the same through the iterator",
                Unit::PerSecond,
            ),
            Row::new(
                concat!("stream.unordered.", $backend),
                concat!("tiny items through unordered().into_stream(), pollster, ", $backend),
                Unit::PerSecond,
            ),
            Row::new(
                concat!("stream.unordered.iterator.", $backend),
                "the same through the iterator",
                Unit::PerSecond,
            ),
            Row::new(
                concat!("stream.wide.", $backend),
                concat!("tiny items, unordered().in_flight(10_000).into_stream(), ", $backend),
                Unit::PerSecond,
            ),
            Row::new(
                concat!("stream.wide.iterator.", $backend),
                "the same through the iterator",
                Unit::PerSecond,
            ),
        )+]
    };
}

pub(super) static STREAM: Figure = Figure {
    name: "stream",
    rows: rows!("threads" "processes"),
    taker: Taker::Itself(|_| {
        let pools = Pools::start()?;
        for _ in 0..ROUNDS {
            for (backend, pool) in pools.each() {
                let tell = |row: &str, rate| tell(&format!("{row}.{backend}"), rate);
                let map = || pool.map((0..ITEMS).map(|i| add::task(i, 1)));
                tell("stream", rate(|| streamed(map().into_stream()))?);
                tell("stream.iterator", rate(|| iterated(map()))?);
                let map = || map().unordered();
                tell("stream.unordered", rate(|| streamed(map().into_stream()))?);
                tell("stream.unordered.iterator", rate(|| iterated(map()))?);
                let map = || map().in_flight(WIDE);
                tell("stream.wide", rate(|| streamed(map().into_stream()))?);
                tell("stream.wide.iterator", rate(|| iterated(map()))?);
            }
        }
        Ok(())
    }),
};

const ROUNDS: usize = 7;

const ITEMS: u64 = 300_000;

/// How many are in flight where it is said.
const WIDE: usize = 10_000;

fn streamed(results: impl Stream<Item = Result<u64, TaskError>>) -> Result<u64, TaskError> {
    let mut results = pin!(results);
    pollster::block_on(async {
        let mut sum = 0;
        while let Some(result) = poll_fn(|context| results.as_mut().poll_next(context)).await {
            sum += result?;
        }
        Ok(sum)
    })
}

fn iterated(results: impl Iterator<Item = Result<u64, TaskError>>) -> Result<u64, TaskError> {
    results.sum()
}

fn rate(sum: impl FnOnce() -> Result<u64, TaskError>) -> Result<f64, Fault> {
    let begin = Instant::now();
    let sum = sum()?;
    let seconds = begin.elapsed().as_secs_f64();
    check(sum, sum_to(ITEMS))?;
    Ok(ITEMS as f64 / seconds)
}
