//! Messages that nobody should have sent.

use super::cases;

cases! {
    nonsense_on_every_subject_harms_nobody;
    an_agent_that_nobody_gave_anything_has_nothing_to_say;
}

mod cases {
    use pool_core::TaskExt;
    use pool_tests::chance::Random;
    use pool_tests::gate::Gate;
    use pool_tests::nats::{Probe, Server};
    use pool_tests::until_some;

    use crate::cluster::support::{
        Load, NS, Outcomes, agent, ms, pool, secs, until_queue_is_empty,
    };

    /// Bytes that begin like a message, or do not.
    fn nonsense(random: &mut Random) -> Vec<u8> {
        let len = random.below(64);
        let mut bytes: Vec<u8> = (0..len).map(|_| random.below(256) as u8).collect();
        if let [version, kind, ..] = &mut bytes[..]
            && random.one_in(2)
        {
            (*version, *kind) = (1, random.below(6) as u8);
        }
        bytes
    }

    /// The subjects of those who listen: the server tells who does.
    fn listeners(server: &Server) -> Vec<String> {
        let said = server.monitor("/connz?subs=1").unwrap();
        let connections = said["connections"].as_array().cloned().unwrap_or_default();
        let subjects = connections
            .iter()
            .flat_map(|connection| connection["subscriptions_list"].as_array().cloned())
            .flatten();
        let subjects = subjects.filter_map(|subject| subject.as_str().map(str::to_owned));
        subjects
            .filter(|subject| subject.starts_with("pt."))
            .collect()
    }

    pub(super) fn nonsense_on_every_subject_harms_nobody() {
        let server = Server::start();
        let mut agents = [agent(&server.url()), agent(&server.url())];
        let pool = pool(&server.url());
        let mut probe = server.probe();
        let load = Load::start(&pool, 200, 10);
        load.wait_for(1);
        let abi = probe.consumers(NS).remove(0).replace("q_", "");
        let mut subjects = listeners(&server);
        assert!(subjects.len() >= 4, "{subjects:?}");
        let client = subjects
            .iter()
            .find_map(|subject| subject.strip_prefix("pt.pool.c."))
            .unwrap()
            .to_owned();
        subjects.extend([
            format!("pt.pool.q.{abi}.{client}"),
            format!("pt.pool.q.{abi}.nobody.there"),
            format!("pt.pool.q.{abi}.x"),
        ]);
        let mut random = Random::new(7);
        for _ in 0..2_000 {
            let subject = &subjects[random.below(subjects.len() as u64) as usize];
            let reply = ["", "nowhere", subject][random.below(3) as usize];
            let bytes = nonsense(&mut random);
            probe.publish_to(subject, reply, &bytes).unwrap();
        }
        probe.flush().unwrap();
        assert_eq!(load.end(), Outcomes::all(200));
        for agent in &mut agents {
            assert!(agent.status().is_none(), "{}", agent.log());
            assert!(!agent.log().contains("panicked"), "{}", agent.log());
        }
        let load = Load::start(&pool, 50, 1);
        assert_eq!(load.end(), Outcomes::all(50));
    }

    /// The head of a message by hand: version, kind, agent, and so many runs or outcomes.
    fn head(kind: u8, agent: &str, count: u8) -> Vec<u8> {
        let mut bytes = vec![1, kind, agent.len() as u8];
        bytes.extend(agent.as_bytes());
        bytes.push(count);
        bytes
    }

    pub(super) fn an_agent_that_nobody_gave_anything_has_nothing_to_say() {
        let server = Server::start();
        let _agent = agent(&server.url());
        let pool = pool(&server.url());
        let gate = Gate::new();
        let handle = pool.submit(gate.hold(0).retries(0));
        let _ = gate.wait_for(0);
        let mut probe = server.probe();
        let to = until_some("the submitter listens", || {
            let mut subjects = listeners(&server).into_iter();
            subjects.find(|subject| subject.starts_with("pt.pool.c."))
        });
        let mut said = |message: &[u8]| probe.request(&to, message, secs(5)).unwrap().payload;
        // May job 0 and one that there is not start? Another has it, and it is over.
        let mut ask = head(0, "forged", 2);
        ask.extend([0, 0, 99, 0]);
        assert_eq!(said(&ask), [1, 2, 2, 1]);
        // Job 0, part 0, has failed, by an error of kind 0 with nothing to say.
        let mut done = head(1, "forged", 1);
        done.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        assert!(said(&done).is_empty());
        // Job 0 goes back.
        let mut back = head(2, "forged", 1);
        back.extend([0, 0]);
        assert!(said(&back).is_empty());
        std::thread::sleep(ms(1500));
        assert!(!handle.is_finished());
        gate.open();
        assert_eq!(handle.join().unwrap(), 0);
        assert_eq!(gate.starts_of(0), 1);
        until_queue_is_empty(&mut Probe::connect(&server.url()).unwrap());
    }
}
