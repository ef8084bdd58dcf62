//! A handle is a future.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};

use pool_core::JoinHandle;
use pool_tests::block_on;
use pool_tests::gate::Gate;
use pool_tests::tasks::{add, boom};

use crate::harness::On;

pub(crate) fn resolve_to_the_outcome(on: &On) {
    let pool = on.pool();
    assert_eq!(block_on(pool.submit(add::task(1, 2))).unwrap(), 3);
    let error = block_on(pool.submit(boom::task("future"))).unwrap_err();
    assert_eq!(error.message(), Some("future"));
    let later = block_on(async {
        let first = pool.submit(add::task(1, 2)).await.unwrap();
        pool.submit(add::task(first, 10)).await.unwrap()
    });
    assert_eq!(later, 13);
}

pub(crate) fn many_are_awaited_in_turn(on: &On) {
    let pool = on.pool();
    let handles: Vec<_> = (0..1_000).map(|i| pool.submit(add::task(i, 0))).collect();
    let sum = block_on(async {
        let mut sum = 0;
        for handle in handles {
            sum += handle.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 499_500);
}

/// Polls all that are not done whenever one of them wakes.
fn sum_of_all(mut handles: Vec<JoinHandle<i64>>) -> i64 {
    let mut sum = 0;
    block_on(std::future::poll_fn(move |context| {
        handles.retain_mut(|handle| match Pin::new(handle).poll(context) {
            Poll::Ready(outcome) => {
                sum += outcome.unwrap();
                false
            }
            Poll::Pending => true,
        });
        if handles.is_empty() {
            Poll::Ready(sum)
        } else {
            Poll::Pending
        }
    }))
}

pub(crate) fn many_are_awaited_together(on: &On) {
    let pool = on.pool();
    let handles = (0..500).map(|i| pool.submit(add::task(i, 0))).collect();
    assert_eq!(sum_of_all(handles), 124_750);
}

pub(crate) fn a_queued_one_is_woken(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let held = pool.submit(gate.hold(1));
    // Some in the lane, some in the backlog.
    let queued: Vec<_> = (0..5).map(|i| pool.submit(add::task(i, 0))).collect();
    std::thread::scope(|scope| {
        for (i, handle) in (0..).zip(queued) {
            scope.spawn(move || assert_eq!(block_on(handle).unwrap(), i));
        }
        let _ = gate.wait_for(1);
        std::thread::sleep(std::time::Duration::from_millis(20));
        gate.open();
    });
    assert_eq!(held.join().unwrap(), 1);
}

pub(crate) fn a_cancelled_one_is_woken(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let running = Arc::new(Mutex::new(pool.submit(gate.hold_or_stop(1))));
    let _ = gate.wait_for(1);
    let polled = running.clone();
    let (send, receive) = mpsc::channel();
    let waiting = std::thread::spawn(move || {
        block_on(std::future::poll_fn(move |context| {
            let poll = Pin::new(&mut *polled.lock().unwrap()).poll(context);
            let _ = send.send(());
            poll
        }))
    });
    receive.recv().unwrap();
    assert!(running.lock().unwrap().cancel());
    assert!(waiting.join().unwrap().unwrap_err().is_cancelled());
}

#[derive(Default)]
pub(crate) struct Counting(pub(crate) AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// The waker of the last poll is the one that counts.
pub(crate) fn moves_between_executors(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let mut handle = pool.submit(gate.hold(1));
    let wakers: Vec<_> = (0..3).map(|_| Arc::new(Counting::default())).collect();
    for counting in &wakers {
        let waker = Waker::from(counting.clone());
        let poll = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
    }
    gate.open();
    pool_tests::until("the last one is woken", || wakers[2].0.load(SeqCst) > 0);
    assert_eq!(wakers[0].0.load(SeqCst), 0);
    assert_eq!(wakers[1].0.load(SeqCst), 0);
    assert_eq!(block_on(handle).unwrap(), 1);
}

struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("from a waker");
    }
}

pub(crate) fn a_waker_that_panics_harms_nothing(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let mut handle = pool.submit(gate.hold(1));
    let waker = Waker::from(Arc::new(Bomb));
    assert!(
        Pin::new(&mut handle)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    gate.open();
    assert_eq!(handle.join().unwrap(), 1);
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
}

pub(crate) fn dropped_after_a_poll_it_detaches(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    for number in 0..50 {
        let mut handle = pool.submit(gate.pass(number));
        let waker = Waker::from(Arc::new(Counting::default()));
        let _ = Pin::new(&mut handle).poll(&mut Context::from_waker(&waker));
    }
    drop(pool);
    assert_eq!(gate.starts().len(), 50);
}
