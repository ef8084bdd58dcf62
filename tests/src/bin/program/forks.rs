//! A program that forks while it has pools.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process;

use pool_core::{JoinHandle, Pool, PoolBuilder, pool_task};
use pool_tests::gate::{hold, pass};
use pool_tests::tasks::{add, pid};
use pool_tests::until;
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::raw;

/// How many tasks a map has, and how many were taken from it before the fork.
const MAPPED: u32 = 100;
const TAKEN: u32 = 10;
/// The tasks that run, and those that are submitted behind them.
const HELD: u32 = 2;
const QUEUED: u32 = 6;

#[pool_task(backend = "threads")]
fn on_the_global_threads() -> u32 {
    process::id()
}

#[pool_task(backend = "processes")]
fn on_the_global_processes() -> u32 {
    process::id()
}

fn builder(backend: &str) -> PoolBuilder {
    Pool::builder().backend(backend.parse().unwrap()).workers(2)
}

/// Appends a line in one piece.
fn note(folder: &Path, line: &str) {
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join("callbacks"));
    log.unwrap().write_all(line.as_bytes()).unwrap();
}

/// The pool, a map that is half taken, tasks that run and tasks that wait: what the fork gets a
/// copy of.
struct Everything<M> {
    map: M,
    running: Vec<JoinHandle<u32>>,
    queued: Vec<JoinHandle<u32>>,
    pool: Pool,
}

fn everything(
    backend: &str,
    folder: &Path,
) -> Everything<impl Iterator<Item = Result<u32, pool_core::TaskError>>> {
    let pool = builder(backend).build().unwrap();
    let tasks = (0..MAPPED).map({
        let folder = folder.to_owned();
        move |number| pass::task(&folder, number)
    });
    let mut map = pool.map(tasks).in_flight(8).chunk(2);
    for number in 0..TAKEN {
        assert_eq!(map.next().unwrap().unwrap(), number);
    }
    let submit = |number: u32, held: bool| match held {
        true => pool.submit(hold::task(folder, number)),
        false => pool.submit(pass::task(folder, number)),
    };
    let running: Vec<_> = (0..HELD).map(|n| submit(1_000 + n, true)).collect();
    let starts = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    until("both run", || {
        let starts = starts();
        (0..HELD).all(|n| starts.contains(&format!("{} ", 1_000 + n)))
    });
    let queued: Vec<_> = (0..QUEUED).map(|n| submit(2_000 + n, false)).collect();
    for (number, handle) in (0..).zip(&queued) {
        let folder = folder.to_owned();
        handle.on_finish(move || note(&folder, &format!("{number} {}\n", process::id())));
    }
    Everything {
        map,
        running,
        queued,
        pool,
    }
}

/// Forks, lets the child do `what` with its copy of everything, and sees that nothing is lost or
/// done twice.
pub(crate) fn forks(backend: &str, what: &str, folder: &str) {
    let folder = Path::new(folder);
    on_the_global_threads::spawn().join().unwrap();
    on_the_global_processes::spawn().join().unwrap();
    let all = everything(backend, folder);
    let Some(child) = raw::fork() else {
        if what != "returns" {
            let done = catch_unwind(AssertUnwindSafe(|| in_the_child(what, all)));
            raw::end_at_once(if done.is_ok() { 7 } else { 8 });
        }
        return;
    };
    let child = Pid::from_raw(child.cast_signed());
    let mut code = None;
    until("the child has ended", || {
        let ended = waitpid(child, WaitOptions::NOHANG).unwrap();
        code = ended.and_then(|(_, status)| status.exit_status());
        ended.is_some()
    });
    println!("the child: {code:?}");
    File::create(folder.join("open")).unwrap();
    let Everything {
        map,
        running,
        queued,
        pool,
    } = all;
    for (number, handle) in (1_000..).zip(running) {
        assert_eq!(handle.join().unwrap(), number);
    }
    for (number, handle) in (2_000..).zip(queued) {
        assert_eq!(handle.join().unwrap(), number);
    }
    let rest: Vec<_> = map.map(Result::unwrap).collect();
    assert!(rest.into_iter().eq(TAKEN..MAPPED));
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
    drop(pool);
    assert!(on_the_global_threads::spawn().join().is_ok());
    assert!(on_the_global_processes::spawn().join().is_ok());

    // What the child's copy of a handle calls when the child joins it is the child's business.
    let own = format!(" {}", process::id());
    let numbers = |file: &str| {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let number = |line: &str| -> u32 { line.split(' ').next().unwrap().parse().unwrap() };
        let is_counted = |line: &&str| file == "log" || what != "uses all" || line.ends_with(&own);
        let mut numbers: Vec<_> = text.lines().filter(is_counted).map(number).collect();
        numbers.sort_unstable();
        numbers
    };
    let started = (0..MAPPED)
        .chain(1_000..1_000 + HELD)
        .chain(2_000..2_000 + QUEUED);
    assert!(numbers("log").into_iter().eq(started));
    assert!(numbers("callbacks").into_iter().eq(0..QUEUED));
    println!("all as it should be");
}

