//! What the coordinator decides, told event by event, with a clock of its own.

mod more;

use serde::{Deserialize, Serialize};

use super::super::wire::{Chunk, Failure, Fate, Fetch, Payload, Present};
use super::looks::LOOKS;
use super::*;
use crate::codec::{self, Reply};
use crate::error::task_error::TaskErrorKind;
use crate::job::cell::{Effects, Handle, JobCell};
use crate::job::work::{Ran, SentChunk};
use crate::task::{Options, Task, WithOptions};

#[derive(Serialize, Deserialize)]
struct Double(u32);

impl Task for Double {
    type Output = u32;
    const NAME: &'static str = "double";

    fn run(self) -> u32 {
        2 * self.0
    }
}

struct Told {
    coordinator: Coordinator,
    now: Instant,
}

fn told() -> Told {
    let config = Config {
        workers: 1,
        grace: Duration::from_millis(100),
        start_timeout: Duration::ZERO,
        stack_size: 0,
        queue: None,
        queue_bytes: None,
        initializer: None,
        processes: crate::engine::ProcessConfig::default(),
        nats: None,
    };
    let now = Instant::now();
    let coordinator = Coordinator::new(&config, None, "00ff", Arc::new(Metrics::new()), now);
    Told { coordinator, now }
}

impl Told {
    fn with<R>(&mut self, work: impl FnOnce(&mut Coordinator, Instant, &mut After) -> R) -> R {
        let mut after = After::default();
        let result = work(&mut self.coordinator, self.now, &mut after);
        after.wake_watchers(&Effects::new());
        result
    }

    /// The clock is looked at each second.
    fn later(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = end.min(self.now + SECOND);
            self.with(|coordinator, now, after| coordinator.tick(now, after));
        }
    }

    fn submit(&mut self, options: Options) -> Handle<u32> {
        self.submit_by(options, None)
    }

    fn submit_by(&mut self, options: Options, start_by: Option<Instant>) -> Handle<u32> {
        let (handle, job) = JobCell::new(WithOptions::new(Double(21), options));
        let job = Claimed::new(job).unwrap();
        self.with(|coordinator, _, after| {
            assert!(
                coordinator
                    .submit(job, false, start_by, None, after)
                    .is_ok()
            )
        });
        handle
    }

    fn submit_chunk(&mut self, tasks: u32) -> Handle<Ran<Double>> {
        let tasks: Vec<_> = (0..tasks).map(Double).collect();
        let (handle, job) = JobCell::new(SentChunk::of(&tasks, None, 1 << 20));
        let job = Claimed::new(job).unwrap();
        self.with(|coordinator, _, after| {
            assert!(coordinator.submit(job, false, None, None, after).is_ok())
        });
        handle
    }

    /// Publishes the next one.
    fn publish(&mut self) -> Run {
        self.publish_next().unwrap()
    }

    fn publish_next(&mut self) -> Option<Run> {
        self.with(|coordinator, now, _| coordinator.next_order(now))
            .map(|(run, _)| run)
    }

    fn ask(&mut self, agent: &str, run: Run) -> Verdict {
        self.with(|coordinator, now, after| coordinator.ask(agent, run, now, after))
    }

    fn answer(&mut self, agent: &str, run: Run, value: u32) {
        let payload = codec::to_vec(&value).unwrap();
        let fate = answered(Reply::Output, None);
        let (part, payload) = (run.whole(), payload.into());
        self.with(|coordinator, now, after| {
            coordinator.done(agent, part, fate, &payload, now, after)
        });
    }

    fn fail(&mut self, agent: &str, run: Run, kind: TaskErrorKind) {
        let fate = Fate::Failed(Failure::of(&TaskError::new(kind, "double")));
        let part = run.whole();
        self.with(|coordinator, now, after| {
            coordinator.done(agent, part, fate, &Bytes::new(), now, after)
        });
    }

    /// The only roll that is due.
    fn roll(&mut self) -> agents::Roll {
        let mut rolls = self.with(|coordinator, now, _| coordinator.rolls(now));
        assert_eq!(rolls.len(), 1);
        rolls.remove(0)
    }

    fn present(&mut self, agent: &str, abi: &str) {
        let present = Present {
            agent: agent.into(),
            abi: abi.into(),
            seats: 2,
            busy: 0,
            host: "host".into(),
            pid: 1,
            drains: false,
        };
        self.with(|coordinator, now, _| coordinator.present(present, now));
    }

    fn says(&mut self) -> Vec<Say> {
        std::mem::take(&mut self.coordinator.says)
    }
}

