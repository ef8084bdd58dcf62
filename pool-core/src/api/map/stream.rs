//! A map as a stream.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::flow::{Flow, Part, Sent};
use super::{Outcome, Whole};
use crate::error::task_error::TaskError;
use crate::task::Task;

/// The results of a map as a stream: made by [`Map::into_stream`](super::Map::into_stream).
#[must_use = "streams do nothing unless they are polled"]
pub struct MapStream<I: Iterator<Item: Task>, E = Whole> {
    flow: Flow<I>,
    ends: PhantomData<E>,
}

impl<I: Iterator<Item: Task>, E> MapStream<I, E> {
    pub(super) fn new(flow: Flow<I>) -> Self {
        let ends = PhantomData;
        Self { flow, ends }
    }
}

// Nothing in it is pinned.
impl<I: Iterator<Item: Task>, E> Unpin for MapStream<I, E> {}

impl<I: Iterator<Item: Task>, E> Stream for MapStream<I, E> {
    type Item = Result<<I::Item as Task>::Output, TaskError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.flow.poll_next(context);
        next.map(|next| next.map(|(_, outcome)| outcome))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.flow.size_hint()
    }
}

impl<I: Iterator<Item: Task>, E> FusedStream for MapStream<I, E> {
    fn is_terminated(&self) -> bool {
        self.flow.is_at_end()
    }
}

impl<I: Iterator<Item: Task>, E> fmt::Debug for MapStream<I, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.flow.describe(f.debug_struct("MapStream"))
    }
}

impl<I: Iterator<Item: Task>> Flow<I> {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<(usize, Outcome<I::Item>)>> {
        self.begin_progress();
        loop {
            if let Some((index, outcome)) = self.take_ready() {
                return Poll::Ready(Some(self.returns(index, outcome)));
            }
            self.fill();
            if self.is_at_end() {
                return Poll::Ready(self.ends());
            }
            if self.poll_sent(context) {
                continue;
            }
            if self.ahead > 0 {
                return Poll::Pending;
            }
            // There was no room in the queue.
            self.has_room = self.pool.reserve_or_wake(context.waker());
            if !self.has_room {
                return Poll::Pending;
            }
        }
    }

    fn take_ready(&mut self) -> Option<(usize, Outcome<I::Item>)> {
        match &mut self.unordered {
            Some(unordered) => unordered.ready.pop_front(),
            None => self.next_ready().map(|outcome| (self.next_out, outcome)),
        }
    }

    /// Takes in what a job has done, if it is finished; says whether it was.
    fn poll_sent(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(unordered) = &mut self.unordered {
            let Some((sent, first)) = unordered.poll(context.waker()) else {
                return false;
            };
            self.arrived(sent, first);
            return true;
        }
        match self.window.front_mut() {
            Some(Part::Sent(Sent::One(handle))) => {
                let Poll::Ready(outcome) = Pin::new(handle).poll(context) else {
                    return false;
                };
                self.window.pop_front();
                self.window
                    .push_front(Part::Outcomes(vec![outcome].into_iter()));
            }
            Some(Part::Sent(Sent::Chunk(handle, len))) => {
                let len = *len;
                let Poll::Ready(ran) = Pin::new(handle).poll(context) else {
                    return false;
                };
                self.window.pop_front();
                self.unpack(ran, len);
            }
            Some(Part::Outcomes(_)) => {}
            Some(Part::Batch(_)) | None => return false,
        }
        true
    }
}
