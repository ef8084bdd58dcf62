//! An agent at work: carries out what the [table](super::held) decides.

mod heard;
mod runs;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ::bytes::Bytes;
use async_nats::{Client, HeaderMap, Message, StatusCode, Subject, Subscriber};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::super::connection::{self, Role, Turn};
use super::super::names::{self, Names};
use super::super::nats::Nats;
use super::super::submitter::{Channel, next, ready};
use super::super::wire::{
    self, Chunk, Failure, Fate, Fetch, MAX_INLINE, Order, Part, Payload, Present, ToAgent,
    ToSubmitter, Verdict,
};
use super::super::{coordinator, fetch};
use super::held::{Ack, Key, Outcome, PartState, Question, Table};
use super::pulls::{EXPIRES, HEARTBEAT, Pulls, Status};
use super::relay::{self, Relayed};
use crate::api::completions::Completions;
use crate::api::handle::JoinHandle;
use crate::api::pool::Pool;
use crate::codec::bytes::Bytes as Args;
use crate::error::pool_error::Error;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::task::Options;

/// How often the clock is looked at while there is something to do, and otherwise.
const TICK: Duration = Duration::from_millis(50);
const IDLE_TICK: Duration = Duration::from_millis(500);

/// How many messages of one kind are taken before something else is done.
const TURN: usize = 256;

/// Between two looks whether the consumer is there.
const SET_UP_EVERY: Duration = Duration::from_secs(1);

/// How often in a row the servers refuse us until we believe it.
const MAX_REFUSALS: u32 = 3;

/// How many different things are said while the queue is not there.
const MAX_WARNED: usize = 100;

/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What an agent is told from inside of its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Take no more, do what there is, and end.
    Drain,
    /// End.
    Kill,
    /// Sets the number of seats.
    Resize(usize),
}

/// Why an agent has ended by itself.
pub(super) type End = Result<(), Error>;

/// A task in the local pool.
struct Running {
    key: Key,
    part: u32,
    handle: JoinHandle<Relayed>,
    /// It goes back to the queue, if it has not started.
    returns: bool,
}

impl Running {
    /// Takes it out of the local pool, if it has not started there.
    fn hand_back(&mut self) {
        if !self.handle.is_running() && !self.handle.is_resolved() {
            self.handle.cancel_queued();
            // Else it has started this moment, and whatever becomes of it is its outcome.
            self.returns = self.handle.is_resolved();
        }
    }
}

pub(super) struct Service {
    nats: Nats,
    names: Names,
    name: String,
    seats: usize,
    grace: Duration,
    /// The client that it belongs to, where it is no program of its own.
    own: Option<String>,
    pool: Pool,
    client: Client,
    to_me: Subscriber,
    to_all: Subscriber,
    inbox: Subscriber,
    /// What the subjects of the inbox begin with.
    answers: String,
    turns: UnboundedReceiver<Turn>,
    commands: UnboundedReceiver<Command>,
    is_connected: bool,
    refusals: u32,
    table: Table,
    pulls: Pulls,
    completions: Completions,
    /// Since it was last waited.
    has_started: bool,
    /// By their numbers there.
    running: HashMap<usize, Running>,
    fetched: Channel<(Key, Option<Bytes>)>,
    set_ups: Channel<End>,
    is_setting_up: bool,
    set_up_at: Instant,
    /// What was said already, since the connection is there or the queue was.
    warned: Vec<String>,
    /// When a drain is over.
    drained_by: Option<Instant>,
    tick_at: Instant,
    broken: Option<Error>,
}

