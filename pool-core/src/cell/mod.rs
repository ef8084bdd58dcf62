//! The task cell: one allocation that holds a task's call, its outcome and who waits for it.
//!
//! The contents of a cell change hands without a lock. Who may touch them follows from the
//! state word ([`state`]) alone:
//!
//! | phase | contents | whose |
//! |---|---|---|
//! | queued | the task | nobody's: the first to [`State::claim`] it |
//! | claimed | the task, then its encoded arguments, or nothing | the claimer's |
//! | finished | the outcome | nobody's: the first to [`State::take`] it |
//! | taken | nothing | nobody's |
//!
//! A handle may resolve before the claimer is done (a cancelled or overdue task on a thread,
//! which cannot be stopped): the *abandoned* bits of the state word are then the whole outcome,
//! and the contents stay the claimer's until it drops them.
//!
//! There are two claimers: [`Job::run_here`], which runs the task in its thread and finishes it,
//! and a backend that sends it elsewhere, which holds the claim as a [`Claimed`].

mod remote;
mod state;
#[cfg(test)]
mod tests;
mod waiters;

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(feature = "processes")]
pub(crate) use remote::{Claimed, Watched};
pub(crate) use state::{Abandon, State};
pub(crate) use waiters::Waiters;

use crate::bytes::Bytes;
use crate::codec::Answer;
use crate::current::{self, Frame};
use crate::task::{Options, TaskInfo};
use crate::work::Work;
use crate::{TaskError, TaskErrorKind, panics};

/// The part of a cell that does not depend on the task's type and is shared by everybody.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) state: State,
    pub(crate) waiters: Waiters,
    /// Where a remote backend keeps the job; that backend alone reads and writes it.
    #[cfg(feature = "processes")]
    pub(crate) place: std::sync::atomic::AtomicU64,
}

impl Head {
    /// Whether the handle has an outcome.
    pub(crate) fn is_resolved(&self) -> bool {
        self.state.is_resolved()
    }

    /// Resolves the handle without the claimer, if it is not resolved yet.
    pub(crate) fn abandon(&self, reason: Abandon) -> bool {
        match self.state.abandon(reason) {
            None => false,
            Some(watched) => {
                if watched {
                    self.waiters.wake_all();
                }
                true
            }
        }
    }

    /// Blocks until the handle is resolved or the deadline has passed. Somebody else makes the
    /// progress.
    pub(crate) fn park_until_resolved(&self, deadline: Option<Instant>) {
        if self.waiters.add_thread(&self.state) {
            self.park(deadline);
        }
    }

    /// Blocks the calling thread, which is in the list of waiters, until the handle is resolved
    /// or the deadline has passed.
    pub(crate) fn park(&self, deadline: Option<Instant>) {
        while !self.is_resolved() {
            match deadline {
                None => std::thread::park(),
                Some(deadline) => {
                    let now = Instant::now();
                    if now >= deadline {
                        return;
                    }
                    std::thread::park_timeout(deadline - now);
                }
            }
        }
    }
}

/// A task inside a pool, whatever its type: what queues and backends hold.
pub(crate) trait Job: Send + Sync {
    fn head(&self) -> &Head;

    fn info(&self) -> &'static TaskInfo;

    fn options(&self) -> Options;

    /// Runs the task in this thread if nobody has claimed it; says whether it did.
    fn run_here(self: Arc<Self>, frame: Frame) -> bool;

    /// Takes the task out of the queue for good, if nobody has claimed it: its handle resolves
    /// with the error.
    fn refuse(&self, error: TaskError) -> bool;

    /// Claims the task for a remote backend and encodes its arguments. `false`: there is nothing
    /// to send (somebody claimed it, or the arguments do not encode and the handle says so).
    fn claim_encoded(&self) -> bool;

    /// The contents as a remote backend sees them.
    ///
    /// # Safety
    /// The caller holds the claim, the task has not been finished, and nobody changes the
    /// contents as long as the reference lives.
    unsafe fn remote(&self) -> &Remote;

