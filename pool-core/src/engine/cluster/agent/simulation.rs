//! Submitter and agents as they are, with a queue, a network and a clock that are not: every fault
//! that the protocol has to survive, thousands of times in a second, from a seed.
//!
//! What is true of the network is kept: what one side says to another arrives in order, or not at
//! all. The queue delivers again what is not acknowledged, forgets leases when it crashes, and now
//! and then loses everything.

mod agents;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::super::connection::LEASE;
use super::super::coordinator::{After, Cancelled, Coordinator, Say};
use super::super::wire::{self, Chunk, Failure, Fate, Order, Part, Payload, Run, Verdict};
use super::held::{Ack, Key, Outcome, PartState, Question, Table};
use crate::codec::{self, Reply};
use crate::engine::{Config, ProcessConfig};
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::job::cell::{Claimed, Effects, Handle, JobCell};
use crate::job::work::{Ran, SentChunk};
use crate::metrics::recorder::Metrics;
use crate::task::seed::Seeds;
use crate::task::{Options, Task, WithOptions};

#[derive(Serialize, Deserialize)]
struct Number(u32);

impl Task for Number {
    type Output = u32;
    const NAME: &'static str = "number";

    fn run(self) -> u32 {
        self.0
    }
}

/// How long a step is.
const STEP: Duration = Duration::from_millis(20);

/// How many tasks are in a chunk.
const CHUNK: u32 = 8;

/// One message of a hundred is lost, and so on.
const LOSS: u64 = 1;

struct Chance {
    seeds: Seeds,
    at: usize,
}

impl Chance {
    fn new(seed: u64) -> Self {
        Self {
            seeds: Seeds::new(seed),
            at: 0,
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.at += 1;
        self.seeds.of(self.at) % limit
    }

    /// Whether it happens that happens so many times in a hundred thousand.
    fn happens(&mut self, times: u64) -> bool {
        self.below(100_000) < times
    }
}

/// A message in the queue.
struct Queued {
    seq: u64,
    order: Order,
    body: Bytes,
    /// Not delivered before.
    not_before: Instant,
}

/// What goes to the submitter, and what it answers.
enum ToSubmitter {
    Ask(u64, Vec<Run>),
    Done(u64, Vec<(Part, Fate, Bytes)>),
    Back(u64, Vec<Run>),
    Hello(u64),
    Roll(u64, Vec<Part>),
}

enum ToAgent {
    Verdicts(u64, Vec<Verdict>),
    Heard(u64),
    Stop(Part, bool),
    Roll(u64, Vec<Part>, Vec<Part>),
}

struct Agent {
    name: String,
    table: Table,
    /// What runs: until when.
    running: BTreeMap<usize, (Key, u32, Instant)>,
    next_number: usize,
    /// Stopped until then.
    frozen_until: Option<Instant>,
    inbox: VecDeque<(Instant, ToAgent)>,
    outbox: VecDeque<(Instant, ToSubmitter)>,
    drains: bool,
}

struct World {
    chance: Chance,
    now: Instant,
    coordinator: Coordinator,
    metrics: Arc<Metrics>,
    queue: Vec<Queued>,
    last_seq: u64,
    acks: VecDeque<(Instant, Run, u64)>,
    agents: Vec<Agent>,
    agents_born: usize,
    /// Nobody reaches the servers until then.
    dark_until: Option<Instant>,
    /// By job: which tasks they are.
    jobs: HashMap<u64, u32>,
    handles: Vec<(u32, bool, Handle<u32>)>,
    /// Chunks, by their first task: each is of `CHUNK` tasks.
    chunks: Vec<(u32, Handle<Ran<Number>>)>,
    /// Of which tasks each part of a chunk is that an agent has: the first, and how many.
    parts: HashMap<Part, (u32, u32)>,
    next_task: u32,
    starts: HashMap<Run, u32>,
    /// Tasks that were cancelled before they had leave to start.
    never: HashSet<u32>,
    has_faults: bool,
    /// Agents die, and are stopped for long.
    is_deadly: bool,
}

impl World {
    fn new(seed: u64, is_deadly: bool) -> Self {
        let config = Config {
            workers: 1,
            grace: STEP,
            start_timeout: STEP,
            stack_size: 0,
            queue: None,
            queue_bytes: None,
            initializer: None,
            processes: ProcessConfig::default(),
            nats: None,
        };
        let (now, metrics) = (Instant::now(), Arc::new(Metrics::new()));
        Self {
            chance: Chance::new(seed),
            now,
            coordinator: Coordinator::new(&config, None, "00ff", Arc::clone(&metrics), now),
            metrics,
            queue: Vec::new(),
            last_seq: 0,
            acks: VecDeque::new(),
            agents: Vec::new(),
            agents_born: 0,
            dark_until: None,
            jobs: HashMap::new(),
            handles: Vec::new(),
            chunks: Vec::new(),
            parts: HashMap::new(),
            next_task: 0,
            starts: HashMap::new(),
            never: HashSet::new(),
            has_faults: true,
            is_deadly,
        }
    }

