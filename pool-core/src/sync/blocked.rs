//! How many workers of a thread pool wait for something, so that others can tell that a pool makes
//! no progress by itself.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::sync::local::Local;

thread_local! {
    /// The count of the pool that the calling thread works for.
    static COUNT: RefCell<Option<Arc<AtomicUsize>>> = const { RefCell::new(None) };
}

/// The calling thread works for the pool that counts here.
pub(crate) fn works_for(count: Option<Arc<AtomicUsize>>) {
    COUNT.store(count);
}

/// Whether the calling thread works for a pool.
pub(crate) fn is_worker() -> bool {
    COUNT.access(|count| count.borrow().is_some()) == Some(true)
}

/// Waits; a worker is counted for so long.
pub(crate) fn during<T>(wait: impl FnOnce() -> T) -> T {
    struct Counted(Option<Arc<AtomicUsize>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            if let Some(count) = &self.0 {
                count.fetch_sub(1, SeqCst);
            }
        }
    }
    let count = COUNT.access(|count| count.borrow().clone());
    let counted = Counted(count.flatten());
    if let Some(count) = &counted.0 {
        count.fetch_add(1, SeqCst);
    }
    wait()
}