fn in_the_child<M>(what: &str, all: Everything<M>)
where
    M: Iterator<Item = Result<u32, pool_core::TaskError>>,
{
    match what {
        "ends at once" => raw::end_at_once(7),
        "exits" => process::exit(7),
        "panics" => {
            let _all = all;
            panic!("on purpose");
        }
        "drops all" => drop(all),
        "drops the pool" => {
            drop(all.pool);
            raw::end_at_once(7);
        }
        "shuts down" => {
            all.pool.shutdown();
            raw::end_at_once(7);
        }
        "kills" => {
            all.pool.kill();
            raw::end_at_once(7);
        }
        "uses all" => {
            let Everything {
                map,
                running,
                queued,
                pool,
            } = all;
            let error = pool.submit(pid::task()).join().unwrap_err();
            assert!(error.is_rejected(), "{error}");
            assert!(running.iter().all(|handle| !handle.cancel()));
            for handle in running.into_iter().chain(queued) {
                let error = handle.join().unwrap_err();
                assert!(error.is_cancelled() || error.is_rejected(), "{error}");
            }
            drop(map);
            assert!(pool.shutdown_timeout(std::time::Duration::from_secs(1)));
        }
        other => panic!("{other}"),
    }
}

/// Keeps the only worker of its pool busy for ever, to the third level; each level has a child that
/// was forked from it: one that stays in the worker's process group.
#[pool_task]
fn nests_deeply(folder: &Path, level: u32) {
    fork_a_sleeper();
    if level == 0 {
        pool_tests::gate::never(folder, 0);
    }
    let pool = builder("processes").workers(1).build().unwrap();
    // After the pool: it has copies of all that its parent shares with the next worker.
    fork_a_sleeper();
    let inner = pool.submit(nests_deeply::task(folder, level - 1));
    inner.join().unwrap();
}

fn fork_a_sleeper() -> u32 {
    raw::fork().unwrap_or_else(|| {
        loop {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    })
}

/// Three levels of busy workers and their forks; says which processes these are, and what has been
/// forked from this process, which nobody ends but the test.
pub(crate) fn busy_with_forks(folder: &str) {
    let folder = Path::new(folder);
    let pool = builder("processes").workers(1).build().unwrap();
    let own_fork = fork_a_sleeper();
    let handle = pool.submit(nests_deeply::task(folder, 2));
    let mut all = Vec::new();
    until("everybody is there", || {
        all = pool_tests::proc::descendants_of(process::id());
        // Three workers with two forks, the last with one, and the one of this process.
        all.len() == 3 + 5 + 1 && folder.join("log").exists()
    });
    for process in all {
        let name = match process.pid == own_fork {
            true => "fork",
            false => "process",
        };
        println!("{name} {} {}", process.pid, process.start);
    }
    println!("ready");
    handle.join().unwrap();
}
