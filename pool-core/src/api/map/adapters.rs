//! Forms of a map that return more than the result.

use std::error::Error;
use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;

use super::Whole;
use super::flow::Flow;
use crate::error::task_error::TaskError;
use crate::task::Task;

/// The results of a map with the indices of their inputs: made by
/// [`Map::with_index`](super::Map::with_index).
pub struct WithIndex<I: Iterator<Item: Task>, E = Whole> {
    flow: Flow<I>,
    ends: PhantomData<E>,
}

/// The results of a map, each error with its task: made by
/// [`Map::with_input`](super::Map::with_input).
pub struct WithInput<I: Iterator<Item: Task>, E = Whole> {
    flow: Flow<I>,
    ends: PhantomData<E>,
}

/// A task that has no result, and why.
#[derive(Clone)]
pub struct Failed<T> {
    /// A copy of the task, made by serializing it. `None` where that was not possible.
    pub input: Option<T>,
    /// The fate of the task.
    pub error: TaskError,
}

impl<T> fmt::Display for Failed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

// Tasks need not be `Debug`: their names are in the error.
impl<T> fmt::Debug for Failed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<T> Error for Failed<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl<I: Iterator<Item: Task>, E> WithIndex<I, E> {
    pub(super) fn new(flow: Flow<I>) -> Self {
        let ends = PhantomData;
        Self { flow, ends }
    }
}

impl<I: Iterator<Item: Task>, E> Iterator for WithIndex<I, E> {
    type Item = (usize, Result<<I::Item as Task>::Output, TaskError>);

    fn next(&mut self) -> Option<Self::Item> {
        self.flow.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.flow.size_hint()
    }
}

impl<I: Iterator<Item: Task>, E> WithInput<I, E> {
    pub(super) fn new(flow: Flow<I>) -> Self {
        let ends = PhantomData;
        Self { flow, ends }
    }
}

impl<I: Iterator<Item: Task>, E> Iterator for WithInput<I, E> {
    type Item = Result<<I::Item as Task>::Output, Failed<I::Item>>;

    fn next(&mut self) -> Option<Self::Item> {
        let (index, outcome) = self.flow.next()?;
        let input = self.flow.take_copy(index);
        Some(outcome.map_err(|error| Failed { input, error }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.flow.size_hint()
    }
}

impl<I: ExactSizeIterator<Item: Task>> ExactSizeIterator for WithIndex<I> {}

impl<I: ExactSizeIterator<Item: Task>> ExactSizeIterator for WithInput<I> {}

impl<I: Iterator<Item: Task>, E> FusedIterator for WithIndex<I, E> {}

impl<I: Iterator<Item: Task>, E> FusedIterator for WithInput<I, E> {}

impl<I: Iterator<Item: Task>, E> fmt::Debug for WithIndex<I, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.flow.describe(f.debug_struct("WithIndex"))
    }
}

impl<I: Iterator<Item: Task>, E> fmt::Debug for WithInput<I, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.flow.describe(f.debug_struct("WithInput"))
    }
}
