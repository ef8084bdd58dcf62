//! The task cell: every transition, and the races between those who resolve it.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, LazyLock, Mutex};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::state::{Finish, State, Taken};
use super::*;
use crate::error::backend::Backend;
use crate::error::task_error::Abandon;
use crate::task::Task;

#[derive(Serialize, Deserialize)]
struct Add(u32, u32);

impl Task for Add {
    type Output = u32;
    const NAME: &'static str = "add";

    fn run(self) -> u32 {
        self.0 + self.1
    }
}

/// Miri looks at every step, and takes its time.
const ROUNDS: usize = if cfg!(miri) { 20 } else { 2_000 };

fn cell() -> (Handle<u32>, Job) {
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
    let (handle, job) = JobCell::new(MakeBomb);
    drop(handle);
    assert!(job.run_here(frame(), None).has_run());
    let (handle, job) = JobCell::new(MakeBomb);
    assert!(job.run_here(frame(), None).has_run());
    drop(handle);
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
    assert!(state.is_running());
    assert_eq!(state.finish(), Finish::Released { last: false });
    assert!(state.is_resolved() && !state.is_running());
    assert!(!state.claim());
}

#[test]
fn an_outcome_is_taken_once() {
    let state = State::new();
    assert!(state.claim());
    assert_eq!(state.finish(), Finish::Released { last: false });
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
        assert_eq!(state.finish(), Finish::Abandoned);
        assert_eq!(state.take(), Taken::Abandoned(reason));
        assert_eq!(state.take(), Taken::Already);
    }
}

#[test]
fn a_task_abandoned_in_the_queue_is_never_claimed() {
    let state = State::new();
    assert_eq!(state.abandon(Abandon::Cancelled), Some(false));
    assert!(!state.claim());
    assert!(!state.is_running());
}

#[test]
fn a_watcher_is_seen_by_who_resolves_or_sees_it_resolved() {
    let state = State::new();
    assert!(state.claim());
    assert!(state.watch(true));
    assert_eq!(state.finish(), Finish::Watched);
    assert!(!state.watch(true));
}

#[test]
fn runs_once_and_hands_out_the_result_once() {
    let (handle, job) = cell();
    assert!(job.clone().run_here(frame(), None).has_run());
    assert!(!job.clone().run_here(frame(), None).has_run());
    assert_eq!(handle.take().unwrap(), 3);
    assert_eq!(
        handle.take().unwrap_err().kind(),
        TaskErrorKind::AlreadyJoined
    );
}

#[test]
fn a_refused_task_never_runs() {
    let (handle, job) = cell();
    assert!(job.refuse(TaskError::rejected("add", "closed")));
    assert!(!job.clone().run_here(frame(), None).has_run());
    assert!(handle.take().unwrap_err().is_rejected());
}

#[test]
fn cancel_and_run_resolve_exactly_once() {
    race(
        ROUNDS,
        cell,
        |(_, job)| {
            job.clone().run_here(frame(), None);
        },
        |(_, job)| {
            job.head().abandon(Abandon::Cancelled);
        },
        |(handle, _)| match handle.take() {
            Ok(value) => assert_eq!(value, 3),
            Err(error) => assert!(error.is_cancelled(), "{error}"),
        },
    );
}

#[test]
fn two_runners_and_one_runs() {
    race(
        ROUNDS,
        || (cell(), AtomicUsize::new(0)),
        |((_, job), runs)| {
            runs.fetch_add(
                usize::from(job.clone().run_here(frame(), None).has_run()),
                SeqCst,
            );
        },
        |((_, job), runs)| {
            runs.fetch_add(
                usize::from(job.clone().run_here(frame(), None).has_run()),
                SeqCst,
            );
        },
        |((handle, _), runs)| {
            assert_eq!(runs.into_inner(), 1);
            assert_eq!(handle.take().unwrap(), 3);
        },
    );
}

#[test]
fn a_parked_thread_is_woken_whenever_it_comes() {
    race(
        ROUNDS,
        cell,
        |(_, job)| {
            job.clone().run_here(frame(), None);
        },
        |(_, job)| job.head().park_until_resolved(None),
        |(handle, _)| assert_eq!(handle.take().unwrap(), 3),
    );
}

#[test]
fn a_callback_runs_once_whenever_it_comes() {
    race(
        ROUNDS,
        || (cell(), Arc::new(AtomicUsize::new(0))),
        |((_, job), _)| {
            job.clone().run_here(frame(), None);
        },
        |((_, job), calls)| {
            let calls = calls.clone();
            let count = Box::new(move || {
                calls.fetch_add(1, SeqCst);
            });
            job.head()
                .waiters
                .add_callback(count, None, &job.head().state);
        },
        |(_, calls)| assert_eq!(calls.load(SeqCst), 1),
    );
}

