//! Where user code runs that is not a task: callbacks, wakers, and destructors of values that nobody
//! takes.
//!
//! Such code can take a lock that the thread which resolves a task holds, can wait for the pool, and
//! can resolve further tasks. So it runs on no thread that has called into a pool, on no service
//! thread of one (a deadline must not wait for it), and never inside of other such code:
//!
//! * A worker thread runs it where it has come to the end of a job and is in no other one.
//! * Everything else goes to one of two threads of the pool, which are started when they are first
//!   needed: one for callbacks and destructors, one for wakers. A callback that blocks on a future of
//!   the same pool needs the other one.
//! * Inline, where a task runs in the thread that submits it, the calling thread runs it. One that
//!   comes up while another one runs there waits until that has returned, so no stack grows.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::JoinHandle as Thread;

use super::running;
use crate::error::panics;
use crate::error::panics::drop_quietly;
use crate::sync::local::Local;

pub(crate) type Callback = Box<dyn FnOnce() + Send>;

/// User code that is to run once.
pub(crate) enum Effect {
    Callback(Callback),
    Waker(Waker),
    /// A value that is to be dropped.
    Value(Box<dyn Send>),
}

impl Effect {
    fn run(self) {
        // A panic is printed by the hook; what comes after this one is still to run.
        match self {
            Self::Callback(callback) => drop(panics::catch(callback)),
            Self::Waker(waker) => drop(panics::catch(|| waker.wake())),
            Self::Value(value) => drop_quietly(value),
        }
    }
}

thread_local! {
    /// What waits in this thread until the effect that runs has returned; `None`: none runs.
    static NESTED: RefCell<Option<VecDeque<Effect>>> = const { RefCell::new(None) };

    /// The effects of the pool whose worker this thread is.
    static WORKS_FOR: Cell<*const Effects> = const { Cell::new(ptr::null()) };
}

/// Whether the calling thread runs an effect.
pub(crate) fn is_inside() -> bool {
    NESTED
        .try_with(|nested| nested.borrow().is_some())
        .unwrap_or(false)
}

/// Runs an effect in the calling thread: now, or after the one that runs there.
pub(crate) fn run_here(effect: Effect) {
    let mut effect = Some(effect);
    let is_outermost = NESTED.try_with(|nested| {
        let mut nested = nested.borrow_mut();
        match &mut *nested {
            Some(queue) => {
                queue.extend(effect.take());
                false
            }
            none => {
                *none = Some(VecDeque::new());
                true
            }
        }
    });
    if let Some(effect) = effect {
        effect.run();
    }
    // In a thread that is ending there is no queue any more.
    if is_outermost != Ok(true) {
        return;
    }
    loop {
        let next = NESTED.try_with(|nested| {
            let mut nested = nested.borrow_mut();
            let next = nested.as_mut().and_then(VecDeque::pop_front);
            if next.is_none() {
                *nested = None;
            }
            next
        });
        match next {
            Ok(Some(effect)) => effect.run(),
            _ => return,
        }
    }
}

/// Runs an effect where the pool with these effects runs them; without a pool in the calling thread.
pub(super) fn dispatch(effect: Effect, effects: Option<&Arc<Effects>>) {
    match effects {
        Some(effects) => effects.run(effect),
        None => run_here(effect),
    }
}

/// The threads of a pool for user code.
pub(crate) struct Effects {
    /// The process that has the threads: one that is forked from it has none of them.
    home: u32,
    /// For callbacks and destructors.
    callbacks: Arc<Lane>,
    wakers: Arc<Lane>,
}