    fn with<R>(&mut self, work: impl FnOnce(&mut Coordinator, Instant, &mut After) -> R) -> R {
        let mut after = After::default();
        let result = work(&mut self.coordinator, self.now, &mut after);
        after.wake_watchers(&Effects::new());
        result
    }

    fn is_dark(&self) -> bool {
        self.dark_until.is_some_and(|until| until > self.now)
    }

    fn is_lost(&mut self) -> bool {
        self.has_faults && self.chance.below(100) < LOSS
    }

    /// When something arrives that is said now, after all that was said before.
    fn arrival(&mut self, last: Option<Instant>) -> Instant {
        let delay = STEP * self.chance.below(3) as u32;
        (self.now + delay).max(last.unwrap_or(self.now))
    }

    fn born(&mut self) {
        self.agents_born += 1;
        self.agents.push(Agent {
            name: format!("agent{}", self.agents_born),
            table: Table::new(2),
            running: BTreeMap::new(),
            next_number: 0,
            frozen_until: None,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            drains: false,
        });
    }

    fn step(&mut self) {
        self.now += STEP;
        if self.has_faults {
            self.faults();
            self.user();
        }
        self.submitter();
        for index in 0..self.agents.len() {
            self.agent(index);
        }
        self.agents
            .retain(|agent| !(agent.drains && agent.table.is_empty()));
        while self.agents.len() < 2 {
            self.born();
        }
    }

    fn faults(&mut self) {
        let some = self.chance.below(self.agents.len().max(1) as u64) as usize;
        if self.is_deadly && self.chance.happens(300) && !self.agents.is_empty() {
            self.agents.remove(some);
        } else if self.is_deadly && self.chance.happens(300) && !self.agents.is_empty() {
            let time = STEP * self.chance.below(2_000) as u32;
            self.agents[some].frozen_until = Some(self.now + time);
        } else if self.chance.happens(200) && !self.agents.is_empty() {
            self.agents[some].drains = true;
            self.agents[some].table.drain();
        }
        if self.chance.happens(200) {
            // The servers crash: leases and what is under way are lost.
            let time = STEP * self.chance.below(500) as u32;
            self.dark_until = Some(self.now + time);
            self.acks.clear();
            for agent in &mut self.agents {
                agent.inbox.clear();
                agent.outbox.clear();
            }
            for queued in &mut self.queue {
                queued.not_before = self.now;
            }
            self.with(|coordinator, now, _| coordinator.connected(false, now));
        }
        if self.chance.happens(30) {
            self.queue.clear();
        }
        if self.chance.happens(100) && !self.queue.is_empty() {
            // A copy, as of a publish whose acknowledgement was lost.
            let at = self.chance.below(self.queue.len() as u64) as usize;
            let (order, body) = (self.queue[at].order, self.queue[at].body.clone());
            self.enqueue(order, body);
        }
    }

    fn enqueue(&mut self, order: Order, body: Bytes) -> u64 {
        self.last_seq += 1;
        self.queue.push(Queued {
            seq: self.last_seq,
            order,
            body,
            not_before: self.now,
        });
        self.last_seq
    }

