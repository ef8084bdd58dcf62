//! A program of a terminal with job control, whose workers have none.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pool_core::{Backend, Pool, pool_task};

#[pool_task]
fn reads_the_terminal() -> String {
    let read = File::open("/dev/tty").and_then(|mut tty| tty.read(&mut [0; 80]));
    format!("{:?}", read.map_err(|error| error.raw_os_error()))
}

#[pool_task]
fn has_a_child_that_reads_it() -> bool {
    let mut shell = Command::new("sh");
    let shell = shell.args(["-c", "read line </dev/tty"]);
    shell.stderr(Stdio::null()).status().unwrap().success()
}

/// Under `stty tostop` only the foreground of its terminal may write to it.
#[pool_task]
fn writes_to(terminal: &Path) -> bool {
    let mut terminal = File::options().write(true).open(terminal).unwrap();
    terminal.write_all(b"out of a task\n").is_ok()
}

#[pool_task]
fn one() -> u32 {
    1
}

fn pool(workers: usize) -> pool_core::PoolBuilder {
    let builder = Pool::builder().backend(Backend::Processes);
    builder.workers(workers).warn_after(None)
}

/// What tasks do with the terminal of the program.
pub(crate) fn terminal(path: &str) {
    let pool = pool(1).build().unwrap();
    let said = |what: &str, answer: String| println!("{what}: {answer}");
    let read = pool.submit(reads_the_terminal::task()).join();
    said("read", read.unwrap());
    let child = pool.submit(has_a_child_that_reads_it::task()).join();
    said("child read", child.unwrap().to_string());
    let wrote = pool.submit(writes_to::task(Path::new(path))).join();
    said("wrote", wrote.unwrap().to_string());
    said("one", pool.submit(one::task()).join().unwrap().to_string());
    println!("lost: {}", pool.stats().workers_lost);
}

/// Every task has a worker of its own; prints how many have a result.
pub(crate) fn replaced(tasks: &str) {
    let tasks: u32 = tasks.parse().unwrap();
    let pool = pool(2).max_tasks_per_worker(1).build().unwrap();
    println!("ready");
    let results = pool.map((0..tasks).map(|_| one::task()));
    println!("done: {}", results.filter(Result::is_ok).count());
    println!("lost: {}", pool.stats().workers_lost);
}

#[pool_task]
fn sleeps(millis: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(millis));
    millis
}
