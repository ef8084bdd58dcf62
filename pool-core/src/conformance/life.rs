//! Initializers, and the life of workers.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::gate::{Folder, Gate, note, pass, starts};
use super::proc::{self, Thread, descendants_of, threads_of, wait_until_gone};
use super::tasks::{add, boom, place};
use super::{Need, Subject, outcome, program, until};
use crate::api::handle::JoinHandle;
use crate::api::pool::Pool;
use crate::error::backend::Backend;
use crate::error::pool_error::Error;
use crate::job::current::current;
use crate::pool_task;
use crate::task::TaskExt;

/// Longer than anything here takes.
const EVER: Duration = Duration::from_secs(3_600);

/// What never comes to its end is past it.
const SHORT: Duration = Duration::from_millis(100);

thread_local! {
    /// What the initializer has left in this worker.
    static READY: Cell<u32> = const { Cell::new(0) };
}

/// Leaves word, and makes its worker ready.
#[pool_task(crate = crate)]
fn get_ready(folder: &Path, with: u32) {
    note(folder, with);
    READY.set(with);
}

/// What its worker was made ready with.
#[pool_task(crate = crate)]
fn readiness() -> u32 {
    READY.get()
}

#[track_caller]
fn assert_ready(pool: &Pool, with: u32) {
    let handles: Vec<_> = (0..100).map(|_| pool.submit(readiness::task())).collect();
    for ready in pool.map((0..100).map(|_| readiness::task())) {
        assert_eq!(ready.unwrap(), with);
    }
    for handle in handles {
        assert_eq!(outcome(handle).unwrap(), with);
    }
}

pub(super) fn life_1(subject: &Subject) {
    let gate = Gate::new();
    let builder = subject.builder().workers(3);
    let builder = builder.initializer(get_ready::task(gate.folder(), 42));
    let pool = subject.build(builder.clone()).unwrap();
    assert_ready(&pool, 42);
    if subject.has(Need::Queue) {
        gate.wait_for_starts(3);
        let held = Gate::new();
        let handles: Vec<_> = (0..3).map(|i| pool.submit(held.hold(i))).collect();
        held.wait_for_starts(3);
        held.open();
        handles.into_iter().for_each(|handle| {
            outcome(handle).unwrap();
        });
        let places = |starts: Vec<super::gate::Start>| -> BTreeSet<_> {
            let place = |start: super::gate::Start| (start.pid, start.thread);
            starts.into_iter().map(place).collect()
        };
        assert_eq!(places(held.starts()), places(gate.starts()));
        assert_eq!(gate.starts().len(), 3, "in each once");
    }
    if subject.has(Need::Isolation) {
        // Those that come later run it too.
        for _ in 0..3 {
            let (worker, _) = outcome(pool.submit(place::task())).unwrap();
            let main = Thread::main_of(worker);
            proc::kill(worker);
            wait_until_gone(&Vec::from_iter(main));
            assert_ready(&pool, 42);
        }
    }
    // The next pool has its own.
    drop(pool);
    let builder = builder.initializer(get_ready::task(gate.folder(), 43));
    assert_ready(&subject.build(builder).unwrap(), 43);
}

#[pool_task(crate = crate)]
fn fails(folder: &Path, panics: bool) -> Result<(), String> {
    note(folder, 0);
    assert!(!panics, "no model there");
    Err("no model here".into())
}

