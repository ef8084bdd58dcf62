//! What it costs a map to be shown: `pool-benches progress` runs maps of tiny tasks with and without
//! it, in turn, and prints how many outcomes a second there were.
//!
//! `progress()` draws a bar where standard error is a terminal, and writes lines elsewhere.

use std::hint::black_box;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use pool_core::{Backend, Pool};

use crate::Fault;
use crate::machine::Machine;
use crate::stats::{median, quantile, sorted};
use crate::tasks::add;

/// How often each map runs.
const ROUNDS: usize = 60;

/// How long one map takes, about: long enough to be looked at once, short enough that what else the
/// machine does falls on neighbours alike.
const MAP_TIME: Duration = Duration::from_millis(150);

/// What was asked for: a hundredth of the time for an outcome at a million in a second.
const MAX_NANOS: f64 = 10.0;

const WAYS: [&str; 3] = ["nothing", "on_progress()", "progress()"];

pub(crate) fn run() -> Result<(), Fault> {
    let mut machine = Machine::look(None);
    let begin = Instant::now();
    let shown = match std::io::stderr().is_terminal() {
        true => "bars",
        false => "lines",
    };
    let mut text = format!(
        "{:10} {:14} {:>12} {:>10} {:>10}   {:24} {}\n",
        "backend", "shown by", "outcomes/s", "ns each", "at best", "more, by pairs", "at best"
    );
    for backend in [Backend::Inline, Backend::Threads, Backend::Processes] {
        let pool = Pool::builder().backend(backend).build()?;
        text += &table(&pool)?;
    }
    machine.look_again(begin.elapsed());
    print!("{}\nprogress() writes {shown}\n\n{text}", machine.text());
    println!(
        "\nasked for: less than 1 % at 1,000,000 outcomes a second, so less than {MAX_NANOS} ns each"
    );
    Ok(())
}

fn table(pool: &Pool) -> Result<String, Fault> {
    // Warm, and how many tasks it takes.
    let tasks = 200_000;
    one(pool, 0, tasks)?;
    let tasks = (MAP_TIME.as_nanos() as f64 / one(pool, 0, tasks)?) as u64;
    let mut nanos = [const { Vec::new() }; WAYS.len()];
    for round in 0..ROUNDS {
        // Each comes first as often as the others.
        for way in 0..WAYS.len() {
            let way = (way + round) % WAYS.len();
            nanos[way].push(one(pool, way, tasks)?);
        }
    }
    let best = |way: usize| nanos[way].iter().copied().fold(f64::INFINITY, f64::min);
    let mut text = String::new();
    for (way, name) in WAYS.iter().enumerate() {
        let each = median(nanos[way].clone());
        // What was measured right after each other is compared.
        let more = std::iter::zip(&nanos[way], &nanos[0]).map(|(with, without)| with - without);
        let more = sorted(more.collect());
        let [low, middle, high] = [0.25, 0.5, 0.75].map(|q| quantile(&more, q));
        text += &format!(
            "{:10} {name:14} {:12.0} {each:10.1} {:10.1}   {middle:5.1} ({low:5.1} to {high:5.1}) ns {:9.1} ns\n",
            pool.backend().to_string(),
            1e9 / each,
            best(way),
            best(way) - best(0),
        );
    }
    Ok(text)
}

/// One map; returns the nanoseconds for each outcome.
fn one(pool: &Pool, way: usize, tasks: u64) -> Result<f64, Fault> {
    let seen = Arc::new(AtomicU64::new(0));
    let of_callback = Arc::clone(&seen);
    let map = pool.map((0..tasks).map(|i| add::task(i, 1)));
    let map = match way {
        0 => map,
        1 => map.on_progress(move |state| of_callback.store(state.done, Relaxed)),
        _ => map.progress(),
    };
    let begin = Instant::now();
    let mut sum = 0_u64;
    for outcome in map {
        sum = sum.wrapping_add(outcome?);
    }
    let nanos = begin.elapsed().as_nanos() as f64 / tasks as f64;
    black_box(sum);
    if way == 1 && seen.load(Relaxed) != tasks {
        return Err("the callback was not told of the last outcome".into());
    }
    Ok(nanos)
}
