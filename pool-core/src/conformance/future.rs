//! Handles.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use super::gate::Gate;
use super::proc::Thread;
use super::tasks::{add, boom};
use super::{Need, PATIENCE, Subject, outcome, until};
use crate::api::handle::JoinHandle;
use crate::api::pool::Pool;
use crate::error::backend::Backend;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::pool_task;
use crate::task::TaskExt;

/// A deadline that every task passes which waits for it.
const SHORT: Duration = Duration::from_millis(5);

/// Whether it is finished, and whether it runs.
fn look<T>(handle: &JoinHandle<T>) -> (bool, bool) {
    (handle.is_finished(), handle.is_running())
}

fn kind<T>(outcome: Result<T, TaskError>) -> Option<TaskErrorKind> {
    outcome.err().map(|error| error.kind())
}

pub(super) fn fut_1(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.build(subject.patient().workers(1)).unwrap();
    let done = pool.submit(add::task(1, 2));
    let failed = pool.submit(boom::task("on purpose"));
    let running = pool.submit(gate.hold_or_stop(1));
    let queued = pool.submit(gate.pass(2));
    let _ = gate.wait_for(1);
    // Before the running one, whose end lets it start.
    assert!(queued.cancel());
    assert_eq!(look(&queued), (true, false));
    assert!(!queued.cancel(), "a second time");
    assert!(running.cancel());
    assert_eq!(look(&running), (true, false));
    assert!(!running.cancel(), "a second time");
    // They came first, and need not have started first.
    until("they are done", || {
        done.is_finished() && failed.is_finished()
    });
    assert!(!done.cancel() && !failed.cancel());
    assert_eq!(outcome(done).unwrap(), 3);
    assert!(outcome(failed).unwrap_err().is_panic());
    assert!(outcome(running).unwrap_err().is_cancelled());
    assert!(outcome(queued).unwrap_err().is_cancelled());
    assert_eq!(outcome(pool.submit(gate.pass(3))).unwrap(), 3);
    assert_eq!(gate.numbers(), [1, 3], "the queued one never ran");
}

pub(super) fn fut_2(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.build(subject.patient().workers(1)).unwrap();
    let done = pool.submit(add::task(1, 2));
    let failed = pool.submit(boom::task("on purpose"));
    let running = pool.submit(gate.hold_or_stop(1));
    let queued = pool.submit(gate.pass(2));
    let cancelled = pool.submit(gate.pass(3));
    let _ = gate.wait_for(1);
    assert!(cancelled.cancel());
    assert_eq!(look(&done), (true, false));
    assert_eq!(look(&failed), (true, false));
    assert_eq!(look(&cancelled), (true, false));
    assert_eq!(look(&running), (false, true));
    assert_eq!(look(&queued), (false, false));
    assert!(running.cancel());
    assert_eq!(look(&running), (true, false));
    assert_eq!(outcome(queued).unwrap(), 2);
    assert_eq!(kind(outcome(done)), None);
    assert_eq!(kind(outcome(failed)), Some(TaskErrorKind::Panicked));
    assert_eq!(kind(outcome(cancelled)), Some(TaskErrorKind::Cancelled));
    assert_eq!(kind(outcome(running)), Some(TaskErrorKind::Cancelled));
}

pub(super) fn fut_3(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    // Each is asked in two ways, and hands its outcome out once.
    let pairs = |task: &dyn Fn() -> JoinHandle<i64>| [task(), task()];
    let done = pairs(&|| pool.submit(add::task(1, 2)));
    until("they are done", || done.iter().all(JoinHandle::is_finished));
    let running = pool.submit(gate.hold(1));
    let _ = gate.wait_for(1);
    let queued = pairs(&|| pool.submit(add::task(3, 4)));
    let cancelled = pairs(&|| pool.submit(add::task(5, 6)));
    assert!(cancelled.iter().all(JoinHandle::cancel));
    let ask = |[one, other]: &[JoinHandle<i64>; 2]| {
        let outcomes = [one.try_join(), other.join_timeout(Duration::ZERO)];
        outcomes.map(|outcome| outcome.map(|outcome| outcome.map_err(|error| error.kind())))
    };
    assert!(running.try_join().is_none());
    assert!(running.join_timeout(Duration::ZERO).is_none());
    assert_eq!(ask(&queued), [None, None]);
    assert_eq!(ask(&cancelled), [Some(Err(TaskErrorKind::Cancelled)); 2]);
    assert_eq!(ask(&done), [Some(Ok(3)); 2]);
    let failed = pool.submit(boom::task("on purpose"));
    gate.open();
    assert_eq!(outcome(running).unwrap(), 1);
    until("they are done", || {
        failed.is_finished() && queued.iter().all(JoinHandle::is_finished)
    });
    assert_eq!(ask(&queued), [Some(Ok(7)); 2]);
    assert!(failed.try_join().unwrap().unwrap_err().is_panic());
    assert_eq!(ask(&queued), [Some(Err(TaskErrorKind::AlreadyJoined)); 2]);
}

