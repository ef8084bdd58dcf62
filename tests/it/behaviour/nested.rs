//! Tasks that use pools: their own and new ones.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

use pool_core::{Backend, Error, MAX_DEPTH, Pool, pool_task};
use pool_tests::gate::Gate;
use pool_tests::tasks::{add, exit, nap, pid};

use crate::harness::On;

/// The pool whose tasks use it: on threads they share this process.
static SAME: Mutex<Option<Pool>> = Mutex::new(None);

fn same() -> Pool {
    SAME.lock().unwrap().clone().unwrap()
}

#[pool_task]
fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let pool = same();
    let one = pool.submit(fib::task(n - 1));
    let other = pool.submit(fib::task(n - 2));
    one.join().unwrap() + other.join().unwrap()
}

fn with_same<T>(pool: Pool, work: impl FnOnce(&Pool) -> T) -> T {
    *SAME.lock().unwrap() = Some(pool.clone());
    let result = work(&pool);
    *SAME.lock().unwrap() = None;
    result
}

pub(crate) fn a_task_waits_for_tasks_of_its_own_pool(on: &On) {
    for workers in [1, 2, 3] {
        let result = with_same(on.pool_of(workers), |pool| {
            pool.submit(fib::task(12)).join()
        });
        assert_eq!(result.unwrap(), 144);
    }
}

#[pool_task]
fn maps_on_its_own_pool(count: i64) -> i64 {
    same()
        .map((0..count).map(|i| add::task(i, 1)))
        .map(Result::unwrap)
        .sum()
}

pub(crate) fn a_task_maps_on_its_own_pool(on: &On) {
    for workers in [1, 2] {
        with_same(on.pool_of(workers), |pool| {
            let handles: Vec<_> = (0..10)
                .map(|_| pool.submit(maps_on_its_own_pool::task(100)))
                .collect();
            for handle in handles {
                assert_eq!(handle.join().unwrap(), 5_050);
            }
        });
    }
}

/// Maps on its own pool, which it closes after the first result.
#[pool_task]
fn closes_its_own_pool_in_a_map(count: i64) -> (usize, usize) {
    let pool = same();
    let mut map = pool.map((0..count).map(|i| add::task(i, 1)));
    assert_eq!(map.next().unwrap().unwrap(), 1);
    pool.shutdown();
    let rest: Vec<_> = map.collect();
    for (sum, outcome) in (2..).zip(&rest) {
        assert!(
            outcome
                .as_ref()
                .map_or_else(|e| e.is_rejected(), |s| *s == sum)
        );
    }
    (rest.len(), rest.iter().filter(|o| o.is_ok()).count())
}

pub(crate) fn a_task_closes_its_own_pool_in_the_middle_of_a_map(on: &On) {
    for count in [2, 5, 100, 10_000] {
        for workers in [1, 2] {
            with_same(on.pool_of(workers), |pool| {
                let handle = pool.submit(closes_its_own_pool_in_a_map::task(count));
                let (all, fine) = handle.join().unwrap();
                assert_eq!(all as i64, count - 1);
                // What was submitted before is run.
                assert!(fine > 0, "{count} {workers}");
            });
        }
    }
}

#[pool_task]
fn shuts_its_own_pool_down() {
    same().shutdown();
}

pub(crate) fn a_task_shuts_its_own_pool_down(on: &On) {
    with_same(on.pool(), |pool| {
        let first = pool.submit(shuts_its_own_pool_down::task());
        first.join().unwrap();
        assert!(
            pool.submit(add::task(1, 1))
                .join()
                .unwrap_err()
                .is_rejected()
        );
    });
}

#[pool_task]
fn drops_the_last_name_of_its_own_pool() {
    let pool = SAME.lock().unwrap().take();
    drop(pool);
}

pub(crate) fn a_task_drops_the_last_name_of_its_own_pool(on: &On) {
    let pool = on.pool();
    *SAME.lock().unwrap() = Some(pool.clone());
    let other = pool.submit(add::task(1, 1));
    let handle = pool.submit(drops_the_last_name_of_its_own_pool::task());
    drop(pool);
    handle.join().unwrap();
    assert_eq!(other.join().unwrap(), 2);
}