#[test]
fn parking_ends_with_the_deadline_and_leaves_one_entry() {
    let (_handle, job) = cell();
    for _ in 0..10 {
        let soon = Instant::now() + Duration::from_millis(1);
        job.head().park_until_resolved(Some(soon));
        assert!(Instant::now() >= soon);
    }
    assert_eq!(job.head().waiters.len(), 1);
}

#[test]
fn callbacks_run_in_order_and_a_panicking_one_harms_nobody() {
    let (_handle, job) = cell();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for i in 0..5 {
        let seen = seen.clone();
        let callback = Box::new(move || {
            seen.lock().unwrap().push(i);
            assert!(i != 2, "callback {i} fails");
        });
        job.head()
            .waiters
            .add_callback(callback, None, &job.head().state);
    }
    job.clone().run_here(frame(), None);
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
    let (_handle, job) = cell();
    let [old, new] = [(); 2].map(|()| Arc::new(Count(AtomicUsize::new(0))));
    for count in [&old, &old, &new] {
        let waker = Waker::from(count.clone());
        assert!(
            job.head()
                .waiters
                .add_waker(&waker, None, &job.head().state)
        );
    }
    job.clone().run_here(frame(), None);
    assert_eq!((old.0.load(SeqCst), new.0.load(SeqCst)), (0, 1));
}

#[cfg(feature = "processes")]
mod claimed {
    use super::*;
    use crate::codec::bytes::Bytes;
    use crate::codec::{Answer, Reply};

    fn answer(payload: Bytes) -> Answer {
        Answer {
            reply: Reply::Output,
            payload,
            worker: 7,
        }
    }

    /// A result as a worker sends it.
    fn payload(value: u32) -> Bytes {
        crate::codec::to_vec(&value).unwrap().into()
    }

    fn claimed() -> (Handle<u32>, Claimed) {
        let (handle, job) = cell();
        (handle, Claimed::new(job).unwrap())
    }

    #[test]
    fn holds_the_encoded_arguments_and_gives_the_answer_back() {
        let (handle, mut claimed) = claimed();
        let encoded = crate::codec::to_vec(&Add(1, 2)).unwrap();
        assert_eq!(claimed.args(), encoded);
        let args = claimed.take_args();
        assert!(claimed.args().is_empty());
        claimed.put_args(args);
        assert_eq!(claimed.args(), encoded);
        assert!(claimed.answer(answer(payload(42)), None).is_none());
        assert_eq!(handle.take().unwrap(), 42);
    }

    #[test]
    fn there_is_one_claim() {
        let (handle, claimed) = claimed();
        assert!(Claimed::new(handle.job().clone()).is_none());
        assert!(!handle.job().clone().run_here(frame(), None).has_run());
        drop(claimed);
    }

    #[test]
    fn a_dropped_claim_resolves_the_handle() {
        let (handle, claimed) = claimed();
        drop(claimed);
        assert!(handle.take().unwrap_err().is_cancelled());
    }

    #[test]
    fn an_answer_that_does_not_decode_is_an_error_of_that_task() {
        let (handle, claimed) = claimed();
        assert!(claimed.answer(answer(Bytes::new()), None).is_none());
        let error = handle.take().unwrap_err();
        assert!(error.is_codec(), "{error}");
        assert_eq!(error.worker_pid(), Some(7));
    }

    #[test]
    fn answer_and_cancel_resolve_exactly_once() {
        race(
            ROUNDS,
            || {
                let (handle, claimed) = claimed();
                (handle, Mutex::new(Some(claimed)))
            },
            |(_, claimed)| {
                let claimed = claimed.lock().unwrap().take().unwrap();
                drop(claimed.answer(answer(payload(42)), None));
            },
            |(handle, _)| {
                handle.job().head().abandon(Abandon::Cancelled);
            },
            |(handle, _)| match handle.take() {
                Ok(value) => assert_eq!(value, 42),
                Err(error) => assert!(error.is_cancelled(), "{error}"),
            },
        );
    }
}

#[test]
fn whoever_has_the_last_pointer_takes_the_outcome_along() {
    for _ in 0..ROUNDS {
        let (handle, job) = cell();
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                assert!(job.run_here(frame(), None).has_run());
            });
            start.wait();
            while !handle.job().head().is_resolved() {
                std::hint::spin_loop();
            }
            assert_eq!(handle.into_outcome().unwrap(), 3);
        });
    }
}

