//! The bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pool_core::{JoinHandle, TaskExt, pool_task};
use pool_tests::block_on;
use pool_tests::gate::Gate;
use pool_tests::tasks::{add, echo};
use pool_tests::until;
use serde::{Deserialize, Serialize, Serializer};

use super::futures::Counting;
use crate::harness::On;

/// Takes its time to be encoded: until the other one waits for room.
#[derive(Deserialize)]
struct Slow;

static OTHER_WAITS: AtomicBool = AtomicBool::new(false);
static IS_ENCODED: AtomicBool = AtomicBool::new(false);

impl Serialize for Slow {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        IS_ENCODED.store(true, SeqCst);
        until("the other one waits", || OTHER_WAITS.load(SeqCst));
        out.serialize_unit()
    }
}

#[pool_task]
fn slow(_: Slow) {}

/// One has the only place in the queue as long as it is encoded, and then goes right to a worker.
pub(crate) fn a_place_that_is_not_taken_is_anothers(on: &On) {
    let pool = on.builder().workers(1).queue(1).build().unwrap();
    let woken = Arc::new(Counting::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    for _ in 0..20 {
        OTHER_WAITS.store(false, SeqCst);
        IS_ENCODED.store(false, SeqCst);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| block_on(pool.submit_async(slow::task(Slow))));
            // Else the other one could have the place, and keep it on its way to another machine.
            until("the first one has the place", || IS_ENCODED.load(SeqCst));
            let mut waits = pool_tests::until_some("the other one waits", || {
                let mut submit = Box::pin(pool.submit_async(add::task(1, 1)));
                let waits = submit.as_mut().poll(&mut context).is_pending();
                waits.then_some(submit)
            });
            let before = woken.0.load(SeqCst);
            OTHER_WAITS.store(true, SeqCst);
            // Nobody asks for the result of the first one.
            let first = first.join().unwrap();
            until("there is room", || woken.0.load(SeqCst) > before);
            let Poll::Ready(second) = waits.as_mut().poll(&mut context) else {
                panic!("it was woken for nothing");
            };
            assert_eq!(second.join().unwrap(), 2);
            first.join().unwrap();
        });
    }
}

/// A full queue may stay full for long after the pool was closed.
pub(crate) fn a_future_that_waits_ends_with_the_pool(on: &On) {
    let gate = Gate::new();
    let pool = on.builder().workers(1).queue(1).build().unwrap();
    let held: Vec<_> = (0..2)
        .map(|number| pool.submit(gate.hold(number)))
        .collect();
    let _ = gate.wait_for(0);
    until("the queue is full", || {
        pool.try_submit(add::task(1, 1)).is_err()
    });
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| block_on(pool.submit_async(add::task(1, 1))).join());
        std::thread::sleep(Duration::from_millis(20));
        let ends = scope.spawn(|| pool.shutdown());
        assert!(waits.join().unwrap().unwrap_err().is_rejected());
        gate.open();
        ends.join().unwrap();
    });
    for handle in held {
        handle.join().unwrap();
    }
}

const LONG: Duration = Duration::from_secs(3600);

pub(crate) fn try_submit_hands_the_task_back(on: &On) {
    let gate = Gate::new();
    let pool = on.builder().workers(1).queue(3).build().unwrap();
    let mut handles = vec![pool.submit(gate.hold(0))];
    let _ = gate.wait_for(0);
    for number in 1..=3 {
        handles.push(pool.try_submit(gate.hold(number)).ok().unwrap());
    }
    for _ in 0..3 {
        let task = pool.try_submit(gate.hold(4)).err().unwrap();
        assert_eq!(task.number, 4);
    }
    let stats = pool.stats();
    assert_eq!(
        (stats.queued, stats.queue_peak, stats.running),
        (3, 3, 1),
        "{stats:?}"
    );
    // What is cancelled makes room, wherever it waited.
    assert!(handles.remove(2).cancel());
    handles.insert(2, pool.try_submit(gate.hold(5)).ok().unwrap());
    assert!(pool.try_submit(gate.hold(4)).is_err());
    gate.open();
    let numbers: Vec<_> = handles
        .into_iter()
        .map(|handle| handle.join().unwrap())
        .collect();
    assert_eq!(numbers, [0, 1, 5, 3]);
    until("nothing waits", || pool.stats().queued == 0);
    assert_eq!(pool.stats().queue_peak, 3);
    pool.shutdown();
    let refused = pool.try_submit(add::task(1, 1)).ok().unwrap();
    assert!(refused.join().unwrap_err().is_rejected());
}

