//! Fetching a large value from whoever has it, piece by piece.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use ::bytes::Bytes;
use async_nats::{Client, RequestErrorKind};

use super::wire::{self, Fetch, Part};

/// How many pieces are on their way at a time.
const AHEAD: usize = 4;

/// How often a piece is asked for.
const TRIES: u32 = 10;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

type Piece = Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>;

/// How large the pieces are that the server lets through.
pub(super) fn piece(client: &Client) -> u64 {
    wire::PIECE.min(client.max_payload() / 2).max(1024) as u64
}

/// Fetches all `len` bytes of a value in pieces; `None` where it cannot be had. `message` asks for
/// one.
pub(super) async fn fetch(
    client: Client,
    subject: String,
    part: Part,
    len: u64,
    most: u64,
    message: impl Fn(Fetch) -> Bytes,
) -> Option<Bytes> {
    let room = usize::try_from(len).ok()?;
    let mut value = Vec::new();
    value.try_reserve_exact(room).ok()?;
    let mut asked = VecDeque::<Piece>::new();
    let mut offset = 0;
    loop {
        while asked.len() < AHEAD && offset < len {
            let piece = (len - offset).min(most);
            let message = message(Fetch {
                part,
                offset,
                len: piece as u32,
            });
            asked.push_back(Box::pin(ask(
                client.clone(),
                subject.clone(),
                message,
                piece as usize,
            )));
            offset += piece;
        }
        if asked.is_empty() {
            return (value.len() == room).then(|| value.into());
        }
        value.extend_from_slice(&first(&mut asked).await?);
    }
}

/// Waits for the first, and lets the others go on meanwhile.
async fn first(asked: &mut VecDeque<Piece>) -> Option<Bytes> {
    let mut others: Vec<Option<Option<Bytes>>> = vec![None; asked.len()];
    let piece = std::future::poll_fn(|context| {
        for (asked, done) in asked.iter_mut().zip(&mut others) {
            if done.is_none()
                && let std::task::Poll::Ready(piece) = asked.as_mut().poll(context)
            {
                *done = Some(piece);
            }
        }
        match others[0].take() {
            Some(piece) => std::task::Poll::Ready(piece),
            None => std::task::Poll::Pending,
        }
    })
    .await;
    asked.pop_front();
    // Those that are there already stay so.
    for (asked, done) in asked.iter_mut().zip(others.into_iter().skip(1)) {
        if let Some(piece) = done {
            *asked = Box::pin(std::future::ready(piece));
        }
    }
    piece
}

async fn ask(client: Client, subject: String, message: Bytes, len: usize) -> Option<Bytes> {
    for _ in 0..TRIES {
        match client.request(subject.clone(), message.clone()).await {
            // It says what it has: nothing.
            Ok(reply) if reply.payload.is_empty() => return None,
            Ok(reply) if reply.payload.len() == len => return Some(reply.payload),
            Ok(_) => return None,
            // It may be connecting again.
            Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(_) => {}
        }
    }
    None
}
