//! Kills, stops, drains and starts agents, and does the same to servers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pool_tests::chance::Random;
use pool_tests::proc::{self, Process};
use rustix::process::Signal;

use crate::figures::{FIGURES, add, blame, print_line};
use crate::servers::{Servers, Undo};
use crate::world::World;

/// How long an agent has to drain.
const GRACE: Duration = Duration::from_secs(10);

/// How much longer it may be there, on a busy machine: last words, and the end of its workers.
const END_SLACK: Duration = Duration::from_secs(20);

/// A pool gives up an agent that has said nothing for 15 s; a stop that is longer than this may add
/// up to that with others.
const LOSES: Duration = Duration::from_secs(8);

/// How long until a pool has found out that an agent is gone.
const FOUND_OUT: Duration = Duration::from_secs(20);

/// How long an agent takes until it drains when it is told to, and does not merely die of it.
const STARTS: Duration = Duration::from_secs(3);

const LONG: Duration = Duration::from_secs(20);

const REPORT_EVERY: Duration = Duration::from_secs(30);

struct Agent {
    child: Child,
    since: Instant,
    log: PathBuf,
    /// When it goes on, if it is stopped.
    stopped_until: Option<Instant>,
    /// When it has to have ended, if it was told to.
    ends_by: Option<Instant>,
}

pub(crate) struct Disturber {
    world: Arc<World>,
    servers: Servers,
    random: Random,
    folder: PathBuf,
    agents: Vec<Agent>,
    /// How many there should be.
    wanted: usize,
    started: usize,
    /// No agent is started before.
    start_at: Instant,
    /// What is to be undone at servers, and when.
    undo: Vec<(Instant, Undo)>,
    /// Agents and workers that have to be gone at the end.
    gone: Vec<Process>,
    report_at: Instant,
}

impl Disturber {
    pub(crate) fn new(
        world: Arc<World>,
        servers: Servers,
        wanted: usize,
        folder: &Path,
        random: Random,
    ) -> Self {
        let now = Instant::now();
        let mut this = Self {
            world,
            servers,
            random,
            folder: folder.to_owned(),
            agents: Vec::new(),
            wanted,
            started: 0,
            start_at: now,
            undo: Vec::new(),
            gone: Vec::new(),
            report_at: now + REPORT_EVERY,
        };
        this.tick();
        this
    }