pub(crate) fn submit_waits_for_room(on: &On) {
    let gate = Gate::new();
    let pool = on.builder().workers(1).queue(2).build().unwrap();
    let held = pool.submit(gate.hold(0));
    let _ = gate.wait_for(0);
    let submitted = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let submitter = scope.spawn(|| {
            let handles: Vec<_> = (0..200)
                .map(|i| {
                    let handle = pool.submit(add::task(i, 1));
                    submitted.fetch_add(1, SeqCst);
                    handle
                })
                .collect();
            handles
                .into_iter()
                .map(|handle| handle.join().unwrap())
                .collect::<Vec<_>>()
        });
        until("two wait", || submitted.load(SeqCst) == 2);
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(2));
            assert_eq!(submitted.load(SeqCst), 2);
        }
        gate.open();
        assert_eq!(submitter.join().unwrap(), (1..=200).collect::<Vec<_>>());
    });
    assert_eq!(held.join().unwrap(), 0);
    assert!(pool.stats().queue_peak <= 2);
}

pub(crate) fn a_submit_that_waits_ends_with_the_pool(on: &On) {
    for kill in [false, true] {
        let gate = Gate::new();
        let pool = on.builder().workers(1).queue(1).build().unwrap();
        let held = pool.submit(gate.hold_or_stop(0));
        let _ = gate.wait_for(0);
        let queued = pool.submit(add::task(1, 1));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| pool.submit(add::task(2, 2)).join());
            std::thread::sleep(Duration::from_millis(5));
            if kill {
                pool.kill();
                assert!(waits.join().unwrap().is_err());
            } else {
                let ends = scope.spawn(|| pool.shutdown());
                let error = waits.join().unwrap().unwrap_err();
                assert!(error.is_rejected(), "{error}");
                gate.open();
                ends.join().unwrap();
            }
        });
        assert_eq!(held.join().is_ok(), !kill);
        assert_eq!(queued.join().is_ok(), !kill);
    }
}

pub(crate) fn bytes_are_bounded_too(on: &On) {
    let gate = Gate::new();
    let pool = on
        .builder()
        .workers(1)
        .queue_bytes(1 << 20)
        .build()
        .unwrap();
    let held = pool.submit(gate.hold(0));
    let _ = gate.wait_for(0);
    let bytes = vec![1; 600 << 10];
    // One is below the bound, two reach it, and a large one is taken when nothing waits.
    let handles: Vec<_> = (0..2)
        .map(|_| pool.try_submit(echo::task(bytes.clone())).ok().unwrap())
        .collect();
    assert!(pool.try_submit(add::task(1, 1)).is_err());
    let stats = pool.stats();
    assert!(stats.queue_bytes >= 1_200 << 10, "{stats:?}");
    assert!(stats.queue_bytes_peak < 1_300 << 10, "{stats:?}");
    gate.open();
    assert_eq!(held.join().unwrap(), 0);
    for handle in handles {
        assert_eq!(handle.join().unwrap(), bytes);
    }
    let large = vec![2; 5 << 20];
    let handle = pool.submit(echo::task(large.clone()));
    assert_eq!(handle.join().unwrap(), large);
    until("nothing waits", || pool.stats().queue_bytes == 0);
}

