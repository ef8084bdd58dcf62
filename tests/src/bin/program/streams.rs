//! Standard input, output and error of workers, and their arguments.

use std::io::{Read, Write};
use std::process::Command;

use pool_core::{Backend, Output, Pool, pool_task};

#[pool_task]
fn prints(number: u32) {
    println!("out of task {number}");
    // One write for the line: standard error has no buffer, and other tasks write as well.
    let line = format!("err of task {number}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    // Without an end of line, and through the descriptor of a program that the task starts.
    print!("<{number}>");
    std::io::stdout().flush().unwrap();
    assert!(
        Command::new("echo")
            .arg(format!("child of {number}"))
            .status()
            .unwrap()
            .success()
    );
}

#[pool_task]
fn leaves_a_line_unfinished() {
    print!("unfinished");
}

#[pool_task]
fn reads() -> usize {
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap()
}

pub(crate) fn streams(backend: &str) {
    let backend: Backend = backend.parse().unwrap();
    {
        let pool = Pool::builder().backend(backend).workers(2).build().unwrap();
        for result in pool.map((0..5).map(prints::task)) {
            result.unwrap();
        }
        if backend == Backend::Processes {
            println!("task read {}", pool.submit(reads::task()).join().unwrap());
        }
        pool.submit(leaves_a_line_unfinished::task())
            .join()
            .unwrap();
    }
    println!();
    println!("main read {}", reads());
}

/// Each stream of the workers somewhere else.
pub(crate) fn relayed() {
    let build = |out, err| {
        Pool::builder()
            .backend(Backend::Processes)
            .workers(1)
            .stdout(out)
            .stderr(err)
            .build()
            .unwrap()
    };
    let pool = build(Output::Prefix, Output::Null);
    pool.submit(prints::task(1)).join().unwrap();
    pool.submit(leaves_a_line_unfinished::task())
        .join()
        .unwrap();
    drop(pool);
    let pool = build(Output::Null, Output::Prefix);
    pool.submit(prints::task(2)).join().unwrap();
    // Its last words are not lost.
    assert!(pool.submit(dies::task()).join().is_err());
    drop(pool);
    println!("main is at its end");
}

#[pool_task]
fn dies() {
    eprintln!("last words");
    std::process::abort();
}

#[pool_task]
fn own_arguments() -> Vec<String> {
    std::env::args().skip(1).collect()
}

/// A worker sees the arguments of the program, and so does a worker of a worker.
pub(crate) fn arguments() {
    let pool = Pool::processes().unwrap();
    assert_eq!(
        pool.submit(own_arguments::task()).join().unwrap(),
        own_arguments()
    );
    assert_eq!(
        pool.submit(nested_arguments::task()).join().unwrap(),
        own_arguments()
    );
    println!("{:?}", own_arguments());
}

#[pool_task]
fn nested_arguments() -> Vec<String> {
    let pool = Pool::processes().unwrap();
    pool.submit(own_arguments::task()).join().unwrap()
}
