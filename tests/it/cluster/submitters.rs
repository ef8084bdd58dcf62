//! Submitters that die, are cut off, and are not alone.

use super::cases;

cases! {
    nothing_of_a_killed_submitter_starts_any_more within 115;
    a_submitter_that_is_cut_off_cancels_nothing;
    submitters_share_the_agents;
    namespaces_do_not_see_each_other;
}

mod cases {
    use std::process::Command;
    use std::thread::sleep;

    use pool_core::Nats;
    use pool_tests::nats::{Proxy, Server};
    use pool_tests::proc;
    use pool_tests::until;

    use crate::cluster::support::{
        Load, NS, Notes, Outcomes, Program, agent, agent_command, agent_of, pool, pool_of, secs,
        until_queue_is_empty, until_within,
    };

    pub(super) fn nothing_of_a_killed_submitter_starts_any_more() {
        let server = Server::start();
        let program = env!("CARGO_BIN_EXE_cluster_program");
        let mut agents = [0, 1].map(|_| {
            let mut command = Command::new(program);
            command.env("POOL_WORKER", server.url());
            agent_of(command.env("POOL_WORKERS", "1"))
        });
        let notes = Notes::new();
        let mut submitter = Command::new(program);
        submitter.args(["map", "40", "100000", notes.folder()]);
        submitter.env("POOL_NATS", server.url());
        let mut submitter = Program::start(&submitter);
        until("both agents run one", || notes.journal.starts().len() == 2);
        let mut probe = server.probe();
        until("the others wait", || probe.queue_len(NS) > Some(4));
        submitter.kill();
        let workers = agents
            .each_ref()
            .map(|agent| proc::children_of(agent.pid()));
        // The tasks do not listen, so their workers are killed.
        until_within(secs(90), "what runs is stopped", || {
            let mut workers = workers.iter().flatten();
            workers.all(|worker| !worker.lives())
        });
        until_queue_is_empty(&mut probe);
        assert_eq!(notes.journal.starts().len(), 2);
        assert!(agents.iter_mut().all(|agent| agent.status().is_none()));
    }

    pub(super) fn a_submitter_that_is_cut_off_cancels_nothing() {
        let server = Server::start();
        let proxy = Proxy::start(&server);
        let _agents = [agent(&server.url()), agent(&server.url())];
        let pool = pool(&proxy.url());
        // Such that some end, and some run on meanwhile.
        let mut load = Load::start(&pool, 20, 5_000);
        sleep(secs(2));
        proxy.refuse();
        sleep(secs(12));
        assert!(!load.is_over());
        load.fault();
        proxy.accept();
        assert_eq!(load.end(), Outcomes::all(20));
        until_queue_is_empty(&mut server.probe());
    }

    pub(super) fn submitters_share_the_agents() {
        let server = Server::start();
        let _agents = [agent(&server.url()), agent(&server.url())];
        let pools = [(); 4].map(|()| pool(&server.url()));
        let loads = pools.each_ref().map(|pool| Load::start(pool, 100, 10));
        for load in &loads {
            load.wait_for(1);
        }
        for load in loads {
            assert_eq!(load.end(), Outcomes::all(100));
        }
    }

    pub(super) fn namespaces_do_not_see_each_other() {
        let server = Server::start();
        let mut command = agent_command(&server.url());
        let _theirs = agent_of(command.env("POOL_NATS_NAMESPACE", "theirs"));
        let ours = pool_of(Nats::at(server.url()).namespace("ours"));
        let theirs = pool_of(Nats::at(server.url()).namespace("theirs"));
        let notes = Notes::new();
        let waits = ours.submit(notes.journal.step(0, 0));
        theirs.submit(notes.journal.step(1, 0)).join().unwrap();
        sleep(secs(1));
        assert!(!waits.is_finished());
        assert_eq!(ours.stats().workers, 0);
        let mut command = agent_command(&server.url());
        let _ours = agent_of(command.env("POOL_NATS_NAMESPACE", "ours"));
        waits.join().unwrap();
    }
}
