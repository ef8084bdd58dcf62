//! Three servers, of which one dies, hangs, or is replaced.

use super::cases;

cases! {
    the_leader_of_the_consumer_dies within 110;
    the_leader_of_the_queue_dies within 110;
    the_server_of_the_submitter_hangs within 110;
    each_server_is_replaced within 115;
}

mod cases {
    use std::thread::sleep;

    use pool_core::{Nats, Pool};
    use pool_tests::nats::{Trio, queue_name};

    use crate::cluster::support::{
        Load, NS, Outcomes, Program, agent_command, agent_of, pool_of, secs, until_queue_is_empty,
        until_within,
    };

    const TASKS: u64 = 500;

    /// Three servers with two agents and a pool, whose first server is that one.
    struct Cluster {
        trio: Trio,
        pool: Pool,
        _agents: [Program; 2],
    }

    impl Cluster {
        fn start() -> Self {
            let trio = Trio::start();
            let urls = trio.url();
            let pool = pool_of(Nats::at(&urls).replicas(3));
            trio.wait_until_current(&queue_name(NS));
            let agent = || {
                let mut command = agent_command(&urls);
                agent_of(command.env("POOL_NATS_REPLICAS", "3"))
            };
            Self {
                _agents: [agent(), agent()],
                pool,
                trio,
            }
        }

        fn load(&self) -> Load {
            let load = Load::start(&self.pool, TASKS, 50);
            load.wait_for(20);
            load
        }

        fn end(self, load: Load) {
            assert_eq!(load.end(), Outcomes::all(TASKS as usize));
            until_queue_is_empty(&mut self.trio.probe());
        }

        /// The server that the pool is connected to.
        fn of_the_submitter(&self) -> usize {
            let mut servers = self.trio.servers.iter();
            let has = |server: &pool_tests::nats::Server| {
                let said = server.monitor("/connz").unwrap();
                said.to_string().contains("pool pool Submitter")
            };
            servers.position(has).unwrap()
        }
    }

    pub(super) fn the_leader_of_the_consumer_dies() {
        let mut cluster = Cluster::start();
        let mut load = cluster.load();
        let consumer = cluster.trio.probe().consumers(NS).remove(0);
        let leader = cluster.trio.consumer_leader(&queue_name(NS), &consumer);
        load.fault();
        cluster.trio.servers[leader].kill();
        cluster.end(load);
    }

    pub(super) fn the_leader_of_the_queue_dies() {
        let mut cluster = Cluster::start();
        let mut load = cluster.load();
        let leader = cluster.trio.queue_leader(NS);
        load.fault();
        cluster.trio.servers[leader].kill();
        cluster.end(load);
    }

    pub(super) fn the_server_of_the_submitter_hangs() {
        let mut cluster = Cluster::start();
        let mut load = cluster.load();
        let server = cluster.of_the_submitter();
        load.fault();
        cluster.trio.servers[server].stop();
        sleep(secs(20));
        cluster.trio.servers[server].cont();
        cluster.end(load);
    }

    pub(super) fn each_server_is_replaced() {
        let mut cluster = Cluster::start();
        let mut load = cluster.load();
        load.fault();
        for server in 0..3 {
            cluster.trio.servers[server].terminate();
            sleep(secs(1));
            cluster.trio.servers[server].restart();
            // As who replaces servers one by one does.
            until_within(secs(40), "the server has all again", || {
                let healthy = cluster.trio.servers[server].monitor("/healthz");
                healthy.is_ok_and(|healthy| healthy["status"] == "ok")
            });
            cluster.trio.wait_until_current(&queue_name(NS));
        }
        cluster.end(load);
    }
}
