//! A thread for the callbacks of a pool that come due on one of its own service threads: the one
//! that looks after the worker processes, or the timer. A callback may wait for the pool, so it must
//! not run on a thread that the pool waits for.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle as Thread;

use crate::cell::{Callback, divert_callbacks};
use crate::panics;

/// The thread, from the first such callback on. It ends after the service thread.
#[derive(Debug, Clone)]
pub(super) struct Callbacks(Arc<Mutex<Option<Thread<()>>>>);

impl Callbacks {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    /// From now on the calling thread runs no callbacks.
    pub(super) fn leave_to_another_thread(&self) {
        let this = self.clone();
        let mut sender = None;
        divert_callbacks(Box::new(move |callback| {
            let sender = sender.get_or_insert_with(|| this.start());
            match sender {
                Some(sender) => sender.send(callback).map_err(|unsent| unsent.0),
                None => Err(callback),
            }
        }));
    }

    fn start(&self) -> Option<Sender<Callback>> {
        let (sender, callbacks) = channel::<Callback>();
        let run = move || {
            for callback in callbacks {
                // Printed by the hook.
                let _ = panics::catch(callback);
            }
        };
        let thread = std::thread::Builder::new()
            .name("pool-callbacks".into())
            .spawn(run)
            .ok()?;
        *self.lock() = Some(thread);
        Some(sender)
    }

    /// Waits until all have run; the service thread has ended. Not from one of them.
    pub(super) fn join(&self) {
        let thread = self.lock().take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Thread<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
