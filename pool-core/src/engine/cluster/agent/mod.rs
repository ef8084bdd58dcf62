//! The agent: takes tasks out of the queue, asks their submitters, and runs them in a process pool of
//! its own.
//!
//! It is a program of its own where `POOL_WORKER` names servers at one of the doors
//! ([`take_over`]), or a thread of a pool that wants one ([`Local`]).

mod held;
#[cfg(test)]
mod held_tests;
mod pulls;
mod relay;
mod service;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::process::exit;
use std::sync::mpsc;
use std::thread::JoinHandle as Thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::service::{Command, Service};
use super::connection::{self, Role};
use super::names::{self, Names};
use super::nats::{Nats, POOL_NATS, variable};
use crate::api::builder::PoolBuilder;
use crate::engine::description::{Description, Phase};
use crate::engine::{Config, EngineRef, ProcessConfig};
use crate::error::pool_error::Error;

/// The environment variable that makes a program an agent: the servers.
const POOL_WORKER: &str = "POOL_WORKER";

/// The environment variable that makes a program set up the servers (`init`) or say which build it
/// is (`abi`), and end.
const POOL_ADMIN: &str = "POOL_ADMIN";

/// For how long an agent that is told to end waits for what runs, like `25s`.
const POOL_AGENT_GRACE: &str = "POOL_AGENT_GRACE";
const DEFAULT_DRAIN: Duration = Duration::from_secs(25);

/// How much memory each worker of an agent may have, like `512M`.
const POOL_AGENT_MEMORY: &str = "POOL_AGENT_MEMORY";

/// For how long a late or cancelled task may go on, like `2s`.
const POOL_AGENT_KILL_AFTER: &str = "POOL_AGENT_KILL_AFTER";
const GRACE: Duration = Duration::from_millis(500);

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Two signals so shortly after one another are one: launchers hand on what reaches us anyway.
const TWICE: Duration = Duration::from_millis(500);

/// The exit code of an agent that could not serve.
const EXIT_FAILED: i32 = 1;

/// Whether this program is to be something else than itself.
pub(crate) fn is_asked_for() -> bool {
    [POOL_ADMIN, POOL_WORKER]
        .iter()
        .any(|name| variable(name).is_some())
}

/// Makes this process what its environment asks for. Does not return.
pub(crate) fn take_over() -> ! {
    log();
    let result = match variable(POOL_ADMIN) {
        Some(what) => administer(&what),
        None => serve(),
    };
    if let Err(error) = result {
        match tracing::enabled!(tracing::Level::ERROR) {
            true => tracing::error!("{error}"),
            false => crate::sync::stderr::say(&error),
        }
        exit(EXIT_FAILED);
    }
    exit(0)
}

/// One line on standard error for each event, filtered by `RUST_LOG`. What the client has to say of
/// its connection we say ourselves.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,async_nats=off"));
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // A program that has its own before its door keeps that.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .with_target(false)
        .try_init();
}

fn administer(what: &str) -> Result<(), Error> {
    let catalog = crate::job::registry::Catalog::get()?;
    match what {
        "init" => {}
        "abi" => {
            let version = variable("POOL_NATS_VERSION").unwrap_or_default();
            let abi = names::abi(catalog.digest(), &version);
            // Standard output may be closed.
            let _ = writeln!(std::io::stdout(), "{abi}");
            return Ok(());
        }
        _ => {
            return Err(Error::cluster(format!(
                "{POOL_ADMIN} is {what:?}: it is `init` or `abi`"
            )));
        }
    }
    let servers = match variable(POOL_NATS) {
        Some(_) => POOL_NATS,
        None => POOL_WORKER,
    };
    let nats = Nats::from_variable(servers)?;
    let names = Names::new(&nats.namespace, names::abi(catalog.digest(), &nats.version));
    runtime()?.block_on(async {
        let (client, _turns) = connection::connect(&nats, Role::Admin, false).await?;
        connection::set_up(&client, &nats, &names).await
    })?;
    tracing::info!(
        stream = %names.stream(),
        consumer = %names.consumer(),
        "the stream and the consumer are there"
    );
    Ok(())
}

fn serve() -> Result<(), Error> {
    let nats = Nats::from_variable(POOL_WORKER)?;
    let seats = crate::engine::cpus::default_workers()?;
    let grace = time(POOL_AGENT_GRACE, DEFAULT_DRAIN)?;
    let memory_limit = match variable(POOL_AGENT_MEMORY) {
        None => None,
        Some(text) => Some(bytes(&text).ok_or_else(|| {
            Error::cluster(format!(
                "{POOL_AGENT_MEMORY} is {text:?}: it is like 512M or 2G"
            ))
        })?),
    };
    let config = Config {
        workers: seats,
        grace: time(POOL_AGENT_KILL_AFTER, GRACE)?,
        start_timeout: START_TIMEOUT,
        stack_size: crate::engine::stack::size(None)?,
        queue: None,
        queue_bytes: None,
        initializer: None,
        processes: ProcessConfig {
            memory_limit,
            ..ProcessConfig::default()
        },
        nats: None,
    };
    let (tell, commands) = unbounded_channel();
    listen(tell)?;
    run(nats, &config, grace, commands, None)
}

