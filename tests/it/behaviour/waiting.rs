//! `wait` and `as_completed`.

use std::collections::HashSet;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use pool_core::{Backend, Pool, TaskExt, Until, as_completed, pool_task, wait};
use pool_tests::gate::Gate;
use pool_tests::tasks::{add, boom, exit};

use crate::harness::On;

pub(crate) fn nothing_is_waited_for_at_once(on: &On) {
    let _pool = on.pool();
    for until in [Until::All, Until::First, Until::FirstError] {
        assert!(wait::<i64>(&[], until, None).is_empty());
    }
    assert!(as_completed::<i64>([]).next().is_none());
}

pub(crate) fn all_are_waited_for(on: &On) {
    let pool = on.pool();
    let handles: Vec<_> = (0..1_000).map(|i| pool.submit(add::task(i, 1))).collect();
    let finished = wait(&handles, Until::All, None);
    assert_eq!(finished, (0..1_000).collect::<Vec<_>>());
    for (i, handle) in (0..).zip(handles) {
        assert!(handle.is_finished());
        assert_eq!(handle.join().unwrap(), i + 1);
    }
}

/// However many there are: the first one that is finished ends it, also one that is finished
/// already, and those that are not stay as they were.
pub(crate) fn the_first_one_ends_it(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(2);
    let handles = [pool.submit(gate.hold(0)), pool.submit(gate.pass(1))];
    assert_eq!(wait(&handles, Until::First, None), [1]);
    assert_eq!(wait(&handles, Until::First, None), [1]);
    assert!(!handles[0].is_finished());
    gate.open();
    assert_eq!(wait(&handles, Until::All, None), [0, 1]);
}

pub(crate) fn time_ends_it(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let handles: Vec<_> = (0..3).map(|i| pool.submit(gate.hold(i))).collect();
    for until in [Until::All, Until::First, Until::FirstError] {
        assert!(wait(&handles, until, Some(Duration::ZERO)).is_empty());
        assert!(wait(&handles, until, Some(Duration::from_millis(20))).is_empty());
    }
    gate.open();
    assert_eq!(wait(&handles, Until::All, Some(Duration::MAX)), [0, 1, 2]);
}

pub(crate) fn the_first_error_ends_it(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(2);
    let fails = pool.submit(boom::task("first"));
    let held = pool.submit(gate.hold(0));
    let handles = [held, fails];
    assert_eq!(wait(&handles, Until::FirstError, None), [1]);
    gate.open();
    assert_eq!(wait(&handles, Until::FirstError, None).last(), Some(&1));
    // What ends well does not end it.
    let sums = [1, 2].map(|i| pool.submit(add::task(i, i)));
    assert_eq!(wait(&sums, Until::FirstError, None), [0, 1]);
}

/// A cancelled one, one that is too late, one that cannot be sent.
pub(crate) fn errors_of_other_kinds_end_it(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let first = pool.submit(gate.hold(0));
    let queued = pool.submit(gate.hold(1));
    assert!(queued.cancel());
    let late = pool.submit(gate.hold(2).queue_timeout(Duration::from_millis(10)));
    let handles = [first, queued, late];
    assert!(wait(&handles[..2], Until::FirstError, None).contains(&1));
    assert!(wait(&handles[2..], Until::FirstError, None).contains(&0));
    gate.open();
    for (i, expected) in [false, true, true].into_iter().enumerate() {
        assert_eq!(wait(&handles[i..=i], Until::All, None), [0]);
        assert_eq!(handles[i].try_join().unwrap().is_err(), expected, "{i}");
    }
}

pub(crate) fn a_lost_worker_is_an_error(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(2);
    let lost = pool.submit(exit::task(3));
    let held = pool.submit(gate.hold(0));
    let handles = [held, lost];
    assert_eq!(wait(&handles, Until::FirstError, None), [1]);
    gate.open();
}

pub(crate) fn results_come_as_they_are_ready(on: &On) {
    let gates = [Gate::new(), Gate::new(), Gate::new()];
    let pool = on.pool_of(3);
    let handles: Vec<_> = gates.iter().map(|gate| pool.submit(gate.hold(7))).collect();
    let mut results = as_completed(handles);
    for expected in [1, 2, 0] {
        gates[expected].open();
        let (index, result) = results.next().unwrap();
        assert_eq!((index, result.unwrap()), (expected, 7));
    }
    assert!(results.next().is_none());
    assert_eq!(results.size_hint(), (0, Some(0)));
}

