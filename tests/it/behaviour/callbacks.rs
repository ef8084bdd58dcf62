//! `on_finish`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};

use pool_core::Pool;
use pool_tests::gate::Gate;
use pool_tests::tasks::{add, boom};
use pool_tests::until;

use crate::harness::On;

pub(crate) fn run_in_order_after_the_end(on: &On) {
    let gate = Gate::new();
    let pool = on.pool();
    let handle = Arc::new(pool.submit(gate.hold(1)));
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in 0..5 {
        let (order, same) = (order.clone(), handle.clone());
        handle.on_finish(move || {
            assert!(same.is_finished());
            order.lock().unwrap().push(number);
        });
    }
    let _ = gate.wait_for(1);
    assert!(order.lock().unwrap().is_empty());
    gate.open();
    until("all have run", || order.lock().unwrap().len() == 5);
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(handle.try_join().unwrap().unwrap(), 1);
}

pub(crate) fn on_a_finished_task_it_runs_at_once(on: &On) {
    let pool = on.pool();
    let handle = pool.submit(add::task(1, 1));
    until("it is finished", || handle.is_finished());
    let ran = Arc::new(AtomicBool::new(false));
    let by_callback = ran.clone();
    handle.on_finish(move || by_callback.store(true, SeqCst));
    assert!(ran.load(SeqCst));
    assert_eq!(handle.join().unwrap(), 2);
}

pub(crate) fn run_without_anybody_waiting(on: &On) {
    let pool = on.pool();
    let (send, receive) = mpsc::channel();
    let handles: Vec<_> = (0..200)
        .map(|i| {
            let handle = pool.submit(add::task(i, 0));
            let send = send.clone();
            handle.on_finish(move || send.send(i).unwrap());
            handle
        })
        .collect();
    let mut seen: Vec<_> = receive.iter().take(200).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..200).collect::<Vec<_>>());
    drop(handles);
}

pub(crate) fn run_for_errors_and_cancelled_tasks_too(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let (send, receive) = mpsc::channel();
    let tell = |name: &'static str| {
        let send = send.clone();
        move || send.send(name).unwrap()
    };
    let panicked = pool.submit(boom::task("no"));
    panicked.on_finish(tell("panicked"));
    assert_eq!(receive.recv().unwrap(), "panicked");
    if !on.inline() {
        let running = pool.submit(gate.hold_or_stop(1));
        let queued = pool.submit(add::task(1, 1));
        let _ = gate.wait_for(1);
        running.on_finish(tell("running"));
        queued.on_finish(tell("queued"));
        assert!(queued.cancel());
        assert_eq!(receive.recv().unwrap(), "queued");
        assert!(running.cancel());
        assert_eq!(receive.recv().unwrap(), "running");
    }
    pool.shutdown();
    let rejected = pool.submit(add::task(1, 1));
    rejected.on_finish(tell("rejected"));
    assert_eq!(receive.recv().unwrap(), "rejected");
}

pub(crate) fn a_panic_in_one_harms_nothing(on: &On) {
    let pool = on.pool();
    for round in 0..20 {
        let handle = pool.submit(add::task(round, 0));
        let ran = Arc::new(AtomicUsize::new(0));
        for number in 0..3 {
            let ran = ran.clone();
            handle.on_finish(move || {
                ran.fetch_add(1, SeqCst);
                assert!(number != 1, "from a callback");
            });
        }
        assert_eq!(handle.join().unwrap(), round);
        until("all three have run", || ran.load(SeqCst) == 3);
    }
}

pub(crate) fn may_submit(on: &On) {
    let pool = on.pool_of(1);
    let (send, receive) = mpsc::channel();
    // Each end starts the next task, 100 deep.
    fn chain(pool: &Pool, left: i64, done: mpsc::Sender<i64>) {
        let handle = pool.submit(add::task(left, 0));
        let next = pool.clone();
        handle.on_finish(move || {
            if left == 0 {
                done.send(0).unwrap();
            } else {
                chain(&next, left - 1, done);
            }
        });
    }
    chain(&pool, 100, send);
    assert_eq!(receive.recv().unwrap(), 0);
}

/// The callback may run on a thread that the pool needs, and waits there for tasks that only the
/// pool can move: more than a lane takes, so that some are in the backlog.
pub(crate) fn may_join(on: &On) {
    let pool = on.pool_of(1);
    for _ in 0..20 {
        let (send, receive) = mpsc::channel();
        let handle = pool.submit(add::task(1, 1));
        let inner = pool.clone();
        handle.on_finish(move || {
            let handles: Vec<_> = (0..10).map(|i| inner.submit(add::task(i, 1))).collect();
            let sum: i64 = handles
                .into_iter()
                .map(|handle| handle.join().unwrap())
                .sum();
            send.send(sum).unwrap();
        });
        assert_eq!(receive.recv().unwrap(), 55);
    }
}

pub(crate) fn may_hold_and_drop_the_last_name_of_the_pool(on: &On) {
    for _ in 0..5 {
        let gate = Gate::new();
        let pool = on.pool_of(1);
        let (send, receive) = mpsc::channel();
        if on.inline() {
            gate.open();
        }
        let handle = pool.submit(gate.hold(1));
        let _ = gate.wait_for(1);
        handle.on_finish(move || {
            drop(pool);
            send.send(()).unwrap();
        });
        gate.open();
        receive.recv().unwrap();
        assert_eq!(handle.join().unwrap(), 1);
    }
}

/// Cancelled in the backlog, where the pool's own lock is held for a moment.
pub(crate) fn of_a_cancelled_queued_task_may_submit(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let running = pool.submit(gate.hold(1));
    let _ = gate.wait_for(1);
    let queued: Vec<_> = (0..20).map(|i| pool.submit(add::task(i, 0))).collect();
    let (send, sums) = mpsc::channel();
    for handle in &queued {
        let (pool, send) = (pool.clone(), send.clone());
        handle.on_finish(move || send.send(pool.submit(add::task(20, 1))).unwrap());
    }
    for handle in &queued {
        assert!(handle.cancel());
    }
    gate.open();
    running.join().unwrap();
    for _ in &queued {
        assert_eq!(sums.recv().unwrap().join().unwrap(), 21);
    }
}
