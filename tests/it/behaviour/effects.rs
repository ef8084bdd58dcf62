//! Where user code runs that is not a task: callbacks, wakers, destructors.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use pool_core::{JoinHandle, Pool, TaskErrorKind, TaskExt, pool_task};
use pool_tests::gate::Gate;
use pool_tests::tasks::add;
use pool_tests::{block_on, until};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::harness::On;

/// A call that may find out that a task has finished, with a handle of that task.
type Look = (&'static str, fn(&Pool, &JoinHandle<u32>));

const LOOKS: [Look; 13] = [
    ("Debug of a handle", |_, handle| drop(format!("{handle:?}"))),
    ("Debug of a pool", |pool, _| drop(format!("{pool:?}"))),
    ("Display of a pool", |pool, _| drop(pool.to_string())),
    ("stats", |pool, _| {
        let _ = pool.stats();
    }),
    ("describe", |pool, _| drop(pool.describe())),
    ("is_finished", |_, handle| {
        let _ = handle.is_finished();
    }),
    ("is_running", |_, handle| {
        let _ = handle.is_running();
    }),
    ("try_join of another", |pool, _| {
        let _ = pool.submit(add::task(1, 2)).try_join();
    }),
    ("join of another", |pool, _| {
        let _ = pool.submit(add::task(1, 2)).join();
    }),
    ("submit", |pool, _| drop(pool.submit(add::task(1, 2)))),
    ("try_submit", |pool, _| {
        let _ = pool.try_submit(add::task(1, 2)).map(drop);
    }),
    ("on_finish of another", |pool, _| {
        pool.submit(add::task(1, 2)).on_finish(|| ());
    }),
    ("cancel", |_, handle| {
        let _ = handle.cancel();
    }),
];

pub(crate) fn never_run_in_a_thread_that_looks(on: &On) {
    // On threads a cancelled task goes on until it sees that its gate is open.
    let mut gates = Vec::new();
    let pool = on.pool();
    let here = thread::current().id();
    for (name, look) in LOOKS {
        for _ in 0..10 {
            let gate = Gate::new();
            let handle = pool.submit(gate.hold(1));
            let _ = gate.wait_for(1);
            let (send, receive) = mpsc::channel();
            handle.on_finish(move || send.send(thread::current().id()).unwrap());
            gate.open();
            let ran = pool_tests::until_some(name, || {
                look(&pool, &handle);
                receive.try_recv().ok()
            });
            assert_ne!(ran, here, "{name}");
            gates.push(gate);
        }
    }
}

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Runs code; returns how deep this call is nested in others.
fn nested(code: impl FnOnce()) -> usize {
    let depth = DEPTH.get() + 1;
    DEPTH.set(depth);
    code();
    DEPTH.set(depth - 1);
    depth
}

/// Each callback submits the next task and registers itself for it.
fn chain(pool: &Pool, left: usize, deepest: &Arc<AtomicUsize>, done: mpsc::Sender<()>) {
    let handle = pool.submit(add::task(1, 1));
    let (next, counted) = (pool.clone(), Arc::clone(deepest));
    handle.on_finish(move || {
        let depth = nested(|| match left {
            0 => done.send(()).unwrap(),
            _ => chain(&next, left - 1, &counted, done),
        });
        counted.fetch_max(depth, SeqCst);
    });
}

pub(crate) fn callbacks_are_never_nested(on: &On) {
    let pool = on.pool_of(1);
    let deepest = Arc::new(AtomicUsize::new(0));
    let (send, receive) = mpsc::channel();
    chain(&pool, 3_000, &deepest, send);
    receive.recv().unwrap();
    until("one has returned", || deepest.load(SeqCst) > 0);
    assert_eq!(deepest.load(SeqCst), 1);
}

/// A future of many tasks, one after the other, that is polled by its waker.
struct Series {
    pool: Pool,
    state: Mutex<(usize, Option<JoinHandle<i64>>)>,
    deepest: AtomicUsize,
    done: mpsc::Sender<()>,
}

impl Series {
    fn poll(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let mut context = Context::from_waker(&waker);
        let mut state = self.state.lock().unwrap();
        loop {
            let (left, slot) = &mut *state;
            let handle = slot.get_or_insert_with(|| self.pool.submit(add::task(1, 1)));
            if Pin::new(handle).poll(&mut context).is_pending() {
                return;
            }
            *slot = None;
            if *left == 0 {
                return self.done.send(()).unwrap();
            }
            *left -= 1;
        }
    }
}

impl Wake for Series {
    fn wake(self: Arc<Self>) {
        let depth = nested(|| Arc::clone(&self).poll());
        self.deepest.fetch_max(depth, SeqCst);
    }
}

pub(crate) fn wakers_are_never_nested(on: &On) {
    let (done, receive) = mpsc::channel();
    let series = Arc::new(Series {
        pool: on.pool_of(1),
        state: Mutex::new((3_000, None)),
        deepest: AtomicUsize::new(0),
        done,
    });
    Arc::clone(&series).poll();
    receive.recv().unwrap();
    assert!(series.deepest.load(SeqCst) <= 1);
}

pub(crate) fn a_callback_may_block_on_a_future(on: &On) {
    let pool = on.pool();
    for _ in 0..20 {
        let (send, receive) = mpsc::channel();
        let inner = pool.clone();
        pool.submit(add::task(1, 1)).on_finish(move || {
            send.send(block_on(inner.submit(add::task(2, 3)))).unwrap();
        });
        assert_eq!(receive.recv().unwrap().unwrap(), 5);
    }
}

/// Whether user code blocks that comes to [`pass`], and how often it has.
static BLOCKS: AtomicBool = AtomicBool::new(false);
static BLOCKED: Mutex<usize> = Mutex::new(0);
static OPENED: Condvar = Condvar::new();

fn pass() {
    if BLOCKS.load(SeqCst) {
        let mut blocked = BLOCKED.lock().unwrap();
        *blocked += 1;
        while BLOCKS.load(SeqCst) {
            blocked = OPENED.wait(blocked).unwrap();
        }
    }
}

fn open() {
    let _blocked = BLOCKED.lock().unwrap();
    BLOCKS.store(false, SeqCst);
    OPENED.notify_all();
}

struct Blocking;

impl Wake for Blocking {
    fn wake(self: Arc<Self>) {
        pass();
    }
}

/// A deadline comes while other user code of the pool blocks.
fn a_deadline_comes(pool: &Pool) {
    until("it blocks", || *BLOCKED.lock().unwrap() > 0);
    let gate = Gate::new();
    let late = pool.submit(gate.hold(0).timeout(Duration::from_millis(50)));
    assert_eq!(late.join().unwrap_err().kind(), TaskErrorKind::TimedOut);
    let running = [1, 2].map(|number| pool.submit(gate.hold(number)));
    let late = pool.submit(add::task(1, 1).queue_timeout(Duration::from_millis(50)));
    assert_eq!(late.join().unwrap_err().kind(), TaskErrorKind::TimedOut);
    gate.open();
    // Other wakers and callbacks of the pool may wait for it.
    open();
    assert!(running.into_iter().all(|handle| handle.join().is_ok()));
}

pub(crate) fn a_waker_that_blocks_delays_no_deadline(on: &On) {
    // On threads those of the workers run there: some are left.
    let pool = on.pool_of(if on.processes() { 2 } else { 3 });
    BLOCKS.store(true, SeqCst);
    let gate = Gate::new();
    let mut handle = pool.submit(gate.hold(1));
    let waker = Waker::from(Arc::new(Blocking));
    let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    gate.open();
    a_deadline_comes(&pool);
    assert_eq!(handle.join().unwrap(), 1);
}

/// Bytes that travel as one block, whose destructor blocks.
struct Block(Vec<u8>);

impl Drop for Block {
    fn drop(&mut self) {
        pass();
    }
}

impl Serialize for Block {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Block;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Block, E> {
                Ok(Block(bytes.to_vec()))
            }
        }
        input.deserialize_bytes(Bytes)
    }
}