    /// Submits and cancels.
    fn user(&mut self) {
        if self.chance.happens(30_000) && self.next_task < 400 {
            let task = self.next_task;
            self.next_task += 1;
            let is_idempotent = self.chance.below(3) == 0;
            let options = Options {
                idempotent: is_idempotent,
                ..Options::default()
            };
            let (handle, job) = JobCell::new(WithOptions::new(Number(task), options));
            let job = Claimed::new(job).unwrap();
            self.with(|coordinator, _, after| {
                assert!(coordinator.submit(job, false, None, None, after).is_ok())
            });
            self.handles.push((task, is_idempotent, handle));
        }
        if self.chance.happens(5_000) && self.next_task < 400 {
            let first = self.next_task;
            self.next_task += CHUNK;
            let tasks: Vec<_> = (first..first + CHUNK).map(Number).collect();
            let (handle, job) = JobCell::new(SentChunk::of(&tasks, None, 1 << 20));
            let job = Claimed::new(job).unwrap();
            self.with(|coordinator, _, after| {
                assert!(coordinator.submit(job, false, None, None, after).is_ok())
            });
            self.chunks.push((first, handle));
        }
        if self.chance.happens(2_000) && !self.handles.is_empty() {
            let at = self.chance.below(self.handles.len() as u64) as usize;
            let (task, job) = (self.handles[at].0, self.handles[at].2.job().clone());
            let (ran, cancelled) = self.with(|coordinator, _, after| {
                let ran = coordinator.is_running(&job);
                (ran, coordinator.cancel(&job, true, after))
            });
            let has_started = self
                .starts
                .iter()
                .any(|(run, count)| *count > 0 && self.jobs.get(&run.job) == Some(&task));
            if cancelled == Cancelled::Yes && !ran && !has_started {
                self.never.insert(task);
            }
        }
    }

    fn submitter(&mut self) {
        if self.dark_until.is_some_and(|until| until <= self.now) {
            self.dark_until = None;
            self.with(|coordinator, now, _| coordinator.connected(true, now));
            for agent in &mut self.agents {
                agent.table.connected(self.now);
            }
        }
        self.with(|coordinator, now, after| coordinator.tick(now, after));
        if self.is_dark() {
            return;
        }
        let says = std::mem::take(&mut self.coordinator.says);
        for say in says {
            match say {
                Say::Stop {
                    agent,
                    part,
                    running,
                } => self.tell(&agent, ToAgent::Stop(part, running)),
                Say::Delete(seq) => self.queue.retain(|queued| queued.seq != seq),
                Say::Purge { before } => {
                    let stays = |seq| before.is_some_and(|before| seq >= before);
                    self.queue.retain(|queued| stays(queued.seq));
                }
            }
        }
        while let Some((run, message)) =
            self.with(|coordinator, now, _| coordinator.next_order(now))
        {
            let (order, body) = wire::decode::<Order>(&message).unwrap();
            self.jobs.insert(run.job, first_task(&order, &body));
            if self.is_lost() {
                continue;
            }
            let seq = self.enqueue(order, body);
            if !self.is_lost() {
                let at = self.arrival(self.acks.back().map(|ack| ack.0));
                self.acks.push_back((at, run, seq));
            }
        }
        while self.acks.front().is_some_and(|ack| ack.0 <= self.now) {
            let (_, run, seq) = self.acks.pop_front().unwrap();
            self.coordinator.acked(run, seq);
        }
        for roll in self.with(|coordinator, now, _| coordinator.rolls(now)) {
            if self.agents.iter().any(|agent| *agent.name == *roll.agent) {
                self.tell(
                    &roll.agent,
                    ToAgent::Roll(roll.number, roll.wanted, roll.unwanted),
                );
            } else {
                self.with(|coordinator, now, _| coordinator.roll_unheard(roll.number, now));
            }
        }
        // Every five seconds.
        if self.chance.below(250) == 0 {
            let found = self.queue.len();
            self.with(|coordinator, now, _| coordinator.looked(found, now));
        }
    }

