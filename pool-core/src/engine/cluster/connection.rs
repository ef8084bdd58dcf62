//! The connection to the servers, and the stream and the consumer that there have to be.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, ClientError, ConnectErrorKind, ConnectOptions, Event, ServerError};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::names::Names;
use super::nats::Nats;
use crate::error::pool_error::Error;

/// For how long an agent has a message without renewing its lease. It may be short: a message that two
/// agents have does no harm, since its submitter gives leave to one.
pub(super) const LEASE: Duration = Duration::from_secs(5);

/// How long a server may take for an answer.
pub(super) const REPLY_TIME: Duration = Duration::from_secs(2);

/// How often a silent server is asked whether it is there; it is given up after the third.
const PING_EVERY: Duration = Duration::from_secs(3);

const CONNECT_TIME: Duration = Duration::from_secs(3);

/// The longest wait between two tries to connect again.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// How many commands wait for a connection that is gone.
const COMMANDS: usize = 65_536;

/// How many messages wait for us, beyond which the client drops them.
const MESSAGES: usize = 65_536;

/// How many bytes the queue takes, where the server has room for it; else half of that, and so on
/// down to the least. Where it is less, half of what there is room for.
const QUEUE_BYTES: i64 = 8 << 30;
const MIN_QUEUE_BYTES: i64 = 1 << 20;

/// How long a task may wait in it.
const QUEUE_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

const MAX_ACK_PENDING: i64 = 100_000;
const MAX_WAITING: i64 = 8_192;

/// How often it is tried to make the stream while others may, and the pause between two tries.
const SET_UP_TRIES: u32 = 3;
const SET_UP_PAUSE: Duration = Duration::from_millis(200);

/// Who connects: each has inboxes of its own, so that nobody reads another's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Submitter,
    Agent,
    Admin,
}

/// What happens to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    Connected,
    Disconnected,
    /// The servers do not want us: they will not the next time either.
    Refused(String),
    /// Messages were dropped, since we were too slow.
    Overrun,
    /// What a server or the client has to say.
    Said(String),
}

/// A client that goes on connecting, and what happens to it. With `patient` the first connection may
/// come later.
pub(super) async fn connect(
    nats: &Nats,
    role: Role,
    patient: bool,
) -> Result<(Client, UnboundedReceiver<Turn>), Error> {
    nats.check()?;
    let (tell, turns) = unbounded_channel();
    let mut options = ConnectOptions::new()
        .name(format!("pool {} {role:?}", nats.namespace))
        .custom_inbox_prefix(inbox_prefix(nats, role))
        .ping_interval(PING_EVERY)
        .connection_timeout(CONNECT_TIME)
        .request_timeout(Some(REPLY_TIME))
        .subscription_capacity(MESSAGES)
        .client_capacity(COMMANDS)
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| {
            if let Some(turn) = turn_of(event) {
                // Nobody hears of it after the end.
                let _ = tell.send(turn);
            }
            std::future::ready(())
        });
    if patient {
        options = options.retry_on_initial_connect();
    }
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Error::cluster(format!("{what} of {}: {error}", nats.shown()))
    };
    if let Some((user, password)) = nats.user() {
        options = options.user_and_password(user, password);
    }
    if let Some(file) = &nats.credentials {
        options = options
            .credentials_file(file)
            .await
            .map_err(|error| failed("the credentials", &error))?;
    }
    if let Some(file) = &nats.nkey {
        let seed = std::fs::read_to_string(file).map_err(|error| failed("the nkey", &error))?;
        options = options.nkey(seed.trim().to_owned());
    }
    if let Some(file) = &nats.ca {
        options = options
            .add_root_certificates(file.clone())
            .require_tls(true);
    }
    if let Some((file, key)) = &nats.certificate {
        options = options
            .add_client_certificate(file.clone(), key.clone())
            .require_tls(true);
    }
    match options.connect(nats.servers()).await {
        Ok(client) => Ok((client, turns)),
        Err(error) => Err(Error::cluster(match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                format!("{} refuses us: {error}", nats.shown())
            }
            ConnectErrorKind::ServerParse => {
                format!(
                    "{} names no servers: {}",
                    nats.shown(),
                    with_sources(&error)
                )
            }
            _ => format!(
                "no connection to {}: {}: is a nats-server with JetStream there?",
                nats.shown(),
                with_sources(&error)
            ),
        })),
    }
}

/// An error with those that have caused it.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

fn inbox_prefix(nats: &Nats, role: Role) -> String {
    match role {
        Role::Submitter => format!("_INBOX_s.{}", nats.name),
        Role::Agent => "_INBOX_a".into(),
        Role::Admin => "_INBOX".into(),
    }
}

fn reconnect_delay(attempts: usize) -> Duration {
    match attempts {
        0 | 1 => Duration::ZERO,
        // So that many do not come back at once.
        _ => {
            let doubled = 10 << attempts.min(10);
            let spread = crate::task::seed::random() % 50;
            Duration::from_millis(doubled + spread).min(MAX_RECONNECT_DELAY)
        }
    }
}

