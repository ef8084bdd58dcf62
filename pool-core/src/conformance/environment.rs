//! Signals, starts, environments.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::gate::{Gate, hold, pass};
use super::proc::{Thread, descendants_of, threads_of, wait_until_gone};
use super::tasks::{add, place};
use super::{Need, Subject, outcome, program, until};
use crate::api::pool::Pool;
use crate::engine::process::VERSION;
use crate::error::backend::Backend;
use crate::error::pool_error::Error;
use crate::{MAX_DEPTH, pool_task};

#[track_caller]
fn assert_works(pool: &Pool) {
    let handle = pool.submit(add::task(1, 1));
    let sums = pool
        .map((0..50).map(|i| add::task(i, 1)))
        .map(Result::unwrap);
    assert!(sums.eq(1..51));
    assert_eq!(outcome(handle).unwrap(), 2);
}

pub(super) fn env_1(subject: &Subject) {
    // In a thread, in the first use of something, and in the test of a harness, which this is.
    thread::scope(|scope| {
        scope.spawn(|| assert_works(&subject.pool()));
    });
    let first_use = LazyLock::new(|| subject.pool());
    assert_works(&first_use);
    if subject.has(Need::Program) {
        let program = program::start(subject, "ENV-1", |_| assert_works(&subject.pool()));
        let ended = program.end();
        assert!(ended.status.success(), "{ended:?}");
    }
}

pub(super) fn env_2(subject: &Subject) {
    let own = process::id();
    for (token, said) in [
        (format!("pool-worker:{VERSION}:1:0"), "parent"),
        (format!("pool-worker:{VERSION}:{own}:0"), "standard input"),
        (format!("pool-worker:99:{own}:0"), "version 99"),
    ] {
        let mut command = subject.command();
        let ended = command.arg0(&token).stdin(Stdio::null()).output().unwrap();
        let err = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(64), "{token}: {err}");
        assert!(
            err.contains("cannot be one") && err.contains(said),
            "{token}: {err}"
        );
    }
}

#[track_caller]
fn interrupt(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Whether this process, and what it starts, does not hear of it.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap();
    mask & 1 << (signal.as_raw() - 1) != 0
}

/// Leaves word that it has come so far.
fn say(folder: &Path, word: &str) {
    std::fs::write(folder.join(word), word).unwrap();
}

pub(super) fn env_3(subject: &Subject) {
    let program = program::start(subject, "ENV-3", |folder| {
        let pool = subject.build(subject.builder().warn_after(None)).unwrap();
        let guard = pool
            .shutdown_on_interrupt(Duration::from_secs(3_600))
            .unwrap();
        let running = [1, 2].map(|number| pool.submit(hold::task(folder, number)));
        until("two run", || super::gate::starts(folder).len() == 2);
        let queued: Vec<_> = (10..20)
            .map(|number| pool.submit(pass::task(folder, number)))
            .collect();
        say(&folder.join("tmp"), "ready");
        for handle in queued {
            assert!(outcome(handle).unwrap_err().is_cancelled());
        }
        assert!(guard.is_interrupted());
        assert!(
            outcome(pool.submit(add::task(1, 1)))
                .unwrap_err()
                .is_rejected()
        );
        say(folder, "open");
        for handle in running {
            outcome(handle).unwrap();
        }
        drop(pool);
        process::exit(guard.exit_code().map_or(0, i32::from));
    });
    until("it is ready", || program.temporary().join("ready").exists());
    let workers = threads_of(&program.starts());
    assert_eq!(workers.len(), 2);
    // Who runs the tests in the background of a shell has this one ignored.
    let signal = match is_ignored(Signal::INT) {
        true => Signal::TERM,
        false => Signal::INT,
    };
    if subject.has(Need::Isolation) && signal == Signal::INT {
        // A terminal sends it to everybody; a worker outlives it.
        for start in program.starts() {
            interrupt(start.pid, signal);
        }
    }
    interrupt(program.pid(), signal);
    let ended = program.end();
    assert_eq!(
        ended.status.code(),
        Some(128 + signal.as_raw()),
        "{ended:?}"
    );
    assert_eq!(
        ended.starts.len(),
        2,
        "no queued one has started: {ended:?}"
    );
    wait_until_gone(&workers);
}

/// What threads of the program keep locked all the time.
static LOCKED: Mutex<u32> = Mutex::new(0);

/// Takes locks that others of its process may have, and allocates.
#[pool_task(crate = crate)]
fn locks(len: usize) -> usize {
    let mut number = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
    *number += 1;
    let stdout = io::stdout();
    stdout.lock().flush().unwrap();
    vec![number.to_string(); len].len()
}

pub(super) fn env_6(subject: &Subject) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    let _number = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
                    let _stdout = io::stdout().lock();
                    drop(std::hint::black_box(vec![String::from("busy"); 100]));
                }
            });
        }
        for _ in 0..3 {
            let pool = subject.pool();
            for len in pool.map((0..50).map(locks::task)).enumerate() {
                assert_eq!(len.1.unwrap(), len.0);
            }
        }
        if subject.has(Need::Isolation) {
            // For good: a copy of this process would wait for ever.
            let _number = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
            let _stdout = io::stdout().lock();
            let pool = subject.pool();
            assert_eq!(outcome(pool.submit(locks::task(7))).unwrap(), 7);
        }
        stop.store(true, Relaxed);
    });
}

