//! A parent that goes, one way or the other, while its workers and theirs are busy.

use std::path::Path;
use std::process::{Command, Stdio};

use pool_core::{Backend, JoinHandle, Pool, pool_task};
use pool_tests::gate::{Gate, never};
use pool_tests::proc;
use pool_tests::tasks::pid;

fn processes(workers: usize) -> Pool {
    Pool::builder()
        .backend(Backend::Processes)
        .workers(workers)
        .build()
        .unwrap()
}

/// A pool in the worker, whose worker is busy for ever, and maybe a program that the worker starts.
#[pool_task]
#[allow(clippy::zombie_processes)] // Nobody is to wait for it: that is the test.
fn nests(folder: &Path, number: u32, starts_program: bool) {
    if starts_program {
        let mut sleep = Command::new("sleep");
        sleep.arg("600").stdin(Stdio::null()).spawn().unwrap();
    }
    let pool = processes(1);
    let handle = pool.submit(never::task(folder, number));
    handle.join().unwrap();
}

/// Keeps two workers, their two workers and maybe two other programs busy, says so, and ends.
pub(crate) fn parent(folder: &str, end: &str, programs: bool) {
    let pool = processes(2);
    let handles: Vec<JoinHandle<()>> = (0..2)
        .map(|number| pool.submit(nests::task(folder.as_ref(), number, programs)))
        .collect();
    let mut all = Vec::new();
    pool_tests::until("everybody is there", || {
        all = proc::descendants_of(std::process::id());
        let log = std::fs::read_to_string(Path::new(folder).join("log")).unwrap_or_default();
        all.len() == if programs { 6 } else { 4 } && log.lines().count() == 2
    });
    for process in all {
        println!("process {} {}", process.pid, process.start);
    }
    println!("ready");
    match end {
        "wait" => loop {
            std::thread::park();
        },
        "leak" => std::mem::forget((pool, handles)),
        "exit" => std::process::exit(0),
        "abort" => std::process::abort(),
        "panic" => {
            std::mem::forget(pool);
            panic!("on purpose");
        }
        "kill" => pool.kill(),
        "exec" => {
            use std::os::unix::process::CommandExt;
            panic!("{}", Command::new("true").exec());
        }
        other => panic!("{other}"),
    }
}

/// The file of this program is deleted, and another one takes its name; workers are still started
/// from the one that runs.
pub(crate) fn deleted(path: &str) {
    let gate = Gate::new();
    let pool = processes(1);
    let before = pool.submit(pid::task()).join().unwrap();
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, "#!/bin/sh\nexit 9\n").unwrap();
    for number in 0..3 {
        let handle = pool.submit(gate.never(number));
        proc::kill(gate.wait_for(number));
        assert!(handle.join().unwrap_err().is_worker_lost());
    }
    assert_ne!(pool.submit(pid::task()).join().unwrap(), before);
    // A new pool as well.
    assert!(processes(1).submit(pid::task()).join().is_ok());
    println!("all as it should be");
}
