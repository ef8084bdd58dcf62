//! Job control: what a terminal does to a program and its workers, and tasks to a terminal.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pool_tests::proc::{self, Process};
use pool_tests::until;
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::harness::program::{Running, assert_no_worker_of, program};
use crate::harness::terminal::Terminal;

/// A program in a process group of its own, as a shell starts it.
fn group(arguments: &[&str]) -> Running {
    let mut command = program(env!("CARGO_BIN_EXE_program"));
    Running::start(command.args(arguments).process_group(0))
}

#[test]
fn a_task_that_uses_the_terminal_gets_an_error() {
    let terminal = Terminal::new();
    let mut modes = tcgetattr(&terminal.keys).unwrap();
    modes.local_modes |= LocalModes::TOSTOP;
    tcsetattr(&terminal.keys, OptionalActions::Now, &modes).unwrap();
    let running = terminal.start(&["terminal", terminal.path.to_str().unwrap()]);
    let ended = running.end();
    let no_terminal = rustix::io::Errno::NXIO.raw_os_error();
    assert_eq!(
        ended.out,
        format!(
            "read: Err(Some({no_terminal}))\nchild read: false\nwrote: true\none: 1\nlost: 0\n"
        ),
        "{}",
        ended.describe()
    );
}

/// Stops and continues the process group of the program until it has said that; how often.
fn stop_and_go(running: &Running, said: &str) -> u32 {
    let pid = running.child.id();
    let group = Pid::from_child(&running.child);
    let process = Process::of(pid).unwrap();
    let has_said = || running.said("out").contains(said);
    let mut stops = 0;
    let end = Instant::now() + Duration::from_secs(60);
    while !has_said() && process.lives() && Instant::now() < end {
        kill_process_group(group, Signal::TSTP).unwrap();
        until("it is stopped", || {
            process.is_stopped() || has_said() || !process.lives()
        });
        kill_process_group(group, Signal::CONT).unwrap();
        stops += 1;
        sleep(Duration::from_millis(7));
    }
    stops
}

#[test]
fn stops_while_workers_start_cost_nothing_but_time() {
    let running = group(&["replaced", "100"]);
    let pid = running.child.id();
    until("it is ready", || running.said("out").contains("ready"));
    let stops = stop_and_go(&running, "done");
    assert!(stops > 3, "{stops} stops only");
    let stopped: Vec<_> = proc::children_of(pid)
        .into_iter()
        .filter(Process::is_stopped)
        .collect();
    let ended = running.end();
    assert!(
        ended.out.contains("done: 100\nlost: 0\n"),
        "{stopped:?} {}",
        ended.describe()
    );
    assert_no_worker_of(pid);
}

/// Stops all that a program does, and lets it go on.
#[track_caller]
fn stop_all(stop: impl Fn(&Running), go_on: impl Fn(&Running)) {
    let folder = tempfile::tempdir().unwrap();
    let running = group(&["stopped", folder.path().to_str().unwrap()]);
    let pid = running.child.id();
    until("it is ready", || running.said("out").contains("ready"));
    // Its two workers, the worker of one of them, and a program.
    let all = proc::descendants_of(pid);
    assert_eq!(all.len(), 4, "{all:?}");
    for _ in 0..3 {
        stop(&running);
        until("all are stopped", || all.iter().all(Process::is_stopped));
        go_on(&running);
        until("all run", || !all.iter().any(Process::is_stopped));
    }
    File::create(folder.path().join("open")).unwrap();
    let ended = running.end();
    assert_eq!(
        ended.out,
        "ready\n(Ok(1), Ok(2))\nlost: 0\n",
        "{}",
        ended.describe()
    );
    assert_no_worker_of(pid);
}

#[test]
fn what_a_program_does_stops_with_it() {
    let group = |signal| {
        move |running: &Running| {
            kill_process_group(Pid::from_child(&running.child), signal).unwrap()
        }
    };
    stop_all(group(Signal::TSTP), group(Signal::CONT));
    let alone = |signal| move |running: &Running| proc::signal(running.child.id(), signal);
    stop_all(alone(Signal::STOP), alone(Signal::CONT));
}

#[test]
fn a_stopped_program_that_is_killed_leaves_no_worker() {
    let folder = tempfile::tempdir().unwrap();
    let running = group(&["stopped", folder.path().to_str().unwrap()]);
    let pid = running.child.id();
    until("it is ready", || running.said("out").contains("ready"));
    let all = proc::descendants_of(pid);
    proc::signal(pid, Signal::STOP);
    until("all are stopped", || all.iter().all(Process::is_stopped));
    proc::kill(pid);
    running.end();
    proc::wait_until_gone(&all);
}

/// Stops a program for longer than its limits, in the middle of what they limit.
fn stop_for_long(running: &Running, said: &str) {
    until("it has begun", || running.said("out").contains(said));
    sleep(Duration::from_millis(50));
    let pid = running.child.id();
    proc::signal(pid, Signal::STOP);
    sleep(Duration::from_secs(3));
    proc::signal(pid, Signal::CONT);
}

#[test]
fn the_time_of_a_stop_is_nobodys_delay() {
    for backend in ["inline", "threads", "processes"] {
        let running = group(&["limited", backend]);
        stop_for_long(&running, "ready\n");
        let ended = running.end();
        assert_eq!(
            ended.out,
            "ready\n(Ok(500), Ok(1))\n",
            "{backend}: {}",
            ended.describe()
        );
    }
}

#[test]
fn a_worker_that_starts_while_the_program_is_stopped_is_not_late() {
    let running = Running::start(&mut program(env!("CARGO_BIN_EXE_slow_door")));
    stop_for_long(&running, "building\n");
    let ended = running.end();
    assert_eq!(ended.out, "building\nOk(2)\n", "{}", ended.describe());
}