pub(super) fn fut_4(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    let running = pool.submit(gate.hold(1));
    let _ = gate.wait_for(1);
    let cancelled = Arc::new(pool.submit(add::task(1, 2)));
    let failed = pool.submit(boom::task("on purpose"));
    let done = pool.submit(add::task(3, 4));
    let (send, outcomes) = mpsc::channel();
    let waiter = |wait: Box<dyn FnOnce() -> Option<TaskErrorKind> + Send>| {
        let send = send.clone();
        let (tell, thread) = mpsc::channel();
        let waiter = thread::spawn(move || {
            tell.send(Thread::current()).unwrap();
            send.send(wait()).unwrap();
        });
        let thread = thread.recv().unwrap();
        until("it sleeps", || thread.sleeps());
        waiter
    };
    let to_cancel = cancelled.clone();
    let waiters = [
        waiter(Box::new(move || {
            kind(to_cancel.join_timeout(Duration::MAX).expect("no limit"))
        })),
        waiter(Box::new(move || kind(failed.join()))),
        waiter(Box::new(move || kind(done.join()))),
        waiter(Box::new(move || kind(running.join()))),
    ];
    assert!(cancelled.cancel());
    let first = outcomes.recv_timeout(PATIENCE);
    assert_eq!(first, Ok(Some(TaskErrorKind::Cancelled)));
    gate.open();
    let mut others: Vec<_> = (0..3)
        .map(|_| outcomes.recv_timeout(PATIENCE).expect("it is woken"))
        .collect();
    others.sort_unstable_by_key(Option::is_some);
    assert_eq!(others, [None, None, Some(TaskErrorKind::Panicked)]);
    for waiter in waiters {
        waiter.join().unwrap();
    }
}

pub(super) fn fut_5(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.build(subject.patient().workers(1)).unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = |handle: &JoinHandle<_>| {
        let calls = calls.clone();
        handle.on_finish(move || {
            calls.fetch_add(1, SeqCst);
        });
    };
    let cancelled = pool.submit(gate.hold_or_stop(1));
    count(&cancelled);
    let _ = gate.wait_for(1);
    assert!(cancelled.cancel());
    let late = pool.submit(gate.hold_or_stop(2).timeout(SHORT));
    count(&late);
    let next = pool.submit(gate.pass(3));
    until("its deadline has passed", || late.is_finished());
    // The one worker is here, so the others have returned.
    assert_eq!(outcome(next).unwrap(), 3);
    // On threads of their own, perhaps.
    until("both callbacks have run", || calls.load(SeqCst) >= 2);
    for (handle, fate) in [
        (cancelled, TaskErrorKind::Cancelled),
        (late, TaskErrorKind::TimedOut),
    ] {
        assert!(!handle.cancel());
        assert_eq!(kind(handle.try_join().unwrap()), Some(fate));
        assert!(!handle.cancel());
        let again = kind(handle.try_join().unwrap());
        assert_eq!(again, Some(TaskErrorKind::AlreadyJoined));
    }
    assert_eq!(calls.load(SeqCst), 2, "a callback ran twice");
}

/// Adds callbacks, and returns what they find, in the order in which they run.
fn tell(handle: JoinHandle<i64>) -> mpsc::Receiver<(u32, Option<Result<i64, TaskErrorKind>>)> {
    let (send, found) = mpsc::channel();
    let handle = Arc::new(handle);
    for number in 0..5 {
        let (send, same) = (send.clone(), handle.clone());
        handle.on_finish(move || {
            let outcome = same.is_finished().then(|| same.try_join()).flatten();
            let outcome = outcome.map(|outcome| outcome.map_err(|error| error.kind()));
            send.send((number, outcome)).unwrap();
        });
    }
    found
}

