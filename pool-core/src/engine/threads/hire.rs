//! Starting the worker threads of a pool, and joining them at its end.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle as Thread;

use super::{OneEnded, Threads, worker};
use crate::error::pool_error::Error;

impl Threads {
    /// Starts a worker for every vacant place.
    pub(super) fn hire(&self) -> Result<(), Error> {
        let mut vacancies = self.shared.workers.lock();
        while !self.shared.is_closed()
            && let Some((index, queues)) = vacancies.fill()
        {
            let shared = Arc::clone(&self.shared);
            shared.alive.fetch_add(1, SeqCst);
            shared.hired.fetch_add(1, Relaxed);
            // It comes back when the thread is not started.
            let queues = Arc::new(Mutex::new(Some(queues)));
            let own = Arc::clone(&queues);
            let thread = std::thread::Builder::new()
                .name(format!("pool-worker-{index}"))
                .stack_size(self.shared.stack_size)
                .spawn(move || {
                    // Also after a panic of the worker's own, which would be a bug.
                    let _ended = OneEnded(&shared);
                    shared.effects.are_of_this_thread();
                    let queues = own.lock().unwrap_or_else(PoisonError::into_inner).take();
                    if let Some(queues) = queues
                        && shared.initialize(index)
                    {
                        worker::run(&shared, queues, index);
                    }
                });
            match thread {
                Ok(thread) => {
                    let mut threads = self.lock_threads();
                    threads.retain(|thread| !thread.is_finished());
                    threads.push(thread);
                }
                Err(error) => {
                    let queues = queues.lock().unwrap_or_else(PoisonError::into_inner).take();
                    if let Some(queues) = queues {
                        vacancies.vacate(index, queues);
                    }
                    drop(vacancies);
                    self.shared.one_ended();
                    let target = self.shared.workers.target();
                    let stack = self.shared.stack_size;
                    let thread = format!("thread {index} of {target} (stack of {stack} bytes)");
                    return Err(Error::spawn(thread, &error));
                }
            }
        }
        Ok(())
    }

    fn lock_threads(&self) -> MutexGuard<'_, Vec<Thread<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn join_workers(&self) {
        // Others who wait here wait for the lock.
        for thread in self.lock_threads().drain(..) {
            // A worker catches every panic of a task; one of its own is printed by the hook.
            let _ = thread.join();
        }
        if self.shared.timer.join() {
            self.shared.effects.join();
        }
    }
}