pub(crate) fn each_comes_once_with_its_own_result(on: &On) {
    let pool = on.pool();
    let handles = (0..20_000).map(|i| pool.submit(add::task(i, 1)));
    let mut seen = HashSet::new();
    for (index, result) in as_completed(handles) {
        assert_eq!(result.unwrap(), index as i64 + 1);
        assert!(seen.insert(index));
    }
    assert_eq!(seen.len(), 20_000);
}

pub(crate) fn errors_come_like_results(on: &On) {
    let pool = on.pool();
    let tasks = ["a", "b", "c"];
    let handles = tasks.map(|text| pool.submit(boom::task(text)));
    let mut came: Vec<_> = as_completed(handles)
        .map(|(index, result)| (index, result.unwrap_err().message().unwrap().to_owned()))
        .collect();
    came.sort();
    assert_eq!(came, [(0, "a".into()), (1, "b".into()), (2, "c".into())]);
}

/// Of every kind there is, and one that is gone.
pub(crate) fn pools_mix(on: &On) {
    let pools = [
        on.pool_of(1),
        on.pool_of(2),
        Pool::inline(),
        Pool::threads().unwrap(),
    ];
    let gone = {
        let gone = on.pool_of(1);
        gone.submit(add::task(1_000, 0))
    };
    let handles = (0..1_000)
        .map(|i| pools[i % pools.len()].submit(add::task(i as i64, 0)))
        .chain([gone]);
    let mut sum = 0;
    for (index, result) in as_completed(handles) {
        assert_eq!(result.unwrap(), index as i64);
        sum += index;
    }
    assert_eq!(sum, 500_500);
}

pub(crate) fn finished_ones_come_at_once(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let done: Vec<_> = (0..10).map(|i| pool.submit(gate.pass(i))).collect();
    let _ = wait(&done, Until::All, None);
    let held = pool.submit(gate.hold(10));
    let mut results = as_completed(done.into_iter().chain([held]));
    let first: HashSet<_> = results.by_ref().take(10).map(|(index, _)| index).collect();
    assert_eq!(first, (0..10).collect());
    gate.open();
    assert_eq!(results.next().unwrap().0, 10);
}

pub(crate) fn time_ends_the_iterator_and_gives_the_rest_back(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(2);
    let handles = [pool.submit(gate.hold(0)), pool.submit(gate.pass(1))];
    let mut results = as_completed(handles).timeout(Duration::from_millis(100));
    // On a machine that is slow it may be over before: what is finished still comes.
    let finished: Vec<_> = results.by_ref().map(|(index, _)| index).collect();
    assert!(finished.iter().all(|index| *index == 1));
    let unfinished: Vec<_> = results.into_unfinished().collect();
    assert_eq!(unfinished.len() + finished.len(), 2);
    gate.open();
    for (index, handle) in unfinished {
        assert_eq!(handle.join().unwrap(), index as u32);
    }
}

/// A handle that was joined before has nothing more to give.
pub(crate) fn one_that_was_joined_says_so(on: &On) {
    let pool = on.pool();
    let handle = pool.submit(add::task(1, 1));
    assert_eq!(wait(std::slice::from_ref(&handle), Until::All, None), [0]);
    assert_eq!(handle.try_join().unwrap().unwrap(), 2);
    let (_, result) = as_completed([handle]).next().unwrap();
    assert_eq!(
        result.unwrap_err().kind(),
        pool_core::TaskErrorKind::AlreadyJoined
    );
}

pub(crate) fn dropped_it_detaches(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let mut results = as_completed((0..5).map(|i| pool.submit(gate.pass(i))));
    assert!(results.next().is_some());
    drop(results);
    pool.shutdown();
    assert_eq!(gate.starts().len(), 5);
}

pub(crate) fn several_threads_wait_for_the_same(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(2);
    let handles: Vec<_> = (0..50).map(|i| pool.submit(gate.hold(i))).collect();
    thread::scope(|scope| {
        for until in [Until::All, Until::First, Until::FirstError, Until::All] {
            let handles = &handles;
            scope.spawn(move || assert!(!wait(handles, until, None).is_empty()));
        }
        thread::sleep(Duration::from_millis(20));
        gate.open();
    });
}

