//! Chaos: some threads do to a pool whatever its interface allows, while its workers are killed,
//! stopped, continued and starved; and then everything is counted.
//!
//! `cargo run --release -p pool-tests --bin chaos -- --seconds 60 [--seed N]
//! [--backend processes|threads|inline] [--workers N] [--threads N]`
//!
//! A round takes [`ROUND`]. In it every task has a number, under which it notes in a journal that
//! it starts, before it does anything else. What must hold at its end:
//!
//! * Every task has exactly one outcome (else it is *lost*), which is the one that the serial call
//!   gives, or one that something explains: its deadline, its cancel, a kill of the very worker
//!   that it names, and no more of those than kills.
//! * The journal has each task once at most (else it is *duplicated*), not at all if it was refused
//!   or cancelled behind another one, and in the process that its outcome names.
//! * Each worker has run its initializer once and before anything else, if there is one, and no
//!   more tasks than it may.
//! * The process has the children, threads, descriptors and shared memory that it had before
//!   (else they are *leaked*).
//!
//! Where nothing moves for [`STUCK`], all stacks are printed, and the program aborts. The seed
//! fixes what is done, not when: a second run with it does the same in another order.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // Nothing goes on after a mistake of the program itself.

mod disturb;
mod figures;
mod journal;
mod ledger;
mod round;
mod rules;
mod sides;
mod tasks;
mod users;
mod ways;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use pool_core::Backend;
use pool_tests::chance::Random;
use pool_tests::options::{self, option};
use pool_tests::watchdog;

use figures::{PROGRESS, all_is_well, print_table, resident_mebibytes};
use round::{Plan, Round};
use rules::MOST_WORKERS;

/// How long a round takes.
const ROUND: Duration = Duration::from_secs(2);

/// After how long without any outcome the program is stuck.
const STUCK: Duration = Duration::from_secs(60);

const THREADS: usize = 10;

fn main() -> ExitCode {
    // Before the door: it holds for the workers too.
    tasks::keep_expected_panics_quiet();
    pool_core::init();
    let seconds = option("--seconds").unwrap_or(10);
    let seed = options::seed();
    let backend = option("--backend").unwrap_or(Backend::Processes);
    let workers: Option<usize> = option("--workers");
    let threads = option("--threads").unwrap_or(THREADS);
    let mut again = format!("--backend {backend} --threads {threads} --seconds {seconds}");
    if let Some(workers) = workers {
        again += &format!(" --workers {workers}");
    }
    let again = format!("cargo run --release -p pool-tests --bin chaos -- {again} --seed {seed}");
    eprintln!("{again}");
    watchdog::watch_progress(&PROGRESS, STUCK, print_table);

    let mut random = Random::new(seed);
    let begin = Instant::now();
    let end = begin + Duration::from_secs(seconds);
    let mut resident = None;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let any = 1 + random.below(MOST_WORKERS) as usize;
        let plan = Plan {
            backend,
            workers: workers.unwrap_or(any),
            resizes: workers.is_none(),
            threads,
            length: ROUND.min(left),
        };
        Round::run(plan, &mut random);
        resident.get_or_insert_with(resident_mebibytes);
    }
    println!("{:28} {backend:>12}", "backend");
    println!("{:28} {seed:>12}", "seed");
    println!("{:28} {:>12}", "seconds", begin.elapsed().as_secs());
    println!("{:28} {threads:>12}", "threads");
    print_table();
    let (first, last) = (resident.unwrap_or(0), resident_mebibytes());
    println!("{:28} {first:>5} {last:>6}", "MiB resident, first and last");
    if all_is_well() {
        return ExitCode::SUCCESS;
    }
    eprintln!("not as it should be; again: {again}");
    ExitCode::FAILURE
}
