//! The agents, as a submitter sees them: which are reachable, what each runs, and which are given up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::names::is_token;
use super::super::wire::{Part, Present};
use super::{After, Coordinator, State};
use crate::error::pool_error::MAX_WORKERS;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::task::retry::{self, Fate};

/// How often an agent is told what it is taken to have.
pub(in super::super) const ROLL_EVERY: Duration = Duration::from_secs(1);

/// An agent is given up when it had no subscribers for this time. Until then it may be connecting
/// again, because its server died.
const DEAF_TIME: Duration = Duration::from_secs(5);

/// An agent is given up when no message came from it for this time.
const SILENT_TIME: Duration = Duration::from_secs(15);

/// An agent whose last answer is older than this counts as having no free seats.
const PRESENT_TIME: Duration = Duration::from_secs(8);

/// The time after which an agent without our tasks is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// When it is said that there are no agents.
const WARN_AFTER: Duration = Duration::from_secs(5);

/// The most parts in one message: it has to fit.
const MAX_ROLL: usize = 8_192;

/// How long a part is in a message, at most: three numbers.
const MAX_PART: usize = 20;

struct Agent {
    name: Arc<str>,
    /// How many jobs it has.
    has: usize,
    /// When it last said something.
    heard: Instant,
    /// Since when nobody listens to it.
    deaf_since: Option<Instant>,
    /// When it was last told what it has, in which message.
    roll: Option<(u64, Instant)>,
}

pub(super) struct Agents {
    abi: String,
    /// By their numbers here.
    all: HashMap<usize, Agent>,
    next: usize,
    by_name: HashMap<Arc<str>, usize>,
    /// What agents of all builds have said of themselves, and when.
    present: HashMap<String, (Present, Instant)>,
    /// How many there have been.
    seen: u64,
    lost: u64,
    rolls: u64,
    /// Since when there is no agent of this build.
    none_since: Option<Instant>,
    has_warned: bool,
    no_worker_timeout: Option<Duration>,
}

/// What an agent is told.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Roll {
    pub(in super::super) agent: Arc<str>,
    pub(in super::super) number: u64,
    pub(in super::super) wanted: Vec<Part>,
    pub(in super::super) unwanted: Vec<Part>,
    pub(in super::super) is_whole: bool,
}

impl Agents {
    pub(super) fn new(abi: &str, no_worker_timeout: Option<Duration>, now: Instant) -> Self {
        Self {
            abi: abi.to_owned(),
            all: HashMap::new(),
            next: 0,
            by_name: HashMap::new(),
            present: HashMap::new(),
            seen: 0,
            lost: 0,
            rolls: 0,
            none_since: Some(now),
            has_warned: false,
            no_worker_timeout,
        }
    }

    /// An agent has said something.
    pub(super) fn heard(&mut self, name: &str, now: Instant) -> usize {
        let known = self.by_name.get(name).copied();
        if let Some((number, agent)) =
            known.and_then(|number| Some((number, self.all.get_mut(&number)?)))
        {
            agent.heard = now;
            agent.deaf_since = None;
            return number;
        }
        let name: Arc<str> = name.into();
        let number = self.next;
        self.next += 1;
        self.by_name.insert(Arc::clone(&name), number);
        let agent = Agent {
            name,
            has: 0,
            heard: now,
            deaf_since: None,
            roll: None,
        };
        self.all.insert(number, agent);
        number
    }

    pub(super) fn name(&self, agent: usize) -> Arc<str> {
        let agent = self.all.get(&agent);
        agent.map_or_else(|| Arc::from(""), |agent| Arc::clone(&agent.name))
    }

    /// It was given a job, or one is over.
    pub(super) fn gave(&mut self, agent: usize, sign: isize) {
        if let Some(agent) = self.all.get_mut(&agent) {
            agent.has = agent.has.saturating_add_signed(sign);
        }
    }

    /// Those with jobs that are gone.
    pub(super) fn lost(&mut self, now: Instant) -> Vec<usize> {
        let is_lost = |agent: &Agent| {
            let deaf = agent.deaf_since.map(|since| now - since);
            let silent = now.saturating_duration_since(agent.heard);
            deaf.is_some_and(|deaf| deaf >= DEAF_TIME) || silent >= SILENT_TIME
        };
        let lost: Vec<_> = self
            .all
            .iter()
            .filter(|(_, agent)| agent.has > 0 && is_lost(agent))
            .map(|(number, _)| *number)
            .collect();
        self.lost += lost.len() as u64;
        lost
    }

    pub(super) fn seats(&self) -> usize {
        self.seats_beside(None)
    }

    fn seats_beside(&self, own: Option<&str>) -> usize {
        let agents = self.present.values().map(|(agent, _)| agent);
        let others = agents.filter(|agent| self.is_ours(agent) && own != Some(&*agent.agent));
        others.map(|agent| agent.seats as usize).sum()
    }

