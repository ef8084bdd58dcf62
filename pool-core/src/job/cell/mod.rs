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
//!
//! A cell is reached through counted pointers, [`Job`] for backends and [`Handle`] for the one
//! who wants the result. The count is part of the state word, so that finishing a task and giving
//! up the claimer's pointer are one atomic operation: after it the claimer does not touch the
//! cell again, and the handle's owner, usually on another core, has it alone. Both pointers are
//! one word; what depends on the task's type is reached through a table of functions
//! ([`Vtable`]), as in a trait object.

mod batch;
mod counts;
mod effects;
#[cfg(all(test, loom))]
mod model;
mod remote;
mod running;
mod seat;
mod state;
#[cfg(test)]
mod tests;
mod turn;
mod unused;
mod waiters;

use std::any::TypeId;
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Instant;

pub(crate) use batch::{Batch, BatchConsumer, Found};
pub(crate) use counts::{Counts, counts_in};
pub(crate) use effects::{Effect, Effects, is_inside, run_here};
#[cfg(feature = "processes")]
pub(crate) use remote::{Claimed, Watched, drop_args};
pub(crate) use running::running;
pub(crate) use seat::{Count, OnSeat, Seat};
pub(crate) use state::State;
pub(crate) use turn::Paused;
pub(crate) use waiters::{Notice, Waiters};

use self::state::{Finish, Taken};
use self::turn::{Turn, sleep_unless};
use self::unused::Unused;
use crate::codec::Answer;
use crate::codec::args::Args;
use crate::error::panics::drop_quietly;
use crate::error::task_error::{Abandon, TaskError, TaskErrorKind};
use crate::job::current::Frame;
use crate::job::stops::notify as notify_stopped;
use crate::job::work::{ChunkFacts, Work};
use crate::metrics::recorder::Metrics;
use crate::task::{Options, TaskInfo, retry};

/// The part of a cell that does not depend on the task's type and is shared by everybody.
pub(crate) struct Head {
    vtable: &'static Vtable,
    pub(crate) state: State,
    /// A note of the backend that has the job, for that backend alone.
    pub(crate) note: AtomicU32,
    pub(crate) waiters: Waiters,
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
                notify_stopped();
                true
            }
        }
    }

    /// Cancels a task of a pool that this process has only a copy of: nobody else will resolve it.
    pub(crate) fn resolve_in_fork(&self) {
        if self.state.abandon(Abandon::Cancelled) == Some(true) {
            self.waiters.wake_all();
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
        let mut parked = false;
        while !self.is_resolved() {
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => std::thread::park(),
                Some(left) if left.is_zero() => break,
                Some(left) => std::thread::park_timeout(left),
            }
            parked = true;
        }
        if parked {
            // The token that ended a `park` above may have been for code of the user.
            std::thread::current().unpark();
        }
    }
}

/// What depends on the task's type. Every function takes a pointer to the head of a cell of that
/// type, which the caller keeps alive.
#[derive(Clone, Copy)]
pub(crate) struct Vtable {
    info: &'static TaskInfo,
    /// The type of the work.
    work: fn() -> TypeId,
    /// Whether the job is many tasks, between which it can end.
    many: bool,
    /// Runs the task, if the claim can be had, and gives up the caller's pointer; says what came
    /// of it.
    run: unsafe fn(NonNull<Head>, Frame, Option<OnSeat<'_>>) -> Came,
    /// Stores an error as the outcome; returns the call that was there, to be dropped. The caller
    /// holds the claim.
    fail: unsafe fn(NonNull<Head>, TaskError) -> Option<Unused>,
    /// Encodes the arguments; `false`: an error is stored as the outcome. The caller holds the
    /// claim.
    encode: unsafe fn(NonNull<Head>) -> bool,
    /// The contents as a remote backend sees them. The caller holds the claim and has encoded.
    remote: unsafe fn(NonNull<Head>) -> NonNull<Remote>,
    /// Makes a cell of the same type with other arguments, claimed; two pointers to it.
    sibling: fn(&'static Self, Args, Options) -> NonNull<Head>,
    /// Drops the rest of the contents, which the caller owns.
    clear: unsafe fn(NonNull<Head>),
    /// Moves the outcome to the given `Result<Output, TaskError>`. The caller has won `take`.
    take: unsafe fn(NonNull<Head>, NonNull<()>),
    /// Frees the cell. The caller has the last pointer.
    free: unsafe fn(NonNull<Head>),
}

/// What came of a job that was to be run here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// It was not run: somebody else has it, or had.
    NotRun,
    /// It has a result, which is counted on the seat.
    Finished,
    /// It has failed.
    Failed(TaskErrorKind),
    /// It has run and is not to be counted: it is many tasks, it runs again, or it was resolved
    /// otherwise before.
    Uncounted,
}

impl Came {
    pub(crate) fn has_run(self) -> bool {
        self != Self::NotRun
    }
}

/// A pointer to a cell, whatever the task's type: what queues and backends hold.
pub(crate) struct Job(NonNull<Head>);

// SAFETY: the head is made of atomics and a mutex; the contents are touched by one thread at a
// time, the owner by the state word, and everything in them may be sent to another thread: `T`
// and `T::Output` are `Send` by the bounds of `Work`.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

impl Job {
    #[inline]
    pub(crate) fn head(&self) -> &Head {
        // SAFETY: this pointer keeps the cell alive, and a head is only borrowed shared.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn info(&self) -> &'static TaskInfo {
        self.head().vtable.info
    }

