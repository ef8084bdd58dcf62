//! A program of a terminal with job control, whose workers have none.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pool_core::{Backend, Pool, TaskExt, pool_task};
use pool_tests::gate::hold;
use pool_tests::until;

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

/// A task with a pool of its own, whose task waits at the gate; and a program that it has started.
#[pool_task]
fn nests(folder: &Path, number: u32) -> u32 {
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    let pool = pool(1).build().unwrap();
    let result = pool.submit(hold::task(folder, number)).join();
    child.kill().unwrap();
    child.wait().unwrap();
    result.unwrap()
}

/// Two tasks wait at the gate while the program is stopped and continued, one of them in a pool
/// inside of the other's.
pub(crate) fn stopped(folder: &str) {
    let folder = Path::new(folder);
    let pool = pool(2).build().unwrap();
    let handles = (
        pool.submit(hold::task(folder, 1)),
        pool.submit(nests::task(folder, 2)),
    );
    until("both run", || {
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        log.lines().count() == 2
    });
    println!("ready");
    println!("{:?}", (handles.0.join(), handles.1.join()));
    println!("lost: {}", pool.stats().workers_lost);
}

/// Tasks with limits that are longer than the tasks and shorter than the stop of the program.
pub(crate) fn limited(backend: &str) {
    let builder = Pool::builder().backend(backend.parse().unwrap()).workers(1);
    let pool = builder.warn_after(None).build().unwrap();
    let limit = Duration::from_secs(2);
    println!("ready");
    let first = pool.submit(sleeps::task(500).timeout(limit));
    let second = pool.submit(sleeps::task(1).queue_timeout(limit));
    println!("{:?}", (first.join(), second.join()));
}

/// A thread is unparked while it waits for a task: its next `park` returns.
pub(crate) fn unparked(backend: &str) {
    let builder = Pool::builder().backend(backend.parse().unwrap()).workers(1);
    let pool = builder.build().unwrap();
    let main = std::thread::current();
    let handle = pool.submit(sleeps::task(300));
    let unparks = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        main.unpark();
    });
    handle.join().unwrap();
    unparks.join().unwrap();
    std::thread::park();
    println!("all as it should be");
}
