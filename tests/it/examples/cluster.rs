//! The examples on a cluster: a server, and one agent.
//!
//! They have to be built for it: `cargo build -p pool-examples --features cluster --examples`.

use std::fs;
use std::process::Command;

use pool_tests::nats::Server;
use rustix::process::{Pid, Signal, kill_process};

use super::{example, path, read_png, run};
use crate::harness::program::{Ended, Running, assert_no_worker_of};

/// An agent of an example; it ends with the test, whatever becomes of that.
struct Agent(Option<Running>);

impl Agent {
    fn start(name: &str, server: &Server) -> Self {
        let running = Running::start(
            Command::new("setpriv")
                .args(["--pdeathsig", "KILL"])
                .arg(path(name))
                .env("POOL_WORKER", server.url())
                .env("POOL_WORKERS", "2"),
        );
        let agent = Self(Some(running));
        pool_tests::until("the agent takes tasks", || {
            let said = agent.said();
            assert!(
                !said.contains("usage") && !said.contains("Error"),
                "{name} is built without the feature `cluster`: {said}"
            );
            said.contains("takes tasks")
        });
        agent
    }

    fn said(&self) -> String {
        self.0.as_ref().unwrap().said("err")
    }

    fn signal(&self, signal: Signal) -> u32 {
        let child = &self.0.as_ref().unwrap().child;
        kill_process(Pid::from_child(child), signal).unwrap();
        child.id()
    }

    /// Tells it to end, which has to go well.
    #[track_caller]
    fn end(mut self) -> Ended {
        let pid = self.signal(Signal::TERM);
        let ended = self.0.take().unwrap().end();
        let code = ended.status.and_then(|status| status.code());
        assert_eq!(code, Some(0), "{}", ended.describe());
        assert_no_worker_of(pid);
        ended
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(mut running) = self.0.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

#[test]
fn titles_on_a_cluster_are_the_same() {
    let server = Server::start();
    let agent = Agent::start("titles", &server);
    // Without `--backend` the cluster is the fourth. It fails by itself where the backends differ.
    let ended = run(example("titles").args(["--nats", &server.url()]), 0);
    for backend in ["inline", "threads", "processes", "cluster"] {
        let is_row = |line: &str| line.starts_with(backend);
        assert!(ended.out.lines().any(is_row), "{}", ended.describe());
    }
    assert!(
        ended.out.contains("✓ the results are the same"),
        "{}",
        ended.describe()
    );
    let ended = run(
        example("titles")
            .args(["--backend", "cluster", "--pages", "100", "--json"])
            .env("POOL_NATS", server.url()),
        0,
    );
    assert_eq!(ended.out.matches("The Pond Almanac").count(), 5);
    assert_eq!(ended.err, "");
    let ended = agent.end();
    assert_eq!(ended.out, "", "{}", ended.describe());
}

#[test]
fn mandelbrot_on_a_cluster_is_the_same() {
    let server = Server::start();
    let agent = Agent::start("mandelbrot", &server);
    let folder = tempfile::tempdir().unwrap();
    let draw = |name: &str, args: &[&str]| {
        let path = folder.path().join(name);
        run(
            example("mandelbrot")
                .args(["--size", "60x40", "--quiet"])
                .args(args)
                .arg(&path),
            0,
        );
        read_png(&path)
    };
    let near = draw("near.png", &["--backend", "processes"]);
    let far = draw(
        "far.png",
        &["--backend", "cluster", "--nats", &server.url()],
    );
    assert_eq!(near, far);
    agent.end();
}

#[test]
fn wordcount_on_a_cluster_counts_the_same() {
    let server = Server::start();
    let agent = Agent::start("wordcount", &server);
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=9 {
        let text = "frog newt toad ".repeat(100_000 * number);
        fs::write(folder.path().join(format!("{number}.txt")), text).unwrap();
    }
    let counted = |backend: &str| {
        let mut command = example("wordcount");
        command
            .env("POOL_BACKEND", backend)
            .env("POOL_NATS", server.url());
        let ended = run(command.arg(folder.path()), 0);
        assert!(
            ended.out.contains(&format!("\n{backend},")),
            "{}",
            ended.describe()
        );
        let lines: Vec<_> = ended.out.lines().take(5).map(str::to_owned).collect();
        lines
    };
    let near = counted("processes");
    assert_eq!(near[0].trim(), "4500000  frog");
    assert_eq!(counted("cluster"), near);
    agent.end();
}
