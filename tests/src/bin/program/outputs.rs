//! Output of workers that nobody reads, or that is read late, or while the program has the lock.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use pool_core::{Backend, Output, Pool, pool_task};
use pool_tests::until;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::pipe;

/// Longer than what a pipe keeps whole.
const LONG: usize = 5_000;

#[pool_task]
fn shouts(lines: usize, len: usize) {
    for number in 0..lines {
        println!("{number:0>len$}");
    }
}

fn pool(workers: usize) -> Pool {
    Pool::builder()
        .backend(Backend::Processes)
        .workers(workers)
        .stdout(Output::Prefix)
        .warn_after(None)
        .build()
        .unwrap()
}

/// The standard output becomes a pipe; returns the other end.
fn into_pipe() -> OwnedFd {
    let (read, write) = pipe().unwrap();
    rustix::stdio::dup2_stdout(&write).unwrap();
    read
}

/// Nobody reads the standard output, and the pool ends all the same.
pub(crate) fn unread(end: &str) {
    let read = into_pipe();
    let pool = pool(2);
    // More than the pipes hold.
    let handle = pool.submit(shouts::task(1_000, 1_000));
    until("the pipe is full", || {
        rustix::io::ioctl_fionread(&read).unwrap() >= 60_000
    });
    match end {
        "kill" => pool.kill(),
        "drop" => {
            handle.cancel();
            drop(pool);
        }
        "shutdown" => {
            handle.cancel();
            pool.shutdown();
        }
        _ => panic!("{end}"),
    }
    eprintln!("it has ended by {end}");
}

/// The program has the lock of its standard output all the time.
pub(crate) fn locked(lines: &str) {
    let lines = lines.parse().unwrap();
    let mut out = std::io::stdout().lock();
    let pool = pool(2);
    for result in pool.map((0..4).map(|_| shouts::task(lines, 10))) {
        result.unwrap();
        writeln!(out, "main has a result").unwrap();
    }
    drop(pool);
    writeln!(out, "main is at its end").unwrap();
}

/// The standard output does not block, and is read late. Lines longer than what a pipe keeps whole
/// come from several workers at once.
pub(crate) fn nonblocking() {
    let mut read = std::fs::File::from(into_pipe());
    fcntl_setfl(rustix::stdio::stdout(), OFlags::NONBLOCK).unwrap();
    let reader = std::thread::spawn(move || {
        until("the pipe is full", || {
            rustix::io::ioctl_fionread(&read).unwrap() >= 60_000
        });
        let mut all = String::new();
        read.read_to_string(&mut all).unwrap();
        all
    });
    let pool = pool(3);
    let short = (0..3).map(|_| shouts::task(2_000, 100));
    let long = (0..3).map(|_| shouts::task(200, LONG));
    for result in pool.map(short.chain(long)) {
        result.unwrap();
    }
    drop(pool);
    // The end of the pipe.
    rustix::stdio::dup2_stdout(rustix::stdio::stderr()).unwrap();
    let all = reader.join().unwrap();
    let lines = |len: usize| all.lines().filter(|line| line.len() == len).count();
    let prefix = "[worker 0] ".len();
    assert_eq!(
        [
            lines(prefix + 100),
            lines(prefix + LONG),
            all.lines().count()
        ],
        [6_000, 600, 6_600]
    );
    assert!(all.lines().all(|line| line.starts_with("[worker ")));
    eprintln!("all as it should be");
}

/// Nobody can read it any more.
pub(crate) fn unreadable() {
    drop(into_pipe());
    let pool = pool(1);
    pool.submit(shouts::task(10, 10)).join().unwrap();
    until("all lines are counted", || pool.describe().lost_lines == 10);
    let said = pool.describe();
    assert!(
        said.last_lost_line.clone().unwrap().contains("Broken pipe"),
        "{said:?}"
    );
    eprintln!("{said}");
}