#[test]
fn an_outcome_that_was_taken_is_not_taken_again_by_the_last_pointer() {
    let (handle, job) = cell();
    assert!(job.run_here(frame(), None).has_run());
    assert_eq!(handle.take().unwrap(), 3);
    let error = handle.into_outcome().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::AlreadyJoined);
}

#[test]
fn a_task_can_hold_on_to_its_own_job() {
    #[derive(Serialize, Deserialize)]
    struct Keep;
    static KEPT: Mutex<Option<crate::job::current::Current>> = Mutex::new(None);
    impl Task for Keep {
        type Output = ();
        const NAME: &'static str = "keep";
        fn run(self) {
            *KEPT.lock().unwrap() = Some(crate::job::current::current());
        }
    }
    let (handle, job) = JobCell::new(Keep);
    assert!(job.run_here(frame(), None).has_run());
    assert!(handle.into_outcome().is_ok());
    let kept = KEPT.lock().unwrap().take().unwrap();
    assert!(!kept.is_cancelled());
    assert_eq!(kept.task_name(), "keep");
}

mod seat {
    use super::*;

    /// Tells when it has started, and runs until it is told to end.
    #[derive(Serialize, Deserialize)]
    struct Wait;

    static STEPS: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

    impl Task for Wait {
        type Output = ();
        const NAME: &'static str = "wait";
        fn run(self) {
            STEPS[0].store(1, SeqCst);
            while STEPS[1].load(SeqCst) == 0 {
                thread::yield_now();
            }
        }
    }

    fn on(seat: &Seat) -> Option<OnSeat<'_>> {
        Some(OnSeat {
            seat,
            alarm: &|_| {},
            later: None,
            begins: &|_| {},
            count: Box::leak(Box::default()),
            failed: &|_| {},
        })
    }

    #[test]
    fn shows_what_runs_and_is_empty_afterwards() {
        let seat = Seat::new();
        let (handle, job) = JobCell::new(Wait);
        thread::scope(|scope| {
            scope.spawn(|| job.run_here(frame(), on(&seat)));
            while STEPS[0].load(SeqCst) == 0 {
                thread::yield_now();
            }
            let jobs = seat.jobs();
            assert_eq!(jobs.len(), 1);
            assert!(jobs[0].0.is(handle.job()));
            STEPS[1].store(1, SeqCst);
        });
        assert!(seat.jobs().is_empty());
    }

    #[test]
    fn a_closed_one_lets_nothing_start() {
        let seat = Seat::new();
        seat.close();
        let (handle, job) = cell();
        assert!(job.run_here(frame(), on(&seat)).has_run());
        assert!(handle.into_outcome().unwrap_err().is_cancelled());
    }

    #[test]
    fn on_a_closed_one_a_destructor_that_panics_harms_nobody() {
        #[derive(Serialize, Deserialize)]
        struct TakesBomb(Bomb);
        impl Task for TakesBomb {
            type Output = ();
            const NAME: &'static str = "takes_bomb";
            fn run(self) {
                std::mem::forget(self.0);
            }
        }
        let seat = Seat::new();
        seat.close();
        let (handle, job) = JobCell::new(TakesBomb(Bomb));
        assert!(job.run_here(frame(), on(&seat)).has_run());
        assert!(handle.into_outcome().unwrap_err().is_cancelled());
    }

    /// Visitors come and go while a worker enters and leaves; nested once in a while.
    #[test]
    fn visitors_never_see_a_job_that_is_gone() {
        #[derive(Serialize, Deserialize)]
        struct Nest(u32);
        static SEAT: LazyLock<Seat> = LazyLock::new(Seat::new);
        impl Task for Nest {
            type Output = u32;
            const NAME: &'static str = "nest";
            fn run(self) -> u32 {
                if self.0 == 0 {
                    return 0;
                }
                let (handle, job) = JobCell::new(Nest(self.0 - 1));
                job.run_here(frame(), on(&SEAT));
                1 + handle.into_outcome().unwrap()
            }
        }
        let done = AtomicUsize::new(0);
        thread::scope(|scope| {
            let visits: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut most = 0;
                        while done.load(SeqCst) == 0 {
                            let jobs = SEAT.jobs();
                            assert!(jobs.iter().all(|(job, _)| job.name() == "nest"));
                            most = most.max(jobs.len());
                        }
                        most
                    })
                })
                .collect();
            for i in 0..10 * ROUNDS as u32 {
                let (handle, job) = JobCell::new(Nest(i % 4));
                job.run_here(frame(), on(&SEAT));
                assert_eq!(handle.into_outcome().unwrap(), i % 4);
            }
            done.store(1, SeqCst);
            for visit in visits {
                assert!(visit.join().unwrap() <= 4);
            }
        });
        assert!(SEAT.jobs().is_empty());
    }
}

