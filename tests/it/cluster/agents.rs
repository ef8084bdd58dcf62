//! Agents that die, hang, end, and are of another build.

use super::cases;

cases! {
    a_killed_agent_loses_what_it_runs_and_no_more;
    a_task_that_ends_its_worker_costs_its_agent_nothing;
    a_task_that_kills_its_agents_is_given_up;
    a_task_may_run_for_longer_than_its_lease within 110;
    a_stopped_agent_is_lost_and_its_late_outcome_ignored within 110;
    agents_that_are_replaced_during_a_map_cost_nothing;
    agents_that_are_killed_during_a_map_cost_time_only;
    the_second_signal_ends_an_agent_at_once;
    agents_of_another_build_see_no_task;
}

mod cases {
    use std::process;
    use std::thread::sleep;

    use pool_core::{Nats, TaskErrorKind, TaskExt, pool_task};
    use pool_tests::gate::Gate;
    use pool_tests::nats::Server;
    use pool_tests::proc;
    use pool_tests::tasks::{add, boom, exit};
    use pool_tests::until;
    use rustix::process::Signal;

    use crate::cluster::support::{
        Load, Notes, Outcomes, SEATS, agent, agent_command, agent_of, ms, pool, pool_of, secs,
        until_queue_is_empty,
    };

