//! Encoded arguments on their way to a worker.

use crate::codec;
use crate::codec::bytes::Bytes;
use crate::error::panics::drop_quietly;
use crate::task::Task;

/// The arguments of a job that is sent to a worker.
pub(crate) enum Args {
    /// Encoded.
    Bytes(Bytes),
    /// Not encoded yet: they are large, and are written right to where they go.
    Later(Box<dyn Later>),
}

/// Arguments with large blocks of bytes, of which only the length is known so far: encoded in a
/// buffer of their own they would be copied once more, through memory that is touched for the
/// first time, which takes ten times as long as the copy.
pub(crate) trait Later: Send {
    fn len(&self) -> usize;

    /// Writes `len` bytes piece by piece; or says in words why not.
    fn write(&self, out: &mut dyn FnMut(&[u8])) -> Result<(), String>;
}

impl Args {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.as_slice().len(),
            Self::Later(later) => later.len(),
        }
    }

    /// What is encoded.
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes.as_slice(),
            Self::Later(_) => &[],
        }
    }

    /// Writes them piece by piece.
    pub(crate) fn write(&self, out: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        match self {
            Self::Bytes(bytes) => {
                out(bytes.as_slice());
                Ok(())
            }
            Self::Later(later) => later.write(out),
        }
    }
}

impl Default for Args {
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl From<Bytes> for Args {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl std::fmt::Debug for Args {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Args({} bytes)", self.len())
    }
}

/// A task that is encoded later, as often as it has to be. No user code writes it: its arguments are
/// numbers, strings and blocks of numbers, which are still what they were when it was submitted.
pub(crate) struct Postponed<T> {
    /// `Some` until it is dropped.
    task: Option<T>,
    /// What travels behind the arguments.
    tail: Vec<u8>,
    len: usize,
}

impl<T> Postponed<T> {
    pub(crate) fn new(task: T, tail: Vec<u8>, len: usize) -> Self {
        let task = Some(task);
        Self { task, tail, len }
    }
}

impl<T: Task> Later for Postponed<T> {
    fn len(&self) -> usize {
        self.len
    }

    fn write(&self, out: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        let Some(task) = &self.task else {
            unreachable!("it is there until it is dropped");
        };
        codec::write(task, out)?;
        out(&self.tail);
        Ok(())
    }
}

impl<T> Drop for Postponed<T> {
    fn drop(&mut self) {
        drop_quietly(self.task.take());
    }
}
