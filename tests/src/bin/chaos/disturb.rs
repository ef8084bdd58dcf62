//! What is done to the workers of a round.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};
use std::{process, thread};

use pool_tests::chance::{Random, pause};
use pool_tests::proc::{self, Process};
use rustix::process::{
    Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, setpriority_process,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::figures::FIGURES;
use crate::journal::{INITIALIZER, Reader};
use crate::round::Round;

/// How many workers that have not run anything may be killed before one that has: more in a row,
/// and a pool says with reason that no worker can be had.
const UNSEEN_KILLS: u32 = 2;

/// The threads that take the processors away.
const SPINNERS: usize = 2;

pub(crate) struct Disturber<'a> {
    round: &'a Round,
    random: Random,
    journal: Reader,
    /// The workers that have run a task.
    seen: HashSet<u32>,
    unseen_kills: u32,
}

/// A worker, held by a descriptor: no later process that gets its number is meant.
struct Target {
    pid: u32,
    pidfd: OwnedFd,
}

impl Target {
    fn of(child: &Process) -> Option<Self> {
        let pid = child.pid;
        let pidfd = pidfd_open(raw(pid), PidfdFlags::empty()).ok()?;
        child.is_there().then_some(Self { pid, pidfd })
    }

    /// It may be gone: then the signal does nothing.
    fn send(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }
}

fn raw(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed()).unwrap()
}

impl<'a> Disturber<'a> {
    pub(crate) fn new(round: &'a Round, seed: u64) -> Self {
        Self {
            round,
            random: Random::new(seed),
            journal: round.read_journal(),
            seen: HashSet::new(),
            unseen_kills: 0,
        }
    }

    /// Until the round is over. No worker is left stopped.
    pub(crate) fn run(mut self) {
        while !self.round.is_over() {
            pause(self.random.below(6_000));
            match self.random.below(400) {
                0..30 => self.kill(false),
                30..40 => self.kill(true),
                40..42 => self.kill_all(),
                42..44 => self.spin(),
                44..54 => self.slow_down(),
                54..60 => {
                    let millis = 50 + self.random.below(450);
                    FIGURES.starved.add(1);
                    self.stop(1_000 * millis);
                }
                60..200 => {
                    let micros = self.random.below(60);
                    self.stop(micros);
                }
                _ => {
                    let micros = self.random.below(3_000);
                    self.stop(micros);
                }
            }
        }
    }

    /// Any of the workers there are.
    fn choose(&mut self) -> Option<Target> {
        let workers = proc::children_of(process::id());
        if workers.is_empty() {
            return None;
        }
        let any = self.random.below(workers.len() as u64);
        Target::of(&workers[any as usize])
    }

    /// Stops one and lets it go on.
    fn stop(&mut self, micros: u64) {
        let target = {
            let Ok(_storm) = self.round.calm.try_write() else {
                return;
            };
            self.choose()
        };
        if let Some(target) = target {
            FIGURES.stops.add(1);
            target.send(Signal::STOP);
            pause(micros);
            target.send(Signal::CONT);
        }
    }

    /// Kills one, stopped or not.
    fn kill(&mut self, stopped: bool) {
        let Ok(_storm) = self.round.calm.try_write() else {
            return;
        };
        if let Some(target) = self.choose() {
            if stopped {
                target.send(Signal::STOP);
                pause(self.random.below(300));
            }
            if !self.kill_this(&target) {
                target.send(Signal::CONT);
            }
        }
    }

    /// Kills all that are there.
    fn kill_all(&mut self) {
        let Ok(_storm) = self.round.calm.try_write() else {
            return;
        };
        for worker in proc::children_of(process::id()) {
            if let Some(target) = Target::of(&worker) {
                self.kill_this(&target);
            }
        }
    }

    fn kill_this(&mut self, target: &Target) -> bool {
        let starts = self.journal.news().unwrap();
        // A worker that ends in its initializer has failed to start.
        let tasks = starts.iter().filter(|start| start.number != INITIALIZER);
        self.seen.extend(tasks.map(|start| start.worker));
        // Nobody builds a pool meanwhile.
        let is_alone = self.round.side_pools.load(SeqCst) == 0;
        if !self.seen.contains(&target.pid) {
            if !is_alone || self.unseen_kills == UNSEEN_KILLS {
                return false;
            }
            self.unseen_kills += 1;
        } else if is_alone {
            self.unseen_kills = 0;
        }
        // Before the signal: what is lost by it is lost later.
        *self.round.kills().entry(target.pid).or_default() += 1;
        FIGURES.kills.add(1);
        target.send(Signal::KILL);
        true
    }

    /// Takes the processors away for some time.
    fn spin(&mut self) {
        FIGURES.starved.add(1);
        let time = Duration::from_millis(20 + self.random.below(150));
        thread::scope(|scope| {
            for _ in 0..SPINNERS {
                scope.spawn(|| {
                    let begin = Instant::now();
                    while begin.elapsed() < time {
                        std::hint::spin_loop();
                    }
                });
            }
        });
    }

    /// Gives one the least share of a processor, or ties it to one processor, as long as it lives.
    fn slow_down(&mut self) {
        let Some(target) = self.choose() else {
            return;
        };
        FIGURES.starved.add(1);
        // Both fail when it has ended: then there is nothing to be done.
        if self.random.one_in(2) {
            let _ = setpriority_process(Some(raw(target.pid)), 19);
        } else if let Ok(allowed) = sched_getaffinity(None) {
            let cpus: Vec<usize> = (0..CpuSet::MAX_CPU)
                .filter(|cpu| allowed.is_set(*cpu))
                .collect();
            let mut one = CpuSet::new();
            one.set(cpus[self.random.below(cpus.len() as u64) as usize]);
            let _ = sched_setaffinity(Some(raw(target.pid)), &one);
        }
    }
}