    pub(super) fn a_killed_agent_loses_what_it_runs_and_no_more() {
        let server = Server::start();
        let mut first = agent(&server.url());
        let pool = pool(&server.url());
        let (gate, notes) = (Gate::new(), Notes::new());
        let lost = pool.submit(gate.hold(0));
        let again = pool.submit(gate.hold(1).idempotent());
        let _ = (gate.wait_for(0), gate.wait_for(1));
        // More than the first takes.
        let waiting: Vec<_> = (0..10)
            .map(|number| pool.submit(notes.journal.step(number, 10)))
            .collect();
        let _second = agent(&server.url());
        first.kill();
        let error = lost.join().unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::WorkerLost, "{error}");
        until("it runs again", || gate.starts_of(1) == 2);
        gate.open();
        assert_eq!(again.join().unwrap(), 1);
        for handle in waiting {
            handle.join().unwrap();
        }
        assert_eq!((gate.starts_of(0), gate.starts_of(1)), (1, 2));
        assert_eq!(
            (notes.journal.starts().len(), notes.journal.twice()),
            (10, 0)
        );
        until_queue_is_empty(&mut server.probe());
    }

    #[pool_task]
    fn aborts() {
        process::abort();
    }

    #[pool_task]
    fn crashes() {
        proc::signal(process::id(), Signal::ILL);
        sleep(secs(60));
    }

    pub(super) fn a_task_that_ends_its_worker_costs_its_agent_nothing() {
        let server = Server::start();
        let mut agent = agent(&server.url());
        let pool = pool(&server.url());
        let panicked = pool.submit(boom::task("on purpose")).join().unwrap_err();
        assert_eq!(panicked.kind(), TaskErrorKind::Panicked, "{panicked}");
        assert_eq!(panicked.message(), Some("on purpose"));
        let aborted = pool.submit(aborts::task()).join().unwrap_err();
        assert_eq!(aborted.kind(), TaskErrorKind::WorkerLost, "{aborted}");
        assert_eq!(aborted.signal(), Some(Signal::ABORT.as_raw()), "{aborted}");
        let exited = pool.submit(exit::task(3)).join().unwrap_err();
        assert_eq!(exited.exit_code(), Some(3), "{exited}");
        let crashed = pool.submit(crashes::task()).join().unwrap_err();
        assert_eq!(crashed.signal(), Some(Signal::ILL.as_raw()), "{crashed}");
        assert_eq!(pool.submit(add::task(1, 2)).join().unwrap(), 3);
        assert!(agent.status().is_none(), "{}", agent.log());
    }

    /// Kills the agent: the parent of its worker.
    #[pool_task]
    fn kills_its_agent(gate: &std::path::Path) {
        pool_tests::gate::pass(gate, 0);
        let parent = rustix::process::getppid().unwrap();
        rustix::process::kill_process(parent, Signal::KILL).unwrap();
        sleep(secs(60));
    }

    pub(super) fn a_task_that_kills_its_agents_is_given_up() {
        let server = Server::start();
        let pool = pool(&server.url());
        let gate = Gate::new();
        let handle = pool.submit(kills_its_agent::task(gate.folder()).idempotent());
        let mut agent = agent(&server.url());
        while !handle.is_finished() {
            if agent.status().is_some() {
                agent = crate::cluster::support::agent(&server.url());
            }
            sleep(ms(20));
        }
        let error = handle.join().unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::WorkerLost, "{error}");
        assert_eq!(gate.starts_of(0), 3);
        // Also where the last agent died.
        if agent.status().is_some() {
            agent = crate::cluster::support::agent(&server.url());
        }
        until_queue_is_empty(&mut server.probe());
        assert!(agent.status().is_none(), "{}", agent.log());
    }

    pub(super) fn a_task_may_run_for_longer_than_its_lease() {
        let server = Server::start();
        let _agents = [agent(&server.url()), agent(&server.url())];
        let pool = pool(&server.url());
        let notes = Notes::new();
        pool.submit(notes.journal.step(0, 35_000)).join().unwrap();
        assert_eq!(notes.journal.starts()[&0], 1);
        until_queue_is_empty(&mut server.probe());
    }

    pub(super) fn a_stopped_agent_is_lost_and_its_late_outcome_ignored() {
        let server = Server::start();
        let mut stopped = agent(&server.url());
        let pool = pool(&server.url());
        let gate = Gate::new();
        let lost = pool.submit(gate.hold(0));
        let again = pool.submit(gate.hold(1).idempotent());
        let _ = (gate.wait_for(0), gate.wait_for(1));
        stopped.signal(Signal::STOP);
        let mut other = agent(&server.url());
        let error = lost.join().unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::WorkerLost, "{error}");
        until("it runs again", || gate.starts_of(1) == 2);
        gate.open();
        assert_eq!(again.join().unwrap(), 1);
        // It has outcomes of both, which nobody wants.
        stopped.signal(Signal::CONT);
        other.signal(Signal::TERM);
        assert!(other.wait().success(), "{}", other.log());
        assert_eq!(pool.submit(add::task(1, 2)).join().unwrap(), 3);
        assert_eq!((gate.starts_of(0), gate.starts_of(1)), (1, 2));
        until_queue_is_empty(&mut server.probe());
        assert!(stopped.status().is_none(), "{}", stopped.log());
    }

    pub(super) fn agents_that_are_replaced_during_a_map_cost_nothing() {
        let server = Server::start();
        let url = server.url();
        let pool = pool(&url);
        let mut agents = vec![agent(&url), agent(&url)];
        let mut load = Load::start(&pool, 400, 20);
        load.wait_for(20);
        load.fault();
        for _ in 0..2 {
            let mut old = agents.remove(0);
            old.signal(Signal::TERM);
            assert!(old.wait().success(), "{}", old.log());
            agents.push(agent(&url));
        }
        assert_eq!(load.end(), Outcomes::all(400));
        until_queue_is_empty(&mut server.probe());
    }

    pub(super) fn agents_that_are_killed_during_a_map_cost_time_only() {
        let server = Server::start();
        let url = server.url();
        let pool = pool(&url);
        let mut agents = vec![agent(&url), agent(&url)];
        let mut load = Load::idempotent(&pool, 300, 20);
        load.wait_for(20);
        load.fault();
        for _ in 0..2 {
            agents.remove(0).kill();
            agents.push(agent(&url));
        }
        let outcomes = load.end();
        assert_eq!((outcomes.right, &outcomes.failed[..]), (300, &[][..]));
        // Those on the four seats of the two, and no others.
        assert!(outcomes.twice <= 2 * SEATS, "{outcomes:?}");
        until_queue_is_empty(&mut server.probe());
    }

    pub(super) fn the_second_signal_ends_an_agent_at_once() {
        let server = Server::start();
        let mut agent = agent(&server.url());
        let pool = pool(&server.url());
        let gate = Gate::new();
        let handle = pool.submit(gate.never(0));
        let _ = gate.wait_for(0);
        agent.signal(Signal::TERM);
        // Sooner it would be the same signal.
        sleep(ms(1000));
        assert!(!handle.is_finished() && agent.status().is_none());
        agent.signal(Signal::TERM);
        let error = handle.join().unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::WorkerLost, "{error}");
        agent.wait();
    }

    pub(super) fn agents_of_another_build_see_no_task() {
        let server = Server::start();
        let mut command = agent_command(&server.url());
        let mut other = agent_of(command.env("POOL_NATS_VERSION", "2"));
        let notes = Notes::new();
        let ours = pool_of(Nats::at(server.url()).no_worker_timeout(secs(6)));
        let error = ours.submit(notes.journal.step(0, 0)).join().unwrap_err();
        assert_eq!(error.kind(), TaskErrorKind::Rejected, "{error}");
        let message = error.message().unwrap_or_default();
        assert!(message.contains("there are agents of"), "{message}");
        assert!(notes.journal.starts().is_empty());
        assert!(!other.log().contains("WARN"), "{}", other.log());
        // The same tasks, of the version that it is for.
        let theirs = pool_of(Nats::at(server.url()).version("2"));
        theirs.submit(notes.journal.step(1, 0)).join().unwrap();
        assert_eq!(theirs.workers(), SEATS);
        assert!(other.status().is_none());
    }
}