fn answered(reply: Reply, chunk: Option<Chunk>) -> Fate {
    Fate::Answer {
        reply: reply as u32,
        worker: 7,
        payload: Payload::Here(0),
        chunk,
    }
}

fn idempotent() -> Options {
    Options {
        idempotent: true,
        ..Options::default()
    }
}

fn kind<T>(handle: Handle<T>) -> TaskErrorKind {
    assert!(handle.job().head().is_resolved());
    handle.into_outcome().map(drop).unwrap_err().kind()
}

fn is_open<T>(handle: &Handle<T>) -> bool {
    !handle.job().head().is_resolved()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_task_goes_all_the_way() {
    let mut told = told();
    let handle = told.submit(Options::default());
    let run = told.publish();
    told.coordinator.acked(run, 1);
    assert_eq!(told.ask("a", run), Verdict::Go);
    assert!(is_open(&handle));
    told.answer("a", run, 42);
    assert_eq!(handle.into_outcome().unwrap(), 42);
    assert!(!told.coordinator.is_busy());
    assert_eq!(told.coordinator.stats().finished, 1);
    assert!(told.says().is_empty());
}

#[test]
fn a_run_is_given_to_one_agent_which_may_ask_again() {
    let mut told = told();
    let _handle = told.submit(Options::default());
    let run = told.publish();
    assert_eq!(told.ask("a", run), Verdict::Go);
    assert_eq!(told.ask("b", run), Verdict::Elsewhere);
    assert_eq!(told.ask("a", run), Verdict::Go);
    told.answer("b", run, 1);
    assert!(told.coordinator.is_busy(), "b was never asked for it");
    told.answer("a", run, 42);
    for agent in ["a", "b"] {
        assert_eq!(told.ask(agent, run), Verdict::Drop);
    }
}

#[test]
fn what_was_never_submitted_does_not_start() {
    let mut told = told();
    assert_eq!(told.ask("a", Run { job: 0, run: 0 }), Verdict::Drop);
    let _handle = told.submit(Options::default());
    let run = told.publish();
    let other = Run { run: 1, ..run };
    assert_eq!(told.ask("a", other), Verdict::Drop);
    let other = Run {
        job: run.job + (1 << 32),
        ..run
    };
    assert_eq!(told.ask("a", other), Verdict::Drop);
}

#[test]
fn a_place_that_is_used_again_is_another_job() {
    let mut told = told();
    let first = told.submit(Options::default());
    let old = told.publish();
    assert_eq!(told.ask("a", old), Verdict::Go);
    told.answer("a", old, 1);
    drop(first);
    let second = told.submit(Options::default());
    let new = told.publish();
    assert_ne!(old, new);
    told.answer("a", old, 1);
    assert!(is_open(&second));
    assert_eq!(told.ask("b", old), Verdict::Drop);
    assert_eq!(told.ask("b", new), Verdict::Go);
}

#[test]
fn a_cancelled_task_never_starts_and_its_message_goes() {
    let mut told = told();
    let handle = told.submit(Options::default());
    let run = told.publish();
    told.coordinator.acked(run, 5);
    let job = handle.job().clone();
    let cancelled = told.with(|coordinator, _, after| coordinator.cancel(&job, true, after));
    assert_eq!(cancelled, Cancelled::Yes);
    assert_eq!(kind(handle), TaskErrorKind::Cancelled);
    assert_eq!(told.ask("a", run), Verdict::Drop);
    assert_eq!(told.says(), [Say::Delete(5)]);
}

#[test]
fn the_message_of_a_task_that_is_cancelled_early_goes_when_its_number_is_known() {
    let mut told = told();
    let handle = told.submit(Options::default());
    let run = told.publish();
    let job = handle.job().clone();
    told.with(|coordinator, _, after| coordinator.cancel(&job, false, after));
    assert!(told.says().is_empty());
    told.coordinator.acked(run, 6);
    assert_eq!(told.says(), [Say::Delete(6)]);
    told.coordinator.acked(run, 6);
    assert!(told.says().is_empty());
}

#[test]
fn a_running_task_is_cancelled_at_once_and_stopped() {
    let mut told = told();
    let handle = told.submit(Options::default());
    let run = told.publish();
    told.ask("a", run);
    let job = handle.job().clone();
    let queued = told.with(|coordinator, _, after| coordinator.cancel(&job, false, after));
    assert_eq!(queued, Cancelled::No);
    let running = told.with(|coordinator, _, after| coordinator.cancel(&job, true, after));
    assert_eq!(running, Cancelled::Yes);
    assert_eq!(kind(handle), TaskErrorKind::Cancelled);
    let stop = Say::Stop {
        agent: "a".into(),
        part: run.whole(),
        running: true,
    };
    let said = told.says();
    assert_eq!(said.last(), Some(&stop));
    // What had not started there would not have started.
    assert!(matches!(said[0], Say::Stop { running: false, .. }));
    let roll = told.roll();
    assert_eq!((roll.wanted, roll.unwanted), (vec![], vec![run.whole()]));
    assert_eq!(
        (
            told.coordinator.stats().running,
            told.coordinator.stats().overdue
        ),
        (0, 1)
    );
    told.fail("a", run, TaskErrorKind::Cancelled);
    assert!(!told.coordinator.is_busy());
    assert_eq!(told.coordinator.stats().failed.total(), 1);
}

#[test]
fn what_waits_for_too_long_never_starts() {
    let mut told = told();
    let by = told.now + SECOND;
    let waits = told.submit_by(Options::default(), Some(by));
    let runs = told.submit_by(Options::default(), Some(by));
    let (late, early) = (told.publish(), told.publish());
    assert_eq!(told.ask("a", early), Verdict::Go);
    told.later(SECOND);
    assert_eq!(kind(waits), TaskErrorKind::TimedOut);
    assert!(is_open(&runs));
    assert_eq!(told.ask("a", late), Verdict::Drop);
    assert_eq!(told.coordinator.stats().timed_out, 1);
}

#[test]
fn an_agent_that_nobody_listens_to_any_more_is_gone_after_a_while() {
    let mut told = told();
    let handle = told.submit(Options::default());
    let run = told.publish();
    told.ask("a", run);
    for _ in 0..5 {
        assert!(is_open(&handle));
        let roll = told.roll();
        assert_eq!(roll.wanted, [run.whole()]);
        told.with(|coordinator, now, _| coordinator.roll_unheard(roll.number, now));
        told.later(SECOND);
    }
    assert_eq!(kind(handle), TaskErrorKind::WorkerLost);
    assert_eq!(told.coordinator.stats().workers_lost, 1);
}

#[test]
fn an_agent_that_is_heard_again_is_not_gone() {
    let mut told = told();
    let handle = told.submit(Options::default());
    let run = told.publish();
    told.ask("a", run);
    for second in 0..30 {
        let roll = told.roll();
        if second % 4 == 3 {
            told.with(|coordinator, now, after| {
                coordinator.roll_answered(roll.number, &[], now, after)
            });
        } else {
            told.with(|coordinator, now, _| coordinator.roll_unheard(roll.number, now));
        }
        told.later(SECOND);
    }
    assert!(is_open(&handle));
}

#[test]
fn an_agent_that_is_silent_is_gone_but_not_while_we_are_deaf_ourselves() {
    let mut told = told();
    let handle = told.submit(Options::default());
    let run = told.publish();
    told.ask("a", run);
    told.with(|coordinator, now, _| coordinator.connected(false, now));
    assert!(
        told.with(|coordinator, now, _| coordinator.rolls(now))
            .is_empty()
    );
    told.later(60 * SECOND);
    told.with(|coordinator, now, _| coordinator.connected(true, now));
    told.later(14 * SECOND);
    assert!(is_open(&handle));
    told.later(SECOND);
    assert_eq!(kind(handle), TaskErrorKind::WorkerLost);
}

#[test]
fn while_we_are_disconnected_no_agent_is_lost() {
    let mut told = told();
    let handle = told.submit(Options::default());
    let run = told.publish();
    told.ask("a", run);
    told.with(|coordinator, now, _| coordinator.connected(false, now));
    told.later(60 * SECOND);
    assert!(is_open(&handle));
    assert_eq!(told.publish_next(), None);
}

#[test]
fn what_is_idempotent_runs_again_elsewhere_and_its_old_run_counts_no_more() {
    let mut told = told();
    let handle = told.submit(idempotent());
    let run = told.publish();
    told.coordinator.acked(run, 3);
    told.ask("a", run);
    told.later(15 * SECOND);
    assert!(is_open(&handle));
    assert_eq!(told.says(), [Say::Delete(3)]);
    assert_eq!(told.ask("b", run), Verdict::Drop);
    let again = told.publish();
    assert_eq!(again, Run { run: 1, ..run });
    assert_eq!(told.ask("b", again), Verdict::Go);
    told.answer("a", run, 1);
    assert!(is_open(&handle));
    told.answer("b", again, 42);
    assert_eq!(handle.into_outcome().unwrap(), 42);
}

#[test]
fn a_task_that_takes_three_agents_along_is_the_cause() {
    let mut told = told();
    let handle = told.submit(idempotent());
    for agent in ["a", "b", "c"] {
        assert!(is_open(&handle));
        let run = told.publish();
        assert_eq!(told.ask(agent, run), Verdict::Go);
        told.later(15 * SECOND);
        told.later(SECOND);
    }
    assert_eq!(kind(handle), TaskErrorKind::WorkerLost);
}

#[test]
fn a_failure_with_retries_runs_again_after_a_while() {
    let mut told = told();
    let retries = Options {
        retries: 1,
        ..Options::default()
    };
    let handle = told.submit(retries);
    let run = told.publish();
    told.ask("a", run);
    told.fail("a", run, TaskErrorKind::OutOfMemory);
    assert!(is_open(&handle));
    assert_eq!(told.coordinator.retries().0, 1);
    assert_eq!(told.publish_next(), None);
    told.later(SECOND);
    let again = told.publish();
    assert_eq!(told.ask("a", again), Verdict::Go);
    told.fail("a", again, TaskErrorKind::OutOfMemory);
    let error = handle.into_outcome().unwrap_err();
    assert_eq!(
        (error.kind(), error.attempt()),
        (TaskErrorKind::OutOfMemory, 2)
    );
    assert_eq!(told.coordinator.stats().retried, 1);
}

#[test]
fn what_an_agent_hands_back_is_asked_for_again() {
    let mut told = told();
    let _handle = told.submit(Options::default());
    let run = told.publish();
    told.ask("a", run);
    told.with(|coordinator, now, after| coordinator.back("b", run, now, after));
    assert_eq!(told.ask("b", run), Verdict::Elsewhere);
    told.with(|coordinator, now, after| coordinator.back("a", run, now, after));
    assert_eq!(told.ask("b", run), Verdict::Go);
}

#[test]
fn a_run_that_its_agent_does_not_know_is_lost_unless_it_was_given_later() {
    let mut told = told();
    let first = told.submit(Options::default());
    let second = told.submit(Options::default());
    let (old, new) = (told.publish(), told.publish());
    told.ask("a", old);
    let roll = told.roll();
    told.now += SECOND / 10;
    told.ask("a", new);
    let unknown = [old.whole(), new.whole()];
    told.with(|coordinator, now, after| {
        coordinator.roll_answered(roll.number, &unknown, now, after)
    });
    assert_eq!(kind(first), TaskErrorKind::WorkerLost);
    assert!(is_open(&second));
}

#[test]
fn a_publish_that_nobody_acknowledges_or_that_is_refused_comes_again() {
    let mut told = told();
    let _handle = told.submit(Options::default());
    let run = told.publish();
    assert_eq!(told.publish_next(), None);
    told.later(2 * SECOND);
    assert_eq!(told.publish(), run);
    told.with(|coordinator, now, _| coordinator.refused(run, now));
    assert_eq!(told.publish_next(), None);
    told.later(REFUSED_TIME);
    assert_eq!(told.publish(), run);
}

#[test]
fn messages_that_vanish_are_published_again_after_two_looks() {
    let mut told = told();
    let _handle = told.submit(Options::default());
    let run = told.publish();
    told.coordinator.acked(run, 1);
    told.later(SECOND);
    told.with(|coordinator, now, _| assert!(coordinator.looked(0, now), "soon again"));
    told.with(|coordinator, now, _| assert!(!coordinator.looked(0, now)));
    assert_eq!(told.publish_next(), None, "it is young");
    told.later(SECOND);
    told.with(|coordinator, now, _| coordinator.looked(0, now));
    told.with(|coordinator, now, _| coordinator.looked(1, now));
    told.with(|coordinator, now, _| coordinator.looked(0, now));
    assert_eq!(told.publish_next(), None, "not twice in a row");
    told.with(|coordinator, now, _| coordinator.looked(0, now));
    assert_eq!(told.publish(), run);
}

#[test]
fn where_some_have_vanished_those_that_have_waited_for_long_are_published_again() {
    let mut told = told();
    let _handles = [(); 2].map(|()| told.submit(Options::default()));
    let first = told.publish();
    told.coordinator.acked(first, 1);
    told.later(9 * SECOND);
    let second = told.publish();
    told.coordinator.acked(second, 2);
    for _ in 0..LOOKS {
        told.with(|coordinator, now, _| coordinator.looked(1, now));
    }
    assert_eq!(told.publish_next(), None, "both are young");
    told.later(SECOND);
    for _ in 0..LOOKS {
        told.with(|coordinator, now, _| coordinator.looked(1, now));
    }
    assert_eq!((told.publish(), told.publish_next()), (first, None));
}

#[test]
fn what_a_server_has_forgotten_to_take_out_of_the_queue_is_taken_out() {
    let mut told = told();
    let _handles = [(); 3].map(|()| told.submit(Options::default()));
    for seq in 1..=3 {
        let run = told.publish();
        told.coordinator.acked(run, seq);
        if seq < 3 {
            told.ask("a", run);
            told.answer("a", run, 42);
        }
    }
    let look = |told: &mut Told, found| {
        for _ in 0..LOOKS {
            told.with(|coordinator, now, _| coordinator.looked(found, now));
        }
        told.says()
    };
    assert_eq!(
        look(&mut told, 3),
        [],
        "their acknowledgements are under way"
    );
    for is_connected in [false, true] {
        told.with(|coordinator, now, _| coordinator.connected(is_connected, now));
    }
    let before = Some(3);
    assert_eq!(
        look(&mut told, 3),
        [Say::Purge { before }],
        "not what waits"
    );
    assert_eq!(look(&mut told, 1), []);
    let third = told.coordinator.entry(2).unwrap().part.run;
    told.ask("a", third);
    told.answer("a", third, 42);
    assert!(!told.coordinator.is_busy() && told.coordinator.is_watching());
    let before = Some(4);
    assert_eq!(look(&mut told, 1), [Say::Purge { before }]);
    assert!(!told.coordinator.is_watching());
}

#[test]
fn a_deadline_that_its_agent_misses_is_kept_all_the_same() {
    let mut told = told();
    let limited = Options {
        timeout: Some(SECOND),
        ..Options::default()
    };
    let handle = told.submit(limited);
    let run = told.publish();
    told.ask("a", run);
    told.later(2 * SECOND);
    assert!(is_open(&handle));
    told.later(SECOND);
    assert_eq!(kind(handle), TaskErrorKind::TimedOut);
    assert!(matches!(told.says()[..], [Say::Stop { running: true, .. }]));
}