/// How many workers a pool on threads has here by itself, and what a library is told.
#[pool_task(crate = crate)]
fn budget() -> (usize, Option<String>) {
    let pool = Pool::builder().backend(Backend::Threads).build().unwrap();
    (pool.workers(), std::env::var("OMP_NUM_THREADS").ok())
}

pub(super) fn env_7(subject: &Subject) {
    let cpus = Pool::builder()
        .backend(Backend::Threads)
        .build()
        .unwrap()
        .workers();
    for workers in [1, 2, 4] {
        let pool = subject.pool_of(workers);
        let (inside, _) = outcome(pool.submit(budget::task())).unwrap();
        assert_eq!(inside, (cpus / workers).max(1));
    }
    let builder = subject.builder().env("OMP_NUM_THREADS", "3");
    let pool = subject.build(builder).unwrap();
    let (_, told) = outcome(pool.submit(budget::task())).unwrap();
    assert_eq!(told.as_deref(), Some("3"));
}

/// How many process pools can be made inside each other from here on, and why no more. The last
/// of them waits at the gate.
#[pool_task(crate = crate)]
fn descends(folder: &Path, number: u32) -> (u32, bool) {
    let pool = Pool::builder().backend(Backend::Processes).workers(1);
    match pool.build() {
        Ok(pool) => {
            let inner = pool.submit(descends::task(folder, number + 1)).join();
            let (depth, typed) = inner.unwrap();
            (depth + 1, typed)
        }
        Err(error) => {
            hold(folder, number);
            (0, error == Error::TooDeep)
        }
    }
}

pub(super) fn env_8(subject: &Subject) {
    for kills in [false, true] {
        let gate = Gate::new();
        let pool = subject.pool_of(1);
        let handle = pool.submit(descends::task(gate.folder(), 1));
        // This pool is the first.
        let _ = gate.wait_for(MAX_DEPTH);
        let all = descendants_of(process::id());
        assert!(all.len() >= MAX_DEPTH as usize, "{all:?}");
        if kills {
            pool.kill();
            assert!(outcome(handle).unwrap_err().is_cancelled());
        } else {
            gate.open();
            assert_eq!(outcome(handle).unwrap(), (MAX_DEPTH - 1, true));
            drop(pool);
        }
        wait_until_gone(&all);
    }
}

/// The pool whose tasks use it.
static SAME: Mutex<Option<Pool>> = Mutex::new(None);

/// Waits for two of its kind below it, on its own pool.
#[pool_task(crate = crate)]
fn sums_up(depth: u32) -> u32 {
    if depth == 0 {
        return 1;
    }
    let pool = SAME.lock().unwrap().clone().expect("it is there");
    let below = [0, 1].map(|_| pool.submit(sums_up::task(depth - 1)));
    let map = pool.map([depth - 1].map(sums_up::task)).map(Result::unwrap);
    let map: u32 = map.sum();
    below
        .into_iter()
        .map(|handle| handle.join().unwrap())
        .sum::<u32>()
        + map
}

pub(super) fn env_9(subject: &Subject) {
    let pool = subject.pool_of(1);
    *SAME.lock().unwrap() = Some(pool.clone());
    let handle = pool.submit(sums_up::task(5));
    let sum = outcome(handle);
    SAME.lock().unwrap().take();
    assert_eq!(sum.unwrap(), 3_u32.pow(5));
}

pub(super) fn env_11(subject: &Subject) {
    let gate = Gate::new();
    let made = thread::scope(|scope| {
        let maker = scope.spawn(|| {
            let tell = Thread::current();
            let pool = subject.pool();
            let handle = pool.submit(gate.hold_if(subject.has(Need::Queue), 1));
            (pool, handle, tell)
        });
        maker.join().unwrap()
    });
    let (pool, handle, maker) = made;
    until("its maker is gone", || !maker.lives());
    let _ = gate.wait_for(1);
    let places: Vec<_> = (0..20).map(|_| pool.submit(place::task())).collect();
    gate.open();
    assert_eq!(outcome(handle).unwrap(), 1);
    places.into_iter().for_each(|place| {
        outcome(place).unwrap();
    });
    assert_works(&pool);
    assert_eq!(pool.stats().workers_lost, 0);
    // Each of these is used by a thread that ends.
    for round in 0..5 {
        thread::scope(|scope| {
            let used = scope.spawn(|| outcome(pool.submit(add::task(round, 1))).unwrap());
            assert_eq!(used.join().unwrap(), round + 1);
        });
    }
}

/// The names of the threads of this process.
fn thread_names() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let name = |task: io::Result<std::fs::DirEntry>| {
        let name = std::fs::read_to_string(task.ok()?.path().join("comm")).ok()?;
        Some(name.trim_end().to_owned())
    };
    tasks.filter_map(name).collect()
}

pub(super) fn env_12(subject: &Subject) {
    let before = thread_names().len();
    let pool = subject.pool_of(3);
    assert_works(&pool);
    // Whatever threads it has, each says that it is a pool's: once it has started, since it is the
    // new thread that gives itself its name.
    until("every new thread has a pool's name", || {
        let names = thread_names();
        let named = names.iter().filter(|name| name.starts_with("pool-"));
        let named = named.count();
        named > 0 && names.len() <= before + named
    });
}
