//! How a process becomes a worker, and how it does not.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use pool_core::{Backend, Error, Pool};
use pool_tests::tasks::{add, pid};

use crate::harness::program::{Ended, program, run_program};

// These run side by side in the process of the harness, as a user's tests do.

fn uses_a_pool() -> Result<(), Error> {
    let pool = Pool::builder()
        .backend(Backend::Processes)
        .workers(2)
        .build()?;
    for _ in 0..3 {
        assert_ne!(pool.submit(pid::task()).join().unwrap(), std::process::id());
    }
    Ok(())
}

#[pool_core::test]
fn a_test_uses_worker_processes() {
    uses_a_pool().unwrap();
}

#[pool_core::test]
fn a_test_may_return_a_result() -> Result<(), Error> {
    uses_a_pool()
}

#[pool_core::test]
#[should_panic(expected = "on purpose")]
fn a_test_may_panic() {
    uses_a_pool().unwrap();
    panic!("on purpose");
}

#[pool_core::test]
fn a_test_may_build_its_pools_in_threads() {
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| uses_a_pool().unwrap());
        }
    });
}

#[pool_core::test]
#[ignore = "the harness is asked for it below"]
fn a_test_may_be_ignored() {
    uses_a_pool().unwrap();
}

mod deeper {
    mod r#async {
        #[pool_core::test]
        fn r#match() {
            super::super::uses_a_pool().unwrap();
        }
    }
}

#[pool_core::pool_task]
fn is_in_a_runtime() -> bool {
    tokio::runtime::Handle::try_current().is_ok()
}

#[pool_core::test]
#[tokio::test]
async fn a_test_may_be_async() {
    let pool = Pool::processes().unwrap();
    tokio::task::yield_now().await;
    assert!(is_in_a_runtime());
    // The worker went through the door before there was one.
    assert!(!pool.submit(is_in_a_runtime::task()).await.unwrap());
}

#[pool_core::test]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = "on purpose")]
async fn a_test_may_be_async_and_panic() {
    let pool = Pool::processes().unwrap();
    let asked = pool.submit(is_in_a_runtime::task());
    assert!(!tokio::spawn(asked).await.unwrap().unwrap());
    panic!("on purpose");
}

/// As everything at once.
#[pool_core::test]
#[ignore]
#[tokio::test]
async fn a_test_may_be_async_and_ignored() -> Result<(), Error> {
    let pool = Pool::processes()?;
    let asked = pool.submit(is_in_a_runtime::task());
    assert!(!asked.await.unwrap());
    Ok(())
}

// What a wrapper puts before a test must not be run by its workers, wherever it stands.

#[pool_core::test]
#[pool_test_wraps::not_in_a_worker]
fn a_test_may_be_wrapped() {
    uses_a_pool().unwrap();
}

#[pool_test_wraps::not_in_a_worker]
#[pool_core::test]
fn a_test_may_be_wrapped_above() {
    uses_a_pool().unwrap();
}

#[pool_core::test]
#[test]
#[pool_test_wraps::not_in_a_worker]
#[should_panic(expected = "on purpose")]
#[pool_test_wraps::not_in_a_worker]
fn a_test_may_be_wrapped_twice_and_panic() {
    uses_a_pool().unwrap();
    panic!("on purpose");
}

#[pool_core::test]
#[pool_test_wraps::not_in_a_worker]
#[std::prelude::v1::test]
fn a_test_may_be_wrapped_and_return_a_result() -> Result<(), Error> {
    uses_a_pool()
}

#[pool_core::test]
#[pool_test_wraps::not_in_a_worker]
#[tokio::test]
async fn a_test_may_be_wrapped_and_async() {
    let pool = Pool::processes().unwrap();
    assert!(pool.submit(add::task(1, 2)).await.is_ok());
}

/// Beside tests that have one, and after them.
#[test]
fn a_test_may_have_no_door() {
    let own = std::panic::catch_unwind(uses_a_pool).unwrap();
    assert!(matches!(own, Err(Error::NotInitialized)), "{own:?}");
}

/// Tests in which the harness has a say.
const OF_THE_HARNESS: &[&str] = &["doors::a_test_may", "doors::deeper"];

#[test]
fn tests_run_as_the_harness_is_told() {
    let mut count = None;
    for options in [
        &["--test-threads=1"][..],
        &["--test-threads=16"],
        &["--test-threads=16", "--nocapture"],
    ] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let command = command.args(OF_THE_HARNESS).arg("--include-ignored");
        let ended = run_program(command.args(options));
        let line = ended.out.lines().find(|line| line.contains(" passed; 0 "));
        let counts = line.unwrap().split(';').take(3).collect::<String>();
        assert!(counts.ends_with("0 failed 0 ignored"), "{counts}");
        assert_eq!(*count.get_or_insert(counts.clone()), counts);
    }
}

/// As cargo-nextest does: each in a process of its own.
#[test]
fn tests_run_one_by_one() {
    let harness = || Command::new(std::env::current_exe().unwrap());
    let list = ["--list", "--format=terse", "--include-ignored"];
    let listed = run_program(harness().args(OF_THE_HARNESS).args(list));
    let names = listed.out.lines().map(|line| line.strip_suffix(": test"));
    let names: Vec<_> = names.flatten().collect();
    assert!(names.contains(&"doors::deeper::r#async::r#match"));
    for name in names {
        let options = ["--exact", "--nocapture", "--include-ignored"];
        let ended = run_program(harness().arg(name).args(options));
        assert!(ended.out.contains("1 passed"), "{name}: {}", ended.out);
    }
}