pub(crate) fn a_future_waits_for_room(on: &On) {
    let gate = Gate::new();
    let pool = on.builder().workers(1).queue(1).build().unwrap();
    let held = pool.submit(gate.hold(0));
    let _ = gate.wait_for(0);
    let queued = pool.submit(add::task(1, 1));
    let mut waits = Box::pin(pool.submit_async(add::task(2, 2)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(waits.as_mut().poll(&mut context).is_pending());
    // A cancelled task makes room without anything being done.
    let woken = Arc::new(Counting::default());
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    assert!(waits.as_mut().poll(&mut context).is_pending());
    assert!(queued.cancel());
    until("it is woken", || woken.0.load(SeqCst) > 0);
    let Poll::Ready(handle) = waits.as_mut().poll(&mut context) else {
        panic!("there is room");
    };
    gate.open();
    let more = block_on(async {
        let mut sum = 0;
        for i in 0..50 {
            sum += pool.submit_async(add::task(i, 0)).await.await.unwrap();
        }
        sum
    });
    assert_eq!(more, 49 * 50 / 2);
    assert_eq!(handle.join().unwrap(), 4);
    assert_eq!(held.join().unwrap(), 0);
    // One that is dropped is not submitted.
    drop(pool.submit_async(gate.pass(9)));
    drop(pool);
    assert_eq!(gate.starts_of(9), 0);
}

pub(crate) fn maps_keep_to_it(on: &On) {
    let pool = on.builder().workers(2).queue(3).build().unwrap();
    for chunk in [None, Some(10)] {
        let mut map = pool.map((0..2_000).map(|i| add::task(i, 1)));
        if let Some(chunk) = chunk {
            map = map.chunk(chunk);
        }
        for (i, result) in (0..).zip(map) {
            assert_eq!(result.unwrap(), i + 1);
        }
    }
    assert!(pool.stats().queue_peak <= 5, "{:?}", pool.stats());
}

pub(crate) fn tasks_of_the_pool_itself_do_not_wait(on: &On) {
    // A callback runs on a worker of the thread pool, which is the only one that makes room.
    let pool = on.builder().workers(1).queue(1).build().unwrap();
    let (said, hear) = std::sync::mpsc::channel();
    let inner = pool.clone();
    pool.submit(add::task(1, 1)).on_finish(move || {
        let handles: Vec<JoinHandle<i64>> =
            (0..20).map(|i| inner.submit(add::task(i, 1))).collect();
        let sum: i64 = handles
            .into_iter()
            .map(|handle| handle.join().unwrap())
            .sum();
        said.send(sum).unwrap();
    });
    assert_eq!(hear.recv().unwrap(), 210);
}

pub(crate) fn a_hundred_thousand_are_cancelled(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let held = pool.submit(gate.hold(0));
    let _ = gate.wait_for(0);
    let handles: Vec<_> = (1..=100_000)
        .map(|number| pool.submit(gate.pass(number)))
        .collect();
    assert!(handles.iter().all(JoinHandle::cancel));
    assert_eq!(pool.stats().queued, 0, "{:?}", pool.stats());
    assert!(pool.stats().queue_peak >= 99_999);
    gate.open();
    assert_eq!(held.join().unwrap(), 0);
    for handle in handles {
        assert!(handle.try_join().unwrap().unwrap_err().is_cancelled());
    }
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
    assert_eq!(gate.starts().len(), 1);
}

pub(crate) fn stats_count_what_happens(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    until("it has taken up its work", || pool.stats().workers == 1);
    let late = pool.submit(gate.hold(0).timeout(Duration::from_millis(20)));
    assert!(late.join().unwrap_err().is_timeout());
    if !on.processes() {
        let stats = pool.stats();
        assert_eq!((stats.running, stats.overdue), (0, 1), "{stats:?}");
    }
    assert_eq!(pool.stats().timed_out, 1);
    gate.open();
    until("it is back", || pool.stats().overdue == 0);
    let error = pool
        .submit(pool_tests::tasks::boom::task("now").retries(2))
        .join()
        .unwrap_err();
    assert_eq!(error.attempt(), 3);
    assert_eq!(pool.stats().retried, 2);
    assert_eq!(
        pool.submit(add::task(1, 1).timeout(LONG)).join().unwrap(),
        2
    );
    let stats = pool.stats();
    assert_eq!(
        (stats.timed_out, stats.queued, stats.running),
        (1, 0, 0),
        "{stats:?}"
    );
    assert!(
        stats.workers_started >= 1 && stats.workers_lost <= 1,
        "{stats:?}"
    );
}
