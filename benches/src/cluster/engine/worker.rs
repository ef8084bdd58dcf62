//! The program that runs tasks: so many slots, and one loop that serves them all.
//!
//! A slot is taken from the delivery of a task until the server has said that its result is stored.
//! Only free slots ask for tasks, those that became free together in one request.

use async_nats::{Client, Message, StatusCode, Subject};
use bytes::Bytes;

use super::inbox::Inbox;
use super::{CONSUMER, RESULT, TASK, TASKS, connect, is_stored, runtime};
use crate::Fault;

/// How long the server keeps a request for tasks, in nanoseconds.
const EXPIRES: u64 = 20_000_000_000;

/// The worker process.
pub(in crate::cluster) fn work(url: &str, slots: usize) -> Result<(), Fault> {
    // The submitter may be killed.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    runtime()?.block_on(async {
        let client = connect(url).await?;
        let at = client.new_inbox() + ".";
        let inbox = Inbox::at(&client, &at).await?;
        let worker = Worker {
            client,
            at,
            asked: 0,
            free: (0..slots).collect(),
            slots: vec![None; slots],
        };
        worker.run(inbox).await
    })
}

struct Worker {
    client: Client,
    /// What the subjects of our inbox begin with.
    at: String,
    /// How many tasks the server owes us.
    asked: usize,
    free: Vec<usize>,
    /// Where to acknowledge the task of each slot that is taken.
    slots: Vec<Option<Subject>>,
}

impl Worker {
    async fn run(mut self, mut inbox: Inbox) -> Result<(), Fault> {
        let mut messages = Vec::new();
        loop {
            self.ask().await?;
            inbox.all(&mut messages).await?;
            for message in messages.drain(..) {
                // A task keeps the subject that it was published to.
                if *message.subject == *TASK {
                    self.task(message).await?;
                } else if message
                    .status
                    .is_some_and(|status| status != StatusCode::OK)
                {
                    self.refused(&message)?;
                } else {
                    self.stored(&message).await?;
                }
            }
        }
    }

    /// For as many tasks as there are free slots.
    async fn ask(&mut self) -> Result<(), Fault> {
        let batch = self.free.len() - self.asked;
        if batch == 0 {
            return Ok(());
        }
        self.asked += batch;
        let request = format!(r#"{{"batch":{batch},"expires":{EXPIRES}}}"#);
        let server = format!("$JS.API.CONSUMER.MSG.NEXT.{TASKS}.{CONSUMER}");
        let here = format!("{}tasks", self.at);
        Ok(self
            .client
            .publish_with_reply(server, here, request.into())
            .await?)
    }

    /// Runs it, which is nothing to do: its result are its own bytes.
    async fn task(&mut self, message: Message) -> Result<(), Fault> {
        self.asked -= 1;
        let slot = self.free.pop().ok_or("a task that nobody asked for")?;
        self.slots[slot] = message.reply;
        let number = u64::from_le_bytes(message.payload[..].try_into()?);
        let subject = format!("{RESULT}{number}");
        let here = format!("{}{slot}", self.at);
        Ok(self
            .client
            .publish_with_reply(subject, here, message.payload)
            .await?)
    }

    async fn stored(&mut self, message: &Message) -> Result<(), Fault> {
        is_stored(message)?;
        let slot: usize = message.subject[self.at.len()..].parse()?;
        let task = self.slots[slot].take().ok_or("a result of no task")?;
        self.free.push(slot);
        Ok(self.client.publish(task, Bytes::new()).await?)
    }

    /// A request has expired, with so many tasks still owed.
    fn refused(&mut self, message: &Message) -> Result<(), Fault> {
        let headers = message.headers.as_ref();
        let owed = headers.and_then(|headers| headers.get("Nats-Pending-Messages"));
        let owed: usize = owed
            .ok_or("the server refuses us tasks")?
            .as_str()
            .parse()?;
        self.asked -= owed;
        Ok(())
    }
}