    pub(crate) fn run(&mut self, end: Instant) {
        let mut act_at = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            self.tick();
            let now = Instant::now();
            if now >= act_at {
                self.act();
                act_at = now + self.between(200, 3_000);
                if self.random.one_in(12) {
                    // What was done comes to its end, so that the next thing is the only reason of
                    // what it brings.
                    act_at += Duration::from_secs(20);
                }
            }
            sleep(Duration::from_millis(10));
        }
    }

    fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.random.below(most - least))
    }

    fn act(&mut self) {
        match self.random.below(100) {
            0..25 => self.kill_agent(),
            25..48 => {
                let time = self.between(100, 3_000);
                self.stop_agent(time);
            }
            48..52 => self.stop_agent(LONG),
            52..68 => self.drain_agent(),
            68..72 => self.wanted = (self.wanted + 1).min(5),
            72..76 => self.wanted = (self.wanted - 1).max(2),
            76..86 => self.kill_server(),
            86..95 => {
                let time = self.between(100, 3_000);
                self.stop_server(time);
            }
            95 => self.stop_server(LONG),
            _ => self.delete_stream(),
        }
    }

    /// What is due: agents and servers go on, come back, and are missed.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        let (due, later) = self.undo.drain(..).partition(|(at, _)| *at <= now);
        self.undo = later;
        let due: Vec<(Instant, Undo)> = due;
        for (_, undo) in due {
            self.servers.undo(undo);
        }
        for agent in &mut self.agents {
            if agent.stopped_until.is_some_and(|at| at <= now) {
                agent.stopped_until = None;
                proc::signal(agent.child.id(), Signal::CONT);
            }
        }
        self.look_for_ended(now);
        if now >= self.start_at {
            let serving = |agent: &&Agent| agent.ends_by.is_none();
            for _ in self.agents.iter().filter(serving).count()..self.wanted {
                self.start_agent();
            }
        }
        if now >= self.report_at {
            self.report_at = now + REPORT_EVERY;
            print_line();
        }
    }

    fn look_for_ended(&mut self, now: Instant) {
        let mut at = 0;
        while at < self.agents.len() {
            let agent = &mut self.agents[at];
            let status = agent.child.try_wait().unwrap();
            let told = agent.ends_by.is_some();
            match status {
                Some(status) => {
                    if !told || !status.success() {
                        let log = fs::read_to_string(&agent.log).unwrap_or_default();
                        let text = format!("an agent ended by itself ({status}):\n{log}");
                        blame(&FIGURES.wrong, &text);
                    }
                    self.agents.swap_remove(at);
                    continue;
                }
                None if agent.ends_by.is_some_and(|at| at <= now) => {
                    blame(&FIGURES.wrong, "an agent that was told to end did not");
                    let agent = self.agents.swap_remove(at);
                    self.kill(agent);
                    continue;
                }
                None => at += 1,
            }
        }
    }

    // ---- agents ----

    fn start_agent(&mut self) {
        self.started += 1;
        let log = self.folder.join(format!("agent-{}", self.started));
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(std::env::current_exe().unwrap())
            .env("POOL_WORKER", &self.world.url)
            .env("POOL_WORKERS", "2")
            .env("POOL_NATS_REPLICAS", self.world.replicas.to_string())
            .env("POOL_AGENT_GRACE", format!("{}s", GRACE.as_secs()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        let child = command.spawn().unwrap();
        self.agents.push(Agent {
            child,
            since: Instant::now(),
            log,
            stopped_until: None,
            ends_by: None,
        });
        add(&FIGURES.agents_started, 1);
    }

    /// One that is neither stopped nor told to end, and knows what signals mean by now.
    fn any_agent(&mut self) -> Option<usize> {
        let is_calm = |agent: &Agent| {
            let is_old = agent.since.elapsed() > STARTS;
            agent.stopped_until.is_none() && agent.ends_by.is_none() && is_old
        };
        let calm: Vec<usize> = (0..self.agents.len())
            .filter(|at| is_calm(&self.agents[*at]))
            .collect();
        let count = calm.len().max(1) as u64;
        calm.get(self.random.below(count) as usize).copied()
    }

    /// The next one is started after some time.
    fn wait_with_next(&mut self) {
        self.start_at = Instant::now() + self.between(0, 2_000);
    }

    fn kill_agent(&mut self) {
        // Of any kind: one that is stopped or drains too.
        let count = self.agents.len().max(1) as u64;
        let at = self.random.below(count) as usize;
        if at < self.agents.len() {
            let agent = self.agents.swap_remove(at);
            self.kill(agent);
            self.wait_with_next();
        }
    }

    fn kill(&mut self, mut agent: Agent) {
        let pid = agent.child.id();
        self.gone.extend(proc::descendants_of(pid));
        self.world.faults.add(Instant::now(), FOUND_OUT);
        agent.child.kill().unwrap();
        agent.child.wait().unwrap();
        add(&FIGURES.agents_killed, 1);
    }

    fn stop_agent(&mut self, time: Duration) {
        if let Some(at) = self.any_agent() {
            let now = Instant::now();
            if time >= LOSES {
                self.world.faults.add(now, time + FOUND_OUT);
            }
            proc::signal(self.agents[at].child.id(), Signal::STOP);
            self.agents[at].stopped_until = Some(now + time);
            add(&FIGURES.agents_stopped, 1);
        }
    }

    fn drain_agent(&mut self) {
        if let Some(at) = self.any_agent() {
            self.drain(at);
            self.wait_with_next();
        }
    }

    fn drain(&mut self, at: usize) {
        let now = Instant::now();
        let agent = &mut self.agents[at];
        let pid = agent.child.id();
        self.gone.extend(proc::descendants_of(pid));
        agent.ends_by = Some(now + GRACE + END_SLACK);
        // What takes longer than its grace is lost with it.
        self.world.faults.add(now + GRACE, END_SLACK + FOUND_OUT);
        proc::signal(pid, Signal::TERM);
        add(&FIGURES.agents_drained, 1);
    }

    // ---- servers ----

    /// One that serves; of three, such that two go on, mostly.
    fn any_server(&mut self) -> Option<usize> {
        if !self.undo.is_empty() && !self.random.one_in(4) {
            return None;
        }
        let at = self.random.below(self.servers.len() as u64) as usize;
        self.servers.serves(at).then_some(at)
    }

    fn undo_after(&mut self, time: Duration, undo: Undo) {
        self.undo.push((Instant::now() + time, undo));
    }

    fn kill_server(&mut self) {
        if let Some(at) = self.any_server() {
            let undo = self.servers.kill(at);
            let time = self.between(200, 3_000);
            self.undo_after(time, undo);
            add(&FIGURES.servers_killed, 1);
        }
    }

    fn stop_server(&mut self, time: Duration) {
        if let Some(at) = self.any_server() {
            let undo = self.servers.stop(at);
            self.undo_after(time, undo);
            add(&FIGURES.servers_stopped, 1);
        }
    }

    fn delete_stream(&mut self) {
        if self.servers.delete_stream() {
            add(&FIGURES.streams_deleted, 1);
        }
    }

    // ---- the end ----

    /// Makes everything whole, with some agent.
    pub(crate) fn calm(&mut self) {
        for (_, undo) in std::mem::take(&mut self.undo) {
            self.servers.undo(undo);
        }
        let now = Instant::now();
        for agent in &mut self.agents {
            if agent.stopped_until.is_some() {
                agent.stopped_until = Some(now);
            }
        }
        self.start_at = now;
        self.tick();
    }

    /// Drains all agents, and looks for what is left of those that ever were.
    pub(crate) fn end(&mut self) {
        self.wanted = 0;
        for at in 0..self.agents.len() {
            if self.agents[at].ends_by.is_none() {
                self.drain(at);
            }
        }
        while !self.agents.is_empty() {
            self.tick();
            sleep(Duration::from_millis(20));
        }
        let end = Instant::now() + END_SLACK;
        while self.gone.iter().any(Process::lives) && Instant::now() < end {
            sleep(Duration::from_millis(20));
        }
        for left in self.gone.iter().filter(|process| process.lives()) {
            blame(&FIGURES.leaked, &left.describe());
        }
    }
}