mod batch {
    use std::collections::BTreeSet;

    use super::*;

    /// Counts the tasks and results that are alive.
    #[derive(Debug)]
    struct Counted(u32);

    static ALIVE: AtomicUsize = AtomicUsize::new(0);
    /// The tests share the count.
    static ALONE: Mutex<()> = Mutex::new(());

    impl Counted {
        fn new(number: u32) -> Self {
            ALIVE.fetch_add(1, SeqCst);
            Self(number)
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            ALIVE.fetch_sub(1, SeqCst);
        }
    }

    impl Serialize for Counted {
        fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(out)
        }
    }

    impl<'de> Deserialize<'de> for Counted {
        fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
            u32::deserialize(input).map(Self::new)
        }
    }

    #[derive(Serialize, Deserialize)]
    struct Count(Counted);

    impl Task for Count {
        type Output = Counted;
        const NAME: &'static str = "count";

        fn run(self) -> Counted {
            assert!(self.0.0 % 10 != 7, "number {}", self.0.0);
            Counted::new(self.0.0 + 1_000)
        }
    }

    fn batch(len: u32, run: usize) -> (Arc<Batch<Count>>, BatchConsumer<Count>) {
        Batch::new(
            (0..len).map(|i| Count(Counted::new(i))).collect(),
            None,
            run,
        )
    }

    fn take(consumer: &mut BatchConsumer<Count>) -> Option<Result<u32, TaskError>> {
        consumer
            .take()
            .map(|outcome| outcome.map(|counted| counted.0))
    }

    #[test]
    fn workers_run_each_task_once_and_the_consumer_gets_them_in_order() {
        let _alone = ALONE.lock().unwrap();
        for round in 0..ROUNDS / 20 {
            let (batch, mut consumer) = batch(40, 1 + round % 7);
            thread::scope(|scope| {
                for _ in 0..2 {
                    let batch = Arc::clone(&batch);
                    scope.spawn(move || batch.work());
                }
                for i in 0..40 {
                    let outcome = loop {
                        match take(&mut consumer) {
                            Some(outcome) => break outcome,
                            None if consumer.watch(i as usize % 5) => {
                                thread::park_timeout(Duration::from_millis(1));
                            }
                            None => {}
                        }
                    };
                    match outcome {
                        Ok(number) => assert_eq!(number, i + 1_000),
                        Err(error) => assert!(error.is_panic() && i % 10 == 7),
                    }
                }
            });
            assert_eq!((consumer.left(), batch.pace().0), (0, 40));
        }
        assert_eq!(ALIVE.load(SeqCst), 0);
    }

    #[test]
    fn what_is_cancelled_or_left_behind_is_dropped_once() {
        let _alone = ALONE.lock().unwrap();
        for round in 0..ROUNDS / 20 {
            let (batch, mut consumer) = batch(40, 4);
            thread::scope(|scope| {
                let worker = Arc::clone(&batch);
                scope.spawn(move || worker.work());
                for _ in 0..round % 9 {
                    while take(&mut consumer).is_none() {
                        std::hint::spin_loop();
                    }
                }
                if round % 2 == 0 {
                    consumer.skip();
                }
                consumer.cancel();
                batch.work();
            });
            drop((batch, consumer));
            assert_eq!(ALIVE.load(SeqCst), 0);
        }
    }

    #[test]
    fn a_worker_helps_with_the_run_of_another_one() {
        #[derive(Serialize, Deserialize)]
        struct Meet(u32);
        static MET: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
        impl Task for Meet {
            type Output = u32;
            const NAME: &'static str = "meet";
            /// The first waits for the last, which is in its run.
            fn run(self) -> u32 {
                MET.lock().unwrap().insert(self.0);
                while self.0 == 0 && !MET.lock().unwrap().contains(&3) {
                    thread::yield_now();
                }
                self.0
            }
        }
        let (batch, mut consumer) = Batch::new((0..4).map(Meet).collect(), None, 4);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| batch.work());
            }
        });
        assert!((0..4).all(|i| consumer.take().unwrap().unwrap() == i));
    }
}
