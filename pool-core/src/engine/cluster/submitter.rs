//! The thread of a pool on a cluster: carries out what the [coordinator](super::coordinator) decides.

mod answered;
mod heard;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, mpsc::SyncSender};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ::bytes::Bytes;
use async_nats::{Client, Message, StatusCode, Subject, Subscriber};
use futures_core::Stream;
use serde::Deserialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::agent::{Local, Own};
use super::connection::{self, Role, Turn};
use super::coordinator::{Phase, Say, stays};
use super::names::{self, Names};
use super::nats::Nats;
use super::wire::{self, Fate, Fetch, Outcome, Part, Payload, Present, Run, ToAgent, ToSubmitter};
use super::{Shared, fetch};
use crate::engine::Config;
use crate::error::pool_error::Error;

/// How often the clock is looked at while something is out.
const TICK: Duration = Duration::from_millis(100);

/// How often agents are asked who they are.
const WHO_EVERY: Duration = Duration::from_secs(2);

/// How often the queue is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// When it has less than it should.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How many messages are heard, and how many tasks published, before the other is done.
const TURN: usize = 256;

/// How long the first agents may take to say who they are, while the pool is built.
const FIRST_WHO: Duration = Duration::from_millis(200);

/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Between two tries to find the stream.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);

/// How many messages the server is asked to delete together.
const MAX_DELETES: usize = 64;

/// How often it is looked whether the agent of a pool has ended with it.
const END_LOOK: Duration = Duration::from_millis(5);

/// How often in a row the servers refuse us until we believe it.
const MAX_REFUSALS: u32 = 3;

pub(super) struct Submitter {
    shared: Arc<Shared>,
    nats: Nats,
    abi: String,
    config: Config,
    built: SyncSender<Result<(), Error>>,
}

impl Submitter {
    pub(super) fn new(
        shared: Arc<Shared>,
        nats: Nats,
        abi: String,
        config: Config,
        built: SyncSender<Result<(), Error>>,
    ) -> Self {
        Self {
            shared,
            nats,
            abi,
            config,
            built,
        }
    }

    /// The whole life of the thread.
    pub(super) fn run(self) {
        /// Also after a panic of ours, which would be a bug.
        struct Ended(Arc<Shared>);
        impl Drop for Ended {
            fn drop(&mut self) {
                self.0.with(|coordinator, after| {
                    if !coordinator.is_over() {
                        coordinator.end(Phase::Killed, after);
                    }
                });
                self.0.room.was_made(&self.0.effects);
                self.0.ended.set();
            }
        }
        let ended = Ended(Arc::clone(&self.shared));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = self.built.send(Err(Error::spawn("no reactor", &error)));
                return;
            }
        };
        runtime.block_on(async {
            let built = self.built.clone();
            match Link::open(self).await {
                Ok(mut link) => {
                    let _ = built.send(Ok(()));
                    link.run().await;
                    link.close().await;
                }
                Err(error) => {
                    let _ = built.send(Err(error));
                }
            }
        });
        drop(runtime);
        drop(ended);
    }
}

/// For what other tasks of the thread come to.
pub(super) type Channel<T> = (UnboundedSender<T>, UnboundedReceiver<T>);

/// A large result that is being fetched: whom to tell that it is heard.
type Fetching = HashMap<Part, Option<Subject>>;

/// What a fetch has come to.
struct Fetched {
    agent: String,
    part: Part,
    fate: Fate,
    payload: Option<Bytes>,
}

/// A submitter that is connected.
struct Link {
    shared: Arc<Shared>,
    nats: Nats,
    names: Names,
    /// Who we are.
    me: String,
    client: Client,
    to_me: Subscriber,
    inbox: Subscriber,
    /// What the subjects of the inbox begin with.
    answers: String,
    queue: Subject,
    turns: UnboundedReceiver<Turn>,
    is_connected: bool,
    refusals: u32,
    fetching: Fetching,
    fetched: Channel<Fetched>,
    set_ups: Channel<Result<(), Error>>,
    is_setting_up: bool,
    /// What was said already, so that it is said once.
    warned: Vec<String>,
    who_at: Instant,
    look_at: Instant,
    local: Option<Local>,
}

