//! The task cell: every transition, and the races between those who resolve it.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::state::{Abandon, State, Taken};
use super::*;
use crate::{Backend, Task};

#[derive(Serialize, Deserialize)]
struct Add(u32, u32);

impl Task for Add {
    type Output = u32;
    const NAME: &'static str = "add";

    fn run(self) -> u32 {
        self.0 + self.1
    }
}

fn cell() -> Arc<JobCell<Add>> {
    JobCell::new(Add(1, 2))
}

fn frame() -> Frame {
    Frame::new(Backend::Inline, 0)
}

#[derive(Serialize, Deserialize)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a destructor fails");
    }
}

#[derive(Serialize, Deserialize)]
struct MakeBomb;

impl Task for MakeBomb {
    type Output = Bomb;
    const NAME: &'static str = "make_bomb";

    fn run(self) -> Bomb {
        Bomb
    }
}

#[test]
fn a_detached_result_whose_destructor_panics_harms_nobody() {
    let cell = JobCell::new(MakeBomb);
    assert!(cell.clone().run_here(frame()));
    drop(cell);
}

/// Runs the same rounds again and again on two threads that start each at the same moment.
fn race<T: Send + Sync + 'static>(
    rounds: usize,
    make: impl Fn() -> T,
    one: impl Fn(&T) + Copy + Send + Sync,
    other: impl Fn(&T) + Copy + Send + Sync,
    check: impl Fn(T),
) {
    for _ in 0..rounds {
        let shared = make();
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                one(&shared);
            });
            start.wait();
            other(&shared);
        });
        check(shared);
    }
}

#[test]
fn a_queued_task_is_claimed_once() {
    let state = State::new();
    assert!(state.claim());
    assert!(!state.claim());
    assert!(state.is_claimed());
    assert_eq!(state.finish(), Some(false));
    assert!(state.is_resolved() && !state.is_claimed());
    assert!(!state.claim());
}

#[test]
fn an_outcome_is_taken_once() {
    let state = State::new();
    assert!(state.claim());
    assert_eq!(state.finish(), Some(false));
    assert_eq!(state.take(), Taken::Contents);
    assert_eq!(state.take(), Taken::Already);
}

#[test]
fn an_abandoned_task_is_resolved_and_stays_the_claimers() {
    for reason in [Abandon::Cancelled, Abandon::TimedOut] {
        let state = State::new();
        assert!(state.claim());
        assert_eq!(state.abandon(reason), Some(false));
        assert!(state.is_resolved() && state.is_stopped());
        assert_eq!(state.abandon(Abandon::Cancelled), None);
        assert_eq!(state.finish(), None);
        assert_eq!(state.take(), Taken::Abandoned(reason));
        assert_eq!(state.take(), Taken::Already);
    }
}

#[test]
fn a_task_abandoned_in_the_queue_is_never_claimed() {
    let state = State::new();
    assert_eq!(state.abandon(Abandon::Cancelled), Some(false));
    assert!(!state.claim());
    assert!(!state.is_claimed());
}

#[test]
fn a_watcher_is_seen_by_who_resolves_or_sees_it_resolved() {
    let state = State::new();
    assert!(state.claim());
    assert!(state.watch());
    assert_eq!(state.finish(), Some(true));
    assert!(!state.watch());
}

#[test]
fn runs_once_and_hands_out_the_result_once() {
    let cell = cell();
    assert!(cell.clone().run_here(frame()));
    assert!(!cell.clone().run_here(frame()));
    assert_eq!(cell.take().unwrap(), 3);
    assert_eq!(
        cell.take().unwrap_err().kind(),
        TaskErrorKind::AlreadyJoined
    );
}

#[test]
fn a_refused_task_never_runs() {
    let cell = cell();
    assert!(cell.refuse(TaskError::rejected("add", "closed")));
    assert!(!cell.clone().run_here(frame()));
    assert!(cell.take().unwrap_err().is_rejected());
}

#[test]
fn cancel_and_run_resolve_exactly_once() {
    race(
        2_000,
        cell,
        |cell| {
            cell.clone().run_here(frame());
        },
        |cell| {
            cell.head().abandon(Abandon::Cancelled);
        },
        |cell| match cell.take() {
            Ok(value) => assert_eq!(value, 3),
            Err(error) => assert!(error.is_cancelled(), "{error}"),
        },
    );
}

#[test]
fn two_runners_and_one_runs() {
    race(
        2_000,
        || (cell(), AtomicUsize::new(0)),
        |(cell, runs)| {
            runs.fetch_add(usize::from(cell.clone().run_here(frame())), SeqCst);
        },
        |(cell, runs)| {
            runs.fetch_add(usize::from(cell.clone().run_here(frame())), SeqCst);
        },
        |(cell, runs)| {
            assert_eq!(runs.into_inner(), 1);
            assert_eq!(cell.take().unwrap(), 3);
        },
    );
}

