//! Submitting, and basic results.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::gate::{Folder, Gate};
use super::tasks::{add, boom, echo, place, refuses};
use super::tracked::{self, through};
use super::{Need, Subject, outcome, proc, program, until};
use crate::api::handle::JoinHandle;
use crate::api::pool::Pool;
use crate::error::pool_error::{Error, MAX_WORKERS};
use crate::error::task_error::TaskErrorKind;
use crate::pool_task;

/// Arguments of several kinds, owned and lent.
#[pool_task(crate = crate)]
fn describe(
    number: i64,
    text: &str,
    path: &Path,
    list: &[u16],
    map: BTreeMap<String, Option<char>>,
    pair: &(bool, f64),
) -> (String, PathBuf, Vec<u16>) {
    let text = format!("{number} {text} {map:?} {pair:?}");
    (
        text,
        path.join("below"),
        list.iter().rev().copied().collect(),
    )
}

pub(super) fn sub_1(subject: &Subject) {
    let pool = subject.pool();
    let map: BTreeMap<_, _> = [("a".to_owned(), Some('\u{df}')), (String::new(), None)].into();
    let pair = (true, -0.5);
    let task = || {
        describe::task(
            i64::MIN,
            "a text",
            Path::new("/some/where"),
            &[1, 2, u16::MAX],
            map.clone(),
            &pair,
        )
    };
    let direct = describe(
        i64::MIN,
        "a text",
        Path::new("/some/where"),
        &[1, 2, u16::MAX],
        map.clone(),
        &pair,
    );
    assert_eq!(pool.submit(task()).join().unwrap(), direct);
    assert_eq!(outcome(pool.submit(task())).unwrap(), direct);
    assert_eq!(outcome(pool.submit(add::task(1, -3))).unwrap(), add(1, -3));
    assert_eq!(
        outcome(pool.submit(refuses::task("no"))).unwrap(),
        refuses("no")
    );
}

/// The names are those of arguments, parameters and variables of the interface and of what the
/// macro writes.
#[pool_task(crate = crate)]
#[allow(clippy::too_many_arguments)]
fn named(
    task: u8,
    timeout: u8,
    retries: u8,
    backend: u8,
    name: u8,
    out: u8,
    input: u8,
    r#type: u8,
    a0: u8,
    result: u8,
    pool: u8,
    crate_: u8,
) -> Vec<u8> {
    vec![
        task, timeout, retries, backend, name, out, input, r#type, a0, result, pool, crate_,
    ]
}

pub(super) fn sub_2(subject: &Subject) {
    let pool = subject.pool();
    let expected: Vec<u8> = (0..12).collect();
    let task = named::task(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    assert_eq!(outcome(pool.submit(task)).unwrap(), expected);
    // By name, in another order.
    let task = named {
        crate_: 11,
        pool: 10,
        result: 9,
        a0: 8,
        r#type: 7,
        input: 6,
        out: 5,
        name: 4,
        backend: 3,
        retries: 2,
        timeout: 1,
        task: 0,
    };
    assert_eq!(outcome(pool.submit(task)).unwrap(), expected);
}

pub(super) fn sub_3(subject: &Subject) {
    let build = |workers| subject.build(subject.builder().workers(workers));
    assert_eq!(build(0).unwrap_err(), Error::ZeroWorkers);
    for asked in [MAX_WORKERS + 1, usize::MAX] {
        let error = build(asked).unwrap_err();
        assert_eq!(error, Error::TooManyWorkers { asked });
        assert!(
            error.to_string().contains(&MAX_WORKERS.to_string()),
            "{error}"
        );
    }
    let pool = build(1).unwrap();
    assert_eq!(pool.workers(), 1);
    assert_eq!(outcome(pool.submit(add::task(1, 1))).unwrap(), 2);
}

pub(super) fn sub_4(subject: &Subject) {
    let workers = || subject.build(Pool::builder()).unwrap().workers();
    let all = sched_getaffinity(None).unwrap();
    let allowed: Vec<_> = (0..CpuSet::MAX_CPU)
        .filter(|cpu| all.is_set(*cpu))
        .collect();
    // A quota of the system may allow for fewer than the mask does.
    assert!((1..=allowed.len()).contains(&workers()));
    // The mask is that of one thread, which ends with it.
    let with_one = thread::scope(|scope| {
        let narrowed = scope.spawn(|| {
            let mut one = CpuSet::new();
            one.set(allowed[0]);
            sched_setaffinity(None, &one).unwrap();
            workers()
        });
        narrowed.join().unwrap()
    });
    assert_eq!(with_one, 1);
    for told in [1, 3] {
        assert_eq!(subject.pool_of(told).workers(), told);
    }
}

/// Everything that is submitted is rejected, and the handles are resolved when they come.
#[track_caller]
fn assert_rejects(pool: &Pool, why: &str) {
    let handles = [pool.submit(add::task(1, 1)), pool.submit(add::task(2, 2))];
    let mapped = pool.map((0..3).map(|i| add::task(i, i)));
    let handles = handles.into_iter().map(|handle| {
        let outcome = handle.try_join();
        outcome.expect("a handle that is resolved when it comes")
    });
    let mut count = 0;
    for outcome in handles.chain(mapped) {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::Rejected, "{error}");
        assert!(error.to_string().contains(why), "{error}");
        count += 1;
    }
    assert_eq!(count, 5);
}

