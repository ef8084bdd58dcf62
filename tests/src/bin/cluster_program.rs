//! A program for the cluster: an agent where `POOL_WORKER` says so, else a submitter.
//!
//! `cluster_program map TASKS MS [FOLDER]` maps so many tasks of so many milliseconds over the pool of
//! `POOL_NATS`. Its last line is `outcomes N wrong N lost N twice N`: how many tasks have an outcome,
//! how many of those have another value or error than they should, how many were lost with their
//! worker, and how many have started more than once, by what they leave in the folder.

// A failed `unwrap` is a failed map.
#![allow(clippy::unwrap_used)]

use std::process::ExitCode;

use pool_core::{Backend, Pool};
use pool_tests::journal::Journal;

#[pool_core::main]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["map", tasks, ms] => {
            let folder = tempfile::tempdir().unwrap();
            map(
                tasks.parse().unwrap(),
                ms.parse().unwrap(),
                &Journal::at(folder.path()),
            )
        }
        ["map", tasks, ms, folder] => map(
            tasks.parse().unwrap(),
            ms.parse().unwrap(),
            &Journal::at(folder),
        ),
        ["agent"] => {
            eprintln!("an agent has POOL_WORKER in its environment");
            ExitCode::FAILURE
        }
        _ => {
            eprintln!("usage: cluster_program map TASKS MS [FOLDER]");
            ExitCode::FAILURE
        }
    }
}

fn map(tasks: u64, ms: u64, journal: &Journal) -> ExitCode {
    let pool = match Pool::builder().backend(Backend::Cluster).build() {
        Ok(pool) => pool,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let (mut outcomes, mut wrong, mut lost) = (0, 0, 0);
    let results = pool.map((0..tasks).map(|number| journal.step(number, ms)));
    for (number, result) in (0..).zip(results) {
        outcomes += 1;
        match result {
            Ok(value) => wrong += u64::from(value != Journal::expected(number)),
            Err(error) if error.is_worker_lost() => lost += 1,
            Err(error) => {
                eprintln!("task {number}: {error}");
                wrong += 1;
            }
        }
    }
    pool.shutdown();
    let twice = journal.twice();
    println!("outcomes {outcomes} wrong {wrong} lost {lost} twice {twice}");
    ExitCode::SUCCESS
}