/// Everything that was submitted and that comes is rejected with these words.
#[track_caller]
fn assert_broken(pool: &Pool, why: &str) {
    let check = |outcome: Result<i64, crate::error::task_error::TaskError>| {
        let error = outcome.unwrap_err();
        assert!(error.is_rejected(), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    };
    let handles: Vec<_> = (0..20).map(|i| pool.submit(add::task(i, 0))).collect();
    handles.into_iter().map(outcome).for_each(check);
    pool.map((0..20).map(|i| add::task(i, 0))).for_each(check);
    check(outcome(pool.submit(add::task(1, 1))));
}

pub(super) fn life_2(subject: &Subject) {
    for (panics, why) in [(false, "no model here"), (true, "no model there")] {
        let gate = Gate::new();
        let builder = subject.builder();
        let builder = builder.initializer(fails::task(gate.folder(), panics));
        let pool = subject.build(builder).unwrap();
        assert_broken(&pool, why);
        assert!(!gate.starts().is_empty());
        drop(pool);
        if subject.has(Need::Queue) {
            wait_until_gone(&threads_of(&gate.starts()));
        }
        if subject.has(Need::Isolation) {
            wait_until_gone(&descendants_of(process::id()));
        }
        // Another one is as good as ever.
        let pool = subject.pool();
        assert_eq!(outcome(pool.submit(add::task(1, 2))).unwrap(), 3);
    }
}

/// Comes to its end when there is word from `number`.
#[pool_task(crate = crate, timeout = "100ms")]
fn waits_for(folder: &Path, number: u32) {
    note(folder, 0);
    loop {
        if starts(folder).iter().any(|start| start.number == number) {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

pub(super) fn life_3(subject: &Subject) {
    // The function's: it waits in vain.
    let gate = Gate::new();
    let builder = subject.builder();
    let builder = builder.initializer(waits_for::task(gate.folder(), 7));
    let pool = subject.build(builder).unwrap();
    assert_broken(&pool, "timed out");
    drop(pool);
    // The call's, which comes before it, and has nothing to do with those of the tasks.
    let gate = Gate::new();
    let builder = subject.builder();
    let builder = builder.initializer(waits_for::task(gate.folder(), 7).timeout(EVER));
    let pool = subject.build(builder).unwrap();
    let handles: Vec<_> = (0..10)
        .map(|i| pool.submit(add::task(i, 1).timeout(EVER)))
        .collect();
    gate.wait_for_starts(2);
    assert!(!handles.iter().any(JoinHandle::is_finished));
    note(gate.folder(), 7);
    for (i, handle) in (0..).zip(handles) {
        assert_eq!(outcome(handle).unwrap(), i + 1);
    }
}

#[track_caller]
fn pool_with_limit(subject: &Subject, workers: usize, tasks: u64) -> Pool {
    let builder = subject.builder().workers(workers);
    subject.build(builder.max_tasks_per_worker(tasks)).unwrap()
}

pub(super) fn life_4(subject: &Subject) {
    let pool = pool_with_limit(subject, 1, 3);
    let mut before: Option<Thread> = None;
    for _ in 0..4 {
        let pids: BTreeSet<_> = (0..3)
            .map(|_| outcome(pool.submit(place::task())).unwrap().0)
            .collect();
        assert_eq!(pids.len(), 1, "{pids:?}");
        let worker = pids.first().copied().and_then(Thread::main_of);
        assert!(worker.is_none() || worker != before, "it is another one");
        wait_until_gone(&Vec::from_iter(before));
        before = worker;
    }
    // Many at once.
    let pool = pool_with_limit(subject, 2, 3);
    let handles: Vec<_> = (0..30).map(|_| pool.submit(place::task())).collect();
    let mut pids: Vec<_> = handles
        .into_iter()
        .map(|handle| outcome(handle).unwrap().0)
        .collect();
    pids.extend(
        pool.map((0..30).map(|_| place::task()))
            .map(|at| at.unwrap().0),
    );
    for pid in &pids {
        let same = pids.iter().filter(|other| *other == pid).count();
        assert!(same <= 3, "{pids:?}");
    }
    assert_eq!(pool.stats().workers_lost, 0);
}

pub(super) fn life_6(subject: &Subject) {
    for tasks in [1, 3] {
        // A shutdown at once.
        let pool = pool_with_limit(subject, 2, tasks);
        let handles: Vec<_> = (0..20).map(|i| pool.submit(add::task(i, 1))).collect();
        pool.shutdown();
        for (i, handle) in (0..).zip(handles) {
            assert_eq!(handle.try_join().expect("it is done").unwrap(), i + 1);
        }
        // A drop, also of the handles.
        let gate = Gate::new();
        let pool = pool_with_limit(subject, 2, tasks);
        for number in 0..20 {
            drop(pool.submit(gate.pass(number)));
        }
        drop(pool);
        let mut numbers = gate.numbers();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>());
        // A kill, while workers change.
        let pool = pool_with_limit(subject, 2, tasks);
        let handles: Vec<_> = (0..200).map(|i| pool.submit(add::task(i, 1))).collect();
        assert_eq!(
            handles[0].join_timeout(super::PATIENCE).unwrap().unwrap(),
            1
        );
        pool.kill();
        for (i, handle) in (0..).zip(handles).skip(1) {
            match outcome(handle) {
                Ok(sum) => assert_eq!(sum, i + 1),
                Err(error) => assert!(error.is_cancelled(), "{error}"),
            }
        }
    }
}

pub(super) fn life_7(subject: &Subject) {
    let folder = Folder::new();
    let gate = Gate::new();
    let program = folder.join("program");
    symlink(std::env::current_exe().unwrap(), &program).unwrap();
    let builder = subject.builder().worker_exe(&program);
    let pool = subject.build(builder).unwrap();
    let handles = [1, 2].map(|number| pool.submit(gate.hold(number)));
    gate.wait_for_starts(2);
    std::fs::remove_file(&program).unwrap();
    // As long as one is left, it does the work.
    let [one, other] = handles;
    proc::kill(gate.wait_for(1).pid);
    assert!(outcome(one).unwrap_err().is_worker_lost());
    gate.open();
    assert_eq!(outcome(other).unwrap(), 2);
    for i in 0..20 {
        assert_eq!(outcome(pool.submit(add::task(i, 1))).unwrap(), i + 1);
    }
    proc::kill(gate.wait_for(2).pid);
    // Before that is noticed, one may be given to it.
    until("the pool is broken", || {
        outcome(pool.submit(add::task(1, 1))).is_err_and(|error| error.is_rejected())
    });
    assert_broken(&pool, &program.to_string_lossy());
}

pub(super) fn life_8(subject: &Subject) {
    for workers in [2, 4] {
        let pool = pool_with_limit(subject, workers, 1);
        let handles: Vec<_> = (0..12)
            .map(|number| {
                let text = format!("task {number}");
                (pool.submit(boom::task(&text)), text)
            })
            .collect();
        drop(pool);
        for (handle, text) in handles {
            let error = handle.try_join().expect("it is done").unwrap_err();
            assert!(error.is_panic(), "{error}");
            assert_eq!(error.message(), Some(&*text));
        }
    }
}

pub(super) fn life_11(subject: &Subject) {
    for (from, to) in [(1, 3), (3, 1), (2, 4), (4, 2)] {
        let gate = Gate::new();
        let pool = subject.pool_of(from);
        let dies = pool.submit(gate.hold(1));
        let worker = gate.wait_for(1);
        let others: Vec<_> = (0..50).map(|i| pool.submit(add::task(i, 1))).collect();
        pool.resize(to).unwrap();
        proc::kill(worker.pid);
        let error = outcome(dies).unwrap_err();
        assert!(error.is_worker_lost(), "{error}");
        assert_eq!(error.worker_pid(), Some(worker.pid));
        for (i, handle) in (0..).zip(others) {
            assert_eq!(outcome(handle).unwrap(), i + 1);
        }
        assert_eq!(pool.workers(), to);
        assert_eq!(outcome(pool.submit(add::task(1, 1))).unwrap(), 2);
        // All of them are there.
        let gate = Gate::new();
        let handles: Vec<_> = (0..to as u32).map(|i| pool.submit(gate.hold(i))).collect();
        gate.wait_for_starts(to);
        gate.open();
        for (i, handle) in (0..).zip(handles) {
            assert_eq!(outcome(handle).unwrap(), i);
        }
    }
}

/// A variable: as the process sees it, and as it was when its first code ran.
#[pool_task(crate = crate)]
fn variable(key: &str) -> (Option<String>, Option<String>) {
    let start = std::fs::read("/proc/self/environ").unwrap();
    let at_start = start.split(|byte| *byte == 0).find_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let (name, value) = line.split_once('=')?;
        (name == key).then(|| value.to_owned())
    });
    (std::env::var(key).ok(), at_start)
}

pub(super) fn life_13(subject: &Subject) {
    let inherited = std::env::var("PATH").unwrap();
    let builder = subject.builder();
    let builder = builder.env("POOL_CONFORMANCE_GIVEN", "first");
    let builder = builder.env("POOL_CONFORMANCE_GIVEN", "a = b");
    let builder = builder.env("HOME", "/nowhere").workers(1);
    let pool = subject.build(builder).unwrap();
    for _ in 0..2 {
        let ask = |key| outcome(pool.submit(variable::task(key))).unwrap();
        let both = |value: &str| (Some(value.to_owned()), Some(value.to_owned()));
        assert_eq!(ask("POOL_CONFORMANCE_GIVEN"), both("a = b"));
        assert_eq!(ask("HOME"), both("/nowhere"));
        assert_eq!(ask("PATH"), both(&inherited));
        // A worker that takes its place has the same.
        let (worker, _) = outcome(pool.submit(place::task())).unwrap();
        let main = Thread::main_of(worker);
        proc::kill(worker);
        wait_until_gone(&Vec::from_iter(main));
    }
    assert_eq!(std::env::var_os("POOL_CONFORMANCE_GIVEN"), None);
    assert_ne!(std::env::var("HOME").ok().as_deref(), Some("/nowhere"));
}

pub(super) fn life_14(subject: &Subject) {
    let gate = Gate::new();
    let old = subject.pool_of(1);
    let running = old.submit(gate.hold_or_stop(1));
    let worker = gate.wait_for(1);
    let new = subject.pool_of(2);
    assert_eq!((old.workers(), new.workers()), (1, 2));
    assert_eq!(outcome(new.submit(add::task(1, 2))).unwrap(), 3);
    assert!(!running.is_finished());
    old.kill();
    assert!(outcome(running).unwrap_err().is_cancelled());
    wait_until_gone(&threads_of(&[worker]));
    let error = outcome(old.submit(add::task(1, 1))).unwrap_err();
    assert!(error.is_rejected(), "{error}");
    assert_eq!(outcome(new.submit(add::task(2, 2))).unwrap(), 4);
}

#[pool_task(crate = crate, backend = "inline")]
fn spawned_inline(folder: &Path, number: u32) -> u32 {
    pass(folder, number)
}

#[pool_task(crate = crate, backend = "threads")]
fn spawned_on_threads(folder: &Path, number: u32) -> u32 {
    pass(folder, number)
}

#[pool_task(crate = crate, backend = "processes")]
fn spawned_on_processes(folder: &Path, number: u32) -> u32 {
    pass(folder, number)
}

pub(super) fn life_15(subject: &Subject) {
    // A backend of somebody else has no global pool.
    let Ok(backend) = subject.name().parse::<Backend>() else {
        return;
    };
    let program = program::start(subject, "LIFE-15", |folder| {
        let spawn = |number| match backend {
            Backend::Threads => spawned_on_threads::spawn(folder, number),
            Backend::Processes => spawned_on_processes::spawn(folder, number),
            _ => spawned_inline::spawn(folder, number),
        };
        // Ten threads ask for it first, all at once.
        let barrier = Barrier::new(10);
        thread::scope(|scope| {
            for thread in 0..10 {
                let (barrier, spawn) = (&barrier, &spawn);
                scope.spawn(move || {
                    barrier.wait();
                    for number in 0..20 {
                        let number = 100 * thread + number;
                        assert_eq!(outcome(spawn(number)).unwrap(), number);
                    }
                });
            }
        });
        let again = Pool::builder().backend(backend).build_global();
        assert_eq!(again.unwrap_err(), Error::GlobalExists(backend));
    });
    let ended = program.end();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.starts.len(), 200, "{ended:?}");
    let workers = |start: &super::gate::Start| (start.pid, start.thread);
    let workers: BTreeSet<_> = ended.starts.iter().map(workers).collect();
    let numbers: BTreeSet<_> = ended.starts.iter().map(|start| start.worker).collect();
    // Inline, each thread runs its own.
    if subject.has(Need::Queue) {
        assert_eq!(workers.len(), numbers.len(), "of one pool: {ended:?}");
    }
}

