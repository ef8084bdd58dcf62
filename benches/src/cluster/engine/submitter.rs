//! The program that has tasks.

use std::time::{Duration, Instant};

use async_nats::Client;
use bytes::Bytes;
use tokio::runtime::Runtime;

use super::inbox::Inbox;
use super::{RESULT, TASK, Worker, connect, is_stored, runtime, set_up};
use crate::Fault;
use crate::cluster::contestant::Single;

pub(in crate::cluster) struct Submitter {
    // First of all: it has the connection's task.
    runtime: Runtime,
    client: Client,
    /// Where the server says that a task is stored.
    stored: Inbox,
    stored_at: String,
    results: Inbox,
    /// The number of the next task.
    next: u64,
    _worker: Worker,
}

impl Submitter {
    /// With a worker that has so many slots and has run something.
    pub(in crate::cluster) fn start(url: &str, slots: usize) -> Result<Self, Fault> {
        let runtime = runtime()?;
        let (client, stored, stored_at, results) = runtime.block_on(async {
            let client = connect(url).await?;
            set_up(&client).await?;
            let stored_at = client.new_inbox() + ".";
            let stored = Inbox::at(&client, &stored_at).await?;
            let results = Inbox::at(&client, RESULT).await?;
            Ok::<_, Fault>((client, stored, stored_at, results))
        })?;
        let mut submitter = Self {
            runtime,
            client,
            stored,
            stored_at: stored_at + "task",
            results,
            next: 0,
            _worker: Worker::start(url, slots)?,
        };
        submitter.burst(1_000)?;
        Ok(submitter)
    }
}

impl Single for Submitter {
    fn trip(&mut self) -> Result<Duration, Fault> {
        self.burst(1)
    }

    fn burst(&mut self, tasks: u64) -> Result<Duration, Fault> {
        let numbers = self.next..self.next + tasks;
        self.next += tasks;
        let begin = Instant::now();
        self.runtime.block_on(async {
            for number in numbers.clone() {
                let task = Bytes::copy_from_slice(&number.to_le_bytes());
                self.client
                    .publish_with_reply(TASK, self.stored_at.clone(), task)
                    .await?;
            }
            let mut sum = 0;
            for _ in 0..tasks {
                let result = self.results.next().await?;
                sum += u64::from_le_bytes(result.payload[..].try_into()?);
            }
            for _ in 0..tasks {
                is_stored(&self.stored.next().await?)?;
            }
            match sum == numbers.sum::<u64>() {
                true => Ok(begin.elapsed()),
                false => Err("other results than those of the tasks".into()),
            }
        })
    }
}
