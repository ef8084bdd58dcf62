//! Estimates π by throwing darts, on every backend and with several numbers of workers. Each task
//! has random numbers of its own, whose seed follows from the one that the program was given and
//! from the task's place among the inputs; so the answer is the same wherever the tasks run.
//!
//! `cargo run --release --example montecarlo -- --help`

use std::time::Instant;

use anyhow::ensure;
use lexopt::prelude::*;
use pool_core::{Backend, Pool, TaskError, pool_task};
use pool_examples::say;

const HELP: &str = "\
Estimates π from random numbers: the same answer on every backend, with any number of workers.

usage: montecarlo [--seed N] [--darts N]

  --seed N   what the random numbers follow from; without it, 1
  --darts N  how many darts to throw; without it, 200000000
  --help     print this

Exit code: 0 if all answers are the same, 1 if not, 2 for arguments that make no sense.
";

/// How many darts are one task.
const DARTS_PER_TASK: u64 = 1_000_000;

/// Throws darts at a square and counts those in the quarter of a circle.
#[pool_task]
fn hits(darts: u64) -> u64 {
    let mut random = fastrand::Rng::with_seed(pool_core::current().seed());
    let mut throw = || random.f64().powi(2) + random.f64().powi(2);
    (0..darts).filter(|_| throw() < 1.0).count() as u64
}

/// All darts; how many of them hit.
fn throw(pool: &Pool, options: &Options) -> Result<u64, TaskError> {
    let full = options.darts / DARTS_PER_TASK;
    let rest = options.darts % DARTS_PER_TASK;
    let tasks = (0..full)
        .map(|_| DARTS_PER_TASK)
        .chain([rest])
        .map(hits::task);
    pool.map(tasks).seed(options.seed).sum()
}

#[pool_core::main]
fn main() -> anyhow::Result<()> {
    let options = pool_examples::options(parse);
    let pools = [
        (Backend::Inline, 1),
        (Backend::Threads, 1),
        (Backend::Threads, 2),
        (Backend::Threads, 3),
        (Backend::Processes, 1),
        (Backend::Processes, 2),
        (Backend::Processes, 3),
    ];
    say("backend    workers  seconds  π is about");
    let mut answer = None;
    for (backend, workers) in pools {
        let pool = Pool::builder().backend(backend).workers(workers).build()?;
        let begin = Instant::now();
        let hits = throw(&pool, &options)?;
        let seconds = begin.elapsed().as_secs_f64();
        let pi = 4.0 * hits as f64 / options.darts as f64;
        say(format_args!(
            "{backend:<9} {workers:>8} {seconds:>8.3}  {pi:.9}"
        ));
        let first = *answer.get_or_insert(hits);
        ensure!(hits == first, "{hits} darts hit, and {first} before");
    }
    let error = 1.64 / (options.darts as f64).sqrt();
    say(format_args!(
        "✓ the same answer from each of them; its standard error is {error:.6}"
    ));
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Options {
    seed: u64,
    darts: u64,
}

fn parse(mut parser: lexopt::Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options {
        seed: 1,
        darts: 200_000_000,
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("darts") => options.darts = parser.value()?.parse_with(darts)?,
            Long("help") | Short('h') => pool_examples::help(HELP),
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

fn darts(text: &str) -> Result<u64, &'static str> {
    let number = text.parse().ok().filter(|darts| *darts > 0);
    number.ok_or("a number from 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[pool_core::test]
    fn the_seed_decides() {
        let pools = [
            Pool::inline(),
            Pool::threads().expect("threads"),
            Pool::processes().expect("processes"),
        ];
        let answers = |seed| {
            let options = Options {
                seed,
                darts: 3 * DARTS_PER_TASK / 2,
            };
            pools
                .each_ref()
                .map(|pool| throw(pool, &options).expect("thrown"))
        };
        let [one, other] = [answers(1), answers(2)];
        assert_eq!(one, [one[0]; 3]);
        assert_eq!(other, [other[0]; 3]);
        assert_ne!(one, other);
        let pi = 4.0 * one[0] as f64 / (1.5 * DARTS_PER_TASK as f64);
        assert!((pi - std::f64::consts::PI).abs() < 0.01, "{pi}");
    }

    #[test]
    fn options_are_read() {
        let parsed = |args: &[&str]| {
            parse(lexopt::Parser::from_args(args)).map_err(|error| error.to_string())
        };
        assert_eq!(
            parsed(&["--seed=7", "--darts", "10"]),
            Ok(Options { seed: 7, darts: 10 })
        );
        for (args, named) in [
            (&["--seed", "-1"][..], "-1"),
            (&["--darts", "0"], "\"0\""),
            (&["7"], "7"),
        ] {
            let error = parsed(args).expect_err("nonsense");
            assert!(error.contains(named), "{args:?}: {error}");
        }
    }
}
