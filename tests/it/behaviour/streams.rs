//! Maps as streams, `submit_async` and `cancel_on_drop`, under several executors.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use futures_util::future::{Either, select};
use futures_util::{StreamExt, TryStreamExt};
use pool_core::{Pool, pool_task};
use pool_tests::gate::Gate;
use pool_tests::tasks::{add, boom};
use pool_tests::until;

use crate::harness::On;

#[pool_task]
fn uneven(i: u64) -> u64 {
    if i.is_multiple_of(100) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    i
}

/// The executors that there are to be.
fn on_each_executor<F: Future<Output = ()> + Send + 'static>(future: impl Fn() -> F) {
    pollster::block_on(future());
    // Without its reactor, which would stay.
    let smol = smol::Executor::new();
    let spawned = smol.spawn(future());
    smol::future::block_on(smol.run(spawned));
    let mut current = tokio::runtime::Builder::new_current_thread();
    current.build().unwrap().block_on(future());
    let mut multi = tokio::runtime::Builder::new_multi_thread();
    let multi = multi.worker_threads(2).build().unwrap();
    multi.block_on(future());
    multi.block_on(multi.spawn(future())).unwrap();
}

pub(crate) fn give_what_the_map_gives(on: &On) {
    let pool = on.pool();
    pollster::block_on(async {
        let stream = pool.map((0..3_000).map(uneven::task)).into_stream();
        assert_eq!(
            futures_util::Stream::size_hint(&stream),
            (3_000, Some(3_000))
        );
        let all: Vec<_> = stream.try_collect().await.unwrap();
        assert_eq!(all, (0..3_000).collect::<Vec<_>>());
        let unordered = pool.map((0..3_000).map(uneven::task)).unordered();
        let mut all: Vec<_> = unordered.into_stream().try_collect().await.unwrap();
        all.sort_unstable();
        assert_eq!(all, (0..3_000).collect::<Vec<_>>());
        let mut errors = pool.map(["a", "b"].map(boom::task)).into_stream();
        for expected in ["a", "b"] {
            let error = errors.next().await.unwrap().unwrap_err();
            assert_eq!(error.message(), Some(expected));
        }
        assert!(errors.next().await.is_none());
        assert!(errors.next().await.is_none());
        let stopped = pool.map((0..).map(|i| boom::task(&format!("{i}"))));
        assert_eq!(stopped.stop_on_error().into_stream().count().await, 1);
    });
}

pub(crate) fn keep_to_their_bound(on: &On) {
    let pool = on.pool();
    for unordered in [false, true] {
        let pulled = Cell::new(0_usize);
        let input = (0..500).map(|i| {
            pulled.set(pulled.get() + 1);
            add::task(i, 0)
        });
        let map = pool.map(input).in_flight(5);
        let map = if unordered { map.unordered() } else { map };
        let mut stream = map.into_stream();
        assert_eq!(pulled.get(), 0);
        let mut returned = 0;
        while let Some(result) = pollster::block_on(stream.next()) {
            assert!(result.is_ok());
            assert!(pulled.get() <= returned + 5);
            returned += 1;
        }
        assert_eq!((returned, pulled.get()), (500, 500));
    }
}

pub(crate) fn go_on_when_others_fill_the_queue(on: &On) {
    for unordered in [false, true] {
        let gate = Gate::new();
        let pool = on.builder().workers(1).queue(3).build().unwrap();
        let held = pool.submit(gate.hold(0));
        let _ = gate.wait_for(0);
        // Nothing else finds room.
        let mut others = Vec::new();
        while let Ok(other) = pool.try_submit(gate.pass(1)) {
            others.push(other);
        }
        let map = pool.map((0..50).map(|i| add::task(i, 0)));
        let map = if unordered { map.unordered() } else { map };
        let mut stream = pin!(map.into_stream());
        // It does not block.
        let mut context = Context::from_waker(Waker::noop());
        assert!(stream.as_mut().poll_next_unpin(&mut context).is_pending());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(10));
                gate.open();
            });
            let sum = pollster::block_on(stream.try_fold(0, |sum, i| async move { Ok(sum + i) }));
            assert_eq!(sum.unwrap(), 1_225);
        });
        assert_eq!(held.join().unwrap(), 0);
        for other in others {
            assert_eq!(other.join().unwrap(), 1);
        }
    }
}

