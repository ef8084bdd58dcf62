//! `Map::on_progress`: what a program is told of a map.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use futures_util::StreamExt;
use pool_core::{Pool, ProgressStage, ProgressState, pool_task};
use pool_tests::block_on;
use pool_tests::gate::{Gate, hold};
use pool_tests::tasks::{add, boom};

use crate::harness::On;

/// Every state that was told, and the thread that told it.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(ProgressState, ThreadId)>>>);

impl Told {
    fn callback(&self) -> impl FnMut(&ProgressState) + Send + 'static {
        let told = self.clone();
        move |state| {
            told.0
                .lock()
                .unwrap()
                .push((state.clone(), thread::current().id()))
        }
    }

    /// The last state, after a look at the others.
    #[track_caller]
    fn last(&self) -> ProgressState {
        let told = self.0.lock().unwrap();
        let ((last, teller), before) = told.split_last().unwrap();
        assert_eq!(*teller, thread::current().id());
        assert!(last.is_over());
        let mut done = 0;
        for (state, _) in before {
            assert_eq!(state.stage, ProgressStage::Running);
            assert_eq!((state.total, &state.title), (last.total, &last.title));
            assert!(state.failed <= state.done && (done..=last.done).contains(&state.done));
            assert!(state.elapsed <= last.elapsed);
            done = state.done;
        }
        last.clone()
    }
}

fn sums(n: i64) -> impl ExactSizeIterator<Item = add> + Send {
    (0..n as usize).map(|i| add::task(i as i64, 0))
}

pub(crate) fn ends_with_the_last_state(on: &On) {
    let pool = on.pool();
    let told = Told::default();
    let mut map = pool.map(sums(1_000)).on_progress(told.callback());
    assert!(told.0.lock().unwrap().is_empty());
    assert_eq!(map.by_ref().map(Result::unwrap).sum::<i64>(), 499_500);
    // Told before the end was: the map is still there.
    let last = told.last();
    assert_eq!(
        (last.done, last.failed, last.total),
        (1_000, 0, Some(1_000))
    );
    assert_eq!((last.stage, &*last.title), (ProgressStage::Finished, "add"));
    assert!(last.rate > 0.0);
    assert!(map.next().is_none());
    let len = told.0.lock().unwrap().len();
    drop(map);
    assert_eq!(told.0.lock().unwrap().len(), len);
}

pub(crate) fn counts_failures(on: &On) {
    let pool = on.pool();
    let told = Told::default();
    let tasks = ["a", "b", "c"].map(boom::task);
    let map = pool.map(tasks).title("bangs").on_progress(told.callback());
    assert_eq!(map.filter(Result::is_err).count(), 3);
    let last = told.last();
    assert_eq!((last.done, last.failed, &*last.title), (3, 3, "bangs"));
}

pub(crate) fn of_an_input_of_unknown_length_has_no_total(on: &On) {
    let pool = on.pool();
    let told = Told::default();
    let odd = sums(100).filter(|task| task.a % 2 == 1);
    assert_eq!(pool.map(odd).on_progress(told.callback()).count(), 50);
    let last = told.last();
    assert_eq!((last.done, last.total, last.eta), (50, None, None));
    assert_eq!(last.stage, ProgressStage::Finished);
}

pub(crate) fn of_every_form_of_a_map_is_told(on: &On) {
    let pool = on.pool();
    let map = |told: &Told| pool.map(sums(50)).on_progress(told.callback());
    let told: [Told; 5] = Default::default();
    assert_eq!(map(&told[0]).unordered().count(), 50);
    assert_eq!(map(&told[1]).with_index().count(), 50);
    assert_eq!(map(&told[2]).with_input().count(), 50);
    assert_eq!(map(&told[3]).stop_on_error().count(), 50);
    assert_eq!(block_on(map(&told[4]).into_stream().count()), 50);
    for told in told {
        let last = told.last();
        assert_eq!((last.done, last.total), (50, Some(50)));
        assert_eq!(last.stage, ProgressStage::Finished);
    }
}

pub(crate) fn of_a_map_that_ends_early_is_finished(on: &On) {
    let pool = on.pool();
    let told = Told::default();
    let tasks = ["a", "b", "c"].map(boom::task);
    let map = pool.map(tasks).stop_on_error().on_progress(told.callback());
    assert_eq!(map.count(), 1);
    let last = told.last();
    assert_eq!((last.done, last.failed, last.total), (1, 1, Some(3)));
    assert_eq!(last.stage, ProgressStage::Finished);
}