pub(super) fn sub_5(subject: &Subject) {
    let pool = subject.pool();
    let before = pool.submit(add::task(1, 2));
    pool.shutdown();
    assert_eq!(outcome(before).unwrap(), 3);
    assert_rejects(&pool, "shut down");
    let pool = subject.pool();
    pool.kill();
    assert_rejects(&pool, "");
}

pub(super) fn sub_6(subject: &Subject) {
    let folder = Folder::new();
    let gate = Gate::new();
    let program = folder.join("program");
    symlink(std::env::current_exe().unwrap(), &program).unwrap();
    let builder = subject.builder().workers(1).worker_exe(&program);
    let pool = subject.build(builder).unwrap();
    let running = pool.submit(gate.hold(1));
    let worker = gate.wait_for(1);
    let queued: Vec<_> = (0..5).map(|i| pool.submit(add::task(i, 0))).collect();
    // From here on no worker can be started.
    std::fs::remove_file(&program).unwrap();
    proc::kill(worker.pid);
    assert!(outcome(running).unwrap_err().is_worker_lost());
    for handle in queued {
        let error = outcome(handle).unwrap_err();
        assert!(error.is_rejected(), "{error}");
        assert!(error.to_string().contains("program"), "{error}");
    }
    let why = program.to_string_lossy().into_owned();
    assert_rejects(&pool, &why);
    pool.shutdown();
    assert!(
        outcome(pool.submit(add::task(1, 1)))
            .unwrap_err()
            .is_rejected()
    );
}

/// Submits to its pool as it is dropped, and says what became of it.
struct AtTheEnd(Pool, mpsc::Sender<Result<i64, TaskErrorKind>>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        let outcome = outcome(self.0.submit(add::task(2, 3)));
        let _ = self.1.send(outcome.map_err(|error| error.kind()));
    }
}

thread_local! {
    static AT_THE_END: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
}

pub(super) fn sub_7(subject: &Subject) {
    // In the destructors of a thread.
    let pool = subject.pool();
    for expected in [Ok(5), Err(TaskErrorKind::Rejected)] {
        let (send, receive) = mpsc::channel();
        let at_the_end = AtTheEnd(pool.clone(), send);
        let thread = thread::spawn(move || AT_THE_END.set(Some(at_the_end)));
        assert_eq!(receive.recv_timeout(super::PATIENCE), Ok(expected));
        thread.join().unwrap();
        pool.shutdown();
    }
    // While the program exits, beside a thread that goes on submitting.
    let program = program::start(subject, "SUB-7", |_| {
        let pool = subject.pool();
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            for number in 0.. {
                let _ = pool.submit(add::task(number, 0)).join();
                let _ = send.send(number);
            }
        });
        for _ in 0..10 {
            receive.recv().unwrap();
        }
    });
    let ended = program.end();
    assert!(ended.status.success(), "{ended:?}");
}

pub(super) fn sub_8(subject: &Subject) {
    let pool = subject.build(subject.patient().workers(3)).unwrap();
    thread::scope(|scope| {
        for thread in 0..10_i64 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..5 {
                    let base = 1_000 * thread + round;
                    let handles: Vec<_> =
                        (0..20).map(|i| pool.submit(add::task(base, i))).collect();
                    let mapped = pool.map((0..50).map(|i| add::task(base, 2 * i)));
                    let cancelled: Vec<_> =
                        handles.iter().step_by(3).map(JoinHandle::cancel).collect();
                    for (i, result) in (0..).zip(mapped) {
                        assert_eq!(result.unwrap(), base + 2 * i);
                    }
                    for (i, handle) in (0_i64..).zip(handles) {
                        let was_cancelled = i % 3 == 0 && cancelled[i as usize / 3];
                        match outcome(handle) {
                            Ok(sum) => assert!(!was_cancelled && sum == base + i),
                            Err(error) => assert!(was_cancelled && error.is_cancelled(), "{error}"),
                        }
                    }
                }
            });
        }
    });
}