pub(crate) fn dropped_half_way_cancel_what_has_not_started(on: &On) {
    for unordered in [false, true] {
        let gate = Gate::new();
        let pool = on.pool_of(1);
        let map = pool
            .map((0..20).map(|i| gate.hold(i)))
            .chunk(1)
            .in_flight(20);
        let map = if unordered { map.unordered() } else { map };
        let mut stream = map.into_stream();
        let mut context = Context::from_waker(Waker::noop());
        assert!(stream.poll_next_unpin(&mut context).is_pending());
        let _ = gate.wait_for(0);
        drop(stream);
        gate.open();
        drop(pool);
        assert_eq!(gate.starts().len(), 1);
    }
}

pub(crate) fn run_on_every_executor(on: &On) {
    let pool = on.pool();
    on_each_executor(|| {
        let pool = pool.clone();
        async move {
            let ordered = pool.map((0..300).map(uneven::task)).into_stream();
            let all: Vec<_> = ordered.try_collect().await.unwrap();
            assert_eq!(all, (0..300).collect::<Vec<_>>());
            let unordered = pool.map((0..300).map(uneven::task)).unordered();
            let mut sum = 0;
            let mut stream = unordered.in_flight(7).into_stream();
            while let Some(i) = stream.next().await {
                sum += i.unwrap();
            }
            assert_eq!(sum, 44_850);
            assert_eq!(pool.submit(add::task(1, 2)).await.unwrap(), 3);
        }
    });
}

pub(crate) fn submit_async_waits_on_every_executor(on: &On) {
    let pool = on.builder().workers(1).queue(2).build().unwrap();
    on_each_executor(|| {
        let pool = pool.clone();
        async move {
            let mut handles = Vec::new();
            for i in 0..50 {
                handles.push(pool.submit_async(uneven::task(i)).await);
            }
            let mut sum = 0;
            for handle in handles {
                sum += handle.cancel_on_drop().await.unwrap();
            }
            assert_eq!(sum, 1_225);
        }
    });
}

pub(crate) fn a_handle_cancels_when_it_is_dropped_if_it_was_told_to(on: &On) {
    let gate = Gate::new();
    let pool = on.pool_of(1);
    let runs = pool.submit(gate.hold_or_stop(0)).cancel_on_drop();
    let _ = gate.wait_for(0);
    let queued = pool.submit(gate.hold_or_stop(1)).cancel_on_drop();
    let detached = pool.submit(gate.hold_or_stop(2)).cancel_on_drop();
    assert!(!detached.is_finished());
    let detached = detached.into_inner();
    // In this order: once the running one is told to stop, the queued one may start.
    drop(queued);
    drop(runs);
    until("the running one is told", || gate.was_told(0));
    gate.open();
    let told = detached.join().unwrap();
    assert!(!told);
    let plain = pool.submit(gate.hold_or_stop(3));
    drop(plain);
    drop(pool);
    let started: Vec<_> = gate
        .starts()
        .into_iter()
        .map(|(number, _)| number)
        .collect();
    assert_eq!(started, [0, 2, 3]);
    assert!(!gate.was_told(3));
}

/// A branch that is dropped before its turn came back is asked again.
pub(crate) fn a_select_that_drops_a_handle_loses_nothing(on: &On) {
    /// Ready at the second poll.
    struct Second(bool);
    impl Future for Second {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }
    let pool = on.pool();
    pollster::block_on(async {
        let mut stream = pool.map((0..500).map(uneven::task)).into_stream();
        let mut all = Vec::new();
        loop {
            let next = match select(stream.next(), Second(false)).await {
                Either::Left((next, _)) => next,
                // The future of `next` is dropped, the stream is not.
                Either::Right(_) => continue,
            };
            match next {
                Some(i) => all.push(i.unwrap()),
                None => break,
            }
        }
        assert_eq!(all, (0..500).collect::<Vec<_>>());
    });
}

/// The pool of the task below, which is its own.
static OWN: Mutex<Option<Pool>> = Mutex::new(None);

#[pool_task]
async fn streams(unordered: bool) -> u64 {
    let pool = OWN.lock().unwrap().clone().unwrap();
    let map = pool.map((0..50).map(uneven::task));
    let map = if unordered { map.unordered() } else { map };
    let stream = map.into_stream();
    stream
        .map(Result::unwrap)
        .fold(0, |sum, i| async move { sum + i })
        .await
}

/// The only worker polls for what nobody else can run.
pub(crate) fn inside_of_a_task_of_the_same_pool_they_end(on: &On) {
    let pool = on.pool_of(1);
    *OWN.lock().unwrap() = Some(pool.clone());
    for unordered in [false, true] {
        assert_eq!(pool.submit(streams::task(unordered)).join().unwrap(), 1_225);
    }
    *OWN.lock().unwrap() = None;
}
