//! A program whose door comes late: what stands before it runs in every worker too.

use std::fs::OpenOptions;
use std::io::Write;

use pool_core::{Error, Pool};
use pool_tests::tasks::pid;

fn main() {
    let log = std::env::args().nth(1).expect("the file to log to");
    let log = OpenOptions::new().append(true).create(true).open(log);
    writeln!(log.expect("a file"), "main of {}", std::process::id()).expect("written");
    println!("before the door");
    assert_eq!(
        Pool::processes().expect_err("too early"),
        Error::NotInitialized
    );

    pool_core::init();
    // Nothing more happens at the second call, or at the third.
    pool_core::init();
    pool_core::init();

    let pool = Pool::builder()
        .backend(pool_core::Backend::Processes)
        .workers(2)
        .build()
        .expect("a pool");
    assert_ne!(
        pool.submit(pid::task()).join().expect("a result"),
        std::process::id()
    );
    println!("behind the door");
}
