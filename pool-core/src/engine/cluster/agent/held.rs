//! What an agent has: messages whose submitters are to be asked, runs that it was given, outcomes
//! that nobody has heard of. Without I/O, and without a clock.

mod questions;
mod runs;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use ::bytes::Bytes;
use async_nats::Subject;

use super::super::wire::{Fate, MAX_TOGETHER, MAX_TOGETHER_BYTES, Order, Part, Run, Verdict};

/// How long an answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// The time between two renewals of a lease.
const RENEW_AFTER: Duration = Duration::from_millis(1_500);

/// The delay before the queue delivers a message again whose submitter is unreachable.
pub(super) const ABSENT_DELAY: Duration = Duration::from_secs(5);

/// A submitter is given up when it had no subscribers for this time.
const GONE_AFTER: Duration = Duration::from_secs(60);

/// The time without a message from a submitter before it is asked for one, and between two requests.
const HELLO_AFTER: Duration = Duration::from_secs(5);

/// The time after which a submitter without tasks here is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// Between two findings that it is not there it was not there, if they are not further apart.
const LAPSE: Duration = Duration::from_secs(15);

/// The time for which a submitter counts as unreachable after a failed message.
const ABSENT_FOR: Duration = Duration::from_millis(500);

/// A run that was given to us so short a time ago may be missing in a roll.
const YOUNG: Duration = Duration::from_secs(3);

/// The time that a message waits for a free seat. Then it goes back to the queue, since another agent
/// may have one.
const PARKED: Duration = Duration::from_millis(100);

/// A run that took less than `QUICK` from its leave to its outcome lets more runs wait here. After one
/// that took longer than `SLOW` none may wait.
const QUICK: Duration = Duration::from_millis(2);
const SLOW: Duration = Duration::from_millis(10);

/// What stands before the bytes of an outcome in a message, or of a run, is less than this.
const HEAD: usize = 32;

/// The number of quick runs in a row after which more may wait here.
const QUICK_RUNS: u32 = 16;

/// The maximum number of runs that wait here for each seat.
const MAX_AHEAD: usize = 32;

/// A submitter.
struct Client {
    name: String,
    /// When it last said something, or was first heard of.
    heard: Instant,
    /// Since when nobody listens to it, and when that was last found.
    absent: Option<(Instant, Instant)>,
    asked: Instant,
    /// How much of it is here.
    has: usize,
}

/// A run, by the number of its submitter.
pub(super) type Key = (usize, Run);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its submitter is to be asked.
    Ready,
    /// It was asked.
    Asking,
    /// It has leave to start; its arguments are under way.
    Fetching,
    /// It runs, or its outcome is not heard.
    Running,
    /// It goes back, which its submitter has not heard.
    Returning,
}

pub(super) struct Held {
    pub(super) order: Order,
    pub(super) body: Bytes,
    seq: u64,
    ack: Subject,
    pub(super) stage: Stage,
    since: Instant,
    renewed: Instant,
    /// Its message is acknowledged: it has run.
    is_acked: bool,
    /// Its submitter was asked, and has not answered: it may have given leave.
    is_unsure: bool,
    /// Nobody wants it any more.
    pub(super) is_stopped: bool,
    /// How many rolls in a row did not have it.
    missed: u32,
    /// What is out of it: running, or unheard.
    pub(super) parts: BTreeMap<u32, PartState>,
    /// Of a part, the one whose outcome says that it is there.
    parents: BTreeMap<u32, u32>,
    pub(super) next_part: u32,
}

pub(super) enum PartState {
    /// The number of its handle.
    Running(usize),
    Done(Box<Outcome>),
}

/// An outcome that is not heard.
pub(super) struct Outcome {
    pub(super) fate: Fate,
    /// Its bytes, behind the message or to be fetched.
    pub(super) payload: Bytes,
    pub(super) is_large: bool,
}

/// What is to be done with a message of the queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ack {
    /// It is over.
    Done(Subject),
    /// Again, after this time.
    Back(Subject, Duration),
    /// We have it.
    Renew(Subject),
}

/// A question that was asked, and when.
enum Asked {
    Leave(Vec<Key>),
    Heard(Vec<(Key, u32)>),
    Back(Vec<Key>),
    Hello,
}

