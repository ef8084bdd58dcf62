//! Running the future of an `async fn` to its end, on the thread that runs its task.
//!
//! Three things can get the thread going again: the future's waker; a task that the future waits
//! for and that this very thread has to run, since it may be its pool's only one; and a request to
//! stop, upon which the future is dropped.

mod stops;
#[cfg(feature = "tokio")]
pub mod tokio;

use std::cell::RefCell;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::backend::{EngineRef, Help};
use crate::blocked;
use crate::cell::Job;

use self::stops::Stopped;
pub(crate) use self::stops::notify as notify_stopped;

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
    let mut awaited = Awaited::new();
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
        awaited.retain(|(_, job)| !job.head().is_resolved());
        while !bell.rung.swap(false, SeqCst) {
            if let Some((engine, job)) = sleep(&awaited, &bell) {
                engine.help(job);
            }
        }
    }
}

/// Sleeps until the bell rings, or until there is an awaited task that this thread has to run: it is
/// counted among those who wait, and nobody else may be left. That is looked at now and then.
fn sleep<'a>(awaited: &'a Awaited, bell: &Bell) -> Option<&'a (EngineRef, Job)> {
    blocked::during(|| {
        let needs = |(engine, job): &(EngineRef, Job)| engine.needs_help(job);
        let left = awaited.iter().find(|awaited| needs(awaited) == Help::Now);
        if left.is_some() || bell.rung.load(SeqCst) {
            return left;
        }
        match awaited
            .iter()
            .any(|awaited| needs(awaited) == Help::Perhaps)
        {
            true => thread::park_timeout(LOOK_EVERY),
            false => thread::park(),
        }
        None
    })
}

/// How often a thread looks whether it is the last that could run a task which it awaits.
const LOOK_EVERY: Duration = Duration::from_millis(1);

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

type Awaited = Vec<(EngineRef, Job)>;

thread_local! {
    /// The tasks that the future which is being polled waits for.
    static AWAITED: RefCell<Option<Awaited>> = const { RefCell::new(None) };
}

/// Polls, and notes the tasks that are waited for.
fn noting<T>(awaited: &mut Awaited, poll: impl FnOnce() -> T) -> T {
    struct Outer<'a>(&'a mut Awaited, Option<Awaited>);
    impl Drop for Outer<'_> {
        fn drop(&mut self) {
            *self.0 = AWAITED.replace(self.1.take()).unwrap_or_default();
        }
    }
    let own = std::mem::take(awaited);
    let _outer = Outer(awaited, AWAITED.replace(Some(own)));
    poll()
}

/// A handle was polled, and its task has no outcome yet.
pub(crate) fn awaits(engine: &EngineRef, job: &Job) {
    // In a thread that is ending there is no list any more.
    let _ = AWAITED.try_with(|awaited| {
        if let Some(awaited) = &mut *awaited.borrow_mut()
            && !awaited.iter().any(|(_, known)| known.is(job))
        {
            awaited.push((EngineRef::clone(engine), job.clone()));
        }
    });
}