impl Link {
    async fn open(submitter: Submitter) -> Result<Self, Error> {
        let Submitter {
            shared,
            nats,
            abi,
            config,
            built: _,
        } = submitter;
        let names = Names::new(&nats.namespace, abi);
        let (client, turns) = connection::connect(&nats, Role::Submitter, false).await?;
        set_up(&client, &nats, &names, config.start_timeout).await?;
        let me = format!("{}.{}", nats.name, names::unique());
        let local = match nats.local_agent {
            true => {
                let (local, own) = Local::start(&nats, &config, me.clone())?;
                let _ = shared.own.set(own);
                Some(local)
            }
            false => None,
        };
        let answers = client.new_inbox();
        let failed = |error: async_nats::SubscribeError| Error::cluster(error.to_string());
        let to_me = client
            .subscribe(names.to_submitter(&me))
            .await
            .map_err(failed)?;
        let inbox = client
            .subscribe(format!("{answers}.*"))
            .await
            .map_err(failed)?;
        shared.with(|coordinator, _| coordinator.set_max_payload(client.max_payload()));
        let now = Instant::now();
        let mut link = Self {
            queue: names.client_queue(&me).into(),
            shared,
            nats,
            names,
            me,
            client,
            to_me,
            inbox,
            answers,
            turns,
            is_connected: true,
            refusals: 0,
            fetching: HashMap::new(),
            fetched: unbounded_channel(),
            set_ups: unbounded_channel(),
            is_setting_up: false,
            warned: Vec::new(),
            who_at: now,
            look_at: now + LOOK_EVERY,
            local,
        };
        link.first_who().await;
        Ok(link)
    }

    /// Finds out which agents there are, so that the pool knows how many workers it has.
    async fn first_who(&mut self) {
        self.who().await;
        let until = tokio::time::Instant::now() + FIRST_WHO;
        while let Ok(Some(message)) = tokio::time::timeout_at(until, next(&mut self.inbox)).await {
            let is_last = message.status.is_some();
            self.answered(message).await;
            if is_last || self.shared.with(|coordinator, _| coordinator.seats()) > 0 {
                return;
            }
        }
    }

    async fn run(&mut self) {
        loop {
            // The connection is a task of the same thread.
            tokio::task::yield_now().await;
            let wake_at = self.look_around().await;
            if self.shared.with(|coordinator, _| coordinator.is_over()) {
                return;
            }
            let sleep = async {
                match wake_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.shared.bell.notified() => {}
                Some(message) = next(&mut self.to_me) => self.heard(message).await,
                Some(message) = next(&mut self.inbox) => self.answered(message).await,
                Some(turn) = self.turns.recv() => self.turned(turn),
                Some(fetched) = self.fetched.1.recv() => self.was_fetched(fetched).await,
                Some(set_up) = self.set_ups.1.recv() => self.was_set_up(set_up),
                error = failure(&mut self.local) => self.lost_its_agent(&error),
                () = sleep => {}
            }
            for _ in 0..TURN {
                let Some(message) = ready(&mut self.to_me) else {
                    break;
                };
                self.heard(message).await;
            }
            for _ in 0..TURN {
                let Some(message) = ready(&mut self.inbox) else {
                    break;
                };
                self.answered(message).await;
            }
        }
    }

    /// Publishes and says what is to be said; when to look again.
    async fn look_around(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let (next, is_busy) = self.shared.with(|coordinator, after| {
            let next = coordinator.tick(now, after);
            (next, coordinator.is_watching())
        });
        if !self.is_connected {
            return is_busy.then_some(now + TICK).into_iter().chain(next).min();
        }
        let (says, purge) = self
            .shared
            .with(|coordinator, _| (std::mem::take(&mut coordinator.says), coordinator.purge()));
        for say in few(says, purge) {
            self.say(say).await;
        }
        let mut more = true;
        for _ in 0..TURN {
            let Some((run, message)) = self
                .shared
                .with(|coordinator, _| coordinator.next_order(now))
            else {
                more = false;
                break;
            };
            let reply = self.answer_to(&format!("p{}-{}", run.job, run.run));
            let queue = self.queue.clone();
            // What is not sent is found out by its missing acknowledgement.
            let _ = self.client.publish_with_reply(queue, reply, message).await;
        }
        if !is_busy {
            return next;
        }
        self.by_the_clock(now).await;
        let soon = if more { now } else { now + TICK };
        [Some(soon), next].into_iter().flatten().min()
    }