#[test]
fn a_parked_thread_is_woken_whenever_it_comes() {
    race(
        2_000,
        cell,
        |cell| {
            cell.clone().run_here(frame());
        },
        |cell| cell.head().park_until_resolved(None),
        |cell| assert_eq!(cell.take().unwrap(), 3),
    );
}

#[test]
fn a_callback_runs_once_whenever_it_comes() {
    race(
        2_000,
        || (cell(), Arc::new(AtomicUsize::new(0))),
        |(cell, _)| {
            cell.clone().run_here(frame());
        },
        |(cell, calls)| {
            let calls = calls.clone();
            let count = Box::new(move || {
                calls.fetch_add(1, SeqCst);
            });
            cell.head().waiters.add_callback(count, &cell.head().state);
        },
        |(_, calls)| assert_eq!(calls.load(SeqCst), 1),
    );
}

#[test]
fn parking_ends_with_the_deadline_and_leaves_one_entry() {
    let cell = cell();
    for _ in 0..10 {
        let soon = Instant::now() + Duration::from_millis(1);
        cell.head().park_until_resolved(Some(soon));
        assert!(Instant::now() >= soon);
    }
    assert_eq!(cell.head().waiters.len(), 1);
}

#[test]
fn callbacks_run_in_order_and_a_panicking_one_harms_nobody() {
    let cell = cell();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for i in 0..5 {
        let seen = seen.clone();
        let callback = Box::new(move || {
            seen.lock().unwrap().push(i);
            assert!(i != 2, "callback {i} fails");
        });
        cell.head()
            .waiters
            .add_callback(callback, &cell.head().state);
    }
    cell.clone().run_here(frame());
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_future_leaves_one_waker_however_often_it_is_polled() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let cell = cell();
    let [old, new] = [(); 2].map(|()| Arc::new(Count(AtomicUsize::new(0))));
    for count in [&old, &old, &new] {
        let waker = Waker::from(count.clone());
        assert!(cell.head().waiters.add_waker(&waker, &cell.head().state));
    }
    cell.clone().run_here(frame());
    assert_eq!((old.0.load(SeqCst), new.0.load(SeqCst)), (0, 1));
}

#[cfg(feature = "processes")]
mod claimed {
    use super::*;
    use crate::bytes::Bytes;
    use crate::codec::{Answer, Reply};

    fn answer(payload: Bytes) -> Answer {
        Answer {
            reply: Reply::Output,
            payload,
            worker: 7,
            chunk: None,
        }
    }

    fn claimed() -> (Arc<JobCell<Add>>, Claimed) {
        let cell = cell();
        let claimed = Claimed::new(cell.clone()).unwrap();
        (cell, claimed)
    }

    #[test]
    fn holds_the_encoded_arguments_and_gives_the_answer_back() {
        let (cell, mut claimed) = claimed();
        assert_eq!(claimed.args(), [1, 2]);
        let args = claimed.take_args();
        assert_eq!(claimed.args(), []);
        claimed.put_args(args);
        assert_eq!(claimed.args(), [1, 2]);
        let mut payload = Bytes::new();
        payload.push(42);
        assert!(claimed.answer(answer(payload)).is_none());
        assert_eq!(cell.take().unwrap(), 42);
    }

    #[test]
    fn there_is_one_claim() {
        let (cell, claimed) = claimed();
        assert!(Claimed::new(cell.clone()).is_none());
        assert!(!cell.clone().run_here(frame()));
        drop(claimed);
    }

    #[test]
    fn a_dropped_claim_resolves_the_handle() {
        let (cell, claimed) = claimed();
        drop(claimed);
        assert!(cell.take().unwrap_err().is_cancelled());
    }

    #[test]
    fn an_answer_that_does_not_decode_is_an_error_of_that_task() {
        let (cell, claimed) = claimed();
        assert!(claimed.answer(answer(Bytes::new())).is_none());
        let error = cell.take().unwrap_err();
        assert!(error.is_codec(), "{error}");
        assert_eq!(error.worker_pid(), Some(7));
    }

    #[test]
    fn answer_and_cancel_resolve_exactly_once() {
        race(
            2_000,
            || {
                let (cell, claimed) = claimed();
                (cell, Mutex::new(Some(claimed)))
            },
            |(_, claimed)| {
                let mut payload = Bytes::new();
                payload.push(42);
                let claimed = claimed.lock().unwrap().take().unwrap();
                drop(claimed.answer(answer(payload)));
            },
            |(cell, _)| {
                cell.head().abandon(Abandon::Cancelled);
            },
            |(cell, _)| match cell.take() {
                Ok(value) => assert_eq!(value, 42),
                Err(error) => assert!(error.is_cancelled(), "{error}"),
            },
        );
    }
}
