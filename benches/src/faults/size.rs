//! How soon a pool has one worker more, and how soon it has none.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use pool_core::{Backend, Pool, pool_task};

use crate::Fault;
use crate::figures::notes::{Notes, Start};
use crate::figures::{Figure, Row, Taker, WAIT, tell, wait_until};
use crate::group::Unit;
use crate::tasks::{add, now};

pub(super) static RESIZE: Figure = Figure {
    name: "resize",
    rows: &[
        Row::new(
            "resize.threads",
            "resize from 1 to 2 until two tasks run side by side, threads",
            Unit::Seconds,
        ),
        Row::new(
            "resize.processes",
            "resize from 1 to 2 until two tasks run side by side, processes",
            Unit::Seconds,
        ),
    ],
    taker: Taker::Itself(|notes| {
        let one = |backend| Pool::builder().backend(backend).workers(1).build();
        let threads = one(Backend::Threads)?;
        let processes = one(Backend::Processes)?;
        for _ in 0..ROUNDS {
            tell("resize.threads", grow(&threads, notes)?);
            tell("resize.processes", grow(&processes, notes)?);
        }
        Ok(())
    }),
};

pub(super) static SHUTDOWN: Figure = Figure {
    name: "shutdown",
    rows: &[
        Row::new(
            "shutdown.threads",
            "shutdown of an idle pool of two workers, threads",
            Unit::Seconds,
        ),
        Row::new(
            "shutdown.processes",
            "shutdown of an idle pool of two workers, processes",
            Unit::Seconds,
        ),
    ],
    taker: Taker::Itself(|_| {
        for _ in 0..ROUNDS {
            tell("shutdown.threads", shut_down(Backend::Threads)?);
            tell("shutdown.processes", shut_down(Backend::Processes)?);
        }
        Ok(())
    }),
};

pub(super) static PYTHON: Figure = Figure {
    name: "shutdown.python",
    rows: &[Row::new(
        "shutdown.python",
        "Python ProcessPoolExecutor: shutdown, idle, two workers",
        Unit::Seconds,
    )],
    taker: Taker::Python("shutdown"),
};

const ROUNDS: usize = 100;

/// Longer than a worker spins before it sleeps.
const ASLEEP: Duration = Duration::from_millis(20);

/// Notes that it runs, and returns when the other one has: alone it waits.
#[pool_task]
fn meet(own: &Path, other: &Path) -> Result<u64, String> {
    let start = now();
    Start::note(own).map_err(|error| error.to_string())?;
    let begin = Instant::now();
    while !other.exists() {
        if begin.elapsed() > WAIT {
            return Err("the other task never ran beside this one".into());
        }
        thread::sleep(Duration::from_micros(100));
    }
    Ok(start)
}

/// From before the call of `resize` until the task that waited has started; the pool has one worker
/// again afterwards.
fn grow(pool: &Pool, notes: &Notes) -> Result<f64, Fault> {
    let (a, b) = (notes.path("first"), notes.path("second"));
    let first = pool.submit(meet::task(&a, &b));
    wait_until("a task notes that it has started", || a.exists())?;
    let second = pool.submit(meet::task(&b, &a));

    let begin = now();
    pool.resize(2)?;
    first.join()??;
    let beside = second.join()??;

    Start::take(&a)?;
    Start::take(&b)?;
    pool.resize(1)?;
    wait_until("a pool becomes smaller", || pool.stats().workers == 1)?;
    Ok(beside.saturating_sub(begin) as f64 / 1e9)
}

fn shut_down(backend: Backend) -> Result<f64, Fault> {
    let pool = Pool::builder().backend(backend).workers(2).build()?;
    if pool.submit(add::task(1, 1)).join()? != 2 {
        return Err("a wrong sum".into());
    }
    thread::sleep(ASLEEP);
    let begin = Instant::now();
    pool.shutdown();
    Ok(begin.elapsed().as_secs_f64())
}
