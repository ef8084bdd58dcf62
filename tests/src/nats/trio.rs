//! Three servers that are one cluster, so that streams may have three replicas.
//!
//! Clients hear of no other servers than those of [`Trio::urls`] that they are given.

use std::array;
use std::time::Duration;

use serde_json::{Value, json};

use super::ports::Port;
use super::{Options, Probe, Server, queue_name};
use crate::{until, until_some};

/// Longer than an answer takes where there is somebody who can give it.
const ANSWER: Duration = Duration::from_secs(2);

/// Three servers.
#[derive(Debug)]
pub struct Trio {
    /// Each of them, to be killed, stopped and restarted.
    pub servers: [Server; 3],
    _routes: [Port; 3],
}

impl Trio {
    /// Starts them, and waits until a stream can have three replicas.
    ///
    /// # Panics
    /// When that does not come to be.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Self::with(&Options::default())
    }

    /// The same with options for each of them.
    ///
    /// # Panics
    /// As [`Trio::start`].
    #[must_use]
    #[track_caller]
    pub fn with(options: &Options) -> Self {
        let routes: [Port; 3] = array::from_fn(|_| Port::free());
        let all: Vec<_> = routes
            .iter()
            .map(|port| format!("nats://{}", port.address()))
            .collect();
        let servers = array::from_fn(|at| {
            let cluster = format!(
                "cluster {{ name: trio, listen: \"{}\", no_advertise: true, routes: {all:?} }}",
                routes[at].address(),
            );
            let mut server = Server::of(&options.clone().config(&cluster));
            server.launch();
            server
        });
        let mut trio = Self {
            servers,
            _routes: routes,
        };
        for server in &mut trio.servers {
            server.wait_until_ready();
        }
        trio.wait_until_whole();
        trio
    }

    /// All of their urls.
    #[must_use]
    pub fn urls(&self) -> [String; 3] {
        array::from_fn(|at| self.servers[at].url())
    }

    /// The same as one text, with commas.
    #[must_use]
    pub fn url(&self) -> String {
        self.urls().join(",")
    }

    /// A connection to the first that serves.
    ///
    /// # Panics
    /// When none does.
    #[must_use]
    #[track_caller]
    pub fn probe(&self) -> Probe {
        let mut serving = self.servers.iter().filter(|server| server.serves());
        serving.next().expect("one of them serves").probe()
    }

    /// Waits until there is a leader who knows all three: a stream with three replicas can be made
    /// and is whole.
    ///
    /// # Panics
    /// When that does not come to be, with one of them dead for instance.
    #[track_caller]
    pub fn wait_until_whole(&self) {
        let mut probe = self.probe();
        let stream = json!({
            "name": "WHOLE", "subjects": ["whole"], "num_replicas": 3, "storage": "memory",
        });
        until("a stream has three replicas", || {
            let made = probe.try_api("STREAM.CREATE.WHOLE", &stream, ANSWER);
            made.is_ok_and(|answer| answer["error"].is_null())
        });
        self.wait_until_current("WHOLE");
        probe.api("STREAM.DELETE.WHOLE", &Value::Null);
    }

    /// Waits until all replicas of a stream have all of it, so that any server may be lost.
    ///
    /// # Panics
    /// When that does not come to be.
    #[track_caller]
    pub fn wait_until_current(&self, stream: &str) {
        let mut probe = self.probe();
        until("all replicas are current", || {
            let Some(info) = probe.stream(stream) else {
                return false;
            };
            let replicas = info["cluster"]["replicas"].as_array();
            replicas.is_some_and(|replicas| {
                replicas.len() == 2 && replicas.iter().all(|replica| replica["current"] == true)
            })
        });
    }

    /// Which server leads a stream, as soon as one does.
    ///
    /// # Panics
    /// When none does.
    #[track_caller]
    pub fn leader_of(&self, stream: &str) -> usize {
        self.leader(&format!("STREAM.INFO.{stream}"))
    }

    /// Which server leads the queue of a namespace.
    ///
    /// # Panics
    /// As [`Trio::leader_of`].
    #[track_caller]
    pub fn queue_leader(&self, ns: &str) -> usize {
        self.leader_of(&queue_name(ns))
    }

    /// Which server leads a consumer, as soon as one does.
    ///
    /// # Panics
    /// When none does.
    #[track_caller]
    pub fn consumer_leader(&self, stream: &str, consumer: &str) -> usize {
        self.leader(&format!("CONSUMER.INFO.{stream}.{consumer}"))
    }

    /// Which server decides where streams lie, as soon as one does.
    ///
    /// # Panics
    /// When none does.
    #[track_caller]
    pub fn meta_leader(&self) -> usize {
        until_some("there is a leader of all", || {
            let serving = self.servers.iter().filter(|server| server.serves());
            let said = serving.filter_map(|server| server.monitor("/jsz").ok());
            let mut leaders = said.filter_map(|said| self.named(&said["meta_cluster"]["leader"]));
            leaders.find(|at| self.servers[*at].serves())
        })
    }

    /// Leaders that are dead or stopped are none, whoever still names them.
    #[track_caller]
    fn leader(&self, question: &str) -> usize {
        let mut probe = self.probe();
        until_some("there is a leader", || {
            let said = probe.api(question, &Value::Null);
            let at = self.named(&said["cluster"]["leader"])?;
            self.servers[at].serves().then_some(at)
        })
    }

    fn named(&self, name: &Value) -> Option<usize> {
        let mut servers = self.servers.iter();
        servers.position(|server| *name == server.name())
    }
}