#[test]
fn the_door_is_before_the_runtime_of_main() {
    for (first, code) in [("", 0), ("fail", 1), ("code", 7)] {
        let mut command = program(env!("CARGO_BIN_EXE_tokio_main"));
        let ended = Ended::of(command.args([first, "--flag", "a b"]));
        let said = ended.describe();
        let status = ended.status.and_then(|status| status.code());
        assert_eq!(status, Some(code), "{said}");
        let lines: Vec<_> = ended.out.lines().collect();
        // Once: no worker comes so far.
        assert!(lines[0].ends_with(&format!("tokio_main\", {first:?}, \"--flag\", \"a b\"]")));
        assert_eq!(lines[1..5], ["in a runtime: true, false"; 4], "{said}");
        assert_eq!(lines[5], format!("[{first:?}, \"--flag\", \"a b\"]"));
        // The first says of a worker what it is.
        assert!(lines[6].starts_with("false, pool-worker:"), "{said}");
        assert_eq!(lines[7..], ["at the end"], "{said}");
        let error = "Error: \"on purpose\"\n";
        assert_eq!(ended.err, if first == "fail" { error } else { "" });
    }
}

#[test]
fn without_a_door_no_process_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let ended = run_program(program(env!("CARGO_BIN_EXE_no_door")).arg(&log));
    let lines: Vec<_> = ended.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ended.out);
    for line in lines {
        for door in [
            "#[pool_core::main]",
            "pool_core::init()",
            "#[pool_core::test]",
        ] {
            assert!(line.contains(door), "{line}");
        }
    }
    // It ran once: nobody started it again.
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 1);
}

#[test]
fn what_stands_before_a_late_door_runs_in_every_worker() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let ended = run_program(program(env!("CARGO_BIN_EXE_late_door")).arg(&log));
    assert_eq!(ended.out.matches("behind the door").count(), 1);
    // The program and its two workers.
    assert_eq!(ended.out.matches("before the door").count(), 3);
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 3);
}

#[test]
fn a_forged_token_does_not_make_a_worker() {
    let own = std::process::id();
    for (token, said) in [
        ("pool-worker:3:1:0".to_owned(), "parent"),
        (format!("pool-worker:3:{own}:0"), "standard input"),
        (format!("pool-worker:99:{own}:0"), "version 99"),
    ] {
        let mut command = program(env!("CARGO_BIN_EXE_program"));
        let ended = Ended::of(command.arg0(&token).arg("arguments"));
        assert_eq!(
            ended.status.and_then(|status| status.code()),
            Some(64),
            "{token}: {}",
            ended.describe()
        );
        assert!(ended.err.contains("cannot be one"), "{}", ended.err);
        assert!(ended.err.contains(said), "{token}: {}", ended.err);
        assert_eq!(ended.out, "");
    }
    // What looks like a token and is none is a name like any other.
    for name in [
        "pool-worker",
        "pool-worker:",
        "pool-worker:1",
        "pool-worker:x:y:z",
        "x:1:1:0",
    ] {
        let mut command = program(env!("CARGO_BIN_EXE_program"));
        run_program(command.arg0(name).arg("calm"));
    }
}

/// A program that a worker starts is no worker, although it is the same executable.
#[pool_core::test]
fn a_grandchild_is_no_worker() {
    let pool = Pool::builder()
        .backend(Backend::Processes)
        .workers(1)
        .build()
        .unwrap();
    let said = pool.submit(starts_program::task()).join().unwrap();
    assert!(said.contains("done"), "{said}");
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
}

#[pool_core::pool_task]
fn starts_program() -> String {
    let mut command = program(env!("CARGO_BIN_EXE_program"));
    run_program(command.arg("calm")).out
}

#[test]
fn a_source_that_is_compiled_twice_is_one_task() {
    let ended = run_program(&mut program(env!("CARGO_BIN_EXE_pool-tests")));
    let expected = ["inline", "threads", "processes"].map(|backend| format!("{backend}: 3 3\n"));
    assert_eq!(ended.out, expected.concat(), "{}", ended.describe());
}

#[test]
fn two_tasks_of_one_name_are_named_with_their_places() {
    let ended = run_program(&mut program(env!("CARGO_BIN_EXE_duplicate")));
    let lines: Vec<_> = ended.out.lines().collect();
    assert_eq!(lines[0], "1 2");
    for (line, backend) in lines[1..].iter().zip(["threads", "processes", "spawn"]) {
        assert!(line.starts_with(backend), "{line}");
        assert!(line.contains("the same"), "{line}");
        // The lines where the two functions begin: their attributes.
        let source = include_str!("../src/bin/duplicate.rs");
        for function in ["fn one()", "fn other()"] {
            let number = source
                .lines()
                .position(|line| line.starts_with(function))
                .unwrap();
            assert!(
                line.contains(&format!("duplicate.rs:{number} "))
                    || line.contains(&format!("duplicate.rs:{number};")),
                "{number}: {line}"
            );
        }
    }
    assert_eq!(lines[4], "inline: 2");
}
