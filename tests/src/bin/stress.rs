//! Many tasks for a long time, on pools whose workers are stopped and killed meanwhile.
//!
//! `cargo run --release -p pool-tests --bin stress -- --seconds 60 [--seed N]`
//!
//! Each round builds a pool, has one to four threads submit, join, cancel and map with random
//! pauses, and ends the pool. Every result is checked; a kill may cost one task, and nothing else
//! may cost any. Where nothing moves for [`STUCK`], all stacks are printed, and the program aborts.

#![allow(clippy::unwrap_used)] // Nothing goes on after a mistake of the program itself.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};
use std::{process, thread};

use pool_core::{Backend, JoinHandle, Pool, TaskError, pool_task};
use pool_tests::chance::{Random, mix, pause};
use pool_tests::options::{self, option};
use pool_tests::{proc, until, watchdog};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// After how long without any result the program is stuck.
const STUCK: Duration = Duration::from_secs(20);

/// How long a round takes.
const ROUND: Duration = Duration::from_millis(400);

/// The pools, in turns.
const POOLS: &[(Backend, usize)] = &[
    (Backend::Processes, 1),
    (Backend::Threads, 2),
    (Backend::Processes, 2),
    (Backend::Threads, 1),
    (Backend::Processes, 4),
    (Backend::Threads, 4),
];

/// Tasks are never killed for being slow: a stopped worker may take any time.
const GRACE: Duration = Duration::from_secs(600);

/// How many mistakes are printed.
const SHOWN: u64 = 20;

struct Figures {
    tasks: AtomicU64,
    joins: AtomicU64,
    maps: AtomicU64,
    stops: AtomicU64,
    kills: AtomicU64,
    lost: AtomicU64,
    cancelled: AtomicU64,
    wrong: AtomicU64,
}

static FIGURES: Figures = Figures {
    tasks: AtomicU64::new(0),
    joins: AtomicU64::new(0),
    maps: AtomicU64::new(0),
    stops: AtomicU64::new(0),
    kills: AtomicU64::new(0),
    lost: AtomicU64::new(0),
    cancelled: AtomicU64::new(0),
    wrong: AtomicU64::new(0),
};

/// Results, and whatever else shows that the program is not stuck.
static PROGRESS: AtomicU64 = AtomicU64::new(0);

fn count(figure: &AtomicU64) {
    figure.fetch_add(1, Relaxed);
}

fn print_figures() {
    let of = |figure: &AtomicU64| figure.load(Relaxed);
    let all = &FIGURES;
    println!(
        "tasks: {} joins: {} maps: {} stops: {} kills: {} lost: {} cancelled: {} wrong: {}",
        of(&all.tasks),
        of(&all.joins),
        of(&all.maps),
        of(&all.stops),
        of(&all.kills),
        of(&all.lost),
        of(&all.cancelled),
        of(&all.wrong),
    );
}

fn wrong(what: &str) {
    if FIGURES.wrong.fetch_add(1, Relaxed) < SHOWN {
        eprintln!("WRONG: {what}");
    }
}

// ---- tasks ----

/// Takes this long; says in which process.
#[pool_task]
fn work(value: u64, micros: u64) -> (u64, u32) {
    pause(micros);
    (mix(value), process::id())
}

/// The same with so many bytes each way.
#[pool_task]
fn carry(value: u64, bytes: Vec<u8>) -> (u64, Vec<u8>) {
    (mix(value), bytes)
}

// ---- one round ----

struct Round {
    pool: Pool,
    over: AtomicBool,
    /// Workers that have run a task.
    workers: Mutex<Vec<u32>>,
    kills: AtomicU64,
    lost: AtomicU64,
}