pub(super) fn sub_11(subject: &Subject) {
    let pool = subject.pool();
    let set = tracked::Set::new();
    // One at a time, so that no other result is there.
    let mut map = pool
        .map((0..20).map(|number| through::task(set.value(number))))
        .in_flight(1);
    for number in 0..20 {
        let result = map.next().unwrap().unwrap();
        assert_eq!((result.number(), set.living()), (number, 1));
        drop(result);
        assert_eq!(set.living(), 0, "kept by the map after result {number}");
    }
    assert!(map.next().is_none());
    drop(map);
    let handle = pool.submit(through::task(set.value(1)));
    let mut result = None;
    until("it is done", || {
        result = handle.try_join();
        result.is_some()
    });
    drop(result);
    assert_eq!(set.living(), 0, "kept by the handle");
    // And one that nobody asked for.
    drop(handle);
    drop(pool.submit(through::task(set.value(2))));
    drop(pool);
    assert_eq!(set.living(), 0, "kept by the pool");
}

/// More than 2 GiB.
const HUGE: usize = (2 << 30) + 77;

/// The distance of the bytes that are not zero: prime to the size of everything.
const STEP: usize = 999_983;

/// Zeros take no memory until they are copied, and no time in a test that is not optimized.
#[pool_task(crate = crate)]
fn huge() -> Vec<u8> {
    let mut bytes = vec![0; HUGE];
    for (byte, mark) in bytes.iter_mut().step_by(STEP).zip(marks()) {
        *byte = mark;
    }
    bytes
}

fn marks() -> impl Iterator<Item = u8> {
    (1..=250).cycle()
}

#[pool_task(crate = crate)]
fn is_huge(bytes: Vec<u8>) -> bool {
    let marked = bytes.iter().step_by(STEP);
    bytes.len() == HUGE && marked.zip(marks()).all(|(byte, mark)| *byte == mark)
}

pub(super) fn sub_13(subject: &Subject) {
    let pool = subject.pool_of(1);
    assert!(pool.submit(is_huge::task(huge())).join().unwrap());
    assert!(is_huge(pool.submit(huge::task()).join().unwrap()));
}

pub(super) fn sub_14(subject: &Subject) {
    const WORKERS: usize = 3;
    const TASKS: u32 = 15 * WORKERS as u32;
    let gate = Gate::new();
    let pool = subject.pool_of(WORKERS);
    let handles: Vec<_> = (0..TASKS)
        .map(|number| pool.submit(gate.hold(number)))
        .collect();
    gate.wait_for_starts(WORKERS);
    assert_eq!(pool.workers(), WORKERS);
    let running = handles.iter().filter(|handle| handle.is_running());
    assert_eq!(running.count(), WORKERS);
    assert_eq!(
        gate.starts().len(),
        WORKERS,
        "more run than there are workers"
    );
    gate.open();
    for (number, handle) in (0..).zip(handles) {
        assert_eq!(outcome(handle).unwrap(), number);
    }
    let starts = gate.starts();
    assert_eq!(starts.len(), TASKS as usize);
    let workers: BTreeSet<_> = starts.iter().map(|start| start.worker).collect();
    let threads: BTreeSet<_> = starts
        .iter()
        .map(|start| (start.pid, start.thread))
        .collect();
    assert_eq!(workers, (0..WORKERS).collect());
    assert_eq!(threads.len(), WORKERS, "{starts:?}");
}

pub(super) fn sub_16(subject: &Subject) {
    for workers in [1, 3] {
        let gate = Gate::new();
        let pool = subject.pool_of(workers);
        for number in 0..100 {
            outcome(pool.submit(gate.pass(number))).unwrap();
        }
        let starts = gate.starts();
        let threads: BTreeSet<_> = starts
            .iter()
            .map(|start| (start.pid, start.thread))
            .collect();
        assert_eq!(starts.len(), 100);
        assert!(threads.len() <= workers, "{threads:?}");
        assert!(starts.iter().all(|start| start.worker < workers));
        // One that fails is used again like one that does not.
        assert!(
            outcome(pool.submit(boom::task("on purpose")))
                .unwrap_err()
                .is_panic()
        );
        if subject.has(Need::Isolation) {
            let (pid, _) = outcome(pool.submit(place::task())).unwrap();
            let is_known = threads.iter().any(|(known, _)| *known == pid);
            assert!(is_known || threads.len() < workers, "a new worker, {pid}");
        }
        let large = outcome(pool.submit(echo::task(vec![1; 100_000]))).unwrap();
        assert_eq!(large.len(), 100_000);
        assert_eq!(pool.workers(), workers);
        assert!(outcome(pool.submit(gate.pass(100))).is_ok());
    }
}
