//! Running the future of an `async fn` to its end, on the thread that runs its task.
//!
//! Three things can get the thread going again: the future's waker; a task that the future waits
//! for and that this very thread has to run, since it may be its pool's only one; and a request to
//! stop, upon which the future is dropped.

#[cfg(feature = "tokio")]
pub mod tokio;

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::engine::help::{Awaited, LOOK_EVERY, Search};
use crate::engine::{EngineRef, Help};
use crate::job::cell::Job;
use crate::sync::blocked;
use crate::sync::local::Local;

use crate::job::stops::Stopped;

/// Runs the future in this thread. When the task that the thread runs is asked to stop, the future
/// is dropped, at the latest when it waits the next time.
///
/// # Panics
/// When the task was asked to stop, without a message: nobody looks at its outcome any more.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(Some(future));
    let bell = Arc::new(Bell {
        thread: thread::current(),
        rung: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    let mut stopped = None;
    let mut awaited = Awaiting::default();
    loop {
        let polled = noting(&mut awaited, || {
            let future = future.as_mut().as_pin_mut();
            future.map_or(Poll::Pending, |future| future.poll(&mut context))
        });
        if let Poll::Ready(output) = polled {
            return output;
        }
        let stops = stopped.get_or_insert_with(Stopped::new).poll(&waker);
        // With `panic = "abort"` it would take the program along: then the future goes on.
        if stops && cfg!(panic = "unwind") {
            // Before the unwinding: destructors may panic, and mutexes are not poisoned.
            future.set(None);
            resume_unwind(Box::new("the task was asked to stop"));
        }
        while !bell.rung.swap(false, SeqCst) {
            if let Some((engine, job)) = sleep(&mut awaited, &bell) {
                engine.help(&job);
            }
        }
    }
}

/// Sleeps until the bell rings, or until there is an awaited task that this thread has to run: it is
/// counted among those who wait, and nobody else may be left. That is looked at now and then.
fn sleep(awaited: &mut Awaiting, bell: &Bell) -> Option<Awaited> {
    blocked::during(|| {
        let found = awaited.search.look(&awaited.jobs, false);
        if found.is_ok() || bell.rung.load(SeqCst) {
            return found.ok();
        }
        match found {
            Err(Help::Never) => thread::park(),
            _ => thread::park_timeout(LOOK_EVERY),
        }
        None
    })
}

/// Wakes the thread, which may be parked for another reason as well.
struct Bell {
    thread: Thread,
    rung: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, SeqCst) {
            self.thread.unpark();
        }
    }
}

/// The tasks that a future waits for, and some that it has waited for.
#[derive(Default)]
struct Awaiting {
    jobs: Vec<Option<Awaited>>,
    /// Which ones these are, so that one which is polled often is entered once.
    known: HashSet<usize>,
    /// With how many of them those that are done are taken out.
    full: usize,
    search: Search,
}

impl Awaiting {
    const FEW: usize = 32;

    fn enter(&mut self, engine: &EngineRef, job: &Job) {
        if !self.known.insert(job.address()) {
            return;
        }
        if self.jobs.len() >= self.full {
            self.forget_resolved();
            self.full = 2 * self.jobs.len().max(Self::FEW);
        }
        let awaited = (EngineRef::clone(engine), job.clone());
        self.jobs.push(Some(awaited));
    }

    fn forget_resolved(&mut self) {
        let known = &mut self.known;
        self.jobs.retain(|awaited| {
            let resolved = awaited.as_ref().filter(|(_, job)| job.head().is_resolved());
            resolved.is_none_or(|(_, job)| !known.remove(&job.address()))
        });
    }
}

thread_local! {
    /// What the future that is being polled waits for.
    static AWAITED: RefCell<Option<Awaiting>> = const { RefCell::new(None) };
}

/// Polls, and notes the tasks that are waited for.
fn noting<T>(awaited: &mut Awaiting, poll: impl FnOnce() -> T) -> T {
    struct Outer<'a>(&'a mut Awaiting, Option<Awaiting>);
    impl Drop for Outer<'_> {
        fn drop(&mut self) {
            *self.0 = AWAITED.swap(self.1.take()).unwrap_or_default();
        }
    }
    let own = std::mem::take(awaited);
    let _outer = Outer(awaited, AWAITED.swap(Some(own)));
    poll()
}

/// A handle was polled, and its task has no outcome yet.
pub(crate) fn awaits(engine: &EngineRef, job: &Job) {
    AWAITED.access(|awaited| {
        if let Some(awaited) = &mut *awaited.borrow_mut() {
            awaited.enter(engine, job);
        }
    });
}
