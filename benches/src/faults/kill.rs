//! How soon a worker that was killed is replaced.

use std::hint;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pool_core::{Backend, Pool, pool_task};
use rustix::process::{Pid, Signal, kill_process};

use crate::Fault;
use crate::figures::{Figure, Row, Taker, tell, wait_until};
use crate::group::Unit;

pub(super) static KILL: Figure = Figure {
    name: "kill",
    rows: &[
        Row::new(
            "kill.idle",
            "SIGKILL of the only worker, idle, until its replacement has done a task",
            Unit::Seconds,
        ),
        Row::new(
            "kill.busy",
            "the same in the middle of a task",
            Unit::Seconds,
        ),
        Row::new(
            "kill.true",
            "beside it: start and wait for `true`",
            Unit::Seconds,
        ),
        Row::new(
            "kill.itself",
            "beside it: start and wait for the workers' program, which does nothing",
            Unit::Seconds,
        ),
    ],
    taker: Taker::Itself(|_| {
        let pool = Pool::builder()
            .backend(Backend::Processes)
            .workers(1)
            .build()?;
        for _ in 0..ROUNDS {
            tell("kill.idle", idle(&pool)?);
            tell("kill.true", command(Command::new("true"))?);
            tell("kill.busy", busy(&pool)?);
            let mut itself = Command::new("/proc/self/exe");
            itself.arg("nothing");
            tell("kill.itself", command(itself)?);
        }
        Ok(())
    }),
};

pub(super) static PYTHON: Figure = Figure {
    name: "kill.python",
    rows: &[Row::new(
        "kill.python",
        "Python ProcessPoolExecutor: SIGKILL, broken, a new one, its first result",
        Unit::Seconds,
    )],
    taker: Taker::Python("kill"),
};

const ROUNDS: usize = 200;

/// Longer than a worker spins before it sleeps.
const ASLEEP: Duration = Duration::from_millis(20);

/// The process that runs it.
#[pool_task]
fn process() -> u32 {
    std::process::id()
}

/// Is busy until it is killed.
#[pool_task]
fn work_on() {
    loop {
        hint::spin_loop();
    }
}

fn idle(pool: &Pool) -> Result<f64, Fault> {
    let pid = pool.submit(process::task()).join()?;
    thread::sleep(ASLEEP);
    replace(pool, pid)
}

fn busy(pool: &Pool) -> Result<f64, Fault> {
    let pid = pool.submit(process::task()).join()?;
    let lost = pool.submit(work_on::task());
    wait_until("a task starts", || lost.is_running())?;
    thread::sleep(ASLEEP);
    let seconds = replace(pool, pid)?;
    match lost.join() {
        Err(error) if error.is_worker_lost() => Ok(seconds),
        other => Err(format!("the killed task came to {other:?}").into()),
    }
}

/// From before the kill until the task that is submitted after it is done elsewhere.
fn replace(pool: &Pool, pid: u32) -> Result<f64, Fault> {
    let worker = Pid::from_raw(pid.cast_signed()).ok_or("a worker without a pid")?;
    let begin = Instant::now();
    kill_process(worker, Signal::KILL)?;
    let successor = pool.submit(process::task()).join()?;
    let seconds = begin.elapsed().as_secs_f64();
    if successor == pid {
        return Err("a killed worker went on".into());
    }
    Ok(seconds)
}

fn command(mut command: Command) -> Result<f64, Fault> {
    let begin = Instant::now();
    let status = command.stdin(Stdio::null()).status()?;
    let seconds = begin.elapsed().as_secs_f64();
    match status.success() {
        true => Ok(seconds),
        false => Err(format!("ended with {status}").into()),
    }
}