    #[inline]
    pub(crate) fn name(&self) -> &'static str {
        self.info().name
    }

    #[inline]
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// What tells its cell from all others as long as there is a pointer to it.
    pub(crate) fn address(&self) -> usize {
        self.0.addr().get()
    }

    /// Whether it is many tasks.
    pub(crate) fn is_many(&self) -> bool {
        self.head().vtable.many
    }

    /// Asks the worker that runs it to start no more of its tasks; of a job that is one task it
    /// asks nothing.
    pub(crate) fn ask_to_stop_between_tasks(&self) {
        if self.is_many() {
            self.head().state.ask_to_stop();
            notify_stopped();
        }
    }

    /// Runs the task in this thread if nobody has claimed it; says what came of it.
    #[inline]
    pub(crate) fn run_here(self, frame: Frame, seat: Option<OnSeat<'_>>) -> Came {
        let this = ManuallyDrop::new(self);
        let run = this.head().vtable.run;
        // SAFETY: the cell is of the vtable's type, and `this` is not used again: the function
        // gives up its pointer.
        unsafe { run(this.0, frame, seat) }
    }

    /// Gives up the claim and this pointer, and wakes who waits; the outcome is stored.
    ///
    /// # Safety
    /// The caller holds the claim and gives it up with this call.
    #[inline]
    unsafe fn finish(self) {
        let this = ManuallyDrop::new(self);
        // SAFETY: handed on; `this` is not used again.
        if let Some(watched) = unsafe { finish(this.0) } {
            watched.head().waiters.wake_all();
        }
    }
}

/// Gives up the claim and the claimer's pointer; the outcome is stored. Who waits is woken by
/// the caller, who gets the pointer for it.
///
/// # Safety
/// The pointer is counted, the caller holds the claim, and both are given up with this call.
#[inline]
unsafe fn finish(cell: NonNull<Head>) -> Option<Job> {
    // SAFETY: the pointer keeps the cell alive until `finish` gives it up.
    let head = unsafe { cell.as_ref() };
    let vtable = head.vtable;
    match head.state.finish() {
        Finish::Released { last: false } => None,
        Finish::Released { last: true } => {
            // SAFETY: there is no other pointer.
            unsafe { (vtable.free)(cell) };
            None
        }
        Finish::Watched => Some(Job(cell)),
        Finish::Abandoned => {
            // SAFETY: an abandoned cell's contents stay the claimer's, and nobody will take them.
            unsafe { (vtable.clear)(cell) };
            drop(Job(cell));
            None
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Job").field(&self.name()).finish()
    }
}

impl Clone for Job {
    fn clone(&self) -> Self {
        self.head().state.add_ref();
        Self(self.0)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let head = self.head();
        let free = head.vtable.free;
        if head.state.drop_ref() {
            // SAFETY: that was the last pointer.
            unsafe { free(self.0) };
        }
    }
}

/// A pointer to a cell whose result type is known: what a handle holds.
pub(crate) struct Handle<R> {
    job: Job,
    result: PhantomData<fn() -> R>,
}

impl<R: 'static> Handle<R> {
    /// A handle from a pointer to a cell of this work; `None` for one of another.
    pub(crate) fn of<W: Work<Output = R>>(job: Job) -> Option<Self> {
        let same = (job.head().vtable.work)() == TypeId::of::<W>();
        same.then_some(Self {
            job,
            result: PhantomData,
        })
    }
}