/// Sleeps for up to 100 ms, by the number of its process and thread.
#[pool_task(crate = crate)]
fn dawdles(folder: &Path) {
    note(folder, 0);
    let number = process::id()
        ^ rustix::thread::gettid()
            .as_raw_nonzero()
            .get()
            .cast_unsigned();
    thread::sleep(Duration::from_millis(u64::from(
        number.wrapping_mul(2_654_435_761) % 100,
    )));
}

pub(super) fn life_16(subject: &Subject) {
    for workers in [1, 2, 4] {
        let gate = Gate::new();
        let builder = subject.builder().workers(workers);
        let builder = builder.initializer(dawdles::task(gate.folder()));
        let pool = subject.build(builder).unwrap();
        let handles: Vec<_> = (0..100).map(|i| pool.submit(add::task(i, 1))).collect();
        let sums: Vec<_> = pool
            .map((0..100).map(|i| add::task(i, 2)))
            .map(Result::unwrap)
            .collect();
        assert_eq!(sums, (2..102).collect::<Vec<_>>());
        for (i, handle) in (0..).zip(handles) {
            assert_eq!(outcome(handle).unwrap(), i + 1);
        }
    }
}

/// Leaves word, and ends its worker each second time, or always.
#[pool_task(crate = crate)]
fn starts_badly(folder: &Path, always: bool) {
    note(folder, 0);
    let so_far = starts(folder).into_iter().filter(|start| start.number == 0);
    if always || so_far.count().is_multiple_of(2) {
        process::exit(3);
    }
}

