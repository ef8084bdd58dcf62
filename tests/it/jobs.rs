//! Job control: what a terminal does to a program and its workers, and tasks to a terminal.

use std::os::unix::process::CommandExt;

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
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !has_said() && process.lives() && std::time::Instant::now() < end {
        kill_process_group(group, Signal::TSTP).unwrap();
        until("it is stopped", || {
            process.is_stopped() || has_said() || !process.lives()
        });
        kill_process_group(group, Signal::CONT).unwrap();
        stops += 1;
        std::thread::sleep(std::time::Duration::from_millis(7));
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