pub(super) struct Table {
    seats: usize,
    /// How many of them are taken by tasks that have their outcomes and do not end.
    taken: usize,
    /// What the servers let through.
    max_payload: usize,
    /// How many runs may wait here beside those on seats.
    ahead: usize,
    /// How many runs in a row were quick.
    quick: u32,
    /// How many messages may wait here that nobody was asked for.
    parked: usize,
    /// By their numbers here.
    clients: HashMap<usize, Client>,
    next_client: usize,
    by_name: HashMap<String, usize>,
    held: HashMap<Key, Held>,
    ready: VecDeque<Key>,
    unsent: VecDeque<(Key, u32)>,
    returning: Vec<Key>,
    questions: HashMap<u64, (usize, Asked, Instant)>,
    /// Runs that are on their way to a seat, or on one.
    busy: usize,
    pub(super) drains: bool,
    pub(super) acks: Vec<Ack>,
    /// Parts to be stopped: with what runs, or only the rest.
    pub(super) stops: Vec<(usize, bool)>,
}

/// What is to be asked or said.
pub(super) enum Question {
    Ask(Vec<Run>),
    Done(Vec<Part>),
    Back(Vec<Run>),
    Hello,
}

impl Table {
    pub(super) fn new(seats: usize) -> Self {
        Self {
            seats,
            taken: 0,
            max_payload: usize::MAX,
            ahead: 0,
            quick: 0,
            parked: seats,
            clients: HashMap::new(),
            next_client: 0,
            by_name: HashMap::new(),
            held: HashMap::new(),
            ready: VecDeque::new(),
            unsent: VecDeque::new(),
            returning: Vec::new(),
            questions: HashMap::new(),
            busy: 0,
            drains: false,
            acks: Vec::new(),
            stops: Vec::new(),
        }
    }

    /// Sets the number of seats whose tasks no caller waits for any more.
    pub(super) fn set_taken(&mut self, taken: usize) {
        self.taken = taken;
    }

    /// The seats that can be had.
    fn seats(&self) -> usize {
        self.seats.saturating_sub(self.taken)
    }

    /// There are so many seats now; who sits on one that is gone ends first.
    pub(super) fn resize(&mut self, seats: usize) {
        self.seats = seats;
        self.ahead = self.ahead.min(MAX_AHEAD * seats);
        self.parked = self.parked.min(seats + self.ahead / 2);
    }

    /// How much fits into a message.
    pub(super) fn set_max_payload(&mut self, max_payload: usize) {
        self.max_payload = max_payload;
    }

    /// How many runs or outcomes go together.
    fn max_together(&self) -> usize {
        MAX_TOGETHER.min(self.max_payload / (2 * HEAD)).max(1)
    }

    pub(super) fn client_name(&self, client: usize) -> &str {
        self.clients.get(&client).map_or("", |client| &client.name)
    }

