//! The surroundings themselves, with the server of `NATS_SERVER`.

use std::io::{BufRead, BufReader, ErrorKind};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::wire::Piece;
use super::{Probe, Proxy, Server, Trio, queue_name};
use crate::proc::Process;
use crate::until;

const SOON: Duration = Duration::from_secs(10);
/// For what must not come.
const A_WHILE: Duration = Duration::from_millis(300);

/// A queue with one message in it.
fn queue(probe: &mut Probe, ns: &str, replicas: u32) {
    probe.create_stream(&queue_name(ns), &[&format!("pt.{ns}.q.>")], replicas);
    let seq = probe
        .store(&format!("pt.{ns}.q.abi.client"), b"task")
        .unwrap();
    assert_eq!(seq, 1);
}

#[test]
fn a_message_is_read_whole() {
    let mut bytes =
        &b"PING\r\nMSG a.b 1 4\r\nx\r\ny\r\nHMSG a 2 r 12 14\r\nNATS/1.0\r\n\r\nok\r\n+OK\r\n"[..];
    let mut next = || Piece::read(&mut bytes).unwrap();
    assert_eq!(next().unwrap().line, b"PING\r\n");
    assert_eq!(next().unwrap().payload(), b"x\r\ny");
    let with_headers = next().unwrap();
    assert_eq!(with_headers.payload(), b"ok");
    assert!(with_headers.contains(b"k") && !with_headers.contains(b"NATS"));
    assert_eq!(next().unwrap().line, b"+OK\r\n");
    assert!(next().is_none());
}

#[test]
fn what_is_published_arrives() {
    let server = Server::start();
    assert!(server.version() >= [2, 9, 0], "{:?}", server.version());
    let mut one = server.probe();
    let mut other = server.probe();
    one.subscribe("greetings.*").unwrap();
    other.publish("greetings.all", b"hello").unwrap();
    let message = one.next(SOON).unwrap();
    assert_eq!(
        (&*message.subject, &*message.payload),
        ("greetings.all", &b"hello"[..])
    );
    assert!(one.next(A_WHILE).is_none());

    let nobody = other.request("nobody", b"?", SOON).unwrap();
    assert_eq!(nobody.status, Some(503));
    let silent = other.request("greetings.all", b"?", A_WHILE).unwrap_err();
    assert_eq!(silent.kind(), ErrorKind::TimedOut);
    let question = one.next(SOON).unwrap();
    one.answer(&question, b"too late").unwrap();
    other.publish("greetings.all", b"bye").unwrap();
    assert_eq!(one.next(SOON).unwrap().payload, b"bye");
}

#[test]
fn the_queue_can_be_looked_at() {
    let server = Server::start();
    let mut probe = server.probe();
    assert_eq!((probe.stream_info("a"), probe.queue_len("a")), (None, None));
    assert!(probe.consumers("a").is_empty() && !probe.delete_stream("a"));
    queue(&mut probe, "a", 1);
    assert_eq!(probe.queue_len("a"), Some(1));
    let consumer = json!({
        "stream_name": "PT_a_T",
        "config": { "durable_name": "q_abi", "ack_policy": "explicit" },
    });
    let made = probe.api("CONSUMER.DURABLE.CREATE.PT_a_T.q_abi", &consumer);
    assert!(made["error"].is_null(), "{made}");
    assert_eq!(probe.consumers("a"), ["q_abi"]);
    assert_eq!(probe.consumer_info("a", "q_abi").unwrap()["num_pending"], 1);
    assert_eq!(probe.consumer_info("a", "other"), None);
    assert!(probe.delete_stream("a"));
    assert_eq!(probe.queue_len("a"), None);
}

#[test]
fn a_server_that_comes_back_has_what_it_had() {
    let mut server = Server::start();
    let (url, pid) = (server.url(), server.pid());
    let mut probe = server.probe();
    queue(&mut probe, "a", 1);
    server.kill();
    assert!(Process::of(pid).is_none() && Probe::connect(&url).is_err());
    server.restart();
    assert_eq!(server.url(), url);
    // The same probe connects again.
    assert_eq!(probe.queue_len("a"), Some(1));
    server.terminate();
    server.restart();
    assert_eq!(probe.queue_len("a"), Some(1));
    server.terminate();
    server.lose_disk();
    server.restart();
    assert_eq!(probe.queue_len("a"), None);
}

#[test]
fn a_stopped_server_says_nothing() {
    let mut server = Server::start();
    let mut probe = server.probe();
    server.stop();
    let call = probe.try_api("INFO", &Value::Null, A_WHILE);
    assert_eq!(call.unwrap_err().kind(), ErrorKind::TimedOut);
    server.cont();
    assert!(probe.api("INFO", &Value::Null)["error"].is_null());
    server.stop();
    server.kill();
}