pub(super) fn life_17(subject: &Subject) {
    const TASKS: u32 = 7;
    let gate = Gate::new();
    let builder = subject.builder().workers(1).max_tasks_per_worker(1);
    let builder = builder.initializer(starts_badly::task(gate.folder(), false));
    let pool = subject.build(builder).unwrap();
    for number in 1..=TASKS {
        assert_eq!(outcome(pool.submit(gate.pass(number))).unwrap(), number);
    }
    drop(pool);
    let bad_starts = gate.numbers().iter().filter(|number| **number == 0).count();
    assert!(bad_starts >= 13, "{:?}", gate.numbers());
    // Too many in a row.
    let gate = Gate::new();
    let builder = subject.builder().workers(1);
    let builder = builder.initializer(starts_badly::task(gate.folder(), true));
    let pool = subject.build(builder).unwrap();
    assert_broken(&pool, "exit code 3");
    drop(pool);
    assert!(gate.starts().len() >= 2, "it was tried again");
    wait_until_gone(&threads_of(&gate.starts()));
}

/// Never comes to its end.
#[pool_task(crate = crate)]
fn hangs(folder: &Path) {
    note(folder, current().attempt());
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}

pub(super) fn life_18(subject: &Subject) {
    let gate = Gate::new();
    let builder = subject.builder();
    let builder = builder.initializer(hangs::task(gate.folder()).timeout(SHORT));
    let pool = subject.build(builder).unwrap();
    let handle = pool.submit(add::task(1, 1));
    let error = outcome(handle).unwrap_err();
    assert!(error.is_rejected(), "{error}");
    assert!(error.to_string().contains("timed out"), "{error}");
    assert_broken(&pool, "timed out");
    drop(pool);
    assert!(!gate.starts().is_empty());
    wait_until_gone(&threads_of(&gate.starts()));
}
