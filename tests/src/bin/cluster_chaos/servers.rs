//! One server or three, and what is done to them.

use std::time::{Duration, Instant};

use pool_tests::nats::{Probe, Server, Trio, queue_name};
use serde_json::Value;

/// How long the server may take to delete something.
const ANSWER: Duration = Duration::from_secs(2);

pub(crate) enum Servers {
    One(Box<Server>),
    Three(Box<Trio>),
}

/// What is undone later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undo {
    Restart(usize),
    Continue(usize),
}

impl Servers {
    pub(crate) fn start(servers: usize) -> Self {
        match servers {
            1 => Self::One(Box::new(Server::start())),
            3 => Self::Three(Box::new(Trio::start())),
            _ => panic!("--servers takes 1 or 3"),
        }
    }

    fn all(&mut self) -> &mut [Server] {
        match self {
            Self::One(server) => std::slice::from_mut(server),
            Self::Three(trio) => &mut trio.servers,
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::One(server) => server.url(),
            Self::Three(trio) => trio.url(),
        }
    }

    pub(crate) fn version(&self) -> String {
        let server = match self {
            Self::One(server) => server,
            Self::Three(trio) => &trio.servers[0],
        };
        let [major, minor, patch] = server.version();
        format!("{major}.{minor}.{patch}")
    }

    pub(crate) fn replicas(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Three(_) => 3,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.replicas()
    }

    pub(crate) fn serves(&mut self, at: usize) -> bool {
        self.all()[at].serves()
    }

    pub(crate) fn kill(&mut self, at: usize) -> Undo {
        self.all()[at].kill();
        Undo::Restart(at)
    }

    pub(crate) fn stop(&mut self, at: usize) -> Undo {
        self.all()[at].stop();
        Undo::Continue(at)
    }

    pub(crate) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Restart(at) => self.all()[at].restart(),
            Undo::Continue(at) => self.all()[at].cont(),
        }
    }

    /// Deletes the queue, if a server serves that can.
    pub(crate) fn delete_stream(&mut self) -> bool {
        let begin = Instant::now();
        let urls: Vec<String> = self
            .all()
            .iter()
            .filter(|server| server.serves())
            .map(Server::url)
            .collect();
        let call = format!("STREAM.DELETE.{}", queue_name("pool"));
        urls.iter().any(|url| {
            let answer = Probe::connect(url)
                .and_then(|mut probe| probe.try_api(&call, &Value::Null, ANSWER));
            answer.is_ok_and(|answer| answer["success"] == true) && begin.elapsed() < 2 * ANSWER
        })
    }
}