    fn is_ours(&self, agent: &Present) -> bool {
        agent.abi == self.abi && !agent.drains
    }

    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) fn lost_count(&self) -> u64 {
        self.lost
    }

    /// Until now nobody could be heard, or was to be: all clocks begin anew.
    pub(super) fn were_not_heard(&mut self, now: Instant) {
        for agent in self.all.values_mut() {
            agent.heard = now;
            agent.deaf_since = None;
            agent.roll = None;
        }
        self.present.values_mut().for_each(|(_, at)| *at = now);
        if self.none_since.is_some() {
            self.none_since = Some(now);
        }
    }

    /// Forgets who has had nothing of ours for long.
    pub(super) fn forget_idle(&mut self, now: Instant) {
        self.all.retain(|_, agent| {
            agent.has > 0 || now.saturating_duration_since(agent.heard) < FORGOTTEN_AFTER
        });
        let all = &self.all;
        self.by_name.retain(|_, number| all.contains_key(number));
    }

    fn forget_absent(&mut self, now: Instant) {
        self.present
            .retain(|_, (_, at)| now.saturating_duration_since(*at) < PRESENT_TIME);
        let some = self.present.values().any(|(agent, _)| self.is_ours(agent));
        match some {
            true => {
                self.none_since = None;
                self.has_warned = false;
            }
            false => drop(self.none_since.get_or_insert(now)),
        }
    }

    /// Who else is there, in words.
    fn others(&self) -> String {
        let mut abis: Vec<&str> = self
            .present
            .values()
            .filter(|(agent, _)| agent.abi != self.abi)
            .map(|(agent, _)| agent.abi.as_str())
            .collect();
        abis.sort_unstable();
        abis.dedup();
        match abis.is_empty() {
            true => "there are none of other builds either".into(),
            false => format!("there are agents of {}", abis.join(", ")),
        }
    }
}

impl Coordinator {
    /// An agent has said who it is.
    pub(in super::super) fn present(&mut self, mut agent: Present, now: Instant) {
        if !is_token(&agent.agent) || !is_token(&agent.abi) {
            return;
        }
        agent.seats = agent.seats.min(MAX_WORKERS as u32);
        let agents = &mut self.agents;
        agents.forget_idle(now);
        let known = agents.by_name.get(agent.agent.as_str());
        if let Some(known) = known.and_then(|known| agents.all.get_mut(known)) {
            known.heard = now;
            known.deaf_since = None;
        }
        let before = agents.present.insert(agent.agent.clone(), (agent, now));
        agents.seen += u64::from(before.is_none());
        agents.forget_absent(now);
    }

    /// Nobody at all says who he is.
    pub(in super::super) fn nobody_is_present(&mut self, now: Instant) {
        self.agents.present.clear();
        self.agents.forget_absent(now);
    }

    /// How many seats agents have, as far as is known.
    pub(in super::super) fn seats(&self) -> usize {
        self.agents.seats()
    }

    /// The same without those of this agent.
    pub(in super::super) fn seats_beside(&self, own: Option<&str>) -> usize {
        self.agents.seats_beside(own)
    }

    /// What is to be said, once, where tasks wait and there is no agent for them. Rejects them where
    /// they have waited for as long as is allowed.
    pub(in super::super) fn look_for_agents(
        &mut self,
        now: Instant,
        after: &mut After,
    ) -> Option<String> {
        self.agents.forget_absent(now);
        let since = self.agents.none_since?;
        let absent = now.saturating_duration_since(since);
        if self.counts.queued == 0 || self.counts.granted > 0 || !self.is_connected {
            return None;
        }
        let abi = &self.agents.abi;
        let why = format!(
            "there is no agent of this build ({abi}); {}",
            self.agents.others()
        );
        if self
            .agents
            .no_worker_timeout
            .is_some_and(|limit| absent >= limit)
        {
            for index in self.indices() {
                if let Some(entry) = self.entry(index)
                    && !matches!(entry.state, State::Granted { .. })
                {
                    let error = TaskError::rejected(entry.job.info().name, why.as_str());
                    self.give_up(index, error, after);
                }
            }
            return None;
        }
        if absent < WARN_AFTER || std::mem::replace(&mut self.agents.has_warned, true) {
            return None;
        }
        Some(format!(
            "{} tasks wait: {why}. Start one: POOL_WORKER=nats://… and this program",
            self.counts.queued
        ))
    }

