//! What workers write with a prefix, where it is read late or never.

use crate::harness::program::{Ended, program, run_program};

fn run(arguments: &[&str]) -> Ended {
    run_program(program(env!("CARGO_BIN_EXE_program")).args(arguments))
}

#[test]
fn a_pool_ends_whose_output_nobody_reads() {
    for end in ["kill", "drop", "shutdown"] {
        let ended = run(&["output unread", end]);
        let line = format!("it has ended by {end}\n");
        assert!(ended.err.contains(&line), "{}", ended.describe());
    }
}

#[test]
fn output_arrives_while_the_program_has_its_lock() {
    for lines in [1, 20_000] {
        let ended = run(&["output while locked", &lines.to_string()]);
        let count = |prefix: &str| ended.out.lines().filter(|l| l.starts_with(prefix)).count();
        let counts = [
            count("[worker "),
            count("main has a result"),
            count("main is at"),
        ];
        assert_eq!(counts, [4 * lines, 4, 1]);
        assert_eq!(ended.out.lines().count(), 4 * lines + 5);
    }
}

#[test]
fn output_that_does_not_block_loses_no_line() {
    let ended = run(&["output that does not block"]);
    assert!(
        ended.err.contains("all as it should be"),
        "{}",
        ended.describe()
    );
}

#[test]
fn lines_that_cannot_be_written_are_counted() {
    let ended = run(&["output unreadable"]);
    let said = "10 lines of workers' output were lost (standard output: Broken pipe";
    assert!(ended.err.contains(said), "{}", ended.describe());
}