#[pool_task]
fn size(block: Block) -> usize {
    block.0.len()
}

pub(crate) fn a_destructor_that_blocks_delays_no_deadline(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let running = pool.submit(gate.hold(1));
    let _ = gate.wait_for(1);
    // On threads the call is dropped when it is refused, on processes when it has been sent.
    let call = size::task(Block(vec![1; 1 << 20]));
    let refused = pool.submit(call.queue_timeout(Duration::from_millis(20)));
    let call = size::task(Block(vec![1; 1 << 20]));
    let cancelled = pool.submit(call.queue_timeout(Duration::from_secs(3_600)));
    BLOCKS.store(true, SeqCst);
    assert!(cancelled.cancel());
    assert_eq!(refused.join().unwrap_err().kind(), TaskErrorKind::TimedOut);
    let late = pool.submit(add::task(1, 1).queue_timeout(Duration::from_millis(50)));
    assert_eq!(late.join().unwrap_err().kind(), TaskErrorKind::TimedOut);
    open();
    gate.open();
    assert_eq!(running.join().unwrap(), 1);
}

/// The last reference to it drops the last name of a pool.
struct Owner {
    _pool: Pool,
}

impl Wake for Owner {
    fn wake(self: Arc<Self>) {}
}

pub(crate) fn a_waker_that_is_replaced_may_drop_the_pool(on: &On) {
    for _ in 0..5 {
        let pool = on.pool_of(1);
        let gate = Gate::new();
        let mut handle = pool.submit(gate.hold(1));
        let _ = gate.wait_for(1);
        let waker = Waker::from(Arc::new(Owner { _pool: pool }));
        let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop(waker);
        gate.open();
        let _ = Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop()));
        until("it is done", || handle.is_finished());
    }
}

/// The waker that a finished task wakes is the last reference.
pub(crate) fn a_waker_may_drop_the_pool(on: &On) {
    for _ in 0..5 {
        let pool = on.pool_of(1);
        let gate = Gate::new();
        let mut handle = pool.submit(gate.hold(1));
        let _ = gate.wait_for(1);
        let waker = Waker::from(Arc::new(Owner { _pool: pool }));
        let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop(waker);
        gate.open();
        assert_eq!(handle.join().unwrap(), 1);
    }
}