    /// The contents as a remote backend changes them.
    ///
    /// # Safety
    /// The caller holds the claim, the task has not been finished, and no other reference to the
    /// contents exists.
    #[allow(clippy::mut_from_ref)]
    unsafe fn remote_mut(&self) -> &mut Remote;

    /// Finishes a remotely run task: `remote()` holds its outcome. Says whether somebody waits.
    ///
    /// # Safety
    /// The caller holds the claim and gives it up with this call.
    unsafe fn finish_remote(&self) -> bool;
}

/// A job whose result type is known: what handles hold.
pub(crate) trait Joinable<R>: Job {
    /// Takes the outcome out of a resolved cell. A second call gets `AlreadyJoined`.
    fn take(&self) -> Result<R, TaskError>;

    /// The same cell as the backends see it.
    fn job(self: Arc<Self>) -> Arc<dyn Job>;
}

/// The contents of a cell while and after a remote backend has it.
#[derive(Debug)]
pub(crate) enum Remote {
    /// The encoded arguments.
    Args(Bytes),
    /// The worker's answer, still encoded.
    Answer(Answer),
    /// There is no answer.
    Failed(TaskError),
}

enum Contents<T: Work> {
    Call(T),
    Remote(Remote),
    Output(Result<T::Output, TaskError>),
    Empty,
}

/// See the module's documentation.
pub(crate) struct JobCell<T: Work> {
    head: Head,
    options: Options,
    contents: UnsafeCell<Contents<T>>,
}

// SAFETY: `contents` is the only part that is not `Sync` by itself. It is touched by one thread
// at a time, the owner by the state word (table above), and everything in it may be sent to
// another thread: `T` and `T::Output` are `Send` by the bounds of `Work`.
unsafe impl<T: Work> Sync for JobCell<T> {}

impl<T: Work> JobCell<T> {
    pub(crate) fn new(task: T) -> Arc<Self> {
        Arc::new(Self {
            head: Head {
                state: State::new(),
                waiters: Waiters::new(),
                #[cfg(feature = "processes")]
                place: std::sync::atomic::AtomicU64::new(u64::MAX),
            },
            options: task.options(),
            contents: UnsafeCell::new(Contents::Call(task)),
        })
    }

    /// The contents, for the thread that owns them by the state word.
    ///
    /// # Safety
    /// The caller has just won `claim` or `take`, or holds the claim and has not finished; no
    /// other reference to the contents exists.
    #[allow(clippy::mut_from_ref)]
    unsafe fn contents(&self) -> &mut Contents<T> {
        // SAFETY: the caller owns the contents.
        unsafe { &mut *self.contents.get() }
    }

    /// Takes the contents out.
    ///
    /// # Safety
    /// As for [`contents`](Self::contents).
    unsafe fn swap(&self, new: Contents<T>) -> Contents<T> {
        // SAFETY: handed on to the caller.
        std::mem::replace(unsafe { self.contents() }, new)
    }

    /// Stores the outcome, gives up the claim and wakes who waits.
    ///
    /// # Safety
    /// The caller holds the claim and gives it up with this call.
    unsafe fn finish(&self, outcome: Result<T::Output, TaskError>) {
        // SAFETY: handed on to the caller.
        drop_quietly(unsafe { self.swap(Contents::Output(outcome)) });
        match self.head.state.finish() {
            Some(true) => self.head.waiters.wake_all(),
            Some(false) => {}
            // Abandoned: nobody will take the outcome, and it is still ours.
            // SAFETY: an abandoned cell's contents stay the claimer's.
            None => drop_quietly(unsafe { self.swap(Contents::Empty) }),
        }
    }
}

// A detached task's result, or a call that nobody ran, is dropped by whoever has the last pointer,
// which may be a worker: a panic in its destructor must not end that thread.
impl<T: Work> Drop for JobCell<T> {
    fn drop(&mut self) {
        if std::mem::needs_drop::<(T, T::Output)>() {
            drop_quietly(std::mem::replace(self.contents.get_mut(), Contents::Empty));
        }
    }
}

/// Drops a user's value; a panic in its destructor harms nobody.
fn drop_quietly<T>(value: T) {
    if std::mem::needs_drop::<T>() {
        // The hook has printed it; there is no handle that it could go to.
        let _ = panics::catch(move || drop(value));
    }
}

