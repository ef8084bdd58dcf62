//! Pools that are used by destructors of thread-local values, when the thread's other values may be
//! destroyed already.

use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use pool_core::{Backend, Pool, TaskExt, Until, as_completed, pool_task, wait};
use pool_tests::tasks::{add, nap};

use crate::harness::On;

#[pool_task]
async fn doubled(n: i64) -> i64 {
    2 * n
}

/// Uses a pool when it is destroyed, and tells which part went well.
struct AtTheEnd {
    pool: Pool,
    told: Sender<&'static str>,
    use_pool: Use,
    what: &'static str,
}

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        (self.use_pool)(&self.pool);
        let _ = self.told.send(self.what);
    }
}

thread_local! {
    static EARLY: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
    static LATE: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
}

type Use = fn(&Pool);

/// All that a destructor may do with a pool.
const USES: &[(&str, Use)] = &[
    ("submit and join", |pool| {
        assert_eq!(pool.submit(add::task(1, 2)).join().unwrap(), 3);
    }),
    ("submit", |pool| drop(pool.submit(nap::task(1)))),
    ("submit with options", |pool| {
        let task = add::task(1, 2).timeout(Duration::from_secs(60));
        let task = task.queue_timeout(Duration::from_secs(60)).retries(1);
        assert_eq!(pool.submit(task).join().unwrap(), 3);
    }),
    ("try_submit", |pool| {
        let handle = pool
            .try_submit(add::task(1, 2))
            .unwrap_or_else(|_| panic!("full"));
        let limit = Duration::from_secs(60);
        assert_eq!(handle.join_timeout(limit).unwrap().unwrap(), 3);
    }),
    ("an async task", |pool| {
        assert_eq!(pool.submit(doubled::task(2)).join().unwrap(), 4);
    }),
    ("an ordered map", |pool| {
        let sums = pool.map((0..500).map(|n| add::task(n, 1)));
        assert!(sums.map(Result::unwrap).eq(1..501));
    }),
    ("an unordered map", |pool| {
        let sums = pool.map((0..500).map(|n| add::task(n, 1))).unordered();
        assert_eq!(sums.map(Result::unwrap).sum::<i64>(), (1..501).sum::<i64>());
    }),
    ("wait", |pool| {
        let handles = [pool.submit(nap::task(1)), pool.submit(nap::task(0))];
        assert_eq!(wait(&handles, Until::All, None), [0, 1]);
    }),
    ("as_completed", |pool| {
        let handles = (0..3).map(|n| pool.submit(add::task(n, 0)));
        assert_eq!(as_completed(handles).count(), 3);
    }),
    ("scope", |pool| {
        let sum = pool.scope(|scope| scope.submit(add::task(1, 2)).join().unwrap());
        assert_eq!(sum.unwrap(), 3);
    }),
    ("a future", |pool| {
        assert_eq!(pollster::block_on(pool.submit(add::task(1, 2))).unwrap(), 3);
    }),
    ("a callback", |pool| {
        let (sender, receiver) = mpsc::channel();
        let handle = pool.submit(add::task(1, 2));
        handle.on_finish(move || sender.send(()).unwrap());
        handle.join().unwrap();
        receiver.recv().unwrap();
    }),
    ("looks", |pool| {
        let handle = pool.submit(nap::task(0));
        let _ = (
            format!("{pool} {pool:?} {handle:?}"),
            pool.stats(),
            pool.describe(),
        );
        handle.cancel();
    }),
    ("a panic", |pool| {
        let error = pool
            .submit(pool_tests::tasks::boom::task("late"))
            .join()
            .unwrap_err();
        assert_eq!(error.message(), Some("late"));
    }),
];

/// In a thread whose value is registered before ours, so that ours are destroyed first, and in one
/// where it is the other way round.
fn used_at_the_end(pool: impl Fn() -> Pool) {
    for (what, use_pool) in USES.iter().copied() {
        for is_early in [true, false] {
            let (told, heard) = mpsc::channel();
            let at_the_end = AtTheEnd {
                pool: pool(),
                told,
                use_pool,
                what,
            };
            let body = move || {
                let pool = at_the_end.pool.clone();
                if is_early {
                    EARLY.set(Some(at_the_end));
                    use_pool(&pool);
                } else {
                    use_pool(&pool);
                    LATE.set(Some(at_the_end));
                }
            };
            thread::spawn(body).join().unwrap();
            assert_eq!(heard.recv(), Ok(what));
        }
    }
}

pub(crate) fn a_pool_is_used(on: &On) {
    let pool = on.pool();
    used_at_the_end(|| pool.clone());
}

/// The value has the last clone, so that the pool ends in the destructor.
pub(crate) fn a_pool_ends_there(on: &On) {
    let (told, heard) = mpsc::channel();
    for is_used in [true, false] {
        let at_the_end = AtTheEnd {
            pool: on.pool(),
            told: told.clone(),
            use_pool: |pool| drop(pool.submit(nap::task(5))),
            what: "ended",
        };
        let body = move || {
            let pool = at_the_end.pool.clone();
            EARLY.set(Some(at_the_end));
            if is_used {
                assert_eq!(pool.submit(add::task(1, 2)).join().unwrap(), 3);
            }
        };
        thread::spawn(body).join().unwrap();
        assert_eq!(heard.recv(), Ok("ended"));
    }
}

/// The pool that the task below finds, and what its value told.
static OWN: Mutex<Option<Pool>> = Mutex::new(None);

/// Leaves a value in the thread of its worker, which is destroyed when that ends.
#[pool_task]
fn leave_a_value() {
    let (told, _) = mpsc::channel();
    EARLY.set(Some(AtTheEnd {
        pool: OWN.lock().unwrap().clone().unwrap(),
        told,
        use_pool: |pool| {
            let error = pool.submit(add::task(1, 2)).join().unwrap_err();
            assert!(error.is_rejected(), "{error}");
            let results: Vec<_> = pool.map((0..3).map(|n| add::task(n, 0))).collect();
            assert!(results.iter().all(Result::is_err), "{results:?}");
            let other = Pool::builder().backend(Backend::Threads).workers(1);
            let sum = other.build().unwrap().submit(add::task(1, 2)).join();
            assert_eq!(sum.unwrap(), 3);
            // Told here, since nobody listens to what comes after it.
            ENDED.fetch_add(1, SeqCst);
        },
        what: "of a worker",
    }));
}

static ENDED: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn a_worker_of_the_pool_uses_it(on: &On) {
    let pool = on.pool_of(1);
    *OWN.lock().unwrap() = Some(pool.clone());
    pool.submit(leave_a_value::task()).join().unwrap();
    assert!(OWN.lock().unwrap().take().is_some());
    pool.shutdown();
    assert_eq!(ENDED.load(SeqCst), 1);
}