#[track_caller]
fn assert_told(
    found: &mpsc::Receiver<(u32, Option<Result<i64, TaskErrorKind>>)>,
    first: Result<i64, TaskErrorKind>,
) {
    for number in 0..5 {
        let outcome = match number {
            0 => first,
            _ => Err(TaskErrorKind::AlreadyJoined),
        };
        let told = found.recv_timeout(PATIENCE);
        assert_eq!(told, Ok((number, Some(outcome))));
    }
}

#[pool_task(crate = crate)]
fn fails() -> i64 {
    panic!("on purpose")
}

pub(super) fn fut_6(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    let running = subject.has(Need::Queue).then(|| {
        let running = pool.submit(gate.hold(1));
        let _ = gate.wait_for(1);
        running
    });
    let done = tell(pool.submit(add::task(1, 2)));
    let failed = tell(pool.submit(fails::task()));
    if let Some(running) = running {
        let queued = pool.submit(add::task(3, 4));
        let (send, cancelled) = mpsc::channel();
        queued.on_finish(move || send.send(()).unwrap());
        assert!(cancelled.try_recv().is_err(), "before the end");
        assert!(queued.cancel());
        assert_eq!(cancelled.recv_timeout(PATIENCE), Ok(()));
        assert!(outcome(queued).unwrap_err().is_cancelled());
        assert!(done.try_recv().is_err() && failed.try_recv().is_err());
        gate.open();
        assert_eq!(outcome(running).unwrap(), 1);
    }
    assert_told(&done, Ok(3));
    assert_told(&failed, Err(TaskErrorKind::Panicked));
}

pub(super) fn fut_7(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    let mut handles = vec![pool.submit(add::task(1, 2)), pool.submit(fails::task())];
    if subject.has(Need::Queue) {
        let running = pool.submit(gate.hold(1));
        let _ = gate.wait_for(1);
        let queued = pool.submit(add::task(3, 4));
        assert!(queued.cancel());
        handles.push(queued);
        gate.open();
        outcome(running).unwrap();
    }
    for handle in handles {
        until("it is finished", || handle.is_finished());
        let ran = Arc::new(AtomicBool::new(false));
        let by_callback = ran.clone();
        let thread = thread::current().id();
        handle.on_finish(move || by_callback.store(thread::current().id() == thread, SeqCst));
        assert!(ran.load(SeqCst), "not at once, or in another thread");
    }
}

pub(super) fn fut_8(subject: &Subject) {
    let pool = subject.pool();
    for round in 0..20 {
        let gate = Gate::new();
        if !subject.has(Need::Queue) {
            gate.open();
        }
        let handle = pool.submit(gate.hold(round));
        let (send, ran) = mpsc::channel();
        for number in 0..3 {
            let send = send.clone();
            handle.on_finish(move || {
                send.send(number).unwrap();
                assert!(number != 1, "a panic in a callback, on purpose");
            });
        }
        gate.open();
        assert_eq!(outcome(handle).unwrap(), round);
        for number in 0..3 {
            assert_eq!(ran.recv_timeout(PATIENCE), Ok(number));
        }
        assert_eq!(outcome(pool.submit(add::task(1, 1))).unwrap(), 2);
    }
}