impl<R> Handle<R> {
    /// Another one of the same cell.
    pub(crate) fn twin(&self) -> Self {
        Self {
            job: self.job.clone(),
            result: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// Takes the outcome out of a resolved cell. A second call gets `AlreadyJoined`.
    pub(crate) fn take(&self) -> Result<R, TaskError> {
        let name = self.job.name();
        match self.job.head().state.take() {
            // SAFETY: `take` was won.
            Taken::Contents => unsafe { self.outcome() },
            Taken::Abandoned(reason) => Err(TaskError::abandoned(reason, name)),
            Taken::Already => Err(TaskError::new(TaskErrorKind::AlreadyJoined, name)),
        }
    }

    /// The same for the last look at the cell.
    #[inline]
    pub(crate) fn into_outcome(self) -> Result<R, TaskError> {
        if self.job.head().state.is_finished_and_only() {
            // SAFETY: the outcome is there, nobody has taken it, and nobody else can.
            unsafe { self.outcome() }
        } else {
            self.take()
        }
    }

    /// Moves the outcome out.
    ///
    /// # Safety
    /// The caller owns the contents, which are an outcome.
    #[inline]
    unsafe fn outcome(&self) -> Result<R, TaskError> {
        let mut outcome = MaybeUninit::<Result<R, TaskError>>::uninit();
        let to = NonNull::from(&mut outcome).cast();
        // SAFETY: a handle is made for the output of its cell's work (`JobCell::new`), so `to`
        // has the type that the function writes; the rest is handed on.
        unsafe { (self.job.head().vtable.take)(self.job.0, to) };
        // SAFETY: the function has written it.
        unsafe { outcome.assume_init() }
    }
}

/// The contents of a cell while and after a remote backend has it. The rare ones are in a box, so
/// that every cell is small.
pub(crate) enum Remote {
    /// The encoded arguments.
    Args(Args),
    /// The same of a task with options.
    ArgsWith(Box<(Args, Options)>),
    /// The worker's answer, still encoded.
    Answer(Answer),
    /// The same of one that is timed.
    TimedAnswer(Box<(Answer, Arc<Metrics>)>),
    /// The same of a chunk.
    ChunkAnswer(Box<(Answer, ChunkFacts)>),
    /// The answer of a later run, and which one it was.
    LaterAnswer(Box<(Answer, u32)>),
    /// There is no answer.
    Failed(TaskError),
}

enum Contents<T: Work> {
    Call(T),
    /// A call that has failed and runs again: its arguments, encoded, and its options.
    Again(Box<(Vec<u8>, Options)>),
    Remote(Remote),
    Output(Result<T::Output, TaskError>),
    Empty,
}

/// See the module's documentation. The head comes first, so that a pointer to it is one to the
/// cell.
#[repr(C)]
pub(crate) struct JobCell<T: Work> {
    head: Head,
    contents: UnsafeCell<Contents<T>>,
}

#[cfg(all(target_pointer_width = "64", feature = "processes"))]
const _: () = {
    // So a small task is 56 bytes, and 64 with the allocator's own word.
    assert!(size_of::<Head>() == 24);
    assert!(size_of::<Remote>() == 32);
};

impl<T: Work> JobCell<T> {
    const VTABLE: Vtable = Vtable {
        info: &T::INFO,
        work: TypeId::of::<T>,
        many: T::MANY,
        run: Self::run,
        fail: Self::fail,
        encode: Self::encode,
        remote: Self::remote,
        sibling: Self::sibling,
        clear: Self::clear,
        take: Self::take,
        free: Self::free,
    };

    /// A new cell: the handle's pointer and the backend's.
    #[allow(clippy::new_ret_no_self)]
    pub(crate) fn new(task: T) -> (Handle<T::Output>, Job) {
        Self::new_as(task, &Self::VTABLE)
    }

    /// The same under another task's name: the table is one that [`vtable_of`](Self::vtable_of) has
    /// made.
    pub(crate) fn new_as(task: T, vtable: &'static Vtable) -> (Handle<T::Output>, Job) {
        debug_assert!((vtable.work)() == TypeId::of::<T>());
        let cell = Self::with(vtable, State::new(), Contents::Call(task));
        let handle = Handle {
            job: Job(cell),
            result: PhantomData,
        };
        (handle, Job(cell))
    }

    /// The table of work that stands for the task with these facts.
    #[cfg(feature = "cluster")]
    pub(crate) const fn vtable_of(info: &'static TaskInfo) -> Vtable {
        Vtable {
            info,
            ..Self::VTABLE
        }
    }

    fn with(vtable: &'static Vtable, state: State, contents: Contents<T>) -> NonNull<Head> {
        let cell = Box::new(Self {
            head: Head {
                vtable,
                state,
                note: AtomicU32::new(0),
                waiters: Waiters::new(),
            },
            contents: UnsafeCell::new(contents),
        });
        NonNull::from(Box::leak(cell)).cast()
    }

    fn sibling(vtable: &'static Vtable, args: Args, options: Options) -> NonNull<Head> {
        let args = Remote::ArgsWith(Box::new((args, options)));
        Self::with(vtable, State::claimed(), Contents::Remote(args))
    }

    /// The contents, for the thread that owns them by the state word.
    ///
    /// # Safety
    /// The cell is of this type and lives; the caller owns the contents, and no other reference
    /// to them exists as long as this one does.
    unsafe fn contents<'a>(cell: NonNull<Head>) -> &'a mut Contents<T> {
        // SAFETY: the cell is of this type and lives.
        let cell = unsafe { cell.cast::<Self>().as_ref() };
        // SAFETY: the caller owns the contents.
        unsafe { &mut *cell.contents.get() }
    }

    /// Takes the contents out.
    ///
    /// # Safety
    /// As for [`contents`](Self::contents).
    unsafe fn swap(cell: NonNull<Head>, new: Contents<T>) -> Contents<T> {
        // SAFETY: handed on to the caller.
        std::mem::replace(unsafe { Self::contents(cell) }, new)
    }

    // ---- the vtable ----

    unsafe fn run(cell: NonNull<Head>, frame: Frame, seat: Option<OnSeat<'_>>) -> Came {
        let job = Job(cell);
        if !job.head().state.claim() {
            return Came::NotRun;
        }
        // Once for each claim, however often it runs, and whether it does.
        if let Some(on) = seat {
            (on.begins)(&job);
        }
        // SAFETY: `claim` was won above.
        let mut turn = Turn::of(unsafe { Self::swap(cell, Contents::Empty) });
        let outcome = loop {
            let outcome = turn.run(&job, frame, seat);
            let again = match &outcome {
                // Nobody waits for one that was cancelled or is late.
                Err(error) if !job.head().is_resolved() => turn.again(error),
                _ => None,
            };
            let Some(retry::Again { after, options }) = again else {
                break outcome;
            };
            drop_quietly(outcome);
            turn.options = options;
            if let Some(later) = seat.and_then(|on| on.later) {
                let call = Contents::Again(Box::new((turn.kept, options)));
                // SAFETY: the claim won above; there is nothing in the contents to be dropped.
                unsafe { Self::contents_are(cell, call) };
                later(after, Paused::new(job));
                return Came::Uncounted;
            }
            let closed = || seat.is_some_and(|on| on.seat.is_closed());
            sleep_unless(after, || job.head().is_resolved() || closed());
            if job.head().is_resolved() {
                break Err(TaskError::cancelled(T::INFO.name));
            }
            turn.task = T::again(&turn.kept);
        };
        if outcome.is_err() {
            job.head().state.mark_failed();
        }
        let came = match &outcome {
            _ if T::MANY || job.head().state.is_abandoned() => Came::Uncounted,
            Ok(_) => Came::Finished,
            Err(error) => Came::Failed(error.kind()),
        };
        // Before others can see that it has an outcome.
        match (seat, came) {
            (Some(on), Came::Finished) => on.count.add(1),
            (Some(on), Came::Failed(kind)) => (on.failed)(kind),
            _ => {}
        }
        // SAFETY: the claim won above; there is nothing in the contents to be dropped.
        unsafe { Self::contents_are(cell, Contents::Output(outcome)) };
        // SAFETY: the claim won above is given up here.
        unsafe { job.finish() };
        came
    }

    /// Stores new contents in the place of empty ones.
    ///
    /// # Safety
    /// As for [`contents`](Self::contents).
    unsafe fn contents_are(cell: NonNull<Head>, new: Contents<T>) {
        // SAFETY: handed on to the caller.
        let contents = unsafe { Self::contents(cell) };
        debug_assert!(matches!(contents, Contents::Empty));
        // SAFETY: a valid place for contents; the old ones own nothing.
        unsafe { std::ptr::write(contents, new) };
    }

    unsafe fn fail(cell: NonNull<Head>, error: TaskError) -> Option<Unused> {
        // SAFETY: the caller keeps the cell alive.
        unsafe { cell.as_ref() }.state.mark_failed();
        // SAFETY: handed on to the caller.
        match unsafe { Self::swap(cell, Contents::Output(Err(error))) } {
            Contents::Call(call) if std::mem::needs_drop::<T>() => Some(Box::new(call)),
            contents => {
                drop_quietly(contents);
                None
            }
        }
    }

    unsafe fn encode(cell: NonNull<Head>) -> bool {
        // SAFETY: the caller holds the claim.
        let Contents::Call(task) = (unsafe { Self::swap(cell, Contents::Empty) }) else {
            unreachable!("a cell that was never claimed holds its call");
        };
        let options = task.options();
        let (new, encoded) = match task.encode() {
            Ok(args) if options.is_none() => (Contents::Remote(Remote::Args(args)), true),
            Ok(args) => {
                let remote = Remote::ArgsWith(Box::new((args, options)));
                (Contents::Remote(remote), true)
            }
            Err(message) => (
                Contents::Output(Err(TaskError::not_encoded(T::INFO.name, &message))),
                false,
            ),
        };
        if !encoded {
            // SAFETY: the caller keeps the cell alive.
            unsafe { cell.as_ref() }.state.mark_failed();
        }
        // SAFETY: the caller holds the claim, and the contents are empty.
        unsafe { Self::contents_are(cell, new) };
        encoded
    }

    unsafe fn remote(cell: NonNull<Head>) -> NonNull<Remote> {
        // SAFETY: the caller holds the claim.
        match unsafe { Self::contents(cell) } {
            Contents::Remote(remote) => NonNull::from(remote),
            _ => unreachable!("a remotely claimed cell holds what travels"),
        }
    }

    unsafe fn clear(cell: NonNull<Head>) {
        // SAFETY: the caller owns the contents.
        drop_quietly(unsafe { Self::swap(cell, Contents::Empty) });
    }

    unsafe fn take(cell: NonNull<Head>, to: NonNull<()>) {
        // SAFETY: the caller has won `take`.
        let outcome = match unsafe { Self::swap(cell, Contents::Empty) } {
            Contents::Output(outcome) => outcome,
            Contents::Remote(Remote::Failed(error)) => Err(error),
            Contents::Remote(Remote::Answer(answer)) => T::open(answer, None),
            Contents::Remote(Remote::TimedAnswer(answer)) => {
                let (answer, metrics) = *answer;
                metrics.decode(1, || T::open(answer, None))
            }
            Contents::Remote(Remote::ChunkAnswer(answer)) => {
                let (answer, mut chunk) = *answer;
                match chunk.timed.take() {
                    None => T::open(answer, Some(chunk)),
                    Some(metrics) => metrics.decode(chunk.ran, || T::open(answer, Some(chunk))),
                }
            }
            Contents::Remote(Remote::LaterAnswer(answer)) => {
                let (answer, attempt) = *answer;
                T::open(answer, None).map_err(|error| error.attempt_is(attempt))
            }
            Contents::Remote(Remote::Args(_) | Remote::ArgsWith(_))
            | Contents::Call(_)
            | Contents::Again(_)
            | Contents::Empty => unreachable!("a finished cell holds an outcome"),
        };
        // SAFETY: the caller has room for this type there.
        unsafe { to.cast().write(outcome) };
    }

    unsafe fn free(cell: NonNull<Head>) {
        // SAFETY: made by `Box::leak` in `new`, and nobody else has a pointer.
        drop(unsafe { Box::from_raw(cell.cast::<Self>().as_ptr()) });
    }
}

// A detached task's result, or a call that nobody ran, is dropped by whoever has the last pointer,
// which may be a worker: a panic in its destructor must not end that thread.
impl<T: Work> Drop for JobCell<T> {
    fn drop(&mut self) {
        let contents = self.contents.get_mut();
        if !matches!(contents, Contents::Empty) {
            drop_quietly(std::mem::replace(contents, Contents::Empty));
        }
    }
}