    fn tell(&mut self, name: &str, message: ToAgent) {
        if self.is_lost() {
            return;
        }
        let Some(at) = self.agents.iter().position(|agent| agent.name == name) else {
            return;
        };
        let arrival = self.arrival(self.agents[at].inbox.back().map(|last| last.0));
        self.agents[at].inbox.push_back((arrival, message));
    }

    /// What each task has come to.
    fn check(mut self) -> (u32, u32) {
        let (mut results, mut lost) = (0, 0);
        for (task, is_idempotent, handle) in self.handles.drain(..) {
            match handle.into_outcome() {
                Ok(value) => {
                    assert_eq!(value, task);
                    results += 1;
                }
                Err(error) if error.is_cancelled() => {}
                Err(error) => {
                    assert!(error.is_worker_lost(), "{error}");
                    assert!(!is_idempotent || error.attempt() == 3, "{error}");
                    lost += 1;
                }
            }
        }
        for (first, handle) in std::mem::take(&mut self.chunks) {
            let mut tasks = first..first + CHUNK;
            take_apart(handle, CHUNK, &mut tasks, &mut results, &mut lost);
            assert!(tasks.is_empty(), "{tasks:?} have no outcomes");
        }
        assert!(
            self.is_deadly || lost == 0,
            "{lost} are lost, and no agent was"
        );
        let stats = self.coordinator.stats();
        assert_eq!((stats.queued, stats.running, stats.overdue), (0, 0, 0));
        assert_eq!(stats.finished, u64::from(results));
        assert_eq!(Arc::strong_count(&self.metrics), 2, "nothing else has it");
        (results, lost)
    }
}

/// The first task of an order, which may be a chunk.
fn first_task(order: &Order, body: &[u8]) -> u32 {
    let first = match order.chunk {
        0 => body,
        _ => codec::Frames(body).next().unwrap(),
    };
    codec::decode(first).unwrap()
}

/// What became of a chunk, or a part of one, whose tasks are the next ones.
fn take_apart(
    handle: Handle<Ran<Number>>,
    tasks: u32,
    next: &mut std::ops::Range<u32>,
    results: &mut u32,
    lost: &mut u32,
) {
    match handle.into_outcome() {
        Ok(ran) => {
            for outcome in ran.outcomes {
                assert_eq!(outcome.unwrap(), next.next().unwrap());
                *results += 1;
            }
            for (part, tasks) in ran.others {
                take_apart(part, tasks as u32, next, results, lost);
            }
        }
        Err(error) => {
            assert!(error.is_worker_lost(), "{error}");
            next.nth(tasks as usize - 1).unwrap();
            *lost += 1;
        }
    }
}

/// One world from its beginning to its end: how many tasks came to a result, and were lost.
fn simulate(seed: u64, is_deadly: bool) -> (u32, u32) {
    let mut world = World::new(seed, is_deadly);
    world.born();
    for _ in 0..4_000 {
        world.step();
    }
    // The faults are over: everything comes to its end.
    world.has_faults = false;
    world.dark_until = world.dark_until.map(|_| world.now);
    for agent in &mut world.agents {
        agent.frozen_until = None;
    }
    let mut steps = 0;
    while world.coordinator.is_busy() {
        world.step();
        steps += 1;
        assert!(
            steps < 20_000,
            "{} are not done",
            world.coordinator.stats().queued
        );
    }
    world.check()
}

#[test]
fn whatever_fails_nothing_is_lost_and_nothing_starts_twice() {
    let first = std::env::var("POOL_SIMULATION_SEED").ok();
    let first: u64 = first.map_or(0, |seed| seed.parse().expect("a number"));
    let worlds = if cfg!(debug_assertions) { 20 } else { 2_000 };
    let (mut results, mut lost) = (0, 0);
    for seed in first..first + worlds {
        // In every other one no agent dies, and so no task may be lost.
        let all = std::panic::catch_unwind(|| simulate(seed, seed % 2 == 0));
        let Ok(all) = all else {
            panic!("POOL_SIMULATION_SEED={seed} shows it again");
        };
        results += all.0;
        lost += all.1;
    }
    // Else nothing was tried.
    assert!(
        results > 100 * worlds as u32 && lost > 0,
        "{results}, {lost}"
    );
}