#[test]
fn options_are_the_servers() {
    let users = r#"
        authorization { users: [
            { user: reader, password: r, permissions: { publish: "ask", subscribe: ">" } }
            { user: admin, password: a }
        ] }
        max_payload: 1000
    "#;
    let first = Server::start();
    let port = first.address().port();
    drop(first);
    let server = Server::options()
        .port(port)
        .config(users)
        .jetstream("max_file_store: 1MB")
        .start();
    assert_eq!(server.address().port(), port);
    let stranger = Probe::connect(&server.url()).unwrap_err();
    assert_eq!(stranger.kind(), ErrorKind::PermissionDenied);
    let mut reader = Probe::connect(&server.url_as("reader", "r")).unwrap();
    assert_eq!(reader.info()["max_payload"], 1000);
    reader.publish("say", b"x").unwrap();
    let refused = reader.flush().unwrap_err();
    assert!(refused.to_string().contains("Permissions"), "{refused}");
    let mut admin = Probe::connect(&server.url_as("admin", "a")).unwrap();
    let full = json!({ "name": "A", "subjects": ["a"], "storage": "file", "max_bytes": 2 << 20 });
    let answer = admin.api("STREAM.CREATE.A", &full);
    assert_eq!(answer["error"]["err_code"], 10047, "{answer}");
    assert!(server.monitor("/healthz").unwrap()["status"] == "ok");
}

#[test]
fn a_proxy_cuts_freezes_and_refuses() {
    let server = Server::start();
    let proxy = Proxy::start(&server);
    let mut far = Probe::connect(&proxy.url()).unwrap();
    let near = server.probe();
    far.subscribe("a").unwrap();
    proxy.freeze();
    near.publish("a", b"1").unwrap();
    assert!(far.next(A_WHILE).is_none());
    proxy.thaw();
    assert_eq!(far.next(SOON).unwrap().payload, b"1");

    proxy.cut();
    until("no client is connected", || proxy.connections() == 0);
    assert!(far.flush().is_err());
    far.connect_again().unwrap();
    assert_eq!((proxy.connections(), proxy.accepted()), (1, 2));
    proxy.refuse();
    assert!(far.flush().is_err() && far.connect_again().is_err());
    proxy.accept();
    far.connect_again().unwrap();
    proxy.freeze();
    drop(proxy);
    assert!(far.flush().is_err());
}

#[test]
fn a_proxy_loses_one_message() {
    let server = Server::start();
    let proxy = Proxy::start(&server);
    let mut near = server.probe();
    let mut far = Probe::connect(&proxy.url()).unwrap();
    queue(&mut near, "a", 1);
    // An acknowledgement: the message is stored all the same.
    proxy.drop_message(r#""stream":"PT_a_T""#);
    let lost = far.request("pt.a.q.abi.client", b"2", A_WHILE).unwrap_err();
    assert_eq!((lost.kind(), proxy.dropped()), (ErrorKind::TimedOut, 1));
    assert_eq!(near.queue_len("a"), Some(2));
    assert_eq!(far.store("pt.a.q.abi.client", b"3").unwrap(), 3);
    assert_eq!(proxy.dropped(), 1);
}

#[test]
fn three_servers_outlive_one() {
    let mut trio = Trio::start();
    queue(&mut trio.probe(), "a", 3);
    trio.wait_until_current("PT_a_T");
    let meta = trio.meta_leader();
    assert!(meta < 3);

    let killed = trio.leader_of("PT_a_T");
    trio.servers[killed].kill();
    assert_ne!(trio.queue_leader("a"), killed);
    assert_ne!(trio.meta_leader(), killed);
    assert_eq!(trio.probe().queue_len("a"), Some(1));
    trio.servers[killed].restart();
    trio.wait_until_whole();
    trio.wait_until_current("PT_a_T");

    let consumer = json!({
        "stream_name": "PT_a_T",
        "config": { "durable_name": "q_abi", "ack_policy": "explicit" },
    });
    let made = (trio.probe()).api("CONSUMER.DURABLE.CREATE.PT_a_T.q_abi", &consumer);
    assert!(made["error"].is_null(), "{made}");
    let stopped = trio.consumer_leader("PT_a_T", "q_abi");
    trio.servers[stopped].stop();
    assert_ne!(trio.consumer_leader("PT_a_T", "q_abi"), stopped);
    trio.servers[stopped].cont();
    trio.wait_until_current("PT_a_T");
    assert_eq!(trio.urls().join(","), trio.url());
}

/// The helper of the next test: has a server, and never ends by itself.
#[test]
#[ignore = "run by another test"]
fn has_a_server_until_it_is_killed() {
    if std::env::var_os("POOL_TESTS_HAS_A_SERVER").is_none() {
        return;
    }
    let server = Server::start();
    println!("server {}.", server.pid());
    std::thread::sleep(Duration::from_secs(120));
}

#[test]
fn a_server_dies_with_its_test() {
    let mut test = Command::new(std::env::current_exe().unwrap())
        .args([
            "has_a_server_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .env("POOL_TESTS_HAS_A_SERVER", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(test.stdout.take().unwrap());
    let said = |line: String| {
        let (_, rest) = line.split_once("server ")?;
        rest.split_once('.')?.0.parse().ok()
    };
    let pid = out.lines().map_while(Result::ok).find_map(said).unwrap();
    let server = Process::of(pid).unwrap();
    test.kill().unwrap();
    test.wait().unwrap();
    until("the server is gone", || !server.lives());
}