impl Round {
    fn run(backend: Backend, workers: usize, random: &mut Random, length: Duration) {
        let pool = Pool::builder()
            .backend(backend)
            .workers(workers)
            .grace(GRACE)
            .start_timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        let this = Self {
            pool,
            over: AtomicBool::new(false),
            workers: Mutex::default(),
            kills: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        };
        let users = 1 + random.below(4);
        thread::scope(|scope| {
            let this = &this;
            for _ in 0..users {
                let seed = random.number();
                scope.spawn(move || this.use_pool(&mut Random::new(seed)));
            }
            if backend == Backend::Processes {
                let seed = random.number();
                scope.spawn(move || this.disturb(&mut Random::new(seed)));
            }
            thread::sleep(length);
            this.over.store(true, Relaxed);
        });
        if random.one_in(4) {
            this.pool.kill();
        } else {
            this.pool.shutdown();
        }
        let (lost, kills) = (this.lost.load(Relaxed), this.kills.load(Relaxed));
        if lost > kills {
            wrong(&format!("{lost} tasks lost by {kills} kills"));
        }
        count(&PROGRESS);
    }

    fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    fn use_pool(&self, random: &mut Random) {
        while !self.is_over() {
            match random.below(8) {
                0..3 => self.one_by_one(random),
                3..5 => self.burst(random),
                5 => self.carry(random),
                _ => self.map(random),
            }
        }
    }

    fn submit(&self, random: &mut Random) -> (u64, JoinHandle<(u64, u32)>) {
        count(&FIGURES.tasks);
        let value = random.number();
        let handle = self.pool.submit(work::task(value, random.micros()));
        (value, handle)
    }

    fn one_by_one(&self, random: &mut Random) {
        for _ in 0..random.below(200) {
            pause(random.micros());
            let (value, handle) = self.submit(random);
            self.end(value, handle, random);
            if self.is_over() {
                return;
            }
        }
    }

    fn burst(&self, random: &mut Random) {
        let pauses = random.one_in(2);
        let mut handles = Vec::new();
        for _ in 0..random.below(300) {
            if pauses {
                pause(random.micros());
            }
            let (value, handle) = self.submit(random);
            if random.one_in(100) {
                drop(handle);
            } else {
                handles.push((value, handle));
            }
        }
        if random.one_in(3) {
            handles.reverse();
        }
        for (value, handle) in handles {
            self.end(value, handle, random);
        }
    }

    fn carry(&self, random: &mut Random) {
        let most = if random.one_in(10) { 300_000 } else { 300 };
        let handles: Vec<_> = (0..random.below(20))
            .map(|_| {
                let (value, len) = (random.number(), random.below(most));
                let bytes = vec![value as u8; usize::try_from(len).unwrap()];
                count(&FIGURES.tasks);
                let handle = self.pool.submit(carry::task(value, bytes.clone()));
                (value, bytes, handle)
            })
            .collect();
        for (value, bytes, handle) in handles {
            count(&FIGURES.joins);
            match handle.join() {
                Ok((found, carried)) => {
                    if found != mix(value) || carried != bytes {
                        wrong("bytes have changed");
                    }
                }
                Err(error) => self.failed(&error),
            }
            count(&PROGRESS);
        }
    }

    /// Waits in one of the ways that there are.
    fn end(&self, value: u64, handle: JoinHandle<(u64, u32)>, random: &mut Random) {
        count(&FIGURES.joins);
        let outcome = match random.below(40) {
            0 => loop {
                if let Some(outcome) = handle.try_join() {
                    break outcome;
                }
                thread::yield_now();
            },
            1 => loop {
                let limit = Duration::from_micros(random.below(300));
                if let Some(outcome) = handle.join_timeout(limit) {
                    break outcome;
                }
            },
            2 => {
                let (finished, is_finished) = mpsc::channel::<()>();
                handle.on_finish(move || drop(finished));
                // Its end, without a message.
                let _ = is_finished.recv();
                if !handle.is_finished() {
                    wrong("a callback was called before the end");
                }
                handle.join()
            }
            3 => {
                let cancelled = handle.cancel();
                let outcome = handle.join();
                let told = outcome.as_ref().is_err_and(TaskError::is_cancelled);
                if cancelled != told {
                    wrong(&format!("cancel said {cancelled}, but: {outcome:?}"));
                }
                count(&PROGRESS);
                if cancelled {
                    count(&FIGURES.cancelled);
                    return;
                }
                outcome
            }
            _ => handle.join(),
        };
        self.check(value, outcome);
    }

