//! Passwords, roles, certificates.

use super::cases;

cases! {
    a_user_and_a_password_in_the_url_let_in;
    roles_as_shipped_are_enough_and_no_more;
    without_the_admin_roles_are_told_what_is_missing;
    certificates_let_in_and_nobody_without_one;
}

mod cases {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpStream;
    use std::path::Path;
    use std::process::Command;

    use pool_core::{Backend, Nats, Pool};
    use pool_tests::nats::{Probe, Server};
    use pool_tests::{PATIENCE, until};

    use crate::cluster::support::{
        Load, Notes, Outcomes, Program, agent, agent_command, agent_of, pool, pool_of,
        until_queue_is_empty,
    };

    pub(super) fn a_user_and_a_password_in_the_url_let_in() {
        let server = Server::options()
            .config("authorization { user: me, password: \"p@ss:word\" }")
            .start();
        let url = server.url_as("me", "p%40ss%3Aword");
        let agent = agent(&url);
        let pool = pool(&url);
        let notes = Notes::new();
        pool.submit(notes.journal.step(0, 0)).join().unwrap();
        assert!(!agent.log().contains("word"), "{}", agent.log());
        assert!(!format!("{:?}", Nats::at(url)).contains("word"));
    }

    const USERS: &str = include_str!("../../../deploy/nats/users.conf");

    fn with_roles() -> Server {
        let passwords = ["ADMIN", "WEB", "WORKER"]
            .map(|role| format!("NATS_{role}_PASSWORD: {}pw", role.to_lowercase()));
        let config = format!("{}\n{USERS}", passwords.join("\n"));
        Server::options().config(&config).start()
    }

    fn as_role(server: &Server, role: &str) -> String {
        server.url_as(role, &format!("{role}pw"))
    }

    fn administer(server: &Server) {
        let mut command = agent_command("");
        command
            .env("POOL_ADMIN", "init")
            .env("POOL_NATS", as_role(server, "admin"));
        let mut admin = Program::start(&command);
        assert!(admin.wait().success(), "{}", admin.log());
    }

    fn web(server: &Server) -> Nats {
        Nats::at(as_role(server, "web")).name("web")
    }

    /// Our probe is not let in: the roles have inboxes of their own.
    #[track_caller]
    fn assert_denied(server: &Server, role: &str, subject: &str) {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "CONNECT {{\"verbose\":false,\"user\":\"{role}\",\"pass\":\"{role}pw\"}}\r\n\
             PUB {subject} 1\r\nx\r\nPING\r\nPING\r\n"
        )
        .unwrap();
        let lines = BufReader::new(stream).lines().map(Result::unwrap);
        let until_pong = lines.scan(0, |pongs, line| {
            *pongs += usize::from(line == "PONG");
            (*pongs < 2).then_some(line)
        });
        let said: Vec<String> = until_pong.collect();
        let is_denied = |line: &String| line.contains("Permissions Violation for Publish");
        assert!(said.iter().any(is_denied), "{role} {subject}: {said:?}");
    }

    pub(super) fn roles_as_shipped_are_enough_and_no_more() {
        let server = with_roles();
        administer(&server);
        let agent = agent(&as_role(&server, "worker"));
        let pool = pool_of(web(&server));
        let load = Load::start(&pool, 100, 2);
        assert_eq!(load.end(), Outcomes::all(100));
        // Large ones, and what is cancelled in the queue, while it runs, and with the pool.
        let large = vec![7; 2 << 20];
        let echoed = pool.submit(pool_tests::tasks::echo::task(large.clone()));
        assert!(echoed.join().unwrap() == large);
        let gate = pool_tests::gate::Gate::new();
        let handles: Vec<_> = (0..10).map(|n| pool.submit(gate.never(n))).collect();
        until("two run", || gate.starts().len() == 2);
        for handle in handles {
            assert!(handle.cancel());
        }
        let mut probe = Probe::connect(&as_role(&server, "admin")).unwrap();
        until_queue_is_empty(&mut probe);
        drop(pool);
        let log = server.log();
        assert!(
            !log.to_lowercase().contains("permissions violation"),
            "{log}"
        );
        assert!(!agent.log().contains("iolation"), "{}", agent.log());
        let abi = probe.consumers("pool").remove(0);
        assert_denied(&server, "worker", "pt.pool.q.0.worker.x");
        assert_denied(
            &server,
            "web",
            &format!("$JS.API.CONSUMER.MSG.NEXT.PT_pool_T.{abi}"),
        );
    }

    pub(super) fn without_the_admin_roles_are_told_what_is_missing() {
        let server = with_roles();
        let built = Pool::builder().backend(Backend::Cluster).nats(web(&server));
        let error = built.build().unwrap_err().to_string();
        assert!(error.contains("POOL_ADMIN=init"), "{error}");
        // An agent waits for the admin.
        let agent = agent(&as_role(&server, "worker"));
        until("it says so", || agent.log().contains("POOL_ADMIN=init"));
        administer(&server);
        let notes = Notes::new();
        let pool = pool_of(web(&server));
        pool.submit(notes.journal.step(0, 0)).join().unwrap();
    }

    pub(super) fn certificates_let_in_and_nobody_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/certificates.sh");
        let made = Command::new(script).arg(folder.path()).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let file = |name: &str| folder.path().join(name);
        let server = Server::options()
            .config(&format!(
                "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}",
                file("n1.pem"),
                file("n1.key"),
                file("ca.pem")
            ))
            .start();
        let url = server.url().replace("nats:", "tls:");
        let mut command = agent_command(&url);
        command
            .env("POOL_NATS_CA", file("ca.pem"))
            .env("POOL_NATS_CERT", file("client.pem"))
            .env("POOL_NATS_KEY", file("client.key"));
        let _agent = agent_of(&command);
        let known = Nats::at(&url).ca(file("ca.pem"));
        let pool = pool_of(
            known
                .clone()
                .certificate(file("client.pem"), file("client.key")),
        );
        let notes = Notes::new();
        pool.submit(notes.journal.step(0, 0)).join().unwrap();
        for stranger in [known, Nats::at(&url), Nats::at(server.url())] {
            let built = Pool::builder().backend(Backend::Cluster).nats(stranger);
            let begin = std::time::Instant::now();
            let error = built.build().unwrap_err();
            assert!(begin.elapsed() < PATIENCE, "{error}");
        }
    }
}