    async fn by_the_clock(&mut self, now: Instant) {
        let rolls = self.shared.with(|coordinator, _| coordinator.rolls(now));
        for roll in rolls {
            let reply = self.answer_to(&format!("r{}", roll.number));
            let message = ToAgent::Roll {
                client: self.me.clone(),
                wanted: roll.wanted,
                unwanted: roll.unwanted,
                is_whole: roll.is_whole,
            };
            self.to_agent(&roll.agent, Some(reply), &message).await;
        }
        if now >= self.who_at {
            self.who().await;
            let warning = self
                .shared
                .with(|coordinator, after| coordinator.look_for_agents(now, after));
            if let Some(warning) = warning {
                warn(&warning);
            }
        }
        if now >= self.look_at {
            self.look_at = now + LOOK_EVERY;
            if self
                .shared
                .with(|coordinator, _| coordinator.expects())
                .is_some()
            {
                let subject = format!("$JS.API.STREAM.INFO.{}", self.names.stream());
                let filter = serde_json::json!({ "subjects_filter": self.queue.as_str() });
                let reply = self.answer_to("i");
                let message = Bytes::from(filter.to_string());
                let _ = self
                    .client
                    .publish_with_reply(subject, reply, message)
                    .await;
                let (stream, consumer) = (self.names.stream(), self.names.consumer());
                let subject = format!("$JS.API.CONSUMER.INFO.{stream}.{consumer}");
                let reply = self.answer_to("f");
                let _ = self
                    .client
                    .publish_with_reply(subject, reply, Bytes::new())
                    .await;
            }
        }
    }

    async fn who(&mut self) {
        self.who_at = Instant::now() + WHO_EVERY;
        let (who, reply) = (self.names.who(), self.answer_to("w"));
        let _ = self
            .client
            .publish_with_reply(who, reply, Bytes::new())
            .await;
    }

    /// Where the answer to something is to go.
    fn answer_to(&self, what: &str) -> String {
        format!("{}.{what}", self.answers)
    }

    async fn to_agent(&self, agent: &str, reply: Option<String>, message: &ToAgent) {
        let (subject, message) = (self.names.to_agent(agent), wire::encode(message, &[]));
        let _ = match reply {
            Some(reply) => {
                self.client
                    .publish_with_reply(subject, reply, message)
                    .await
            }
            None => self.client.publish(subject, message).await,
        };
    }

    async fn say(&self, say: Say) {
        match say {
            Say::Stop {
                agent,
                part,
                running,
            } => {
                let stop = ToAgent::Stop {
                    client: self.me.clone(),
                    parts: vec![part],
                    running,
                };
                self.to_agent(&agent, None, &stop).await;
            }
            Say::Delete(seq) => {
                let subject = format!("$JS.API.STREAM.MSG.DELETE.{}", self.names.stream());
                let message = serde_json::json!({ "seq": seq, "no_erase": true });
                self.to_server(subject, &message).await;
            }
            Say::Purge { before } => {
                let subject = format!("$JS.API.STREAM.PURGE.{}", self.names.stream());
                let mut message = serde_json::json!({ "filter": self.queue.as_str() });
                if let Some(before) = before {
                    message["seq"] = before.into();
                }
                self.to_server(subject, &message).await;
            }
        }
    }

    /// Asks the server for something that does not matter if it fails.
    async fn to_server(&self, subject: String, message: &serde_json::Value) {
        let (reply, message) = (self.answer_to("d"), Bytes::from(message.to_string()));
        let _ = self
            .client
            .publish_with_reply(subject, reply, message)
            .await;
    }

    async fn reply(&self, to: Option<Subject>, message: Bytes) {
        if let Some(to) = to {
            let _ = self.client.publish(to, message).await;
        }
    }

    fn turned(&mut self, turn: Turn) {
        let now = Instant::now();
        match turn {
            // The first time, of which we know.
            Turn::Connected if self.is_connected => {}
            Turn::Connected => {
                self.refusals = 0;
                self.is_connected = true;
                self.look_at = now + Duration::from_secs(1);
                self.who_at = now + Duration::from_secs(1);
                let max_payload = self.client.max_payload();
                self.shared.with(|coordinator, _| {
                    coordinator.set_max_payload(max_payload);
                    coordinator.connected(true, now);
                });
            }
            Turn::Disconnected => {
                self.is_connected = false;
                tracing::warn!(servers = self.nats.shown(), "disconnected");
                self.shared
                    .with(|coordinator, _| coordinator.connected(false, now));
            }
            Turn::Refused(why) => {
                self.refusals += 1;
                if self.refusals >= MAX_REFUSALS {
                    let why = format!("the servers of the cluster refuse this pool: {why}");
                    self.shared.breaks(why);
                }
            }
            Turn::Overrun => tracing::warn!("messages were dropped; they are sent again"),
            Turn::Said(what) => {
                if what.to_lowercase().contains("permissions violation") {
                    self.warn_once(&format!(
                        "{what}. Do the servers know this pool by its name, `{}` (POOL_NATS_NAME)?",
                        self.nats.name
                    ));
                } else if self.is_connected {
                    tracing::info!(what, "the connection");
                } else {
                    // Each attempt to connect again.
                    tracing::debug!(what, "the connection");
                }
            }
        }
    }

