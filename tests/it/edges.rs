//! Cases at the edges that were wrong once: each in a process of its own, which says so.

use crate::harness::program::{program, run_program};

const BOTH: &[&str] = &["threads", "processes"];
const THREADS: &[&str] = &["threads"];
const PROCESSES: &[&str] = &["processes"];

const CASES: &[(&str, &[&str])] = &[
    ("joined-retry", THREADS),
    ("unencodable", THREADS),
    ("late-joined", THREADS),
    ("joined-cancel", THREADS),
    ("cancel-backoff", BOTH),
    ("init-max", PROCESSES),
    ("init-retries", PROCESSES),
    ("init-big", PROCESSES),
    ("init-err-build", PROCESSES),
    ("init-text", THREADS),
    ("init-shutdown", PROCESSES),
    ("kill-async", BOTH),
    ("expire-async", BOTH),
    ("reserved-async", PROCESSES),
    ("expired-blocked", BOTH),
    ("timed-out-count", PROCESSES),
    ("retry-expired", BOTH),
    ("shrink", PROCESSES),
    ("drop-lock", THREADS),
];

#[test]
fn none_is_wrong_again() {
    for (case, backends) in CASES {
        for backend in *backends {
            let mut command = program(env!("CARGO_BIN_EXE_edges"));
            let ended = run_program(command.args([case, backend]));
            let said = ended.describe();
            assert!(!said.contains("BUG"), "{case} on {backend}: {said}");
            assert!(
                !ended.out.trim().is_empty(),
                "{case} on {backend} says nothing"
            );
        }
    }
}