/// What was cancelled comes at once, from another thread too.
pub(crate) fn a_cancel_is_noticed(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let handles: Vec<_> = (0..20).map(|i| pool.submit(gate.hold(i))).collect();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| wait(&handles, Until::FirstError, None));
        thread::sleep(Duration::from_millis(20));
        assert!(handles[13].cancel());
        assert!(waiting.join().unwrap().contains(&13));
    });
    gate.open();
}

pub(crate) fn a_kill_is_noticed(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let handles: Vec<_> = (0..20).map(|i| pool.submit(gate.hold_or_stop(i))).collect();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| as_completed(handles).filter(|(_, r)| r.is_err()).count());
        let _ = gate.wait_for(0);
        pool.kill();
        assert!(waiting.join().unwrap() >= 19);
    });
}

/// The pool of the task below, where that is in this process.
static OWN: Mutex<Option<Pool>> = Mutex::new(None);

/// Waits for tasks of its own pool, or of one that it makes.
#[pool_task]
fn waits_for(count: u32) -> (usize, u32) {
    let own = OWN.lock().unwrap().clone();
    let pool = own.unwrap_or_else(on_one_thread);
    let submit = |i| pool.submit(one::task(i));
    let handles: Vec<_> = (0..count).map(submit).collect();
    let finished = wait(&handles, Until::All, None).len();
    let ones = as_completed(handles).chain(as_completed((0..count).map(submit)));
    (finished, ones.map(|(_, result)| result.unwrap()).sum())
}

#[pool_task]
fn one(i: u32) -> u32 {
    assert!(i < 1_000_000);
    1
}

fn on_one_thread() -> Pool {
    let builder = Pool::builder().backend(Backend::Threads);
    builder.workers(1).build().unwrap()
}

/// The only worker waits for tasks that nobody else can run.
pub(crate) fn inside_of_a_task_it_ends(on: &On) {
    let pool = on.pool_of(1);
    if on.backend() == Backend::Threads {
        *OWN.lock().unwrap() = Some(pool.clone());
    }
    assert_eq!(pool.submit(waits_for::task(50)).join().unwrap(), (50, 100));
    *OWN.lock().unwrap() = None;
    // A callback may run on a worker: it waits there as a task does.
    let (send, receive) = mpsc::channel();
    let inner = pool.clone();
    pool.submit(one::task(0)).on_finish(move || {
        let handles = (0..100).map(|i| inner.submit(one::task(i)));
        let sum: u32 = as_completed(handles).map(|(_, r)| r.unwrap()).sum();
        drop(inner);
        send.send(sum).unwrap();
    });
    assert_eq!(receive.recv().unwrap(), 100);
}

/// Long ones among short ones, more than go into a lane, threads that sleep meanwhile.
pub(crate) fn a_mix_of_long_and_short_ones_ends(on: &On) {
    #[pool_task]
    fn mixed(i: u64) -> u64 {
        if i.is_multiple_of(97) {
            thread::sleep(Duration::from_millis(3));
        }
        i
    }
    let pool = on.pool_of(2);
    for _ in 0..3 {
        let handles = (0..1_500).map(|i| pool.submit(mixed::task(i)));
        let sum: u64 = as_completed(handles).map(|(_, r)| r.unwrap()).sum();
        assert_eq!(sum, 1_124_250);
    }
}

/// A worker runs what it waits for, also where another one could and is busy with something else.
pub(crate) fn inside_of_a_task_nobody_else_is_needed(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(2);
    let busy = pool.submit(gate.hold(0));
    let _ = gate.wait_for(0);
    *OWN.lock().unwrap() = Some(pool.clone());
    assert_eq!(pool.submit(waits_for::task(50)).join().unwrap(), (50, 100));
    let scoped = pool.submit(scopes::task(20));
    assert_eq!(scoped.join().unwrap(), 40);
    *OWN.lock().unwrap() = None;
    assert!(!busy.is_finished());
    gate.open();
}

#[pool_task]
fn scopes(count: u32) -> u32 {
    let pool = OWN.lock().unwrap().clone().unwrap();
    let scoped = pool.scope(|s| {
        let all: Vec<_> = (0..count).map(|i| s.submit(one::task(i))).collect();
        all.len() as u32
    });
    let map = pool.map((0..count).map(one::task)).unordered();
    scoped.unwrap() + map.map(Result::unwrap).sum::<u32>()
}
