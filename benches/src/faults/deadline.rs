//! How late a deadline comes: for the handle, and for the worker that does not stop.

use std::hint;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use pool_core::{Backend, Pool, TaskExt, pool_task};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::Fault;
use crate::figures::notes::{Notes, Start};
use crate::figures::{Figure, Row, Taker, tell};
use crate::group::Unit;
use crate::tasks::now;

pub(super) static IDLE: Figure = Figure {
    name: "deadline.idle",
    rows: &[
        Row::new(
            "late.threads",
            "deadline of 20 ms, threads: how late the handle resolves",
            Unit::Seconds,
        ),
        Row::new(
            "late.processes",
            "deadline of 20 ms, processes: how late the handle resolves",
            Unit::Seconds,
        ),
        Row::new(
            "dead.processes",
            "how late the worker is dead, after a grace of 20 ms",
            Unit::Seconds,
        ),
    ],
    taker: Taker::Itself(|notes| {
        rounds(notes, ["late.threads", "late.processes", "dead.processes"])
    }),
};

pub(super) static LOAD: Figure = Figure {
    name: "deadline.load",
    rows: &[
        Row::new(
            "late.threads.load",
            "the same beside two busy loops: threads, handle",
            Unit::Seconds,
        ),
        Row::new(
            "late.processes.load",
            "beside two busy loops: processes, handle",
            Unit::Seconds,
        ),
        Row::new(
            "dead.processes.load",
            "beside two busy loops: processes, death of the worker",
            Unit::Seconds,
        ),
    ],
    taker: Taker::Itself(|notes| {
        const ROWS: [&str; 3] = [
            "late.threads.load",
            "late.processes.load",
            "dead.processes.load",
        ];
        beside_busy_loops(2, || rounds(notes, ROWS))
    }),
};

const ROUNDS: usize = 200;

const LIMIT: Duration = Duration::from_millis(20);
const GRACE: Duration = Duration::from_millis(20);

/// Notes when it starts and hangs: until it is told to stop, or for ever.
#[pool_task]
fn hang(note: &Path, is_obedient: bool) -> Result<(), String> {
    Start::note(note).map_err(|error| error.to_string())?;
    while !(is_obedient && pool_core::current().is_cancelled()) {
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn rounds(notes: &Notes, [threads, processes, dead]: [&str; 3]) -> Result<(), Fault> {
    let pool = |backend| {
        let pool = Pool::builder().backend(backend).workers(1).grace(GRACE);
        pool.build()
    };
    let thread_pool = pool(Backend::Threads)?;
    let process_pool = pool(Backend::Processes)?;
    let note = notes.path("start");
    for _ in 0..ROUNDS {
        // On a thread nothing else ends it.
        let (late, _) = overdue(&thread_pool, &note, true)?;
        tell(threads, late);
        let (late, start) = overdue(&process_pool, &note, false)?;
        tell(processes, late);
        wait_for_death(start.pid)?;
        tell(dead, seconds_since(start.at, LIMIT + GRACE));
    }
    Ok(())
}

/// How late the handle of a hanging task resolves, by the start that the task has noted.
fn overdue(pool: &Pool, note: &Path, is_obedient: bool) -> Result<(f64, Start), Fault> {
    let hanging = hang::task(note, is_obedient).timeout(LIMIT);
    let outcome = pool.submit(hanging).join();
    let resolved = now();
    match outcome {
        Err(error) if error.is_timeout() => {}
        other => return Err(format!("a hanging task came to {other:?}").into()),
    }
    let start = Start::take(note)?;
    Ok((between(start.at, resolved, LIMIT), start))
}

/// Returns when the process is dead, and leaves it to the pool to reap it.
fn wait_for_death(pid: u32) -> Result<(), Fault> {
    let pid = Pid::from_raw(pid.cast_signed()).ok_or("a worker without a pid")?;
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    loop {
        match waitid(WaitId::Pid(pid), ended) {
            // The pool was faster.
            Ok(_) | Err(rustix::io::Errno::CHILD) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
}

fn seconds_since(start: u64, allowed: Duration) -> f64 {
    between(start, now(), allowed)
}

/// The seconds from `start` to `end` beyond what is allowed; less than none when it was early.
fn between(start: u64, end: u64, allowed: Duration) -> f64 {
    (end as f64 - start as f64) / 1e9 - allowed.as_secs_f64()
}

/// Runs the work while so many threads are busy with nothing.
fn beside_busy_loops<R>(loops: usize, work: impl FnOnce() -> R) -> R {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..loops {
            scope.spawn(|| {
                while !is_over.load(Relaxed) {
                    hint::spin_loop();
                }
            });
        }
        let result = work();
        is_over.store(true, Relaxed);
        result
    })
}
