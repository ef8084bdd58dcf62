//! The bare engine: what JetStream does for one task at the least, without this project.
//!
//! A submitter publishes each task into a stream that is a work queue, and hears that it is stored.
//! A worker in another process pulls it, publishes the result into another stream, hears that this
//! is stored, and acknowledges the task. The submitter subscribes to the results. Both programs are
//! one thread each, which does everything that is ready before it waits again, so that under load
//! many messages share a system call.
//!
//! There is no cancel, no retry, no look at who has died, and results are the tasks' own bytes.

mod inbox;
mod submitter;
mod worker;

use std::process::{Child, Command, Stdio};

use async_nats::jetstream::{self, consumer, stream};
use async_nats::{Client, ConnectOptions};
use tokio::runtime::Runtime;

pub(super) use submitter::Submitter;
pub(super) use worker::work;

use super::WORKER;
use crate::Fault;

const TASKS: &str = "TASKS";
const TASK: &str = "task";
const CONSUMER: &str = "workers";
const RESULTS: &str = "RESULTS";
/// What the subjects of results begin with; a task's number follows.
const RESULT: &str = "result.";

/// The worker process.
pub(super) struct Worker(Child);

impl Worker {
    pub(super) fn start(url: &str, slots: usize) -> Result<Self, Fault> {
        let child = Command::new("/proc/self/exe")
            .args(["cluster", WORKER, url, &slots.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One thread for the client and for us.
pub(super) fn runtime() -> Result<Runtime, Fault> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

pub(super) async fn connect(url: &str) -> Result<Client, Fault> {
    Ok(ConnectOptions::new()
        .skip_subject_validation(true)
        .connect(url)
        .await?)
}

/// Both streams and the consumer, with the settings of this project's where they matter.
async fn set_up(client: &Client) -> Result<(), Fault> {
    let context = jetstream::new(client.clone());
    let tasks = context
        .create_stream(stream::Config {
            name: TASKS.into(),
            subjects: vec![TASK.into()],
            retention: stream::RetentionPolicy::WorkQueue,
            storage: stream::StorageType::File,
            discard: stream::DiscardPolicy::New,
            ..Default::default()
        })
        .await?;
    tasks
        .create_consumer(consumer::pull::Config {
            durable_name: Some(CONSUMER.into()),
            ack_policy: consumer::AckPolicy::Explicit,
            max_ack_pending: 100_000,
            ..Default::default()
        })
        .await?;
    context
        .create_stream(stream::Config {
            name: RESULTS.into(),
            subjects: vec![format!("{RESULT}>")],
            retention: stream::RetentionPolicy::Limits,
            storage: stream::StorageType::File,
            max_messages_per_subject: 1,
            ..Default::default()
        })
        .await?;
    Ok(())
}

/// Whether a server's answer to a publish says that the message is stored.
fn is_stored(answer: &async_nats::Message) -> Result<(), Fault> {
    match answer.payload.starts_with(br#"{"stream""#) {
        true => Ok(()),
        false => Err(format!(
            "not stored: {:?} {}",
            answer.status,
            String::from_utf8_lossy(&answer.payload)
        )
        .into()),
    }
}