    /// The agent of the pool has ended by itself.
    fn lost_its_agent(&self, error: &Error) {
        let own = self.shared.own.get();
        let why = own.and_then(Own::broken);
        self.shared.breaks(why.unwrap_or_else(|| error.to_string()));
    }

    fn warn_once(&mut self, what: &str) {
        if !self.warned.iter().any(|said| said == what) && self.warned.len() < 100 {
            self.warned.push(what.to_owned());
            warn(what);
        }
    }

    /// Says the last words, and ends the agent that belongs to the pool.
    async fn close(mut self) {
        let (says, is_drained) = self.shared.with(|coordinator, after| {
            after.room = true;
            let is_drained = *coordinator.phase() == Phase::Draining;
            (std::mem::take(&mut coordinator.says), is_drained)
        });
        if self.is_connected {
            let last_words = async {
                for say in says {
                    self.say(say).await;
                }
                self.say(Say::Purge { before: None }).await;
                let _ = self.client.flush().await;
            };
            let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
        }
        if let Some(local) = self.local.take() {
            local.end(!is_drained);
            // It may have something to say, and to ask.
            while !local.has_ended() {
                tokio::select! {
                    Some(message) = next(&mut self.to_me) => self.heard(message).await,
                    () = tokio::time::sleep(END_LOOK) => {}
                }
            }
        }
        // Before the runtime: they unsubscribe.
        drop(self);
    }
}

/// Makes the stream and the consumer; a cluster of servers that has just been started may need some
/// time to find its leader.
async fn set_up(
    client: &Client,
    nats: &Nats,
    names: &Names,
    adaptive_spin: Duration,
) -> Result<(), Error> {
    let start = Instant::now();
    loop {
        match connection::set_up(client, nats, names).await {
            Err(error) if start.elapsed() < adaptive_spin && is_passing(&error) => {
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
            result => return result,
        }
    }
}

/// Whether it may be otherwise in a while.
fn is_passing(error: &Error) -> bool {
    let text = error.to_string();
    ["timed out", "unavailable", "no leader"]
        .iter()
        .any(|what| text.contains(what))
}

/// The same without many requests to delete a message each, which a server takes badly: it is asked
/// once for all of them where that is possible. Messages that stay are dropped by whoever gets them.
fn few(mut says: Vec<Say>, purge: Option<Say>) -> Vec<Say> {
    let is_delete = |say: &Say| matches!(say, Say::Delete(_));
    if says.iter().filter(|say| is_delete(say)).count() > MAX_DELETES {
        says.retain(|say| !is_delete(say));
        says.extend(purge);
    }
    says
}

/// Why the agent of the pool has ended, as soon as it has.
async fn failure(local: &mut Option<Local>) -> Error {
    match local {
        Some(local) => local.failure().await,
        None => std::future::pending().await,
    }
}

/// The next message of a subscription; `None` when there will be none.
pub(super) async fn next(subscriber: &mut Subscriber) -> Option<Message> {
    std::future::poll_fn(|context| Pin::new(&mut *subscriber).poll_next(context)).await
}

/// A message that is there already.
pub(super) fn ready(subscriber: &mut Subscriber) -> Option<Message> {
    let mut context = Context::from_waker(Waker::noop());
    match Pin::new(subscriber).poll_next(&mut context) {
        Poll::Ready(message) => message,
        Poll::Pending => None,
    }
}

/// Says something to the person who started the program: where its log goes, if it has one.
fn warn(what: &str) {
    match tracing::enabled!(tracing::Level::WARN) {
        true => tracing::warn!("{what}"),
        false => crate::sync::stderr::say(what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_messages_are_deleted_by_one_request_or_left() {
        let deletes = |count: u64| (0..count).map(Say::Delete).collect::<Vec<_>>();
        let purge = || Some(Say::Purge { before: Some(7) });
        assert_eq!(few(deletes(64), purge()).len(), 64);
        assert_eq!(few(deletes(65), purge()), [Say::Purge { before: Some(7) }]);
        assert_eq!(few(deletes(65), None), []);
    }
}
