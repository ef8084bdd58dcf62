//! Subjects that only this client listens to.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use async_nats::{Client, Message, Subscriber};
use futures_core::Stream;

use crate::Fault;

/// A subscription to everything below a subject.
pub(super) struct Inbox {
    subscriber: Subscriber,
}

impl Inbox {
    pub(super) async fn at(client: &Client, subject: &str) -> Result<Self, Fault> {
        let subscriber = client.subscribe(format!("{subject}>")).await?;
        Ok(Self { subscriber })
    }

    pub(super) async fn next(&mut self) -> Result<Message, Fault> {
        let next = poll_fn(|context| Pin::new(&mut self.subscriber).poll_next(context)).await;
        next.ok_or_else(over)
    }

    /// Adds all that is there; waits until there is something.
    pub(super) async fn all(&mut self, messages: &mut Vec<Message>) -> Result<(), Fault> {
        messages.push(self.next().await?);
        poll_fn(|context| {
            while let Poll::Ready(Some(message)) = Pin::new(&mut self.subscriber).poll_next(context)
            {
                messages.push(message);
            }
            Poll::Ready(())
        })
        .await;
        Ok(())
    }
}

fn over() -> Fault {
    "the connection to the server is over".into()
}
