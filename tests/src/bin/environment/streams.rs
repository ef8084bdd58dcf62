//! The standard streams: of a worker, and of a program that has none.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::panic;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use pool_core::{Output, pool_task};
use pool_tests::proc;
use pool_tests::tasks::{add, exit};

use crate::builder;
use crate::raw::close_streams;

/// What a task reads from a file: how many bytes, or the error.
#[pool_task]
fn read_file(path: &str) -> Result<usize, String> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes.len()),
        Err(error) => Err(error.to_string()),
    }
}

/// What a task reads from its standard input, and what a program reads that it starts.
#[pool_task]
fn read_input() -> (usize, String) {
    let mut input = Vec::new();
    let own = std::io::stdin().read_to_end(&mut input).unwrap();
    let mut child = Command::new("cat");
    let child = child.stdin(Stdio::inherit()).output().unwrap();
    assert!(child.status.success(), "{child:?}");
    (own, String::from_utf8(child.stdout).unwrap())
}

/// The input of the program is not that of a worker, and is not taken for an empty file.
pub(crate) fn input() {
    let pool = builder().workers(1).build().unwrap();
    for path in ["/dev/stdin", "/proc/self/fd/0", "/dev/fd/0"] {
        let read = pool.submit(read_file::task(path)).join().unwrap();
        assert!(read.is_err(), "{path}: {read:?}");
    }
    let read = pool.submit(read_input::task()).join().unwrap();
    assert_eq!(read, (0, String::new()));
    drop(pool);
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).unwrap();
    println!("the program reads {input:?}");
}

/// A pool in a program that has closed its standard streams takes none of their numbers, and what
/// is printed goes nowhere.
pub(crate) fn closed(log: &str) {
    const ROUNDS: u32 = 30;
    let mut log = File::create(log).unwrap();
    close_streams();
    let open = || {
        let fds = proc::numbers("/proc/self/fd");
        fds.into_iter().filter(|fd| *fd < 3).count()
    };
    let pool = builder().workers(2).build().unwrap();
    let mut seen = 0;
    // The folder that is read is one of them.
    assert!(open() <= 1, "{} are open", open());
    let printed = panic::catch_unwind(|| println!("some text"));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(SeqCst) {
                let _ = panic::catch_unwind(|| eprintln!("some text some text some text"));
            }
        });
        for round in 0..ROUNDS {
            let lost = pool.submit(exit::task(3)).join().unwrap_err();
            assert!(lost.is_worker_lost(), "{lost}");
            for n in 0..20 {
                assert_eq!(pool.submit(add::task(n, 1)).join().unwrap(), n + 1);
            }
            seen = round + 1;
        }
        is_over.store(true, SeqCst);
    });
    drop(pool);
    assert!(open() <= 1);
    writeln!(log, "printed: {}, {seen} rounds", printed.is_ok()).unwrap();
}

/// Pools where there is no `/dev/null`.
pub(crate) fn no_null() {
    assert!(!fs::exists("/dev/null").unwrap());
    for output in [Output::Inherit, Output::Prefix] {
        let pool = builder().workers(1).stdout(output).build().unwrap();
        assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
        println!("{output:?} works");
    }
    let error = builder().workers(1).stderr(Output::Null).build();
    println!("{}", error.map(drop).unwrap_err());
}
