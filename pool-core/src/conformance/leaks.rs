//! Leaks, and shared memory.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread;

use super::gate::{Gate, never};
use super::proc::{self, files_of, shared_memory_of, threads_of, wait_until_gone};
use super::tasks::{boom, echo, exits};
use super::{Need, Subject, outcome, program, until};

const KIB: usize = 1024;

/// On both sides of where the way changes: in place, as a block, large, copied by several.
const SIZES: [usize; 9] = [
    0,
    1,
    79,
    80,
    81,
    64 * KIB,
    256 * KIB,
    3 * KIB * KIB,
    17 * KIB * KIB + 1,
];

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

pub(super) fn shm_1(subject: &Subject) {
    let program = program::start(subject, "SHM-1", |folder| {
        let pool = subject.pool();
        for len in SIZES {
            outcome(pool.submit(echo::task(bytes(len)))).unwrap();
        }
        let handles = [0, 1].map(|number| pool.submit(never::task(folder, number)));
        for handle in handles {
            let _ = handle.join();
        }
    });
    until("its workers are busy", || program.starts().len() == 2);
    let starts = program.starts();
    let places = [program.temporary(), "/dev/shm".into()];
    let pids = starts.iter().map(|start| start.pid).chain([program.pid()]);
    for pid in pids {
        let files = files_of(pid);
        assert!(!files.is_empty());
        let is_named = |file: &&PathBuf| places.iter().any(|place| file.starts_with(place));
        let named: Vec<_> = files.iter().filter(is_named).collect();
        assert!(named.is_empty(), "{named:?}");
    }
    let workers = threads_of(&starts);
    proc::kill(program.pid());
    let ended = program.end();
    wait_until_gone(&workers);
    assert!(ended.left.is_empty(), "{ended:?}");
}

pub(super) fn shm_5(subject: &Subject) {
    let pool = subject.pool();
    let handles: Vec<_> = SIZES
        .into_iter()
        .map(|len| pool.submit(echo::task(bytes(len))))
        .collect();
    drop(pool);
    for (len, handle) in SIZES.into_iter().zip(handles) {
        let mut result = outcome(handle).unwrap();
        assert!(result == bytes(len), "{len} bytes");
        // It is the caller's own.
        result.iter_mut().for_each(|byte| *byte = !*byte);
        result.push(7);
        assert_eq!(result.len(), len + 1);
    }
}

pub(super) fn shm_7(subject: &Subject) {
    let program = program::start(subject, "SHM-7", |_| {
        let pool = subject.pool();
        let shared = bytes(300 * KIB);
        // Each is some messages where somebody stands in between, and large ones.
        let rounds = if subject.has(Need::Near) { 100 } else { 20 };
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let echoed = outcome(pool.submit(echo::task(shared.clone()))).unwrap();
                        assert!(echoed == shared);
                        let error = outcome(pool.submit(boom::task("on purpose"))).unwrap_err();
                        assert!(error.is_panic(), "{error}");
                    }
                });
            }
        });
        if subject.has(Need::Isolation) {
            let error = outcome(pool.submit(exits::task(3))).unwrap_err();
            assert_eq!(error.exit_code(), Some(3), "{error}");
        }
    });
    let ended = program.end();
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.left.is_empty(), "{ended:?}");
}

pub(super) fn shm_9(subject: &Subject) {
    let gate = Gate::new();
    let pools = [subject.pool(), subject.pool()];
    let handles: Vec<_> = (0..4)
        .map(|number| pools[number as usize / 2].submit(gate.hold(number)))
        .collect();
    gate.wait_for_starts(4);
    let mut seen = BTreeSet::new();
    for start in gate.starts() {
        let segments: BTreeSet<_> = shared_memory_of(start.pid).into_iter().collect();
        assert!(seen.is_disjoint(&segments), "{seen:?} {segments:?}");
        seen.extend(segments);
    }
    gate.open();
    for handle in handles {
        outcome(handle).unwrap();
    }
}
