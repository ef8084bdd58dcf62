//! What the threads share: two pools, and what is noted of all tasks.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use pool_core::{Backend, Error, Nats, Pool};

use crate::faults::Faults;
use crate::journal::Call;
use crate::ledger::Ledger;
use crate::servers::Servers;

/// How many tasks may wait in the narrow one of the two pools.
pub(crate) const BOUND: usize = 64;

pub(crate) struct World {
    pub(crate) pools: [Pool; 2],
    pub(crate) ledger: Ledger,
    pub(crate) faults: Faults,
    pub(crate) url: String,
    pub(crate) replicas: usize,
    journal: PathBuf,
    over: AtomicBool,
}

impl World {
    pub(crate) fn new(servers: &Servers, journal: &Path) -> Self {
        let (url, replicas) = (servers.url(), servers.replicas());
        let build = |bound| Self::build(&url, replicas, bound).unwrap();
        Self {
            pools: [build(None), build(Some(BOUND))],
            ledger: Ledger::default(),
            faults: Faults::default(),
            url,
            replicas,
            journal: journal.to_owned(),
            over: AtomicBool::new(false),
        }
    }

    pub(crate) fn build(url: &str, replicas: usize, bound: Option<usize>) -> Result<Pool, Error> {
        let nats = Nats::at(url).replicas(replicas);
        let builder = Pool::builder().backend(Backend::Cluster).nats(nats);
        match bound {
            None => builder.build(),
            Some(bound) => builder.queue(bound).build(),
        }
    }

    pub(crate) fn call(&self, number: u64) -> Call {
        Call::new(&self.journal, number)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// From here on nothing new is begun.
    pub(crate) fn end(&self) {
        self.over.store(true, SeqCst);
    }
}