fn turn_of(event: Event) -> Option<Turn> {
    Some(match event {
        Event::Connected => Turn::Connected,
        Event::Disconnected => Turn::Disconnected,
        Event::SlowConsumer(_) => Turn::Overrun,
        Event::Draining | Event::Closed => return None,
        Event::ServerError(ServerError::AuthorizationViolation) => {
            Turn::Refused("authorization violation".into())
        }
        // What an attempt to connect again has come to, in words only.
        Event::ClientError(ClientError::Other(text)) if is_refusal(&text) => Turn::Refused(text),
        other => Turn::Said(other.to_string()),
    })
}

fn is_refusal(text: &str) -> bool {
    ["authorization violation", "failed signing nonce"]
        .iter()
        .any(|refusal| text.to_lowercase().contains(refusal))
}

/// Makes what is missing of the stream and of the consumer of this build.
pub(super) async fn set_up(client: &Client, nats: &Nats, names: &Names) -> Result<(), Error> {
    let context = jetstream::ContextBuilder::new()
        .timeout(REPLY_TIME)
        .build(client.clone());
    let failed = |what: &str, error: &dyn std::error::Error| {
        Error::cluster(format!(
            "{what} at {}, and none could be made: {}. Where roles forbid to make it, somebody who may \
             does so once for each build, with POOL_ADMIN=init",
            nats.shown(),
            with_sources(error)
        ))
    };
    let mut tries = 1..SET_UP_TRIES;
    let stream = loop {
        if let Ok(stream) = context.get_stream(names.stream()).await {
            break stream;
        }
        // Also where it fails: somebody else may make it at the same time, who has the room for it.
        let made = make_stream(&context, nats, names).await;
        match context.get_stream(names.stream()).await {
            Ok(stream) => break stream,
            Err(_) if made.is_err() && tries.next().is_some() => {
                tokio::time::sleep(SET_UP_PAUSE).await;
            }
            Err(error) => {
                let what = format!("no stream {}", names.stream());
                return Err(match made {
                    Ok(()) => failed(&what, &error),
                    Err(error) => failed(&what, &error),
                });
            }
        }
    };
    let consumer = names.consumer();
    if stream.get_consumer::<pull::Config>(&consumer).await.is_ok() {
        return Ok(());
    }
    let config = pull::Config {
        durable_name: Some(consumer.clone()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: LEASE,
        max_deliver: -1,
        max_ack_pending: MAX_ACK_PENDING,
        max_waiting: MAX_WAITING,
        filter_subject: names.build_queue(),
        ..pull::Config::default()
    };
    stream
        .create_consumer(config)
        .await
        .map_err(|error| failed(&format!("no consumer {consumer}"), &error))?;
    Ok(())
}

async fn make_stream(
    context: &jetstream::Context,
    nats: &Nats,
    names: &Names,
) -> Result<(), jetstream::context::CreateStreamError> {
    let mut max_bytes = QUEUE_BYTES;
    loop {
        let config = Config {
            name: names.stream(),
            subjects: vec![names.queue()],
            retention: RetentionPolicy::WorkQueue,
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            num_replicas: nats.replicas,
            max_bytes,
            max_age: QUEUE_AGE,
            description: Some("tasks of pool-core".into()),
            ..Config::default()
        };
        match context.create_stream(config.clone()).await {
            Ok(_) if max_bytes == QUEUE_BYTES => return Ok(()),
            Ok(_) => {
                // It would take all that there is, and other namespaces want something too.
                let max_bytes = (max_bytes / 2).max(MIN_QUEUE_BYTES);
                let less = Config {
                    max_bytes,
                    ..config
                };
                let _ = context.update_stream(less).await;
                return Ok(());
            }
            Err(error) if is_too_much(&error) && max_bytes > MIN_QUEUE_BYTES => max_bytes /= 2,
            // Somebody else made it meanwhile, with other numbers perhaps.
            Err(error) if code_of(&error) == Some(ErrorCode::STREAM_NAME_EXIST) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn code_of(error: &jetstream::context::CreateStreamError) -> Option<ErrorCode> {
    use jetstream::context::CreateStreamErrorKind::JetStream;
    match error.kind() {
        JetStream(error) => Some(error.error_code()),
        _ => None,
    }
}

/// Whether the server has no room for a stream that may become so large.
fn is_too_much(error: &jetstream::context::CreateStreamError) -> bool {
    let code = code_of(error);
    code.is_some_and(|code| {
        [
            ErrorCode::STORAGE_RESOURCES_EXCEEDED,
            ErrorCode::INSUFFICIENT_RESOURCES,
            ErrorCode::STREAM_MAX_BYTES_REQUIRED,
        ]
        .contains(&code)
    }) || error.to_string().contains("insufficient storage")
        || error.to_string().contains("resource limits exceeded")
}