/// What the clock says of a task that cannot be stopped: checked when it returns.
fn overran(started: Option<Instant>, limit: Option<Duration>) -> bool {
    matches!((started, limit), (Some(started), Some(limit)) if started.elapsed() > limit)
}

impl<T: Work> Job for JobCell<T> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn info(&self) -> &'static TaskInfo {
        &T::INFO
    }

    fn options(&self) -> Options {
        self.options
    }

    fn run_here(self: Arc<Self>, frame: Frame) -> bool {
        if !self.head.state.claim() {
            return false;
        }
        // SAFETY: `claim` was won above.
        let Contents::Call(task) = (unsafe { self.swap(Contents::Empty) }) else {
            unreachable!("a queued cell holds its call");
        };
        let started = self.options.timeout.map(|_| Instant::now());
        let mut outcome = current::enter(frame.of(&self), || task.run());
        if overran(started, self.options.timeout) {
            drop_quietly(outcome);
            outcome = Err(TaskError::new(TaskErrorKind::TimedOut, T::INFO.name));
        }
        // SAFETY: the claim won above is given up here.
        unsafe { self.finish(outcome) };
        true
    }

    fn refuse(&self, error: TaskError) -> bool {
        let claimed = self.head.state.claim();
        if claimed {
            // SAFETY: `claim` was won above and is given up here.
            unsafe { self.finish(Err(error)) };
        }
        claimed
    }

    fn claim_encoded(&self) -> bool {
        if !self.head.state.claim() {
            return false;
        }
        // SAFETY: `claim` was won above.
        let contents = unsafe { self.contents() };
        let Contents::Call(task) = contents else {
            unreachable!("a queued cell holds its call");
        };
        match task.encode() {
            Ok(args) => {
                drop_quietly(std::mem::replace(
                    contents,
                    Contents::Remote(Remote::Args(args)),
                ));
                true
            }
            Err(message) => {
                let error = TaskError::new(TaskErrorKind::Encode, T::INFO.name)
                    .message_is(format!("its arguments: {message}"));
                // SAFETY: the claim won above is given up here.
                unsafe { self.finish(Err(error)) };
                false
            }
        }
    }

    unsafe fn remote(&self) -> &Remote {
        // SAFETY: the caller holds the claim and nobody changes the contents meanwhile.
        match unsafe { &*self.contents.get() } {
            Contents::Remote(remote) => remote,
            _ => unreachable!("a remotely claimed cell holds what travels"),
        }
    }

    unsafe fn remote_mut(&self) -> &mut Remote {
        // SAFETY: handed on to the caller.
        match unsafe { self.contents() } {
            Contents::Remote(remote) => remote,
            _ => unreachable!("a remotely claimed cell holds what travels"),
        }
    }

    unsafe fn finish_remote(&self) -> bool {
        match self.head.state.finish() {
            Some(watched) => watched,
            None => {
                // SAFETY: an abandoned cell's contents stay the claimer's.
                drop(unsafe { self.swap(Contents::Empty) });
                false
            }
        }
    }
}

impl<T: Work> Joinable<T::Output> for JobCell<T> {
    fn take(&self) -> Result<T::Output, TaskError> {
        match self.head.state.take() {
            state::Taken::Contents => {}
            state::Taken::Abandoned(reason) => {
                return Err(TaskError::abandoned(reason, T::INFO.name));
            }
            state::Taken::Already => {
                return Err(TaskError::new(TaskErrorKind::AlreadyJoined, T::INFO.name));
            }
        }
        // SAFETY: `take` was won above.
        match unsafe { self.swap(Contents::Empty) } {
            Contents::Output(outcome) => outcome,
            Contents::Remote(Remote::Failed(error)) => Err(error),
            Contents::Remote(Remote::Answer(answer)) => T::open(answer),
            Contents::Remote(Remote::Args(_)) | Contents::Call(_) | Contents::Empty => {
                unreachable!("a finished cell holds an outcome")
            }
        }
    }

    fn job(self: Arc<Self>) -> Arc<dyn Job> {
        self
    }
}
