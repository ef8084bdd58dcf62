//! How long it takes to cancel what waits in a long queue.

use std::thread;
use std::time::{Duration, Instant};

use pool_core::{Backend, Pool, pool_task};

use crate::Fault;
use crate::figures::{Figure, Row, Taker, tell, wait_until};
use crate::group::Unit;
use crate::tasks::add;

pub(super) static CANCEL: Figure = Figure {
    name: "cancel",
    rows: &[
        Row::new(
            "cancel.threads",
            "cancel of 100,000 queued tasks, threads: all of them",
            Unit::Seconds,
        ),
        Row::new(
            "cancel.processes",
            "cancel of 100,000 queued tasks, processes: all of them",
            Unit::Seconds,
        ),
    ],
    taker: Taker::Itself(|_| {
        for _ in 0..ROUNDS {
            tell("cancel.threads", cancel_all(Backend::Threads)?);
            tell("cancel.processes", cancel_all(Backend::Processes)?);
        }
        Ok(())
    }),
};

pub(super) static PYTHON: Figure = Figure {
    name: "cancel.python",
    rows: &[
        Row::new(
            "cancel.py.threads",
            "Python ThreadPoolExecutor: cancel of 100,000 futures",
            Unit::Seconds,
        ),
        Row::new(
            "cancel.py.processes",
            "Python ProcessPoolExecutor: cancel of 100,000 futures",
            Unit::Seconds,
        ),
    ],
    taker: Taker::Python("cancel"),
};

const ROUNDS: usize = 20;

const QUEUED: u64 = 100_000;

/// Occupies its worker until it is cancelled.
#[pool_task]
fn hold() {
    while !pool_core::current().is_cancelled() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// The seconds of the calls of `cancel`, each of which resolves its handle.
fn cancel_all(backend: Backend) -> Result<f64, Fault> {
    let pool = Pool::builder().backend(backend).workers(1).build()?;
    let held = pool.submit(hold::task());
    wait_until("a task starts", || held.is_running())?;
    let queued: Vec<_> = (0..QUEUED).map(|i| pool.submit(add::task(i, 1))).collect();

    let begin = Instant::now();
    for handle in &queued {
        handle.cancel();
    }
    let seconds = begin.elapsed().as_secs_f64();

    let is_left = queued.iter().any(|handle| !handle.is_finished());
    let mut outcomes = queued.into_iter().map(|handle| handle.join());
    let is_cancelled = outcomes.all(|outcome| outcome.is_err_and(|error| error.is_cancelled()));
    held.cancel();
    if is_left || !is_cancelled {
        return Err("a queued task was not cancelled at once".into());
    }
    Ok(seconds)
}