impl Effects {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            home: std::process::id(),
            callbacks: Arc::new(Lane::new("pool-callbacks")),
            wakers: Arc::new(Lane::new("pool-wakers")),
        })
    }

    /// The calling thread is a worker of the pool.
    pub(crate) fn are_of_this_thread(&self) {
        WORKS_FOR.store(ptr::from_ref(self));
    }

    /// Runs an effect: in this thread, where that is a worker of the pool and between two jobs, else
    /// on one of the pool's threads.
    pub(crate) fn run(&self, effect: Effect) {
        let works_for = WORKS_FOR.access(Cell::get).unwrap_or(ptr::null());
        let is_between_jobs = ptr::eq(works_for, self) && !running::is_inside();
        if is_between_jobs && !is_inside() {
            run_here(effect);
        } else {
            self.send(effect);
        }
    }

    /// Runs an effect on one of the pool's threads.
    fn send(&self, effect: Effect) {
        let lane = match &effect {
            Effect::Callback(_) | Effect::Value(_) => &self.callbacks,
            Effect::Waker(_) => &self.wakers,
        };
        let unsent = match self.home == std::process::id() {
            true => lane.push(effect).err(),
            false => Some(effect),
        };
        if let Some(effect) = unsent {
            run_here(effect);
        }
    }

    /// Drops a value of the user's on a thread of the pool.
    pub(crate) fn drop_value(&self, value: impl Send + 'static) {
        self.send(Effect::Value(Box::new(value)));
    }

    /// Waits until everything has run; the pool has ended. Called from one of its own threads it
    /// does not wait for that one.
    pub(crate) fn join(&self) {
        // A callback may be the one that wakes somebody.
        for lane in [&self.callbacks, &self.wakers] {
            lane.close();
            lane.join();
        }
    }
}

impl Drop for Effects {
    fn drop(&mut self) {
        if self.home == std::process::id() {
            self.callbacks.close();
            self.wakers.close();
        }
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effects").finish_non_exhaustive()
    }
}

/// A thread that runs effects one after another, and those that wait for it.
struct Lane {
    name: &'static str,
    state: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    effects: VecDeque<Effect>,
    /// Whether there is a thread that takes them out.
    is_served: bool,
    /// Whether that thread ends as soon as there is nothing left.
    is_closed: bool,
    thread: Option<Thread<()>>,
}

impl Lane {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Has the thread run an effect, which comes back where there is no thread.
    fn push(self: &Arc<Self>, effect: Effect) -> Result<(), Effect> {
        let mut queue = self.lock();
        if !queue.is_served {
            let this = Arc::clone(self);
            let thread = std::thread::Builder::new()
                .name(self.name.into())
                .spawn(move || this.serve());
            match thread {
                Ok(thread) => queue.thread = Some(thread),
                Err(_) => return Err(effect),
            }
            queue.is_served = true;
        }
        queue.effects.push_back(effect);
        drop(queue);
        self.changed.notify_one();
        Ok(())
    }

    fn serve(&self) {
        loop {
            let mut queue = self.lock();
            let effect = loop {
                if let Some(effect) = queue.effects.pop_front() {
                    break effect;
                }
                if queue.is_closed {
                    queue.is_served = false;
                    return;
                }
                queue = self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            };
            drop(queue);
            run_here(effect);
        }
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn join(&self) {
        let thread = self.lock().thread.take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            // Every panic in it was caught.
            let _ = thread.join();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No user code runs under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn callback(run: impl FnOnce() + Send + 'static) -> Effect {
        Effect::Callback(Box::new(run))
    }

    #[test]
    fn one_that_comes_up_inside_of_another_runs_after_it() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |what: &'static str| {
            let order = Arc::clone(&order);
            move || order.lock().unwrap().push(what)
        };
        let (first, second, third) = (note("first"), note("second"), note("third"));
        run_here(callback(move || {
            assert!(is_inside());
            run_here(callback(move || {
                second();
                run_here(callback(third));
            }));
            first();
        }));
        assert!(!is_inside());
        assert_eq!(*order.lock().unwrap(), ["first", "second", "third"]);
    }

    #[test]
    fn a_panic_in_one_leaves_the_others() {
        let (send, receive) = mpsc::channel();
        run_here(callback(move || {
            run_here(callback(move || send.send(1).unwrap()));
            panic!("from a callback");
        }));
        assert_eq!(receive.recv(), Ok(1));
        assert!(!is_inside());
    }

    #[test]
    fn they_run_on_threads_of_the_pool_in_order() {
        let effects = Effects::new();
        let (send, receive) = mpsc::channel();
        for number in 0..100 {
            let send = send.clone();
            effects.run(callback(move || {
                let name = std::thread::current().name().map(str::to_owned);
                send.send((number, name)).unwrap();
            }));
        }
        drop(send);
        effects.join();
        let ran: Vec<_> = receive.iter().collect();
        assert!(ran.iter().map(|(number, _)| *number).eq(0..100));
        assert!(
            ran.iter()
                .all(|(_, name)| name.as_deref() == Some("pool-callbacks"))
        );
        // After the end there is a thread for those that still come.
        let (send, receive) = mpsc::channel();
        effects.run(callback(move || send.send(1).unwrap()));
        assert_eq!(receive.recv(), Ok(1));
    }
}