/// Builds a pool on this backend in the task, and uses it there.
#[pool_task]
fn builds_a_pool(backend: &str, a: i64) -> Result<(i64, u32), String> {
    let backend: Backend = backend.parse().map_err(|error: Error| error.to_string())?;
    let pool = Pool::builder()
        .backend(backend)
        .workers(2)
        .build()
        .map_err(|error| error.to_string())?;
    let sum = pool
        .map((0..10).map(|i| add::task(a, i)))
        .map(Result::unwrap)
        .sum();
    Ok((sum, pool.submit(pid::task()).join().unwrap()))
}

pub(crate) fn a_task_builds_a_pool_of_any_kind(on: &On) {
    let pool = on.pool();
    let outer = pool.submit(pid::task()).join().unwrap();
    for backend in ["inline", "threads", "processes"] {
        let handles: Vec<_> = (0..3)
            .map(|a| pool.submit(builds_a_pool::task(backend, a)))
            .collect();
        for (a, handle) in (0..).zip(handles) {
            let (sum, inner) = handle.join().unwrap().unwrap();
            assert_eq!(sum, 10 * a + 45);
            if backend == "processes" {
                assert_ne!(inner, outer);
            }
        }
    }
}

/// How deep process pools go from here on, and how the next one is refused.
#[pool_task]
fn dive() -> (u32, String) {
    match Pool::builder()
        .backend(Backend::Processes)
        .workers(1)
        .build()
    {
        Ok(pool) => {
            let (depth, end) = pool.submit(dive::task()).join().unwrap();
            (depth + 1, end)
        }
        Err(error) => {
            assert_eq!(error, Error::TooDeep);
            (0, error.to_string())
        }
    }
}

pub(crate) fn process_pools_nest_to_their_limit(on: &On) {
    let pool = on.pool_of(1);
    let (depth, end) = pool.submit(dive::task()).join().unwrap();
    let own = u32::from(on.processes());
    assert_eq!(depth + own, MAX_DEPTH);
    assert!(end.contains(&format!("{MAX_DEPTH} levels")), "{end}");
}

#[pool_task]
fn leaves_a_pool_behind() -> u32 {
    let pool = Pool::builder()
        .backend(Backend::Processes)
        .workers(1)
        .build()
        .unwrap();
    let pid = pool.submit(pid::task()).join().unwrap();
    std::mem::forget(pool);
    pid
}

pub(crate) fn a_pool_that_a_task_leaves_behind_ends_with_its_worker(on: &On) {
    let pool = on.pool();
    let pids: Vec<_> = (0..3)
        .map(|_| pool.submit(leaves_a_pool_behind::task()).join().unwrap())
        .collect();
    let processes: Vec<_> = pids
        .into_iter()
        .filter_map(pool_tests::proc::Process::of)
        .collect();
    assert_eq!(processes.len(), 3, "they live while their parent does");
    drop(pool);
    pool_tests::proc::wait_until_gone(&processes);
}

/// Without a message, for which every new process would have to look at its symbols.
#[pool_task]
fn panics_quietly() {
    resume_unwind(Box::new("quietly"));
}

/// Pools of one worker inside each other, the first of these kinds outside: how many there are
/// before one cannot be made, and why not. Each is used in every way, and dropped.
#[pool_task]
fn descends(kinds: &[String]) -> (usize, Option<String>) {
    let [kind, inner @ ..] = kinds else {
        return (0, None);
    };
    let backend = kind.parse().unwrap();
    let pool = match Pool::builder().backend(backend).workers(1).build() {
        Ok(pool) => pool,
        Err(error) => {
            assert_eq!((backend, &error), (Backend::Processes, &Error::TooDeep));
            return (0, Some(error.to_string()));
        }
    };
    let unjoined: Vec<_> = (0..3).map(|i| pool.submit(add::task(i, 1))).collect();
    let below = pool.submit(descends::task(inner));
    let error = pool.submit(panics_quietly::task()).join().unwrap_err();
    assert!(error.is_panic(), "{error}");
    let mut sums = pool.map((0..50).map(|i| add::task(i, i)));
    let sum: i64 = sums.by_ref().take(20).map(Result::unwrap).sum();
    assert_eq!(sum, 380);
    // What is left of it is cancelled, or done already.
    drop(sums);
    drop(unjoined);
    let (depth, end) = below.join().unwrap();
    if backend == Backend::Processes {
        assert!(
            pool.submit(exit::task(3))
                .join()
                .unwrap_err()
                .is_worker_lost()
        );
        assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
    }
    // The drop waits for these.
    drop(pool.submit(nap::task(1)));
    drop(pool.submit(nap::task(1)));
    (depth + 1, end)
}

