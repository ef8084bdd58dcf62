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

use crate::backend::EngineRef;
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
    let mut future = pin!(future);
    let bell = Arc::new(Bell {
        thread: thread::current(),
        rung: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    let mut stopped = None;
    loop {
        let (polled, awaited) = awaiting(|| future.as_mut().poll(&mut context));
        if let Poll::Ready(output) = polled {
            return output;
        }
        if stopped.get_or_insert_with(Stopped::new).poll(&waker) {
            // With `panic = "abort"` it would take the program along: then the future goes on.
            if cfg!(panic = "unwind") {
                resume_unwind(Box::new("the task was asked to stop"));
            }
        }
        if !bell.rung.load(SeqCst) {
            awaited.iter().any(|(engine, job)| engine.help(job));
        }
        while !bell.rung.swap(false, SeqCst) {
            blocked::during(thread::park);
        }
    }
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

type Awaited = Vec<(EngineRef, Job)>;

thread_local! {
    /// The tasks that the future which is being polled waits for.
    static AWAITED: RefCell<Option<Awaited>> = const { RefCell::new(None) };
}

/// Polls, and notes the tasks that are waited for.
fn awaiting<T>(poll: impl FnOnce() -> T) -> (T, Awaited) {
    struct Outer(Option<Option<Awaited>>);
    impl Drop for Outer {
        fn drop(&mut self) {
            AWAITED.set(self.0.take().flatten());
        }
    }
    let _outer = Outer(Some(AWAITED.replace(Some(Vec::new()))));
    let result = poll();
    let awaited = AWAITED.with_borrow_mut(|awaited| awaited.as_mut().map(std::mem::take));
    (result, awaited.unwrap_or_default())
}

/// A handle was polled, and its task has no outcome yet.
pub(crate) fn awaits(engine: &EngineRef, job: &Job) {
    AWAITED.with_borrow_mut(|awaited| {
        if let Some(awaited) = awaited {
            awaited.push((EngineRef::clone(engine), job.clone()));
        }
    });
}
