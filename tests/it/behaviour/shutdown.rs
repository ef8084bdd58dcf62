//! Shutdown as a state machine: a test for each edge that `lifecycle` does not have.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::time::Duration;

use pool_tests::gate::Gate;
use pool_tests::proc::Process;
use pool_tests::tasks::add;
use pool_tests::until;

use crate::harness::On;

const LONG: Duration = Duration::from_secs(3600);

pub(crate) fn with_a_limit_it_cancels_the_queued_and_waits_for_the_running(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let running = pool.submit(gate.hold(0));
    let _ = gate.wait_for(0);
    let queued: Vec<_> = (1..50)
        .map(|number| pool.submit(gate.pass(number)))
        .collect();
    std::thread::scope(|scope| {
        let ended = scope.spawn(|| pool.shutdown_timeout(LONG));
        for handle in queued {
            let error = handle.join().unwrap_err();
            assert!(error.is_cancelled(), "{error}");
        }
        assert!(!running.is_finished());
        gate.open();
        assert_eq!(running.join().unwrap(), 0);
        assert!(ended.join().unwrap(), "nothing had to be killed");
    });
    assert_eq!(gate.starts().len(), 1, "nothing that was queued has run");
    assert!(
        pool.submit(add::task(1, 1))
            .join()
            .unwrap_err()
            .is_rejected()
    );
    assert!(pool.shutdown_timeout(Duration::ZERO), "it has ended");
}

pub(crate) fn with_a_limit_it_cancels_the_rest_of_a_map(on: &On) {
    for chunk in [None, Some(8)] {
        let gate = Gate::new();
        let pool = on.pool_of(2);
        let mut map = pool.map((0..64).map(|number| gate.hold(number)));
        if let Some(chunk) = chunk {
            map = map.chunk(chunk);
        }
        std::thread::scope(|scope| {
            let outcomes = scope.spawn(|| map.collect::<Vec<_>>());
            until("two tasks run", || gate.starts().len() == 2);
            let ended = scope.spawn(|| pool.shutdown_timeout(LONG));
            until("the pool is closed", || {
                let refused = pool.submit(add::task(1, 1));
                refused.try_join().is_some_and(|outcome| outcome.is_err())
            });
            gate.open();
            let outcomes = outcomes.join().unwrap();
            assert_eq!(outcomes.len(), 64);
            let started: Vec<_> = gate.starts().iter().map(|(number, _)| *number).collect();
            for (number, outcome) in (0..).zip(outcomes) {
                match outcome {
                    Ok(same) => assert!(same == number && started.contains(&number)),
                    Err(error) => assert!(
                        !started.contains(&number) && (error.is_cancelled() || error.is_rejected()),
                        "{number}: {error}"
                    ),
                }
            }
            assert!(ended.join().unwrap());
        });
    }
}

pub(crate) fn with_a_limit_it_kills_who_does_not_end(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let running = pool.submit(gate.never(1));
    let queued = pool.submit(add::task(1, 1));
    let worker = Process::of(gate.wait_for(1)).unwrap();
    assert!(!pool.shutdown_timeout(Duration::from_millis(20)));
    assert!(!worker.is_there());
    assert!(running.join().unwrap_err().is_cancelled());
    assert!(queued.join().unwrap_err().is_cancelled());
}

pub(crate) fn with_a_limit_it_gives_a_thread_up(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let running = pool.submit(gate.hold(1));
    let _ = gate.wait_for(1);
    assert!(!pool.shutdown_timeout(Duration::from_millis(20)));
    assert!(running.join().unwrap_err().is_cancelled());
    // Would wait for ever if it waited.
    drop(pool);
    assert!(!gate.folder().join("open").exists());
    gate.open();
    until("its thread has ended", || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
        !tasks
            .filter_map(|task| name(task.ok()?).ok())
            .any(|name| name.starts_with("pool-worker"))
    });
}

pub(crate) fn a_drop_while_the_program_panics_waits_too(on: &On) {
    let gate = Gate::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let pool = on.pool();
        for number in 0..20 {
            drop(pool.submit(gate.pass(number)));
        }
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert_eq!(gate.starts().len(), 20);
}

pub(crate) fn from_a_callback_it_closes_the_pool(on: &On) {
    for kill in [false, true] {
        let pool = on.pool_of(1);
        let (said, hear) = channel();
        let clone = pool.clone();
        let first = pool.submit(add::task(1, 1));
        first.on_finish(move || {
            if kill {
                clone.kill();
            } else {
                clone.shutdown();
            }
            let refused = clone.submit(add::task(1, 1)).join();
            said.send(refused.unwrap_err().is_rejected()).unwrap();
        });
        assert!(hear.recv().unwrap());
        assert_eq!(first.join().unwrap(), 2);
        pool.shutdown();
    }
}

pub(crate) fn from_two_sides_each_way_ends(on: &On) {
    // Whichever comes first, and whoever waits: shutdown, kill, a limit, a drop.
    for round in 0..24 {
        let pool = on.pool_of(2);
        let handles: Vec<_> = (0..30).map(|i| pool.submit(add::task(i, 0))).collect();
        std::thread::scope(|scope| {
            for side in 0..3 {
                let pool = pool.clone();
                scope.spawn(move || match (round + side) % 4 {
                    0 => pool.shutdown(),
                    1 => pool.kill(),
                    2 => drop(pool.shutdown_timeout(Duration::from_millis(round))),
                    _ => drop(pool),
                });
            }
            drop(pool);
            for (i, handle) in (0..).zip(handles) {
                match handle.join() {
                    Ok(sum) => assert_eq!(sum, i),
                    Err(error) => assert!(error.is_cancelled(), "{error}"),
                }
            }
        });
    }
}
