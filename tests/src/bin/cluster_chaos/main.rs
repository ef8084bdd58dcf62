//! Chaos on a cluster: some threads do to pools whatever their interface allows, while their agents
//! and servers are killed, stopped, drained and started; and then everything is counted.
//!
//! `cargo run --release -p pool-tests --features cluster --bin cluster_chaos -- --seconds 600
//! [--seed N] [--agents 3] [--servers 1|3]`
//!
//! Agents are processes of this very program. Every task has a number, under which it notes in a
//! journal that it starts, before it does anything else. What must hold at the end:
//!
//! * Every outcome is the one that the serial call gives, or one that something explains: its
//!   deadline, its cancel, the loss of an agent. Else it is *wrong*.
//! * Every task has one within [`AT_LAST`] after everything is whole again. Else it is *lost*.
//! * No run of a task has started more than once, and no task more often than it may, or after it
//!   was surely cancelled before its start. Else it ran *twice*.
//! * Nothing is left of agents that are gone, and nothing in this process of pools that are. Else it
//!   is *leaked*.
//!
//! A task may be lost only while an agent is: one that was killed, that was stopped for longer than
//! pools wait, or that had no time enough to drain. Faults of servers lose nothing.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // Nothing goes on after a mistake of the program itself.

mod disturb;
mod faults;
mod figures;
#[path = "../chaos/journal.rs"]
#[allow(dead_code)]
mod journal;
mod ledger;
#[path = "../chaos/tasks.rs"]
#[allow(dead_code)]
mod others;
mod servers;
mod tasks;
mod users;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pool_tests::chance::Random;
use pool_tests::options::{self, option};
use pool_tests::proc;

use disturb::Disturber;
use figures::{FIGURES, all_is_well, blame, moved, print_line, print_table};
use journal::Reader;
use servers::Servers;
use users::User;
use world::World;

/// How long outcomes may take when nobody disturbs any more.
const AT_LAST: Duration = Duration::from_secs(60);

/// How long what is on its way out may take.
const LEAVING: Duration = Duration::from_secs(10);

const THREADS: usize = 6;

fn main() -> ExitCode {
    // Before the door: it holds for the workers too.
    others::keep_expected_panics_quiet();
    pool_core::init();
    let seconds = option("--seconds").unwrap_or(60);
    let seed = options::seed();
    let agents = option("--agents").unwrap_or(3);
    let servers: usize = option("--servers").unwrap_or(1);
    let threads = option("--threads").unwrap_or(THREADS);
    let again = format!(
        "cargo run --release -p pool-tests --features cluster --bin cluster_chaos -- \
         --seconds {seconds} --agents {agents} --servers {servers} --threads {threads} --seed {seed}"
    );
    eprintln!("{again}");
    let begin = Instant::now();
    moved();
    let servers = Servers::start(servers);
    let version = servers.version();
    let folder = tempfile::tempdir().unwrap();
    let kept = run(
        servers,
        folder.path(),
        begin,
        seconds,
        seed,
        agents,
        threads,
    );

    println!("{:34} {version:>12}", "nats-server");
    println!("{:34} {seed:>12}", "seed");
    println!("{:34} {:>12}", "seconds", begin.elapsed().as_secs());
    print_table();
    if all_is_well() {
        return ExitCode::SUCCESS;
    }
    eprintln!("not as it should be; again: {again}");
    if option::<bool>("--keep") == Some(true) {
        eprintln!("logs and journal: {}", folder.keep().display());
    }
    if kept {
        // Threads that wait for what will not come.
        std::process::exit(1);
    }
    ExitCode::FAILURE
}

/// Whether some thread still waits.
fn run(
    servers: Servers,
    folder: &Path,
    begin: Instant,
    seconds: u64,
    seed: u64,
    agents: usize,
    threads: usize,
) -> bool {
    let mut random = Random::new(seed);
    let journal = folder.join("journal");
    let mut reader = Reader::create(&journal).unwrap();
    // One before, so that what a process does once is done.
    drop(World::build(&servers.url(), servers.replicas(), None).unwrap());
    let before = held();
    let world = Arc::new(World::new(&servers, &journal));
    let users: Vec<_> = (0..threads)
        .map(|_| {
            let user = User::new(Arc::clone(&world), random.number());
            thread::spawn(move || user.run())
        })
        .collect();
    // In this thread, which stays: agents die with the thread that has started them.
    let random = Random::new(random.number());
    let mut disturber = Disturber::new(Arc::clone(&world), servers, agents, folder, random);
    disturber.run(begin + Duration::from_secs(seconds));
    world.end();
    disturber.calm();

    let mut late = false;
    let end = Instant::now() + AT_LAST;
    while users.iter().any(|user| !user.is_finished()) {
        disturber.tick();
        late = Instant::now() > end;
        if late {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    print_line();
    if late {
        for pool in &world.pools {
            eprintln!("{}", pool.describe());
        }
    } else {
        for user in users {
            if user.join().is_err() {
                blame(&FIGURES.wrong, "a thread has panicked");
            }
        }
        for pool in &world.pools {
            pool.shutdown();
        }
    }
    disturber.end();
    // With the agents: nothing starts from here on.
    world.ledger.check(&reader.news().unwrap());
    if reader.is_torn() {
        blame(&FIGURES.wrong, "the journal ends in the middle of a note");
    }
    if late {
        return true;
    }
    drop(world);
    look_for_leaks(&before);
    drop(disturber);
    false
}

fn look_for_leaks(before: &[String]) {
    let end = Instant::now() + LEAVING;
    let mut now = held();
    while now != before && Instant::now() < end {
        thread::sleep(Duration::from_millis(20));
        now = held();
    }
    if now != before {
        let text = format!("before\n{}\nand now\n{}", before.join("\n"), now.join("\n"));
        blame(&FIGURES.leaked, &text);
    }
}

/// The threads and descriptors of this process, without what tells two of a kind apart.
fn held() -> Vec<String> {
    let threads = proc::numbers("/proc/self/task")
        .into_iter()
        .filter_map(|tid| std::fs::read_to_string(format!("/proc/self/task/{tid}/comm")).ok());
    let files = proc::numbers("/proc/self/fd").into_iter().filter_map(|fd| {
        let target = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
        let target = target.to_string_lossy().into_owned();
        let kind = target.split_once(":[").map(|(kind, _)| kind.to_owned());
        Some(kind.unwrap_or(target))
    });
    let mut all: Vec<String> = threads
        .chain(files)
        .map(|line| line.trim().to_owned())
        .collect();
    all.sort_unstable();
    all
}
