//! What it costs to look at a pool: `pool-benches stats` prints how long one `stats()` and one
//! `describe()` take, idle and under load, and what somebody who looks 10 or 1,000 times a second
//! takes from round trips and maps. Those who are watched and those who are not take turns.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use pool_core::{Backend, Pool};

use crate::Fault;
use crate::group::Unit;
use crate::machine::Machine;
use crate::report::show;
use crate::stats::{mean_seconds, median};
use crate::tasks::{add, busy};

/// How often each is measured.
const ROUNDS: usize = 15;

/// How long one measurement goes on.
const ENOUGH: Duration = Duration::from_millis(100);

/// How long each task of a load is at it.
const TASK: Duration = Duration::from_micros(100);

const TASKS_OF_A_MAP: u64 = 1_000_000;

const POOLS: [(Backend, usize); 4] = [
    (Backend::Inline, 1),
    (Backend::Threads, 2),
    (Backend::Processes, 2),
    (Backend::Processes, 16),
];

/// How often somebody looks in a second.
const LOOKS: [u32; 3] = [0, 10, 1_000];

pub(crate) fn run() -> Result<(), Fault> {
    let mut machine = Machine::look(None);
    let begin = Instant::now();
    let mut text = String::from("one look                                 stats()   describe()\n");
    for (backend, workers) in POOLS {
        text += &one_look(backend, workers)?;
    }
    text += "\nwith somebody who calls stats()    nobody       10/s     1,000/s\n";
    for (backend, workers) in [(Backend::Threads, 2), (Backend::Processes, 2)] {
        text += &watched(backend, workers, "round trip", Unit::Seconds, round_trip)?;
        text += &watched(backend, workers, "map", Unit::PerSecond, map)?;
    }
    machine.look_again(begin.elapsed());
    println!("{}\n{text}", machine.text());
    Ok(())
}

fn pool(backend: Backend, workers: usize) -> Result<Pool, Fault> {
    Ok(Pool::builder().backend(backend).workers(workers).build()?)
}

/// The line of one pool, idle and with twice as many tasks as workers all the time.
fn one_look(backend: Backend, workers: usize) -> Result<String, Fault> {
    let pool = pool(backend, workers)?;
    let mut text = line(&pool, "idle")?;
    if backend != Backend::Inline {
        let over = AtomicBool::new(false);
        let loaded = thread::scope(|scope| {
            scope.spawn(|| {
                let tasks = std::iter::from_fn(|| {
                    (!over.load(SeqCst)).then(|| busy::task(TASK.as_nanos() as u64))
                });
                let map = pool.map(tasks).chunk(1).in_flight(2 * workers);
                map.for_each(|result| drop(black_box(result)));
            });
            let loaded = line(&pool, "busy");
            over.store(true, SeqCst);
            loaded
        });
        text += &loaded?;
    }
    Ok(text)
}

fn line(pool: &Pool, what: &str) -> Result<String, Fault> {
    let (mut stats, mut describe) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let look = || {
            black_box(pool.stats());
            Ok::<_, Fault>(())
        };
        stats.push(mean_seconds(ENOUGH / 10, look)?);
        let look = || {
            black_box(pool.describe().to_string());
            Ok::<_, Fault>(())
        };
        describe.push(mean_seconds(ENOUGH / 10, look)?);
    }
    let name = format!("{} ×{}, {what}", pool.backend(), pool.workers());
    let [stats, describe] = [stats, describe].map(|all| show(median(all), Unit::Seconds));
    Ok(format!("{name:<35}{stats:>13}{describe:>13}\n"))
}

/// How `measure` fares while somebody looks now and then.
fn watched(
    backend: Backend,
    workers: usize,
    what: &str,
    unit: Unit,
    measure: fn(&Pool) -> Result<f64, Fault>,
) -> Result<String, Fault> {
    let pool = pool(backend, workers)?;
    // Warm.
    measure(&pool)?;
    let mut values = LOOKS.map(|_| Vec::new());
    for round in 0..ROUNDS {
        for turn in 0..LOOKS.len() {
            // Each comes first as often as the others.
            let at = (round + turn) % LOOKS.len();
            values[at].push(while_looked_at(&pool, LOOKS[at], measure)?);
        }
    }
    let name = format!("{backend} ×{workers}, {what}");
    let [nobody, seldom, often] = values.map(|all| show(median(all), unit));
    Ok(format!("{name:<29}{nobody:>12}{seldom:>11}{often:>12}\n"))
}

fn while_looked_at(
    pool: &Pool,
    looks: u32,
    measure: fn(&Pool) -> Result<f64, Fault>,
) -> Result<f64, Fault> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        if let Some(pause) = Duration::from_secs(1).checked_div(looks) {
            let over = &over;
            scope.spawn(move || {
                while !over.load(SeqCst) {
                    black_box(pool.stats());
                    thread::park_timeout(pause);
                }
            });
        }
        let value = measure(pool);
        over.store(true, SeqCst);
        value
    })
}

/// Seconds of one.
fn round_trip(pool: &Pool) -> Result<f64, Fault> {
    mean_seconds(ENOUGH, || {
        pool.submit(add::task(1, 1)).join()?;
        Ok(())
    })
}

/// Tasks in a second.
fn map(pool: &Pool) -> Result<f64, Fault> {
    let begin = Instant::now();
    let done = pool.map((0..TASKS_OF_A_MAP).map(|i| add::task(i, 1)));
    let done = done.filter(Result::is_ok).count();
    Ok(done as f64 / begin.elapsed().as_secs_f64())
}