    pub(super) fn busy(&self) -> usize {
        self.busy
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn get(&self, key: Key) -> Option<&Held> {
        self.held.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Held> {
        self.held.get_mut(&key)
    }

    /// How many messages are wanted beside those that are here, and how many there can be at most.
    pub(super) fn wants(&self) -> (usize, usize) {
        let all = self.seats() + self.ahead + self.parked;
        match self.drains {
            true => (0, all),
            false => (all.saturating_sub(self.busy + self.ready.len()), all),
        }
    }

    fn client(&mut self, name: &str, now: Instant) -> usize {
        if let Some(&client) = self.by_name.get(name) {
            return client;
        }
        let client = self.next_client;
        self.next_client += 1;
        let state = Client {
            name: name.to_owned(),
            heard: now,
            absent: None,
            asked: now,
            has: 0,
        };
        self.clients.insert(client, state);
        self.by_name.insert(name.to_owned(), client);
        client
    }

    /// Forgets who has had nothing here for long.
    fn forget_clients(&mut self, now: Instant) {
        let is_known = |client: &Client| {
            let last = client.absent.map_or(client.heard, |(_, found)| found);
            client.has > 0 || now.saturating_duration_since(last) < FORGOTTEN_AFTER
        };
        self.clients.retain(|_, client| is_known(client));
        let clients = &self.clients;
        self.by_name
            .retain(|_, client| clients.contains_key(client));
    }

    /// A client has said something.
    pub(super) fn heard(&mut self, name: &str, now: Instant) -> usize {
        let client = self.client(name, now);
        self.client_spoke(client, now);
        client
    }

    /// Nobody listens to it.
    fn absent(&mut self, client: usize, now: Instant) {
        let was_gone = self.is_gone(client);
        let Some(client) = self.clients.get_mut(&client) else {
            return;
        };
        let since = match client.absent {
            // Else it may have been there in between.
            Some((since, found)) if was_gone || now - found < LAPSE => since,
            _ => now,
        };
        client.absent = Some((since, now));
    }

    /// Whether nobody has listened to it for so long, as often as it was tried.
    fn is_gone(&self, client: usize) -> bool {
        let absent = self.clients.get(&client).and_then(|client| client.absent);
        absent.is_some_and(|(since, found)| found - since >= GONE_AFTER)
    }

    fn is_absent(&self, client: usize, now: Instant) -> bool {
        let absent = self.clients.get(&client).and_then(|client| client.absent);
        absent.is_some_and(|(_, found)| now.saturating_duration_since(found) < ABSENT_FOR)
    }

    /// The connection is there again: others may not be yet.
    pub(super) fn connected(&mut self, now: Instant) {
        for client in self.clients.values_mut() {
            client.absent = None;
            client.heard = now;
        }
        // Their answers are lost, or will be taken as well as ever.
        for (_, _, at) in self.questions.values_mut() {
            *at = now;
        }
    }

    // ---- messages of the queue ----

    /// A message: `seq` is its number in the stream.
    pub(super) fn came(
        &mut self,
        client: &str,
        order: Order,
        body: Bytes,
        seq: u64,
        ack: Subject,
        now: Instant,
    ) {
        let client = self.client(client, now);
        if self.drains {
            return self.acks.push(Ack::Back(ack, Duration::ZERO));
        }
        if self.is_absent(client, now) {
            return self.acks.push(match self.is_gone(client) {
                true => Ack::Done(ack),
                false => Ack::Back(ack, ABSENT_DELAY),
            });
        }
        let key = (client, order.run);
        match self.held.get_mut(&key) {
            // Delivered again, since the lease was not renewed in time.
            Some(held) if held.seq == seq => {
                if held.is_acked {
                    self.acks.push(Ack::Done(ack.clone()));
                }
                held.ack = ack;
                held.renewed = now;
            }
            // Another copy.
            Some(_) => self.acks.push(Ack::Done(ack)),
            None => {
                let held = Held {
                    order,
                    body,
                    seq,
                    ack,
                    stage: Stage::Ready,
                    since: now,
                    renewed: now,
                    is_acked: false,
                    is_unsure: false,
                    is_stopped: false,
                    missed: 0,
                    parts: BTreeMap::new(),
                    parents: BTreeMap::new(),
                    next_part: 1,
                };
                self.held.insert(key, held);
                if let Some(client) = self.clients.get_mut(&client) {
                    client.has += 1;
                }
                self.ready.push_back(key);
            }
        }
    }

    fn forget(&mut self, key: Key) -> Option<Held> {
        let held = self.held.remove(&key)?;
        if let Some(client) = self.clients.get_mut(&key.0) {
            client.has -= 1;
        }
        if matches!(held.stage, Stage::Asking | Stage::Fetching) {
            self.busy -= 1;
        }
        let running = |part: &&PartState| matches!(part, PartState::Running(_));
        self.busy -= held.parts.values().filter(running).count();
        Some(held)
    }

    fn forget_and_ack(&mut self, key: Key, ack: impl FnOnce(Subject) -> Ack) {
        if let Some(held) = self.forget(key)
            && !held.is_acked
        {
            self.acks.push(ack(held.ack));
        }
    }

    // ---- the clock ----

    /// What has to be done by now; the clients that are to be asked whether they are there.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<(usize, u64)> {
        let old = |at: &Instant| now.saturating_duration_since(*at) >= ANSWER_TIME;
        let late: Vec<u64> = self
            .questions
            .iter()
            .filter(|(_, (_, _, at))| old(at))
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            match self.questions.remove(&number) {
                Some((_, Asked::Leave(keys), _)) => {
                    keys.into_iter().rev().for_each(|key| self.ask_again(key));
                }
                Some((_, Asked::Heard(parts), _)) => self.unsent.extend(parts),
                Some((_, Asked::Back(keys), _)) => self.returning.extend(keys),
                Some((_, Asked::Hello, _)) | None => {}
            }
        }
        for held in self.held.values_mut() {
            if !held.is_acked && now.saturating_duration_since(held.renewed) >= RENEW_AFTER {
                held.renewed = now;
                self.acks.push(Ack::Renew(held.ack.clone()));
            }
        }
        self.return_parked(now);
        let mut hellos = Vec::new();
        self.forget_clients(now);
        let busy = self.clients.iter().filter(|(_, client)| client.has > 0);
        let busy: Vec<(usize, Instant)> = busy
            .map(|(number, client)| (*number, client.heard.max(client.asked)))
            .collect();
        for (client, last) in busy {
            if self.is_gone(client) {
                self.drop_client(client);
                continue;
            }
            let quiet = now.saturating_duration_since(last);
            if quiet >= HELLO_AFTER {
                hellos.push((client, self.ask(client, Asked::Hello, now)));
            }
        }
        hellos
    }

