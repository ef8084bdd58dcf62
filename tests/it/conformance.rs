//! The conformance suite: a test for each of its statements on each backend it applies to, alone in
//! a process like the behaviours.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use pool_core::Backend;
use pool_core::conformance::{self, Need, Outcome, Subject, find, statements};

use crate::harness::On;

/// Set by whoever wants the tests too that take gigabytes of memory, and a minute where memory is
/// slow: `POOL_TESTS_ROOM=1 cargo test --release -p pool-tests conformance::sub_13`.
const ROOM: &str = "POOL_TESTS_ROOM";

/// Every id of the list that the suite was made from; tests of the fault matrix are on top of it.
const IDS: &str = "
    SUB-1 SUB-2 SUB-3 SUB-4 SUB-5 SUB-6 SUB-7 SUB-8 SUB-11 SUB-12 SUB-13 SUB-14 SUB-16
    FUT-1 FUT-2 FUT-3 FUT-4 FUT-5 FUT-6 FUT-7 FUT-8 FUT-9 FUT-11 FUT-12 FUT-14 FUT-15
    MAP-1 MAP-2 MAP-3 MAP-4 MAP-5 MAP-7 MAP-8 MAP-9 MAP-10 MAP-11 MAP-13 MAP-14 MAP-15 MAP-16
    MAP-17 MAP-19
    ASC-1 ASC-2 ASC-3 WAIT-1 WAIT-2 WAIT-3 WAIT-5
    SHUT-1 SHUT-2 SHUT-4 SHUT-5 SHUT-6 SHUT-8 SHUT-9 SHUT-10 SHUT-11 SHUT-12 SHUT-13 SHUT-15
    SHUT-16 SHUT-17 SHUT-19 SHUT-20 SHUT-21
    LIFE-1 LIFE-2 LIFE-3 LIFE-4 LIFE-6 LIFE-7 LIFE-8 LIFE-11 LIFE-13 LIFE-14 LIFE-15 LIFE-16
    LIFE-17 LIFE-18
    CR-1 CR-2 CR-3 CR-5 CR-7 CR-8 CR-10 CR-11 CR-12 CR-13 CR-14 CR-15 CR-16 CR-17 CR-18 CR-20
    CR-22
    ENV-1 ENV-2 ENV-3 ENV-6 ENV-7 ENV-8 ENV-9 ENV-11 ENV-12 ENV-13
    SHM-1 SHM-2 SHM-3 SHM-4 SHM-5 SHM-7 SHM-8 SHM-9
    EQ-1 EQ-2 EQ-4 DIST-1 DIST-2
";

/// Of the matrix of faults.
const FAULT: &str = "FAULT-";

/// Writes a test `statement::backend` for every statement and every backend that can what it needs.
/// That none is left out is a test of its own.
macro_rules! tests {
    ($($part:ident $title:literal {
        $($name:ident $id:literal $needs:tt $says:literal;)+
    })+) => {$($(
        tests_of! { $name $id $needs }
    )+)+};
}

macro_rules! tests_of {
    ($name:ident $id:literal $needs:tt) => {
        tests_of! { $name $id $needs not cluster [] }
    };
    ($name:ident $id:literal [later $reason:literal] $($not:tt)+) => {};
    ($name:ident $id:literal [never $reason:literal] $($not:tt)+) => {};
    ($name:ident $id:literal [local $($more:ident)+] not cluster []) => {
        tests_of! { $name $id [$($more)+] not cluster [local] }
    };
    ($name:ident $id:literal [near $($more:ident)+] not cluster []) => {
        tests_of! { $name $id [$($more)+] not cluster [near] }
    };
    ($name:ident $id:literal [all $($more:ident)*] not cluster $here:tt) => {
        tests_on! { $name $id [inline threads processes] $here }
    };
    // The tests have these wherever they run.
    ($name:ident $id:literal [program $($more:ident)*] not cluster $here:tt) => {
        tests_on! { $name $id [inline threads processes] $here }
    };
    ($name:ident $id:literal [shared_memory $($more:ident)*] not cluster $here:tt) => {
        tests_on! { $name $id [inline threads] $here }
    };
    ($name:ident $id:literal [queue shared_memory $($more:ident)*] not cluster $here:tt) => {
        tests_on! { $name $id [threads] $here }
    };
    ($name:ident $id:literal [queue $($more:ident)*] not cluster $here:tt) => {
        tests_on! { $name $id [threads processes] $here }
    };
    // The others are what processes alone can.
    ($name:ident $id:literal [$need:ident $($more:ident)*] not cluster $here:tt) => {
        tests_on! { $name $id [processes] $here }
    };
}

macro_rules! tests_on {
    ($name:ident $id:literal [$($backend:ident)+] $here:tt) => {
        mod $name {$(
            #[pool_core::test]
            fn $backend() {
                crate::harness::run(module_path!(), stringify!($backend), |on| {
                    super::test($id, on);
                });
            }
            test_on_cluster! { $id $backend $here }
        )+}
    };
}