/// The first signal drains, the second ends.
fn listen(tell: UnboundedSender<Command>) -> Result<(), Error> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| Error::signals(&error))?;
    let listen = move || {
        let mut first: Option<Instant> = None;
        for _ in signals.forever() {
            let command = match first {
                None => Command::Drain,
                // The same one, by another way.
                Some(at) if at.elapsed() < TWICE => continue,
                Some(_) => Command::Kill,
            };
            first.get_or_insert_with(Instant::now);
            let _ = tell.send(command);
        }
    };
    std::thread::Builder::new()
        .name("pool-signals".into())
        .spawn(listen)
        .map(drop)
        .map_err(|error| Error::spawn("no thread for signals", &error))
}

/// The whole life of an agent. One of a pool has a client that it belongs to, and tells when it serves.
fn run(
    nats: Nats,
    config: &Config,
    grace: Duration,
    commands: UnboundedReceiver<Command>,
    local: Option<(String, &Built)>,
) -> Result<(), Error> {
    let pool = PoolBuilder::of_agent(config.clone()).build()?;
    let served = runtime()?.block_on(async {
        let (own, built) = local.unzip();
        let workers = pool.clone();
        let service = Service::open(nats, workers, config.workers, grace, own, commands).await?;
        let Some(service) = service else {
            return Ok(());
        };
        if let Some(built) = built {
            let _ = built.send(Ok((service.name().to_owned(), pool.engine().clone())));
        }
        service.run().await
    });
    pool.kill();
    served
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::spawn("no reactor", &error))
}

/// What a pool knows of the agent that belongs to it.
pub(super) struct Own {
    pub(super) name: String,
    /// Of its workers.
    pub(super) engine: EngineRef,
    tell: UnboundedSender<Command>,
}

impl Own {
    /// Takes over what the agent's pool says of its workers, and whether it is broken.
    pub(super) fn describe(&self, described: &mut Description) {
        let workers = self.engine.describe();
        if let Phase::Broken(_) = workers.phase {
            described.phase = workers.phase;
        }
        described.workers = workers.workers;
        described.starting = workers.starting;
        described.resting = workers.resting;
        described.failed_starts = workers.failed_starts;
        described.last_failed_start = workers.last_failed_start;
    }

    /// Why its workers can do nothing more, if that is so.
    pub(super) fn broken(&self) -> Option<String> {
        match self.engine.describe().phase {
            Phase::Broken(why) => Some(why),
            _ => None,
        }
    }

    pub(super) fn resize(&self, workers: usize) -> Result<(), Error> {
        self.engine.resize(workers)?;
        // Where it has ended, nobody wants to know.
        let _ = self.tell.send(Command::Resize(workers));
        Ok(())
    }
}

/// Where a pool hears that its agent serves: its name, and the engine of its workers.
type Built = mpsc::SyncSender<Result<(String, EngineRef), Error>>;

/// An agent in a thread of this program.
pub(super) struct Local {
    tell: UnboundedSender<Command>,
    failures: UnboundedReceiver<Error>,
    thread: Option<Thread<()>>,
}

impl Local {
    pub(super) fn start(
        nats: &Nats,
        config: &Config,
        client: String,
    ) -> Result<(Self, Own), Error> {
        let (nats, config) = (nats.clone(), config.clone());
        let (tell, commands) = unbounded_channel();
        let (fail, failures) = unbounded_channel();
        let (built, result) = mpsc::sync_channel(1);
        // The thread's own door is that of whoever builds the pool.
        let door = crate::engine::door::door();
        let thread = std::thread::Builder::new()
            .name("pool-agent".into())
            .spawn(move || {
                crate::engine::door::use_door(door);
                let ended = run(
                    nats,
                    &config,
                    DEFAULT_DRAIN,
                    commands,
                    Some((client, &built)),
                );
                if let Err(error) = ended {
                    // Whoever builds the pool waits for the first, and has gone on otherwise.
                    let _ = built.try_send(Err(error.clone()));
                    let _ = fail.send(error);
                }
            })
            .map_err(|error| Error::spawn("no thread for an agent", &error))?;
        let local = Self {
            tell: tell.clone(),
            failures,
            thread: Some(thread),
        };
        let (name, engine) = result
            .recv()
            .unwrap_or_else(|_| Err(Error::cluster("its agent has ended")))?;
        Ok((local, Own { name, engine, tell }))
    }

    /// Why it has ended, without having been told to: as soon as it has.
    pub(super) async fn failure(&mut self) -> Error {
        match self.failures.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Tells it to end: at once, or when it has done what it has.
    pub(super) fn end(&self, at_once: bool) {
        let command = match at_once {
            true => Command::Kill,
            false => Command::Drain,
        };
        let _ = self.tell.send(command);
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(Thread::is_finished)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // Where it was never told to end.
        let _ = self.tell.send(Command::Kill);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The time that a variable says.
fn time(name: &str, default: Duration) -> Result<Duration, Error> {
    let Some(text) = variable(name) else {
        return Ok(default);
    };
    let why = || Error::cluster(format!("{name} is {text:?}: it is like 500ms, 25s or 10m"));
    duration(&text).ok_or_else(why)
}

/// A time like `25s`.
fn duration(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let number = number.parse().ok()?;
    Some(match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(3600)?),
        _ => return None,
    })
}

/// A number of bytes like `512M`.
fn bytes(text: &str) -> Option<u64> {
    let (number, shift) = match text.strip_suffix(['K', 'M', 'G']) {
        None => (text, 0),
        Some(number) if text.ends_with('K') => (number, 10),
        Some(number) if text.ends_with('M') => (number, 20),
        Some(number) => (number, 30),
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}