/// All ways to choose `len` of these, with repetition.
fn ways(kinds: &[&str], len: u32) -> Vec<Vec<String>> {
    let count = kinds.len().pow(len);
    let way = |number: usize| {
        let digits = (0..len).map(|at| number / kinds.len().pow(at) % kinds.len());
        digits.map(|digit| kinds[digit].to_owned()).collect()
    };
    (0..count).map(way).collect()
}

pub(crate) fn pools_of_one_worker_nest_in_every_order(on: &On) {
    let pool = on.pool_of(1);
    let limit = MAX_DEPTH as usize - usize::from(on.processes());
    for kinds in ways(&["inline", "threads", "processes"], 3) {
        let below = pool.submit(descends::task(&kinds));
        assert_eq!(below.join().unwrap(), (3, None), "{kinds:?}");
    }
    // To the limit, with threads between.
    for kinds in ways(&["threads", "processes"], MAX_DEPTH + 1) {
        let processes = |kinds: &[String]| kinds.iter().filter(|kind| *kind == "processes").count();
        let expected = (0..kinds.len())
            .find(|len| processes(&kinds[..=*len]) > limit)
            .unwrap_or(kinds.len());
        let (depth, end) = pool.submit(descends::task(&kinds)).join().unwrap();
        assert_eq!(depth, expected, "{kinds:?}");
        assert_eq!(end.is_some(), expected < kinds.len(), "{kinds:?}");
    }
}

/// Ends a pool that is in the middle of something, in each way, and says how its task ended.
#[pool_task]
fn ends_a_busy_pool(kind: &str, way: &str) -> String {
    let gate = Gate::new();
    let backend: Backend = kind.parse().unwrap();
    let pool = Pool::builder().backend(backend).workers(1).build().unwrap();
    let running = pool.submit(gate.hold_or_stop(1));
    let _ = gate.wait_for(1);
    let queued = pool.submit(add::task(1, 1));
    match way {
        "kill" => pool.kill(),
        "panic" => {
            let error = catch_unwind(AssertUnwindSafe(|| {
                let _pool = pool;
                gate.open();
                resume_unwind(Box::new("with a busy pool"));
            }));
            assert!(error.is_err());
        }
        other => panic!("{other}"),
    }
    let said = |outcome: Result<String, pool_core::TaskError>| match outcome {
        Ok(value) => value,
        Err(error) => format!("{:?}", error.kind()),
    };
    let running = said(running.join().map(|told| told.to_string()));
    let queued = said(queued.join().map(|sum| sum.to_string()));
    format!("{running} {queued}")
}

pub(crate) fn a_task_ends_a_busy_pool(on: &On) {
    let pool = on.pool_of(1);
    for kind in ["threads", "processes"] {
        for (way, expected) in [("kill", "Cancelled Cancelled"), ("panic", "false 2")] {
            let said = pool.submit(ends_a_busy_pool::task(kind, way)).join();
            assert_eq!(said.unwrap(), expected, "{kind} {way}");
        }
    }
}

/// Another pool of threads in this process.
static OTHER: Mutex<Option<Pool>> = Mutex::new(None);

/// Goes back and forth between two pools of threads, so many times.
#[pool_task]
fn back_and_forth(times: u32) -> u32 {
    if times == 0 {
        return 0;
    }
    let pool = match times % 2 {
        0 => same(),
        _ => OTHER.lock().unwrap().clone().unwrap(),
    };
    pool.submit(back_and_forth::task(times - 1)).join().unwrap() + 1
}

pub(crate) fn tasks_of_two_pools_wait_for_each_other(on: &On) {
    with_same(on.pool_of(1), |pool| {
        *OTHER.lock().unwrap() = Some(on.pool_of(1));
        for times in [1, 2, 3, 10] {
            assert_eq!(
                pool.submit(back_and_forth::task(times)).join().unwrap(),
                times
            );
        }
        *OTHER.lock().unwrap() = None;
    });
}