pub(crate) fn of_nothing_is_over_at_once(on: &On) {
    let pool = on.pool();
    let told = Told::default();
    assert!(
        pool.map(sums(0))
            .on_progress(told.callback())
            .next()
            .is_none()
    );
    let last = told.last();
    assert_eq!(
        (last.done, last.total, last.percent()),
        (0, Some(0), Some(100))
    );
    // One that was never asked has nothing to say.
    let told = Told::default();
    drop(pool.map(sums(5)).on_progress(told.callback()));
    assert!(told.0.lock().unwrap().is_empty());
}

pub(crate) fn of_a_dropped_map_ends_too(on: &On) {
    let pool = on.pool();
    for (taken, stage) in [
        (10, ProgressStage::Abandoned),
        (20, ProgressStage::Finished),
    ] {
        let told = Told::default();
        let map = pool.map(sums(20)).on_progress(told.callback());
        assert_eq!(map.take(taken).count(), taken);
        let last = told.last();
        assert_eq!((last.done, last.stage), (taken as u64, stage));
    }
}

pub(crate) fn of_a_map_that_a_panic_drops_ends_too(on: &On) {
    let pool = on.pool();
    let told = Told::default();
    let callback = told.callback();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut map = pool.map(sums(20)).on_progress(callback);
        map.next().unwrap().unwrap();
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    let told = told.0.lock().unwrap();
    let (last, _) = told.last().unwrap();
    assert_eq!((last.done, last.stage), (1, ProgressStage::Abandoned));
}

/// The callback opens the gate behind which the only task waits.
pub(crate) fn is_told_while_the_consumer_waits(on: &On) {
    let pool = on.pool();
    let gate = Arc::new(Gate::new());
    let opener = Arc::clone(&gate);
    let is_inline = on.inline();
    let mut map = pool
        .map([hold::task(gate.folder(), 1)])
        .on_progress(move |state| {
            if state.running == 1 || is_inline {
                opener.open();
            }
        });
    assert_eq!(map.next().unwrap().unwrap(), 1);
    drop(map);
}

pub(crate) fn a_callback_that_panics_is_not_called_again(on: &On) {
    let pool = on.pool();
    let told = Told::default();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let gate = Arc::new(Gate::new());
    let opener = Arc::clone(&gate);
    let map = pool
        .map([hold::task(gate.folder(), 1), hold::task(gate.folder(), 2)])
        .on_progress(move |_| {
            count.fetch_add(1, SeqCst);
            opener.open();
            panic!("on purpose");
        })
        .on_progress(told.callback());
    assert!(map.map(Result::unwrap).eq([1, 2]));
    assert_eq!(calls.load(SeqCst), 1);
    assert_eq!(told.last().done, 2);
    // What it had is gone with it.
    assert_eq!(
        (Arc::strong_count(&calls), Arc::strong_count(&gate)),
        (1, 1)
    );
}

pub(crate) fn a_callback_may_map(on: &On) {
    let pool = on.pool();
    let inner = Told::default();
    let (pool_of_callback, told) = (pool.clone(), inner.clone());
    let map = pool.map(sums(10)).on_progress(move |state| {
        if state.is_over() {
            let map = pool_of_callback.map(sums(5)).on_progress(told.callback());
            assert_eq!(map.count(), 5);
        }
    });
    assert_eq!(map.count(), 10);
    assert_eq!(inner.last().done, 5);
}

pub(crate) fn of_many_maps_at_once_do_not_mix(on: &On) {
    let pool = on.pool();
    thread::scope(|scope| {
        for n in 1..=8 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..20 {
                    let told = Told::default();
                    let map = pool.map(sums(n)).on_progress(told.callback());
                    assert_eq!(map.title(format!("{n} {round}")).count(), n as usize);
                    let last = told.last();
                    assert_eq!(
                        (last.done, &*last.title),
                        (n as u64, &*format!("{n} {round}"))
                    );
                }
            });
        }
    });
}

#[pool_task]
fn maps_and_is_told() -> (u64, bool) {
    let told = Told::default();
    let map = Pool::inline().map(sums(7)).on_progress(told.callback());
    map.for_each(drop);
    let last = told.last();
    (last.done, last.is_over())
}

pub(crate) fn in_a_task_is_told_there(on: &On) {
    let pool = on.pool();
    assert_eq!(
        pool.submit(maps_and_is_told::task()).join().unwrap(),
        (7, true)
    );
}
