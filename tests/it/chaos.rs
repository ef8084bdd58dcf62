//! The chaos program, for some seconds on each backend. CONTRIBUTING.md says how it is run for
//! longer.

use std::process::Command;

use crate::harness::program::{program, run_program};

/// Any would do: one that is always the same makes what fails once fail again more often.
const SEED: &str = "4";

#[track_caller]
fn some_seconds_of_chaos(backend: &str) {
    let mut command = program(env!("CARGO_BIN_EXE_chaos"));
    command.args(["--backend", backend, "--seconds", "4", "--seed", SEED]);
    nothing_is_wrong(&mut command, &["wrong", "lost", "duplicated", "leaked"]);
}

#[track_caller]
fn nothing_is_wrong(command: &mut Command, nothings: &[&str]) {
    let ended = run_program(command);
    // It has come to its end, and says so with its table.
    for nothing in nothings {
        let line = ended.out.lines().find(|line| line.starts_with(nothing));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        assert_eq!(number, Some("0"), "{nothing}: {}", ended.describe());
    }
}

#[test]
fn inline() {
    some_seconds_of_chaos("inline");
}

#[test]
fn threads() {
    some_seconds_of_chaos("threads");
}

#[test]
fn processes() {
    some_seconds_of_chaos("processes");
}

/// Three agents and a server, which are killed and stopped like everything else.
#[cfg(feature = "cluster")]
#[test]
fn cluster() {
    let mut command = program(env!("CARGO_BIN_EXE_cluster_chaos"));
    command.args(["--seconds", "12", "--seed", SEED]);
    nothing_is_wrong(&mut command, &["wrong", "lost", "twice", "leaked"]);
}
