//! What parents and workers share: descriptors, forks, and the end.

use std::process::Command;

use pool_tests::proc::{self, Process};
use rustix::process::Signal;

use crate::harness::program::{Running, assert_no_worker_of, program, run_program};

fn scenario(arguments: &[&str]) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_program"));
    command.args(arguments);
    command
}

/// The child of a fork does `what` with its copy of a pool, and ends with `code`.
#[track_caller]
fn forks(what: &str, code: i32) {
    for backend in ["processes", "threads"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let running = Running::start(&mut scenario(&["forks", backend, what, path]));
        let pid = running.child.id();
        let ended = running.end();
        let expected = format!("the child: Some({code})\nall as it should be\n");
        assert!(
            ended.status.is_some_and(|status| status.success()) && ended.out == expected,
            "{backend}: {}",
            ended.describe()
        );
        assert_no_worker_of(pid);
    }
}

#[test]
fn a_fork_that_ends_at_once_is_nothing_to_its_parent() {
    forks("ends at once", 7);
}

#[test]
fn a_fork_that_exits_is_nothing_to_its_parent() {
    forks("exits", 7);
}

#[test]
fn a_fork_that_returns_from_main_is_nothing_to_its_parent() {
    forks("returns", 0);
}

#[test]
fn a_fork_that_panics_is_nothing_to_its_parent() {
    forks("panics", 8);
}

#[test]
fn a_fork_drops_its_copy_only() {
    forks("drops all", 7);
    forks("drops the pool", 7);
}

#[test]
fn a_fork_ends_no_pool_of_its_parent() {
    forks("shuts down", 7);
    forks("kills", 7);
}

#[test]
fn a_fork_that_uses_a_pool_of_its_parent_gets_errors() {
    forks("uses all", 7);
}

#[track_caller]
fn fork_well(arguments: &[&str]) {
    let ended = run_program(&mut scenario(arguments));
    let said = ended.describe();
    assert!(ended.out.contains("all as it should be"), "{said}");
}

#[test]
fn a_fork_of_a_busy_pool_never_hangs() {
    for backend in ["threads", "processes"] {
        fork_well(&["forks of a busy pool", backend, "20"]);
        fork_well(&["forks of a busy bounded pool", backend, "5"]);
    }
}

#[test]
fn a_fork_of_a_quiet_pool_never_hangs() {
    for backend in ["threads", "processes"] {
        fork_well(&["forks of a quiet pool", backend]);
    }
}

#[test]
fn a_fork_of_a_task_knows_that_it_is_none() {
    for backend in ["inline", "threads", "processes"] {
        fork_well(&["forks of a task", backend]);
    }
}

/// Kills a parent above three levels of busy workers, each of which has forks; one that the parent
/// itself has forked goes on, with a copy of everything that the parent had.
fn killed_above_three_levels(stopped: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let running = Running::start(&mut scenario(&["busy with forks", path]));
    let pid = running.child.id();
    let mut out = String::new();
    pool_tests::until("the program is ready", || {
        out = running.said("out");
        out.contains("ready\n")
    });
    let named = |name: &str| -> Vec<Process> {
        let process = |line: &str| {
            let (pid, start) = line.strip_prefix(name)?.trim().split_once(' ')?;
            Some(Process {
                pid: pid.parse().ok()?,
                start: start.parse().ok()?,
            })
        };
        out.lines().filter_map(process).collect()
    };
    let (processes, forks) = (named("process"), named("fork"));
    assert_eq!((processes.len(), forks.len()), (8, 1), "{out}");
    if stopped {
        for process in &processes {
            proc::signal(process.pid, Signal::STOP);
        }
    }
    proc::kill(pid);
    running.end();
    proc::wait_until_gone(&processes);
    assert_no_worker_of(pid);
    assert!(forks[0].lives(), "nobody ends what is not of a worker");
    proc::kill(forks[0].pid);
}

#[test]
fn a_parent_that_is_killed_leaves_no_worker_of_any_level() {
    for _ in 0..3 {
        killed_above_three_levels(false);
    }
}

#[test]
fn a_parent_that_is_killed_leaves_no_stopped_worker_of_any_level() {
    for _ in 0..3 {
        killed_above_three_levels(true);
    }
}

/// What a worker has opened before its door is its own, and stays open.
#[test]
fn a_file_opened_before_the_door_is_each_process_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let ended = run_program(program(env!("CARGO_BIN_EXE_early_files")).arg(&file));
    assert_eq!(ended.out, "1\n".repeat(10));
    let lines = std::fs::read_to_string(&file).unwrap();
    assert_eq!(lines.matches("process ").count(), 10, "{lines}");
}