    /// What each agent that has something is to be told now.
    pub(in super::super) fn rolls(&mut self, now: Instant) -> Vec<Roll> {
        let is_due = |agent: &super::agents::Agent| {
            let last = agent.roll.map(|(_, at)| now.saturating_duration_since(at));
            agent.has > 0 && last.is_none_or(|last| last >= ROLL_EVERY)
        };
        let all = self.agents.all.iter();
        let due: Vec<usize> = all
            .filter(|(_, agent)| is_due(agent))
            .map(|(number, _)| *number)
            .collect();
        if !self.is_connected || due.is_empty() {
            return Vec::new();
        }
        let mut rolls: HashMap<usize, Roll> = HashMap::new();
        for agent in due {
            self.agents.rolls += 1;
            let number = self.agents.rolls;
            let Some(told) = self.agents.all.get_mut(&agent) else {
                continue;
            };
            told.roll = Some((number, now));
            rolls.insert(
                agent,
                Roll {
                    agent: Arc::clone(&told.name),
                    number,
                    wanted: Vec::new(),
                    unwanted: Vec::new(),
                    is_whole: true,
                },
            );
        }
        let most = MAX_ROLL.min(self.max_inline / MAX_PART);
        for entry in self.entries.iter().filter_map(|(_, entry)| entry.as_ref()) {
            if let State::Granted { agent, .. } = entry.state
                && let Some(roll) = rolls.get_mut(&agent)
            {
                if roll.wanted.len() + roll.unwanted.len() >= most {
                    roll.is_whole = false;
                } else if entry.is_unwanted {
                    roll.unwanted.push(entry.part);
                } else {
                    roll.wanted.push(entry.part);
                }
            }
        }
        rolls.into_values().collect()
    }

    /// An agent has answered a roll: it does not have these.
    pub(in super::super) fn roll_answered(
        &mut self,
        number: u64,
        unknown: &[Part],
        now: Instant,
        after: &mut After,
    ) {
        let mut all = self.agents.all.iter_mut();
        let asked = |agent: &Agent| agent.roll.filter(|(roll, _)| *roll == number);
        let Some((agent, known, sent)) = all.find_map(|(index, agent)| {
            let (_, sent) = asked(agent)?;
            Some((*index, agent, sent))
        }) else {
            return;
        };
        known.heard = now;
        known.deaf_since = None;
        for part in unknown {
            let Some(index) = self.find(*part) else {
                continue;
            };
            let granted = self.entry(index).map(|entry| entry.state);
            if let Some(State::Granted { agent: owner, at }) = granted
                && owner == agent
                && at <= sent
            {
                self.run_lost(index, "its agent does not know it any more", now, after);
            }
        }
    }

    /// Nobody listens to the agent that this roll was for.
    pub(in super::super) fn roll_unheard(&mut self, number: u64, now: Instant) {
        let asked = |agent: &&mut Agent| agent.roll.is_some_and(|(roll, _)| roll == number);
        if let Some(agent) = self.agents.all.values_mut().find(asked) {
            agent.deaf_since.get_or_insert(now);
        }
    }

    /// The connection is there again, or gone: while it is gone nobody else can be heard.
    pub(in super::super) fn connected(&mut self, is_connected: bool, now: Instant) {
        // Acknowledgements may be lost, or forgotten by the server.
        self.is_unsure |= is_connected && !self.is_connected;
        self.is_connected = is_connected;
        self.short_looks = 0;
        self.unacked.values_mut().for_each(|at| *at = now);
        if is_connected {
            self.agents.were_not_heard(now);
        } else {
            // Silence says nothing from here on.
            for agent in self.agents.all.values_mut() {
                agent.deaf_since = None;
            }
        }
    }

    /// An agent is gone, with everything that it has.
    pub(super) fn lost(&mut self, agent: usize, now: Instant, after: &mut After) {
        for index in self.indices() {
            let state = self.entry(index).map(|entry| entry.state);
            if let Some(State::Granted { agent: owner, .. }) = state
                && owner == agent
            {
                self.run_lost(index, "its agent is gone", now, after);
            }
        }
        let name = self.agents.name(agent);
        self.agents.present.remove(&*name);
    }

    fn run_lost(&mut self, index: u32, why: &str, now: Instant, after: &mut After) {
        let Some(entry) = self.entry(index) else {
            return;
        };
        let again = retry::again(&entry.job.options(), Fate::Lost);
        let error =
            TaskError::new(TaskErrorKind::WorkerLost, entry.job.info().name).message_is(why);
        self.run_failed(index, again, error, now, after);
    }

    /// A run is past its deadline, and its agent has not said so.
    pub(super) fn overdue(
        &mut self,
        run: super::Run,
        given: Instant,
        now: Instant,
        after: &mut After,
    ) {
        let Some(index) = self.find(run.whole()) else {
            return;
        };
        let Some(entry) = self.entry(index) else {
            return;
        };
        let State::Granted { agent, at } = entry.state else {
            return;
        };
        if at != given {
            // That was handed back, and given away again.
            return;
        }
        let name = entry.job.info().name;
        let again = retry::again(&entry.job.options(), Fate::TimedOut);
        self.stop(index, agent, true, after);
        self.counts.timed_out += 1;
        let error = TaskError::new(TaskErrorKind::TimedOut, name)
            .message_is("its agent did not end it in time");
        self.run_failed(index, again, error, now, after);
    }
}