pub(super) fn fut_9(subject: &Subject) {
    let gate = Gate::new();
    let pool = subject.pool_of(1);
    let running = pool.submit(gate.hold(1));
    let _ = gate.wait_for(1);
    let queued = pool.submit(gate.pass(2));
    let failed = pool.submit(boom::task("on purpose"));
    let check = |handle: &dyn std::fmt::Debug, words: [&str; 2]| {
        let text = format!("{handle:?}");
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    check(&running, ["::hold", "running"]);
    check(&queued, ["::pass", "queued"]);
    gate.open();
    until("they are finished", || {
        queued.is_finished() && failed.is_finished()
    });
    check(&running, ["::hold", "finished"]);
    check(&queued, ["::pass", "finished"]);
    check(&failed, ["::boom", "finished"]);
}

/// An executor for one thread: polls when it is woken, and sleeps otherwise.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// A future that none of the pools knows: ready when another thread says so.
#[derive(Default)]
struct Signal(Mutex<(bool, Option<Waker>)>);

impl Signal {
    fn give(&self) {
        let mut state = self.0.lock().unwrap();
        state.0 = true;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<i64> {
        let mut state = self.0.lock().unwrap();
        if state.0 {
            return Poll::Ready(1_000);
        }
        state.1 = Some(context.waker().clone());
        Poll::Pending
    }
}

pub(super) fn fut_11(subject: &Subject) {
    let pool = subject.pool();
    let threads = Pool::builder().backend(Backend::Threads).workers(1);
    let threads = threads.build().unwrap();
    let inline = Pool::inline();
    let pools = [&pool, &threads, &inline];
    let handles = (0..30).map(|i| (pools[i as usize % 3]).submit(add::task(i, 1)));
    let mut pending: Vec<_> = handles.map(Some).collect();
    let failed = pool.submit(boom::task("on purpose"));
    let signal = Arc::new(Signal::default());
    let giver = signal.clone();
    let giver = thread::spawn(move || giver.give());
    let mut sum = 0;
    let mut signalled = false;
    // All of them at once.
    let all = poll_fn(|context| {
        for slot in &mut pending {
            if let Some(handle) = slot
                && let Poll::Ready(result) = pin!(handle).poll(context)
            {
                sum += result.unwrap();
                *slot = None;
            }
        }
        if !signalled && let Poll::Ready(number) = signal.poll(context) {
            sum += number;
            signalled = true;
        }
        match signalled && pending.iter().all(Option::is_none) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    block_on(all);
    assert_eq!(sum, (0..30).map(|i| i + 1).sum::<i64>() + 1_000);
    assert!(block_on(failed).unwrap_err().is_panic());
    giver.join().unwrap();
}

/// Submits task after task, each from the callback of the one before.
fn chain(pool: &Pool, left: u32, number: i64, send: mpsc::Sender<i64>) {
    let handle = Arc::new(pool.submit(add::task(number, 1)));
    let (next, same) = (pool.clone(), handle.clone());
    handle.on_finish(move || {
        let sum = same.try_join().expect("it is finished").unwrap();
        send.send(sum).unwrap();
        if left > 1 {
            chain(&next, left - 1, sum, send);
        }
    });
}

pub(super) fn fut_12(subject: &Subject) {
    let pool = subject.pool();
    let chains = [100, 50, 60].map(|len| {
        let (send, sums) = mpsc::channel();
        chain(&pool, len, 0, send);
        (len, sums)
    });
    for (len, sums) in chains {
        for expected in 1..=i64::from(len) {
            assert_eq!(sums.recv_timeout(PATIENCE), Ok(expected));
        }
    }
}

pub(super) fn fut_15(subject: &Subject) {
    for shuts_down in [false, true] {
        let gate = Gate::new();
        let pool = subject.pool_of(1);
        if !subject.has(Need::Queue) {
            gate.open();
        }
        let first = pool.submit(gate.hold(1));
        let queued: Vec<_> = (0..20).map(|i| pool.submit(add::task(i, 1))).collect();
        let (send, sum) = mpsc::channel();
        let inner = pool.clone();
        first.on_finish(move || {
            if shuts_down {
                inner.shutdown();
            }
            let handles: Vec<_> = (0..10).map(|i| inner.submit(add::task(i, 1))).collect();
            let mapped = inner.map((0..10).map(|i| add::task(i, 1)));
            let results = handles.into_iter().map(JoinHandle::join).chain(mapped);
            let results: Result<Vec<_>, _> = results.collect();
            let sum = results.map(|results| results.iter().sum::<i64>());
            send.send(sum.map_err(|error| error.kind())).unwrap();
        });
        gate.open();
        let expected = match shuts_down {
            false => Ok(110),
            true => Err(TaskErrorKind::Rejected),
        };
        assert_eq!(sum.recv_timeout(PATIENCE), Ok(expected));
        assert_eq!(outcome(first).unwrap(), 1);
        for (i, handle) in (0..).zip(queued) {
            assert_eq!(outcome(handle).unwrap(), i + 1);
        }
    }
}
