//! Behaviours on a cluster: a server for each, and in each pool an agent of its own.

use std::env;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use pool_core::{Nats, PoolBuilder};
use pool_tests::nats::Server;

use super::{On, alone};

/// Set in the process of a behaviour: its server. What that process starts finds it too.
const SERVER: &str = "POOL_TESTS_SERVER";

/// Runs a behaviour on a cluster: the body of a test `module::cluster`.
///
/// The server belongs to the process that starts the behaviour's: so it is none of its children,
/// and outlives it.
pub(crate) fn run(module: &str, behaviour: fn(&On)) {
    if alone::is_alone() {
        return alone::run(module, "cluster", behaviour);
    }
    // Nothing is kept for a queue that is not used: many pools fit.
    let server = Server::options().jetstream("max_file_store: 100TB").start();
    alone::run_alone(&format!("{module}::cluster"), &[(SERVER, &server.url())]);
}

/// Each pool has a build of its own, as far as agents can tell: so its tasks run in its own agent,
/// which has its workers and its initializer.
pub(super) fn prepare(builder: PoolBuilder) -> PoolBuilder {
    static POOLS: AtomicU32 = AtomicU32::new(0);
    let url = env::var(SERVER).expect("set beside what says that this process is alone");
    let own = format!("{}-{}", process::id(), POOLS.fetch_add(1, Relaxed));
    builder.nats(Nats::at(url).version(own).local_agent())
}
