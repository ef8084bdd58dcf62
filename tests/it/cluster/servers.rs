//! Servers that die, forget, refuse, and are full.

use super::cases;

cases! {
    a_server_that_dies_and_comes_back_costs_nothing;
    a_server_that_is_gone_for_long_costs_nothing;
    a_server_without_its_disk_is_given_the_tasks_again within 110;
    a_queue_that_is_deleted_is_filled_again within 110;
    a_lost_acknowledgement_is_one_run;
    a_full_queue_holds_tasks_back;
    withdrawn_credentials_end_both_sides;
}

mod cases {
    use std::thread::sleep;

    use pool_core::{Backend, Pool};
    use pool_tests::nats::{Proxy, Server};
    use pool_tests::tasks::echo;
    use pool_tests::until;

    use crate::cluster::support::{
        Load, NS, Notes, Outcomes, agent, ms, pool, secs, until_queue_is_empty,
    };

    fn a_server_is_down(down: std::time::Duration, loses_disk: bool) {
        let mut server = Server::start();
        let _agents = [agent(&server.url()), agent(&server.url())];
        let pool = pool(&server.url());
        let mut load = Load::start(&pool, 400, 20);
        load.wait_for(20);
        server.kill();
        if loses_disk {
            server.lose_disk();
        }
        sleep(down);
        server.restart();
        load.fault();
        assert_eq!(load.end(), Outcomes::all(400));
        until_queue_is_empty(&mut server.probe());
    }

    pub(super) fn a_server_that_dies_and_comes_back_costs_nothing() {
        a_server_is_down(ms(500), false);
    }

    pub(super) fn a_server_that_is_gone_for_long_costs_nothing() {
        a_server_is_down(secs(10), false);
    }

    pub(super) fn a_server_without_its_disk_is_given_the_tasks_again() {
        a_server_is_down(ms(500), true);
    }

    pub(super) fn a_queue_that_is_deleted_is_filled_again() {
        let server = Server::start();
        let _agents = [agent(&server.url()), agent(&server.url())];
        let pool = pool(&server.url());
        let mut load = Load::start(&pool, 400, 20);
        load.wait_for(20);
        load.fault();
        assert!(server.probe().delete_stream(NS));
        assert_eq!(load.end(), Outcomes::all(400));
        until_queue_is_empty(&mut server.probe());
    }

    pub(super) fn a_lost_acknowledgement_is_one_run() {
        let server = Server::start();
        let proxy = Proxy::start(&server);
        let pool = pool(&proxy.url());
        let notes = Notes::new();
        proxy.drop_message(r#""stream":"PT_pool_T""#);
        let handle = pool.submit(notes.journal.step(0, 0));
        // So it is published once more.
        let mut probe = server.probe();
        until("it is there twice", || probe.queue_len(NS) == Some(2));
        assert_eq!(proxy.dropped(), 1);
        let _agent = agent(&server.url());
        handle.join().unwrap();
        until_queue_is_empty(&mut probe);
        assert_eq!(notes.journal.starts()[&0], 1);
    }

    pub(super) fn a_full_queue_holds_tasks_back() {
        let server = Server::options().jetstream("max_file_store: 2MB").start();
        let pool = pool(&server.url());
        let size = 100 << 10;
        // Four times of what there is room for.
        let handles: Vec<_> = (0..80)
            .map(|byte| pool.submit(echo::task(vec![byte; size])))
            .collect();
        let mut probe = server.probe();
        until("some wait in the queue", || {
            probe.queue_len(NS).is_some_and(|len| len >= 5)
        });
        sleep(ms(500));
        assert!(probe.queue_len(NS).unwrap() < 40);
        let _agent = agent(&server.url());
        for (byte, handle) in (0..).zip(handles) {
            assert_eq!(handle.join().unwrap(), vec![byte; size]);
        }
        until_queue_is_empty(&mut probe);
    }

    fn with_password(password: &str, port: Option<u16>) -> Server {
        let user = format!("authorization {{ user: me, password: {password} }}");
        let options = Server::options().config(&user);
        match port {
            Some(port) => options.port(port).start(),
            None => options.start(),
        }
    }

    pub(super) fn withdrawn_credentials_end_both_sides() {
        let server = with_password("old", None);
        let (port, url) = (server.address().port(), server.url_as("me", "old"));
        let mut agent = agent(&url);
        let pool = pool(&url);
        let notes = Notes::new();
        pool.submit(notes.journal.step(0, 0)).join().unwrap();
        let handle = pool.submit(notes.journal.step(1, 60_000));
        until("it runs", || notes.journal.starts().len() == 2);
        drop(server);
        let server = with_password("new", Some(port));
        let error = handle.join().unwrap_err();
        assert!(error.is_rejected(), "{error}");
        let message = error.message().unwrap_or_default();
        assert!(message.contains("refuse"), "{message}");
        let status = agent.wait();
        assert!(!status.success() && agent.log().contains("refuses this agent"));
        assert!(!agent.log().contains("old"), "{}", agent.log());
        // Nor does anybody new come in.
        let error = Pool::builder()
            .backend(Backend::Cluster)
            .nats(pool_core::Nats::at(&url))
            .build()
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("refuses us") && !error.contains("old"),
            "{error}"
        );
        drop(server);
    }
}
