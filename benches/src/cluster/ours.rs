//! This project: a submitter in this process, and an agent in another, which is this program too.

use std::env;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pool_core::{Backend, Nats, Pool};
use rustix::process::{Pid, Signal, kill_process};

use super::contestant::Single;
use crate::Fault;
use crate::figures::wait_until;
use crate::tasks::{add, echo};

const NAMESPACE: &str = "bench";

pub(super) struct Ours {
    // First: it ends before its agent.
    pool: Pool,
    _agent: Agent,
}

impl Ours {
    /// With one agent that has so many workers and has run something.
    pub(super) fn start(url: &str, workers: usize) -> Result<Self, Fault> {
        let agent = Agent::start(url, workers)?;
        let nats = Nats::at(url).namespace(NAMESPACE);
        let pool = Pool::builder()
            .backend(Backend::Cluster)
            .nats(nats)
            .build()?;
        let mut ours = Self {
            pool,
            _agent: agent,
        };
        ours.burst(1_000)?;
        Ok(ours)
    }

    /// How long a map of so many tiny tasks takes.
    pub(super) fn map(&self, items: u64) -> Result<Duration, Fault> {
        let begin = Instant::now();
        let mut sum = 0;
        for outcome in self.pool.map((0..items).map(|i| add::task(i, 1))) {
            sum += outcome?;
        }
        check(sum, items)?;
        Ok(begin.elapsed())
    }

    pub(super) fn echo(&self, bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
        Ok(self.pool.submit(echo::task(bytes)).join()?)
    }
}

impl Single for Ours {
    fn trip(&mut self) -> Result<Duration, Fault> {
        let begin = Instant::now();
        let sum = self.pool.submit(add::task(0, 1)).join()?;
        let passed = begin.elapsed();
        check(sum, 1)?;
        Ok(passed)
    }

    fn burst(&mut self, tasks: u64) -> Result<Duration, Fault> {
        let begin = Instant::now();
        let handles: Vec<_> = (0..tasks)
            .map(|i| self.pool.submit(add::task(i, 1)))
            .collect();
        let mut sum = 0;
        for handle in handles {
            sum += handle.join()?;
        }
        check(sum, tasks)?;
        Ok(begin.elapsed())
    }
}

/// The sum of what `add` returns for the numbers below this one and 1.
fn check(sum: u64, tasks: u64) -> Result<(), Fault> {
    match sum == tasks * (tasks + 1) / 2 {
        true => Ok(()),
        false => Err("other results than those of the tasks".into()),
    }
}

/// The agent's process.
struct Agent(Child);

impl Agent {
    fn start(url: &str, workers: usize) -> Result<Self, Fault> {
        let mut command = Command::new("/proc/self/exe");
        if env::var_os("RUST_LOG").is_none() {
            // What else it logs would be taken for why a sample failed.
            command.env("RUST_LOG", "error");
        }
        let child = command
            .env("POOL_WORKER", url)
            .env("POOL_NATS_NAMESPACE", NAMESPACE)
            .env("POOL_WORKERS", workers.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It is to end its workers and wait for them, so that their time is accounted to us.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = wait_until("the agent ends", || {
            self.0.try_wait().is_ok_and(|status| status.is_some())
        });
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