impl Service {
    /// Connects; one that is a program of its own tries as often as it takes, or until it is told to
    /// end.
    pub(super) async fn open(
        nats: Nats,
        pool: Pool,
        seats: usize,
        grace: Duration,
        own: Option<String>,
        mut commands: UnboundedReceiver<Command>,
    ) -> Result<Option<Self>, Error> {
        let catalog = crate::job::registry::Catalog::get()?;
        let abi = names::abi(catalog.digest(), &nats.version);
        let names = Names::new(&nats.namespace, abi);
        let patient = own.is_none();
        let (client, mut turns) = connection::connect(&nats, Role::Agent, patient).await?;
        if patient {
            tokio::select! {
                connected = wait_for_connection(&nats, &mut turns) => connected?,
                Some(_) = commands.recv() => {
                    tracing::info!("ends, and has never been connected");
                    return Ok(None);
                }
            }
        }
        let name = names::unique();
        let failed = |error: async_nats::SubscribeError| Error::cluster(error.to_string());
        let answers = client.new_inbox();
        let to_me = client
            .subscribe(names.to_agent(&name))
            .await
            .map_err(failed)?;
        let to_all = client.subscribe(names.who()).await.map_err(failed)?;
        let inbox = client
            .subscribe(format!("{answers}.*"))
            .await
            .map_err(failed)?;
        let now = Instant::now();
        let mut service = Self {
            nats,
            names,
            name,
            seats,
            grace,
            own,
            pool,
            client,
            to_me,
            to_all,
            inbox,
            answers,
            turns,
            commands,
            is_connected: true,
            refusals: 0,
            table: Table::new(seats),
            pulls: Pulls::new(),
            completions: Completions::new(),
            has_started: false,
            running: HashMap::new(),
            fetched: unbounded_channel(),
            set_ups: unbounded_channel(),
            is_setting_up: false,
            set_up_at: now,
            warned: Vec::new(),
            drained_by: None,
            tick_at: now,
            broken: None,
        };
        service.table.set_max_payload(service.client.max_payload());
        service.set_up(now);
        // So that who asks next finds us.
        let _ = service.client.flush().await;
        tracing::info!(
            agent = %service.name,
            abi = %service.names.abi,
            seats,
            servers = %service.nats.shown(),
            "takes tasks"
        );
        Ok(Some(service))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Serves until it is told to end, and has.
    pub(super) async fn run(mut self) -> End {
        loop {
            let now = Instant::now();
            self.look_around(now).await;
            let is_drained = self.table.drains && self.table.is_empty();
            let is_late = self.drained_by.is_some_and(|at| at <= now);
            if is_drained || is_late || self.broken.is_some() {
                return self.close(is_drained).await;
            }
            // The connection is a task of the same thread.
            tokio::task::yield_now().await;
            // What has just started may be over before others could wake this thread.
            if !(std::mem::take(&mut self.has_started) && self.completions.is_soon()) {
                self.wait(now).await;
            }
            for _ in 0..TURN {
                let Some(message) = ready(&mut self.inbox) else {
                    break;
                };
                self.answered(message).await;
            }
            for _ in 0..TURN {
                let Some(message) = ready(&mut self.to_me) else {
                    break;
                };
                self.heard(message).await;
            }
            while let Some(number) = self.completions.try_next() {
                self.ended(number);
            }
        }
    }

    /// Waits until something happens.
    async fn wait(&mut self, now: Instant) {
        let tick = tokio::time::sleep_until(self.tick_at.into());
        let completions = &mut self.completions;
        let done = std::future::poll_fn(|context| match completions.poll_next(context.waker()) {
            Some(number) => std::task::Poll::Ready(number),
            None => std::task::Poll::Pending,
        });
        tokio::select! {
            number = done => self.ended(number),
            Some(message) = next(&mut self.inbox) => self.answered(message).await,
            Some(message) = next(&mut self.to_me) => self.heard(message).await,
            Some(message) = next(&mut self.to_all) => self.present(message).await,
            Some(turn) = self.turns.recv() => self.turned(turn),
            Some((key, body)) = self.fetched.1.recv() => self.was_fetched(key, body),
            Some(result) = self.set_ups.1.recv() => self.was_set_up(result),
            Some(command) = self.commands.recv() => self.told(command, now),
            () = tick => {}
        }
    }

    /// Says what is to be said, and asks for more.
    async fn look_around(&mut self, now: Instant) {
        if now >= self.tick_at {
            let idle = self.table.is_empty() && self.drained_by.is_none();
            self.tick_at = now + if idle { IDLE_TICK } else { TICK };
            self.pulls.tick(now);
            self.table.set_taken(self.pool.stats().overdue);
            if self.is_connected {
                for (client, number) in self.table.tick(now) {
                    self.say(client, number, Question::Hello).await;
                }
                if self.table.is_overbooked() {
                    self.hand_back(now);
                }
            }
        }
        for (number, running) in std::mem::take(&mut self.table.stops) {
            if let Some(part) = self.running.get(&number) {
                part.handle.give_up(running);
            }
        }
        if !self.is_connected {
            return;
        }
        while let Some((client, number, question)) = self.table.next_question(now) {
            self.say(client, number, question).await;
        }
        for ack in std::mem::take(&mut self.table.acks) {
            self.ack(ack).await;
        }
        let (wanted, all) = self.table.wants();
        if let Some((number, batch)) = self.pulls.ask(wanted, all, now) {
            let subject = format!(
                "$JS.API.CONSUMER.MSG.NEXT.{}.{}",
                self.names.stream(),
                self.names.consumer()
            );
            let request = serde_json::json!({
                "batch": batch,
                "expires": nanos(EXPIRES),
                "idle_heartbeat": nanos(HEARTBEAT),
            });
            let reply = format!("{}.m{number}", self.answers);
            let message = Bytes::from(request.to_string());
            let _ = self
                .client
                .publish_with_reply(subject, reply, message)
                .await;
        }
    }

    async fn ack(&self, ack: Ack) {
        let (to, what) = match ack {
            Ack::Done(to) => (to, Bytes::from_static(b"+ACK")),
            Ack::Renew(to) => (to, Bytes::from_static(b"+WPI")),
            Ack::Back(to, delay) if delay.is_zero() => (to, Bytes::from_static(b"-NAK")),
            Ack::Back(to, delay) => {
                let delay = serde_json::json!({ "delay": nanos(delay) });
                (to, Bytes::from(format!("-NAK {delay}")))
            }
        };
        // One that is lost comes again, and its submitter knows better.
        let _ = self.client.publish(to, what).await;
    }

    async fn say(&self, client: usize, number: u64, question: Question) {
        let agent = self.name.clone();
        let message = match question {
            Question::Ask(runs) => wire::encode(&ToSubmitter::Ask { agent, runs }, &[]),
            Question::Back(runs) => wire::encode(&ToSubmitter::Back { agent, runs }, &[]),
            Question::Hello => wire::encode(&ToSubmitter::Hello, &[]),
            Question::Done(parts) => self.done(client, agent, &parts),
        };
        let to = self.names.to_submitter(self.table.client_name(client));
        let reply = format!("{}.q{number}", self.answers);
        let _ = self.client.publish_with_reply(to, reply, message).await;
    }

    fn done(&self, client: usize, agent: String, parts: &[Part]) -> Bytes {
        let mut outcomes = Vec::with_capacity(parts.len());
        let mut bytes: Vec<&[u8]> = Vec::with_capacity(parts.len());
        for part in parts {
            let held = self.table.get((client, part.run));
            let Some(PartState::Done(outcome)) = held.and_then(|held| held.parts.get(&part.part))
            else {
                continue;
            };
            outcomes.push(wire::Outcome {
                part: *part,
                fate: outcome.fate.clone(),
            });
            if !outcome.is_large {
                bytes.push(&outcome.payload);
            }
        }
        wire::encode(&ToSubmitter::Done { agent, outcomes }, &bytes)
    }

    // ---- what happens ----

    fn set_up(&mut self, now: Instant) {
        if self.is_setting_up || self.set_up_at > now {
            return;
        }
        self.is_setting_up = true;
        self.set_up_at = now + SET_UP_EVERY;
        let (client, nats, names) = (self.client.clone(), self.nats.clone(), self.names.clone());
        let done = self.set_ups.0.clone();
        tokio::spawn(async move {
            let _ = done.send(connection::set_up(&client, &nats, &names).await);
        });
    }

    fn was_set_up(&mut self, result: End) {
        self.is_setting_up = false;
        match result {
            Err(error) => self.warn_once("no queue", error.to_string()),
            Ok(()) if self.warned.is_empty() => {}
            Ok(()) => {
                tracing::info!("the queue is there");
                self.warned.clear();
            }
        }
    }

    /// What goes on is said when it begins.
    fn warn_once(&mut self, about: &str, what: String) {
        if !self.warned.contains(&what) && self.warned.len() < MAX_WARNED {
            tracing::warn!("{about}: {what}");
            self.warned.push(what);
        }
    }

    fn turned(&mut self, turn: Turn) {
        let now = Instant::now();
        match turn {
            // The first time, of which we know.
            Turn::Connected if self.is_connected => {}
            Turn::Connected => {
                tracing::info!("connected again");
                self.is_connected = true;
                self.refusals = 0;
                self.warned.clear();
                self.pulls.forget();
                self.table.set_max_payload(self.client.max_payload());
                self.table.connected(now);
            }
            Turn::Disconnected => {
                tracing::warn!(servers = %self.nats.shown(), "disconnected");
                self.is_connected = false;
                self.pulls.forget();
            }
            Turn::Refused(why) => {
                self.refusals += 1;
                if self.refusals >= MAX_REFUSALS {
                    let why = format!("{} refuses this agent: {why}", self.nats.shown());
                    self.broken = Some(Error::cluster(why));
                }
            }
            Turn::Overrun => tracing::warn!("messages were dropped; they come again"),
            // Each attempt to connect again.
            Turn::Said(what) if !self.is_connected => tracing::debug!(what, "the connection"),
            Turn::Said(what) => self.warn_once("the connection", what),
        }
    }

    fn told(&mut self, command: Command, now: Instant) {
        match command {
            Command::Drain if !self.table.drains => {
                tracing::info!(
                    tasks = self.table.len(),
                    grace = ?self.grace,
                    "takes no more, and ends when its tasks are done"
                );
                self.table.drain();
                self.pulls.forget();
                self.drained_by = now.checked_add(self.grace);
                self.tick_at = now;
                self.hand_back_waiting();
            }
            Command::Drain => {}
            Command::Kill => {
                tracing::info!(tasks = self.table.len(), "is to end at once");
                self.drained_by = Some(now);
            }
            Command::Resize(seats) => {
                self.seats = seats;
                self.table.resize(seats);
            }
        }
    }

    /// Takes back what waits in the local pool. A chunk stays: it may have been divided.
    fn hand_back_waiting(&mut self) {
        for part in self.running.values_mut() {
            let held = self.table.get(part.key);
            if part.part == 0 && held.is_some_and(|held| held.order.chunk == 0) {
                part.hand_back();
            }
        }
    }

    /// Ends; what still runs is stopped, and said to be lost.
    async fn close(mut self, is_drained: bool) -> End {
        // Of an agent that is broken its own pool rejects what it had.
        let is_told_otherwise = self.own.is_some() && self.broken.is_some();
        if !is_drained && !is_told_otherwise {
            self.table.give_up();
            self.hand_back_waiting();
            while let Some(number) = self.completions.try_next() {
                self.ended(number);
            }
            self.pool.kill();
            let now = Instant::now();
            let numbers: Vec<usize> = self.running.keys().copied().collect();
            for number in numbers {
                if let Some(running) = self.running.remove(&number) {
                    let lost = TaskError::new(TaskErrorKind::WorkerLost, "")
                        .message_is("its agent has ended");
                    self.failed(running.key, running.part, &lost, now);
                }
            }
        }
        if self.is_connected {
            let last_words = async {
                let now = Instant::now();
                while let Some((client, number, question)) = self.table.next_question(now) {
                    self.say(client, number, question).await;
                }
                for ack in std::mem::take(&mut self.table.acks) {
                    self.ack(ack).await;
                }
                let _ = self.client.flush().await;
            };
            let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
        }
        match is_drained {
            true => tracing::info!("ends"),
            false => tracing::warn!(tasks = self.table.len(), "ends before its tasks are done"),
        }
        match self.broken.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// Waits for the first connection; `Err` where the servers do not want us.
async fn wait_for_connection(
    nats: &Nats,
    turns: &mut UnboundedReceiver<Turn>,
) -> Result<(), Error> {
    let mut refusals = 0;
    let mut has_waited = false;
    while let Some(turn) = turns.recv().await {
        match turn {
            Turn::Connected => return Ok(()),
            Turn::Refused(why) => {
                refusals += 1;
                if refusals >= MAX_REFUSALS {
                    let why = format!("{} refuses this agent: {why}", nats.shown());
                    return Err(Error::cluster(why));
                }
            }
            Turn::Said(_) if !std::mem::replace(&mut has_waited, true) => {
                // Why it failed is only said to who does not wait.
                if let Err(error) = connection::connect(nats, Role::Agent, false).await {
                    tracing::warn!("{error}; it is tried again until there is one");
                }
            }
            _ => {}
        }
    }
    Err(Error::cluster("the connection was given up"))
}

/// Whether the server has made a copy of a message of a stream, for somebody who asked it to.
fn is_copied(headers: &HeaderMap) -> bool {
    headers.get("Nats-Stream").is_some()
}

/// The number in the stream of a message that is acknowledged there: `$JS.ACK.`, in newer servers a
/// domain and an account, stream, consumer, deliveries, number, …
fn sequence_of(ack: &str) -> Option<u64> {
    let tokens: Vec<&str> = ack.split('.').collect();
    let at = match tokens.len() {
        9 => 5,
        11.. => 7,
        _ => return None,
    };
    tokens[at].parse().ok()
}

fn piece_of(value: &Bytes, fetch: &Fetch) -> Bytes {
    let piece = coordinator::piece_of(value, fetch);
    piece
        .map(|piece| value.slice_ref(piece))
        .unwrap_or_default()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_message_is_found_in_old_and_new_subjects() {
        let old = "$JS.ACK.PT_pool_T.q_00ff.1.42.7.1700000000000000000.3";
        assert_eq!(sequence_of(old), Some(42));
        let new = "$JS.ACK._.ACCHASH.PT_pool_T.q_00ff.1.43.7.1700000000000000000.3";
        assert_eq!(sequence_of(new), Some(43));
        assert_eq!(sequence_of("$JS.ACK.a.b"), None);
    }
}
