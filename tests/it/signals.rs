//! Programs that are interrupted: by a terminal, by a signal to their process group, or by one of
//! their own.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;

use pool_tests::proc::{self, Process};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::harness::program::{Ended, Running, assert_no_worker_of, program, run_program};
use crate::harness::terminal;

/// A program in a process group of its own, as a shell starts it.
fn group(arguments: &[&str]) -> Running {
    let mut command = program(env!("CARGO_BIN_EXE_program"));
    Running::start(command.args(arguments).process_group(0))
}

fn wait_for(running: &Running, line: &str) -> String {
    pool_tests::until_some(&format!("the program says {line}"), || {
        let out = running.said("out");
        out.contains(&format!("{line}\n")).then_some(out)
    })
}

/// What a terminal does.
fn interrupt(running: &Running, signal: Signal) {
    let group = Pid::from_child(&running.child);
    kill_process_group(group, signal).unwrap();
}

/// Waits for the end; nothing is left of the program.
#[track_caller]
fn end(running: Running, code: Option<i32>, signal: Option<Signal>) -> Ended {
    let pid = running.child.id();
    let ended = running.end();
    let status = ended.status.unwrap();
    assert_eq!(
        (status.code(), status.signal()),
        (code, signal.map(Signal::as_raw)),
        "{}",
        ended.describe()
    );
    assert_no_worker_of(pid);
    ended
}

#[track_caller]
fn assert_said(ended: &Ended, lines: &[&str]) {
    let said: Vec<_> = ended.out.lines().collect();
    assert_eq!(said, lines, "{}", ended.describe());
}

/// What the program says when its running tasks come to their end, and when they do not.
fn said(running: &str) -> [String; 9] {
    [
        "interrupted before: false",
        "ready",
        "queued: Cancelled",
        "interrupted then: true",
        "later: Rejected",
        "first",
        running,
        "started: 2",
        "second",
    ]
    .map(Into::into)
}

#[track_caller]
fn assert_said_all(ended: &Ended, running: &str) {
    let lines = said(running);
    assert_said(ended, &lines.each_ref().map(String::as_str));
}

fn open_gate(folder: &Path) {
    File::create(folder.join("open")).unwrap();
}

/// The running tasks have their time, also when their workers are interrupted with the program.
#[track_caller]
fn first_signal(backend: &str, signal: Signal, code: i32) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let running = group(&["interrupted", backend, "for ever", path]);
    wait_for(&running, "ready");
    interrupt(&running, signal);
    wait_for(&running, "first");
    if signal == Signal::INT {
        for worker in proc::children_of(running.child.id()) {
            proc::signal(worker.pid, signal);
        }
    }
    open_gate(folder.path());
    let ended = end(running, Some(code), None);
    assert_said_all(&ended, "running: done");
}

#[test]
fn the_first_interrupt_lets_running_tasks_end() {
    first_signal("processes", Signal::INT, 130);
    first_signal("threads", Signal::INT, 130);
}

#[test]
fn a_request_to_end_is_one_too() {
    first_signal("processes", Signal::TERM, 143);
    first_signal("threads", Signal::TERM, 143);
}

#[test]
fn a_second_signal_of_either_kind_kills() {
    for backend in ["processes", "threads"] {
        for second in [Signal::INT, Signal::TERM] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().to_str().unwrap();
            let running = group(&["interrupted for ever", backend, "for ever", path]);
            wait_for(&running, "ready");
            interrupt(&running, Signal::INT);
            wait_for(&running, "first");
            interrupt(&running, second);
            let ended = end(running, Some(130), None);
            assert_said_all(&ended, "running: Cancelled");
        }
    }
}

#[test]
fn after_the_grace_what_runs_is_killed() {
    for backend in ["processes", "threads"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let running = group(&["interrupted for ever", backend, "50", path]);
        wait_for(&running, "ready");
        interrupt(&running, Signal::INT);
        let ended = end(running, Some(130), None);
        assert_said_all(&ended, "running: Cancelled");
    }
}

/// Two pools are ended, and the program is not.
#[test]
fn the_third_signal_ends_a_program_that_goes_on() {
    for backend in ["processes", "threads"] {
        let running = group(&["interrupted and goes on", backend]);
        wait_for(&running, "ready");
        for said in ["first", "second"] {
            interrupt(&running, Signal::INT);
            wait_for(&running, said);
        }
        interrupt(&running, Signal::INT);
        let ended = end(running, None, Some(Signal::INT));
        assert_said(
            &ended,
            &[
                "ready",
                "queued: Cancelled",
                "first",
                "running: Cancelled",
                "second",
            ],
        );
    }
}

#[test]
fn a_map_without_end_ends() {
    for backend in ["processes", "threads"] {
        let running = group(&["interrupted map", backend]);
        wait_for(&running, "ready");
        interrupt(&running, Signal::INT);
        let ended = end(running, Some(130), None);
        assert!(ended.out.contains("\nafter it: "), "{}", ended.describe());
    }
}

#[test]
fn without_its_guard_a_program_ends_as_ever() {
    let ended = end(group(&["interrupt guard dropped"]), None, Some(Signal::INT));
    assert_said(&ended, &[]);
}

#[test]
fn a_guard_outlives_its_pool() {
    let ended = end(group(&["interrupted without its pool"]), Some(143), None);
    assert_said(&ended, &["all as it should be"]);
}

#[test]
fn a_handler_of_the_program_stays() {
    let mut command = program(env!("CARGO_BIN_EXE_program"));
    let ended = run_program(command.arg("interrupted with a handler"));
    assert_said(&ended, &["all as it should be"]);
}

#[test]
fn what_is_ignored_stays_ignored() {
    end(group(&["interrupts ignored"]), Some(143), None);
}

// ---- a terminal ----

#[test]
fn ctrl_c_reaches_the_program_and_not_its_workers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let (terminal, running) = terminal::program(&["interrupted", "processes", "for ever", path]);
    wait_for(&running, "ready");
    let workers: Vec<Process> = proc::children_of(running.child.id());
    assert_eq!(workers.len(), 2);
    let mut keys = File::from(terminal.keys);
    keys.write_all(b"\x03").unwrap();
    wait_for(&running, "first");
    assert!(workers.iter().all(Process::lives));
    open_gate(folder.path());
    let ended = end(running, Some(130), None);
    assert_said_all(&ended, "running: done");
}

#[test]
fn ctrl_c_twice_kills() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let (terminal, running) =
        terminal::program(&["interrupted for ever", "processes", "for ever", path]);
    wait_for(&running, "ready");
    let mut keys = File::from(terminal.keys);
    for said in ["first", "second"] {
        keys.write_all(b"\x03").unwrap();
        wait_for(&running, said);
    }
    let ended = end(running, Some(130), None);
    assert_said_all(&ended, "running: Cancelled");
}
