//! Deadlines of tasks on threads: the handle resolves when the time is over, the task goes on.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle as Thread;
use std::time::{Duration, Instant};

use crate::cell::{Abandon, Job};

/// A thread that is started by the first task with a deadline.
pub(super) struct Timer {
    shared: Arc<(Mutex<Queue>, Condvar)>,
    thread: Mutex<Option<Thread<()>>>,
}

#[derive(Default)]
struct Queue {
    entries: BinaryHeap<Reverse<Entry>>,
    stopped: bool,
}

struct Entry {
    when: Instant,
    job: Weak<dyn Job>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.when == other.when
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.when.cmp(&other.when)
    }
}

impl Timer {
    pub(super) fn new() -> Self {
        Self {
            shared: Arc::default(),
            thread: Mutex::new(None),
        }
    }

    /// The job starts now and may run for `limit`.
    pub(super) fn watch(&self, job: &Arc<dyn Job>, limit: Duration) {
        let Some(when) = Instant::now().checked_add(limit) else {
            return;
        };
        self.ensure_thread();
        let (queue, changed) = &*self.shared;
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        let is_next = queue.entries.peek().is_none_or(|Reverse(e)| when < e.when);
        queue.entries.push(Reverse(Entry {
            when,
            job: Arc::downgrade(job),
        }));
        if is_next {
            changed.notify_one();
        }
    }

    fn ensure_thread(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            // Without the thread the deadline is still checked when the task returns.
            *thread = std::thread::Builder::new()
                .name("pool-timer".into())
                .spawn(move || run(&shared.0, &shared.1))
                .ok();
        }
    }

    pub(super) fn stop(&self) {
        let (queue, changed) = &*self.shared;
        queue.lock().unwrap_or_else(PoisonError::into_inner).stopped = true;
        changed.notify_one();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // A callback on the timer's own thread may end the pool.
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

fn run(entries: &Mutex<Queue>, changed: &Condvar) {
    let mut queue = entries.lock().unwrap_or_else(PoisonError::into_inner);
    while !queue.stopped {
        let now = Instant::now();
        match queue.entries.peek().map(|Reverse(entry)| entry.when) {
            Some(when) if when <= now => {
                let entry = queue.entries.pop();
                // Waking runs foreign code, and so may the job's destructor: not under the lock.
                drop(queue);
                if let Some(job) = entry.and_then(|Reverse(entry)| entry.job.upgrade()) {
                    job.head().abandon(Abandon::TimedOut);
                }
                queue = entries.lock().unwrap_or_else(PoisonError::into_inner);
            }
            Some(when) => {
                queue = changed
                    .wait_timeout(queue, when - now)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
            None => {
                queue = changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}