/// Where there are processes there is a cluster, as in the list of behaviours.
macro_rules! test_on_cluster {
    ($id:literal processes []) => {
        #[cfg(feature = "cluster")]
        #[pool_core::test]
        fn cluster() {
            crate::harness::run_on_cluster(module_path!(), |on| super::test($id, on));
        }
    };
    ($id:literal $backend:ident $here:tt) => {};
}

pool_core::conformance_statements!(tests);

fn test(id: &str, on: &On) {
    let statement = find(id).unwrap();
    let subject = subject(on.backend());
    match statement.excuse(&subject) {
        None => statement.run(&subject),
        Some(why) if why == Need::Room.excuse() => eprintln!("NOT TESTED: {id}: {why}"),
        Some(why) => panic!("{id} is not for the {} backend: {why}", on.backend()),
    }
}

/// The backend as these tests run it: this binary started with the same arguments comes to the
/// same test.
fn subject(backend: Backend) -> Subject {
    let subject = Subject::of(backend)
        .prepare(move |builder| On::new(backend).prepare(builder))
        .program(|| {
            let mut program = Command::new(env::current_exe().unwrap());
            program.args(env::args_os().skip(1));
            program
        });
    match env::var_os(ROOM) {
        None => subject,
        Some(_) => subject.can(Need::Room),
    }
}

#[test]
fn every_statement_is_on_the_list() {
    let ids: Vec<_> = statements()
        .iter()
        .map(|statement| statement.id())
        .collect();
    let from_list: Vec<_> = ids
        .iter()
        .copied()
        .filter(|id| !id.starts_with(FAULT))
        .collect();
    assert_eq!(from_list, IDS.split_whitespace().collect::<Vec<_>>());
    assert_eq!(from_list.len(), 120);
    let once: BTreeSet<_> = ids.iter().collect();
    assert_eq!(once.len(), ids.len(), "an id is there twice");
}

/// What `cargo test -- --list` says, beside what the library says.
#[test]
fn every_statement_is_tested_where_it_applies() {
    let listed = Command::new(env::current_exe().unwrap())
        .args(["--list", "conformance::"])
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let made: BTreeSet<_> = listed
        .lines()
        .filter_map(|line| line.strip_prefix("conformance::")?.strip_suffix(": test"))
        .filter(|name| name.contains("::"))
        .map(ToOwned::to_owned)
        .collect();
    let mut expected = BTreeSet::from(["whole_suite::inline".to_owned()]);
    let backends = [
        Backend::Inline,
        Backend::Threads,
        Backend::Processes,
        Backend::Cluster,
    ];
    let is_there = |backend: &Backend| *backend != Backend::Cluster || cfg!(feature = "cluster");
    for backend in backends.into_iter().filter(is_there) {
        let subject = subject(backend).can(Need::Room);
        for statement in statements() {
            if statement.excuse(&subject).is_none() {
                let name = statement.id().to_lowercase().replace('-', "_");
                expected.insert(format!("{name}::{backend}"));
            }
        }
    }
    assert!(expected.len() > 100);
    assert_eq!(made, expected);
}

#[test]
fn the_page_is_what_the_list_gives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let page = fs::read_to_string(path).unwrap();
    assert!(
        page == conformance::table(),
        "docs/conformance.md is not up to date: \
         cargo run -p pool-tests --bin conformance > docs/conformance.md"
    );
}

/// All of them in one process, as the author of another backend runs them.
mod whole_suite {
    use pool_core::conformance::{Outcome, run_all};

    #[pool_core::test]
    fn inline() {
        crate::harness::run(module_path!(), "inline", |on| {
            let report = run_all(&super::Subject::of(on.backend()));
            assert!(report.is_ok(), "{report}");
            let held = |(_, outcome): &&(_, Outcome)| *outcome == Outcome::Holds;
            let held = report.outcomes().iter().filter(held).count();
            assert!(held > 20, "{report}");
            let text = format!("inline: {held} statements hold, 0 do not, ");
            assert!(report.to_string().starts_with(&text), "{report}");
        });
    }
}

#[test]
fn a_backend_that_breaks_a_promise_is_found_out() {
    // It has one worker, whatever it is told.
    let subject = Subject::new("broken", |builder| {
        builder.backend(Backend::Threads).workers(1).build()
    });
    let report = conformance::run_all(&subject);
    assert!(!report.is_ok());
    let outcome = |id| {
        let mut outcomes = report.outcomes().iter();
        let (_, outcome) = outcomes.find(|(of, _)| of.id() == id).unwrap();
        outcome
    };
    assert!(matches!(outcome("SUB-3"), Outcome::Fails(why) if why.contains("submit.rs")));
    assert_eq!(*outcome("SUB-1"), Outcome::Holds);
    assert_eq!(*outcome("FUT-1"), Outcome::Excused(Need::Queue.excuse()));
    let said = report.to_string();
    let sub_3 = find("SUB-3").unwrap().says();
    assert!(said.starts_with(&format!("SUB-3: {sub_3}\n")), "{said}");
    assert!(!said.contains("SUB-1:"), "{said}");
}