    fn map(&self, random: &mut Random) {
        count(&FIGURES.maps);
        let len = usize::try_from(random.below(2_000)).unwrap();
        let quick = random.one_in(2);
        let values: Vec<(u64, u64)> = (0..len)
            .map(|_| (random.number(), if quick { 0 } else { random.micros() }))
            .collect();
        let tasks = values.iter().map(|(value, micros)| {
            count(&FIGURES.tasks);
            work::task(*value, *micros)
        });
        let mut map = self.pool.map(tasks);
        if random.one_in(3) {
            map = map.chunk(1 + random.number() as usize % 100);
        }
        if random.one_in(3) {
            map = map.in_flight(1 + random.number() as usize % 300);
        }
        let end = match random.one_in(5) {
            true => len / 2,
            false => len,
        };
        let pauses = random.one_in(4);
        let mut results = 0;
        for (outcome, (value, _)) in map.by_ref().zip(&values).take(end) {
            self.check(*value, outcome);
            results += 1;
            if pauses && random.one_in(20) {
                pause(random.micros());
            }
            if self.is_over() {
                return;
            }
        }
        if results != end || (end == len && map.next().is_some()) {
            wrong(&format!("{results} results of {end}"));
        }
    }

    fn check(&self, value: u64, outcome: Result<(u64, u32), TaskError>) {
        match outcome {
            Ok((found, worker)) => {
                if found != mix(value) {
                    wrong(&format!("{found:#x} is not the result of {value:#x}"));
                }
                self.met(worker);
            }
            Err(error) => self.failed(&error),
        }
        count(&PROGRESS);
    }

    fn failed(&self, error: &TaskError) {
        if error.is_worker_lost() && self.pool.backend() == Backend::Processes {
            count(&self.lost);
            count(&FIGURES.lost);
        } else {
            wrong(&error.to_string());
        }
    }

    fn met(&self, worker: u32) {
        if worker == process::id() {
            return;
        }
        let mut workers = self.workers.lock().unwrap();
        if !workers.contains(&worker) {
            workers.push(worker);
        }
    }

    // ---- what is done to workers ----

    /// Stops, continues and kills workers until the round is over. None is left stopped.
    fn disturb(&self, random: &mut Random) {
        while !self.is_over() {
            thread::sleep(Duration::from_micros(random.below(3_000)));
            let Some(pid) = self.any_worker(random) else {
                continue;
            };
            // From here on the number means this process, and no later one that gets it.
            let Ok(worker) = pidfd_open(
                Pid::from_raw(pid.cast_signed()).unwrap(),
                PidfdFlags::empty(),
            ) else {
                self.forget(pid);
                continue;
            };
            let own = process::id();
            if !proc::children_of(own).iter().any(|child| child.pid == pid) {
                self.forget(pid);
                continue;
            }
            // It may be gone: then the signals do nothing.
            let send = |signal| {
                let _ = pidfd_send_signal(&worker, signal);
            };
            if random.one_in(40) {
                // Before the signal: what is lost by it is lost later.
                count(&self.kills);
                count(&FIGURES.kills);
                send(Signal::KILL);
                self.forget(pid);
                continue;
            }
            count(&FIGURES.stops);
            send(Signal::STOP);
            match random.below(20) {
                0 => thread::sleep(Duration::from_micros(random.below(50_000))),
                1..10 => pause(random.below(60)),
                _ => pause(random.below(2_000)),
            }
            send(Signal::CONT);
        }
    }

    fn any_worker(&self, random: &mut Random) -> Option<u32> {
        let workers = self.workers.lock().unwrap();
        let len = workers.len() as u64;
        (len > 0).then(|| workers[random.below(len) as usize])
    }

    fn forget(&self, pid: u32) {
        self.workers.lock().unwrap().retain(|worker| *worker != pid);
    }
}

// ---- the program ----

#[pool_core::main]
fn main() -> ExitCode {
    let seconds = option("--seconds").unwrap_or(10);
    let seed = options::seed();
    eprintln!("seed {seed}");
    watchdog::watch_progress(&PROGRESS, STUCK, print_figures);
    let mut random = Random::new(seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    for (backend, workers) in POOLS.iter().cycle() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        Round::run(*backend, *workers, &mut random, ROUND.min(left));
    }
    until("no child is left", || {
        proc::children_of(process::id()).is_empty()
    });
    print_figures();
    match FIGURES.wrong.load(Relaxed) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
