//! The work that is measured: tasks of this project, and what its peers run as well.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pool_core::pool_task;
use serde::{Deserialize, Serialize};

/// A tiny task, whose result shows that it ran.
#[pool_task]
pub(crate) fn add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

/// Takes and gives bytes.
#[pool_task]
pub(crate) fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// Takes many bytes and gives little.
#[pool_task]
pub(crate) fn length(bytes: Vec<u8>) -> u64 {
    bytes.len() as u64
}

/// Takes many numbers and gives one that needs the middle of them.
#[pool_task]
pub(crate) fn probe(values: Vec<f64>) -> f64 {
    middle(&values)
}

pub(crate) fn middle(values: &[f64]) -> f64 {
    values[values.len() / 2] + values.len() as f64
}

/// The thread that ran it, after as many nanoseconds.
#[pool_task]
pub(crate) fn who(nanos: u64) -> u64 {
    spin(Duration::from_nanos(nanos));
    rustix::thread::gettid().as_raw_nonzero().get() as u64
}

/// So much work, whatever time it takes.
#[pool_task]
pub(crate) fn churn(rounds: u64) -> u64 {
    let mut x = rounds | 1;
    for _ in 0..rounds {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x = black_box(x);
    }
    x
}

/// Is busy for as many nanoseconds, and says when it was.
#[pool_task]
pub(crate) fn busy(nanos: u64) -> Stamp {
    let start = now();
    spin(Duration::from_nanos(nanos));
    Stamp { start, end: now() }
}

/// When a task ran: nanoseconds of the clock that all processes of a machine share.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

pub(crate) fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn spin(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// How many rounds of [`churn()`] last a microsecond.
pub(crate) fn churn_per_us() -> f64 {
    const ROUNDS: u64 = 1_000_000;
    let mut speeds: Vec<f64> = (0..15)
        .map(|_| {
            let begin = Instant::now();
            black_box(churn(ROUNDS));
            ROUNDS as f64 / (begin.elapsed().as_secs_f64() * 1e6)
        })
        .collect();
    speeds.sort_by(f64::total_cmp);
    // The fastest but one: what slowed the others was somebody else.
    speeds[speeds.len() - 2]
}
