//! A program that uses process pools and has no door: started again as a worker it would run
//! `main` again, and start more.

use std::fs::OpenOptions;
use std::io::Write;

use pool_core::{Backend, Pool, pool_task};

#[pool_task(backend = "processes")]
fn elsewhere() -> u32 {
    std::process::id()
}

fn main() {
    let log = std::env::args().nth(1).expect("the file to log to");
    let log = OpenOptions::new().append(true).create(true).open(log);
    writeln!(log.expect("a file"), "main of {}", std::process::id()).expect("written");

    for result in [
        Pool::processes(),
        Pool::builder()
            .backend(Backend::Processes)
            .workers(2)
            .build(),
    ] {
        println!("{}", result.expect_err("there is no door"));
    }
    println!("{}", elsewhere::spawn().join().expect_err("no door"));
    // The other backends need none.
    let threads = Pool::threads().expect("threads");
    assert_eq!(
        threads.submit(elsewhere::task()).join().expect("a result"),
        std::process::id()
    );
}
