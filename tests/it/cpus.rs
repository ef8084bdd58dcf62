//! How many workers a pool has of which nobody has said it.

use std::process::Command;

use crate::harness::program::{program, run_program};

fn scenario(name: &str, workers: Option<&str>) -> String {
    let mut command: Command = program(env!("CARGO_BIN_EXE_program"));
    command.arg(name).env_remove("POOL_WORKERS");
    command.envs(workers.map(|text| ("POOL_WORKERS", text)));
    run_program(&mut command).out
}

#[test]
fn a_variable_says_it_and_workers_share_it() {
    assert_eq!(scenario("workers", Some("12")), "12 [12, 3, 1]\n");
    assert_eq!(scenario("workers", Some("3")), "3 [3, 1, 1]\n");
    assert_eq!(
        scenario("workers", Some("")),
        scenario("workers", None),
        "empty is as if it were not there"
    );
}

#[test]
fn a_variable_that_is_no_number_is_an_error() {
    for text in ["0", "four", "-1", "1025", " 2"] {
        let said = scenario("workers", Some(text));
        let expected = format!("POOL_WORKERS is {text:?}: it has to be a number from 1 to 1024\n");
        assert_eq!(said, expected);
    }
}

/// No group's quota is less than one CPU, and a machine in the tests may have any.
#[test]
fn the_affinity_mask_bounds_it() {
    let said = scenario("affinity", None);
    let mut before = 0;
    for (count, line) in (1..).zip(said.lines()) {
        let numbers: Vec<usize> = line
            .split([' ', '[', ']', ','])
            .filter_map(|word| word.parse().ok())
            .collect();
        let [allowed, workers, same, inside] = numbers[..] else {
            panic!("{line}");
        };
        assert_eq!((allowed, same, inside), (count, workers, workers), "{said}");
        assert!((before..=allowed).contains(&workers), "{said}");
        before = workers;
    }
    assert!(said.starts_with("1 1 "), "{said}");
}