    /// What waits for a seat here may find one elsewhere.
    fn return_parked(&mut self, now: Instant) {
        let is_old = |held: &Held| {
            held.stage == Stage::Ready && now.saturating_duration_since(held.since) >= PARKED
        };
        if self.busy < self.seats() {
            return;
        }
        let old: Vec<Key> = self
            .ready
            .iter()
            .copied()
            .filter(|key| self.held.get(key).is_some_and(is_old))
            .collect();
        if !old.is_empty() {
            self.ahead = 0;
            self.parked = 0;
        }
        self.ready.retain(|key| !old.contains(key));
        for key in old {
            self.hand_back(key, Duration::ZERO);
        }
    }

    /// A client is gone: nobody wants what it had here.
    fn drop_client(&mut self, client: usize) {
        let keys: Vec<Key> = self
            .held
            .keys()
            .copied()
            .filter(|key| key.0 == client)
            .collect();
        for key in keys {
            if let Some(held) = self.held.get(&key) {
                for part in held.parts.values() {
                    if let PartState::Running(number) = part {
                        self.stops.push((*number, true));
                    }
                }
            }
            self.forget_and_ack(key, Ack::Done);
        }
        self.questions.retain(|_, (asked, _, _)| *asked != client);
        self.ready.retain(|key| key.0 != client);
        self.returning.retain(|key| key.0 != client);
    }

    // ---- what submitters say ----

    /// Nobody wants these any more.
    pub(super) fn stop(&mut self, client: usize, parts: &[Part], running: bool) {
        for part in parts {
            let Some(held) = self.held.get_mut(&(client, part.run)) else {
                continue;
            };
            if running && part.part == 0 {
                held.is_stopped = true;
            }
            if let Some(PartState::Running(number)) = held.parts.get(&part.part) {
                self.stops.push((*number, running));
            }
        }
    }

    /// What the submitter takes us to have: those that we have not.
    pub(super) fn roll(
        &mut self,
        client: usize,
        wanted: &[Part],
        unwanted: &[Part],
        is_whole: bool,
        now: Instant,
    ) -> Vec<Part> {
        self.stop(client, unwanted, true);
        let is_known = |part: &Part| match self.held.get(&(client, part.run)) {
            None => false,
            // What has not come so far is whole.
            Some(held) => part.part == 0 || held.parts.contains_key(&part.part),
        };
        let both = wanted.iter().chain(unwanted);
        let unknown = both.filter(|part| !is_known(part)).copied().collect();
        if is_whole {
            let told: std::collections::HashSet<Run> =
                wanted.iter().chain(unwanted).map(|part| part.run).collect();
            for (key, held) in &mut self.held {
                let young = now.saturating_duration_since(held.since) < YOUNG;
                if key.0 != client || held.stage != Stage::Running || young {
                    continue;
                }
                held.missed = if told.contains(&key.1) {
                    0
                } else {
                    held.missed + 1
                };
                if held.missed >= 2 {
                    for part in held.parts.values() {
                        if let PartState::Running(number) = part {
                            self.stops.push((*number, true));
                        }
                    }
                }
            }
        }
        unknown
    }

    // ---- the end ----

    /// Takes no more, and hands back what has not started.
    pub(super) fn drain(&mut self) {
        self.drains = true;
        for key in std::mem::take(&mut self.ready) {
            self.hand_back(key, Duration::ZERO);
        }
    }

    /// The end cannot wait: what is on its way to a seat goes back as well.
    pub(super) fn give_up(&mut self) {
        self.drain();
        let on_its_way = |held: &Held| matches!(held.stage, Stage::Asking | Stage::Fetching);
        let held = self.held.iter_mut().filter(|(_, held)| on_its_way(held));
        let keys: Vec<Key> = held
            .map(|(key, held)| {
                held.is_unsure = true;
                *key
            })
            .collect();
        for key in keys {
            self.hand_back(key, Duration::ZERO);
        }
    }
}
