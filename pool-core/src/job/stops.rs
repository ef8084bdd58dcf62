//! Who waits in a task hears at once that the task is to stop.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst, fence};
use std::sync::{Mutex, Once, PoisonError};
use std::task::Waker;
use std::thread;

use crate::job::current::{Current, current};

/// How many wait: usually nobody, and then a request to stop costs nothing more.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Each with a number of its own.
static WAITING: Mutex<Vec<(u64, Waker)>> = Mutex::new(Vec::new());

/// Some task of this process was asked to stop: everybody who waits has a look.
pub(crate) fn notify() {
    // After the request, and before the look at who waits; the other side is in `Stopped::poll`.
    fence(SeqCst);
    if COUNT.load(Relaxed) == 0 {
        return;
    }
    let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    let wakers: Vec<_> = waiting.iter().map(|(_, waker)| waker.clone()).collect();
    drop(waiting);
    wakers.into_iter().for_each(Waker::wake);
}

/// The wait for a request to stop.
pub(crate) struct Stopped {
    current: Current,
    /// The number in the list.
    entered: Option<u64>,
}

impl Stopped {
    pub(crate) fn new() -> Self {
        let current = current();
        Self {
            current,
            entered: None,
        }
    }

    /// Whether the task is to stop; if not, the waker is woken when it is. It is the same one each
    /// time.
    pub(crate) fn poll(&mut self, waker: &Waker) -> bool {
        if self.entered.is_none() && self.current.is_a_run() {
            static NEXT: AtomicU64 = AtomicU64::new(0);
            let number = NEXT.fetch_add(1, Relaxed);
            let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push((number, waker.clone()));
            drop(waiting);
            COUNT.fetch_add(1, SeqCst);
            self.entered = Some(number);
            if let Some(next) = self.current.stop_bell() {
                listen(next);
            }
        }
        fence(SeqCst);
        self.current.is_cancelled()
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Some(number) = self.entered {
            COUNT.fetch_sub(1, SeqCst);
            let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.retain(|(other, _)| *other != number);
        }
    }
}

/// In a worker process the request comes from outside: a thread waits for it.
fn listen(next: fn(u32) -> u32) {
    static LISTENER: Once = Once::new();
    LISTENER.call_once(|| {
        let listener = thread::Builder::new()
            .name("pool-stop".into())
            .stack_size(64 * 1024);
        // Without it a future that waits is stopped with its worker.
        let _ = listener.spawn(move || {
            let mut seen = 0;
            loop {
                seen = next(seen);
                notify();
            }
        });
    });
}
