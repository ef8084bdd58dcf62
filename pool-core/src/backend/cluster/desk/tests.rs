//! What the desk decides, told event by event, with a clock of its own.

use serde::{Deserialize, Serialize};

use super::super::wire::{Chunk, Failure, Fate, Fetch, Payload, Present};
use super::looks::LOOKS;
use super::*;
use crate::cell::{Handle, JobCell};
use crate::codec::{self, Reply};
use crate::task::Options;
use crate::work::{Ran, SentChunk};
use crate::{Task, WithOptions};

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
    desk: Desk,
    now: Instant,
}

fn told() -> Told {
    let config = Config {
        workers: 1,
        grace: Duration::from_millis(100),
        start_timeout: Duration::ZERO,
        queue: None,
        queue_bytes: None,
        initializer: None,
        processes: crate::backend::ProcessConfig::default(),
        nats: None,
    };
    let now = Instant::now();
    let desk = Desk::new(&config, None, "00ff", Arc::new(Tally::new()), now);
    Told { desk, now }
}

impl Told {
    fn with<R>(&mut self, work: impl FnOnce(&mut Desk, Instant, &mut After) -> R) -> R {
        let mut after = After::default();
        let result = work(&mut self.desk, self.now, &mut after);
        after.wake_watchers();
        result
    }

    /// The clock is looked at each second.
    fn later(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = end.min(self.now + SECOND);
            self.with(|desk, now, after| desk.tick(now, after));
        }
    }

    fn submit(&mut self, options: Options) -> Handle<u32> {
        self.submit_by(options, None)
    }

    fn submit_by(&mut self, options: Options, start_by: Option<Instant>) -> Handle<u32> {
        let (handle, job) = JobCell::new(WithOptions::new(Double(21), options));
        let job = Claimed::new(job).unwrap();
        self.with(|desk, _, after| assert!(desk.submit(job, false, start_by, None, after).is_ok()));
        handle
    }

    fn submit_chunk(&mut self, tasks: u32) -> Handle<Ran<Double>> {
        let tasks: Vec<_> = (0..tasks).map(Double).collect();
        let (handle, job) = JobCell::new(SentChunk::of(&tasks, None, 1 << 20));
        let job = Claimed::new(job).unwrap();
        self.with(|desk, _, after| assert!(desk.submit(job, false, None, None, after).is_ok()));
        handle
    }

    /// Publishes the next one.
    fn publish(&mut self) -> Run {
        self.publish_next().unwrap()
    }

    fn publish_next(&mut self) -> Option<Run> {
        self.with(|desk, now, _| desk.next_order(now))
            .map(|(run, _)| run)
    }

    fn ask(&mut self, agent: &str, run: Run) -> Verdict {
        self.with(|desk, now, after| desk.ask(agent, run, now, after))
    }

    fn answer(&mut self, agent: &str, run: Run, value: u32) {
        let payload = codec::to_vec(&value).unwrap();
        let fate = answered(Reply::Output, None);
        let (part, payload) = (run.whole(), payload.into());
        self.with(|desk, now, after| desk.done(agent, part, fate, &payload, now, after));
    }

    fn fail(&mut self, agent: &str, run: Run, kind: TaskErrorKind) {
        let fate = Fate::Failed(Failure::of(&TaskError::new(kind, "double")));
        let part = run.whole();
        self.with(|desk, now, after| desk.done(agent, part, fate, &Bytes::new(), now, after));
    }

    /// The only roll that is due.
    fn roll(&mut self) -> agents::Roll {
        let mut rolls = self.with(|desk, now, _| desk.rolls(now));
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
        self.with(|desk, now, _| desk.present(present, now));
    }

    fn says(&mut self) -> Vec<Say> {
        std::mem::take(&mut self.desk.says)
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
    told.desk.acked(run, 1);
    assert_eq!(told.ask("a", run), Verdict::Go);
    assert!(is_open(&handle));
    told.answer("a", run, 42);
    assert_eq!(handle.into_outcome().unwrap(), 42);
    assert!(!told.desk.is_busy());
    assert_eq!(told.desk.stats().finished, 1);
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
    assert!(told.desk.is_busy(), "b was never asked for it");
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
    told.desk.acked(run, 5);
    let job = handle.job().clone();
    let cancelled = told.with(|desk, _, after| desk.cancel(&job, true, after));
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
    told.with(|desk, _, after| desk.cancel(&job, false, after));
    assert!(told.says().is_empty());
    told.desk.acked(run, 6);
    assert_eq!(told.says(), [Say::Delete(6)]);
    told.desk.acked(run, 6);
    assert!(told.says().is_empty());
}

#[test]
fn a_running_task_is_cancelled_at_once_and_stopped() {
    let mut told = told();
    let handle = told.submit(Options::default());
    let run = told.publish();
    told.ask("a", run);
    let job = handle.job().clone();
    let queued = told.with(|desk, _, after| desk.cancel(&job, false, after));
    assert_eq!(queued, Cancelled::No);
    let running = told.with(|desk, _, after| desk.cancel(&job, true, after));
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
        (told.desk.stats().running, told.desk.stats().overdue),
        (0, 1)
    );
    told.fail("a", run, TaskErrorKind::Cancelled);
    assert!(!told.desk.is_busy());
    assert_eq!(told.desk.stats().failed.total(), 1);
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
    assert_eq!(told.desk.stats().timed_out, 1);
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
        told.with(|desk, now, _| desk.roll_unheard(roll.number, now));
        told.later(SECOND);
    }
    assert_eq!(kind(handle), TaskErrorKind::WorkerLost);
    assert_eq!(told.desk.stats().workers_lost, 1);
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
            told.with(|desk, now, after| desk.roll_answered(roll.number, &[], now, after));
        } else {
            told.with(|desk, now, _| desk.roll_unheard(roll.number, now));
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
    told.with(|desk, now, _| desk.connected(false, now));
    assert!(told.with(|desk, now, _| desk.rolls(now)).is_empty());
    told.later(60 * SECOND);
    told.with(|desk, now, _| desk.connected(true, now));
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
    told.with(|desk, now, _| desk.connected(false, now));
    told.later(60 * SECOND);
    assert!(is_open(&handle));
    assert_eq!(told.publish_next(), None);
}

#[test]
fn what_is_idempotent_runs_again_elsewhere_and_its_old_run_counts_no_more() {
    let mut told = told();
    let handle = told.submit(idempotent());
    let run = told.publish();
    told.desk.acked(run, 3);
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
    assert_eq!(told.desk.retries().0, 1);
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
    assert_eq!(told.desk.stats().retried, 1);
}

#[test]
fn what_an_agent_hands_back_is_asked_for_again() {
    let mut told = told();
    let _handle = told.submit(Options::default());
    let run = told.publish();
    told.ask("a", run);
    told.with(|desk, now, after| desk.back("b", run, now, after));
    assert_eq!(told.ask("b", run), Verdict::Elsewhere);
    told.with(|desk, now, after| desk.back("a", run, now, after));
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
    told.with(|desk, now, after| desk.roll_answered(roll.number, &unknown, now, after));
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
    told.with(|desk, now, _| desk.refused(run, now));
    assert_eq!(told.publish_next(), None);
    told.later(REFUSED_TIME);
    assert_eq!(told.publish(), run);
}

#[test]
fn messages_that_vanish_are_published_again_after_two_looks() {
    let mut told = told();
    let _handle = told.submit(Options::default());
    let run = told.publish();
    told.desk.acked(run, 1);
    told.later(SECOND);
    told.with(|desk, now, _| assert!(desk.looked(0, now), "soon again"));
    told.with(|desk, now, _| assert!(!desk.looked(0, now)));
    assert_eq!(told.publish_next(), None, "it is young");
    told.later(SECOND);
    told.with(|desk, now, _| desk.looked(0, now));
    told.with(|desk, now, _| desk.looked(1, now));
    told.with(|desk, now, _| desk.looked(0, now));
    assert_eq!(told.publish_next(), None, "not twice in a row");
    told.with(|desk, now, _| desk.looked(0, now));
    assert_eq!(told.publish(), run);
}

#[test]
fn where_some_have_vanished_those_that_have_waited_for_long_are_published_again() {
    let mut told = told();
    let _handles = [(); 2].map(|()| told.submit(Options::default()));
    let first = told.publish();
    told.desk.acked(first, 1);
    told.later(9 * SECOND);
    let second = told.publish();
    told.desk.acked(second, 2);
    for _ in 0..LOOKS {
        told.with(|desk, now, _| desk.looked(1, now));
    }
    assert_eq!(told.publish_next(), None, "both are young");
    told.later(SECOND);
    for _ in 0..LOOKS {
        told.with(|desk, now, _| desk.looked(1, now));
    }
    assert_eq!((told.publish(), told.publish_next()), (first, None));
}

#[test]
fn what_a_server_has_forgotten_to_take_out_of_the_queue_is_taken_out() {
    let mut told = told();
    let _handles = [(); 3].map(|()| told.submit(Options::default()));
    for seq in 1..=3 {
        let run = told.publish();
        told.desk.acked(run, seq);
        if seq < 3 {
            told.ask("a", run);
            told.answer("a", run, 42);
        }
    }
    let look = |told: &mut Told, found| {
        for _ in 0..LOOKS {
            told.with(|desk, now, _| desk.looked(found, now));
        }
        told.says()
    };
    assert_eq!(
        look(&mut told, 3),
        [],
        "their acknowledgements are under way"
    );
    for is_connected in [false, true] {
        told.with(|desk, now, _| desk.connected(is_connected, now));
    }
    let before = Some(3);
    assert_eq!(
        look(&mut told, 3),
        [Say::Purge { before }],
        "not what waits"
    );
    assert_eq!(look(&mut told, 1), []);
    let third = told.desk.entry(2).unwrap().part.run;
    told.ask("a", third);
    told.answer("a", third, 42);
    assert!(!told.desk.is_busy() && told.desk.is_watching());
    let before = Some(4);
    assert_eq!(look(&mut told, 1), [Say::Purge { before }]);
    assert!(!told.desk.is_watching());
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

#[test]
fn the_parts_of_a_chunk_are_jobs_of_their_own() {
    let mut told = told();
    let handle = told.submit_chunk(3);
    let run = told.publish();
    told.ask("a", run);
    // One is done, one is lost, one goes on.
    let mut replies = vec![0; codec::REPLY_HEAD];
    replies.extend(codec::to_vec(&10_u32).unwrap());
    codec::head_reply(Reply::Output, &mut replies);
    let chunk = Chunk {
        ran: 1,
        lost: Some(Failure::of(&TaskError::new(TaskErrorKind::WorkerLost, ""))),
        others: vec![(1, 1)],
        run_time: SECOND,
    };
    let fate = answered(Reply::Output, Some(chunk));
    let payload = replies.into();
    told.with(|desk, now, after| desk.done("a", run.whole(), fate, &payload, now, after));
    let ran = handle.into_outcome().unwrap();
    assert_eq!(ran.outcomes[0].as_ref().unwrap(), &10);
    assert!(ran.outcomes[1].as_ref().unwrap_err().is_worker_lost());
    assert_eq!(ran.others.len(), 1);
    let part = Part { run, part: 1 };
    assert_eq!(told.roll().wanted, [part]);
    // The whole is over: nobody starts it again.
    assert_eq!(told.ask("b", run), Verdict::Drop);
    let (rest, _) = ran.others.into_iter().next().unwrap();
    told.later(15 * SECOND);
    assert_eq!(kind(rest), TaskErrorKind::WorkerLost);
}

#[test]
fn more_or_fewer_tasks_than_a_chunk_has_are_no_answer() {
    for ran in [0, 2, 4] {
        let mut told = told();
        let handle = told.submit_chunk(3);
        let run = told.publish();
        told.ask("a", run);
        let chunk = Chunk {
            ran,
            lost: None,
            others: vec![],
            run_time: SECOND,
        };
        let fate = answered(Reply::Output, Some(chunk));
        told.with(|desk, now, after| {
            desk.done("a", run.whole(), fate, &Bytes::new(), now, after);
        });
        assert_eq!(kind(handle), TaskErrorKind::Decode);
    }
}

#[test]
fn large_arguments_stay_and_are_given_out_in_pieces_to_who_may_run_them() {
    let mut told = told();
    told.desk.set_max_payload(4);
    let _handle = told.submit(Options::default());
    let (run, message) = told.with(|desk, now, _| desk.next_order(now)).unwrap();
    let (order, rest) = wire::decode::<Order>(&message).unwrap();
    assert_eq!(
        (order.stays, rest.len()),
        (None, 1),
        "one byte is not large"
    );
    let fetch = Fetch {
        part: run.whole(),
        offset: 0,
        len: 10,
    };
    assert_eq!(told.desk.piece(&fetch), None);
    told.ask("a", run);
    assert_eq!(told.desk.piece(&fetch).unwrap(), [21][..]);
    let behind = Fetch { offset: 1, ..fetch };
    assert_eq!(told.desk.piece(&behind), None);
}

#[test]
fn a_drained_desk_is_over_when_the_last_task_is() {
    let mut told = told();
    let handle = told.submit(Options::default());
    let run = told.publish();
    told.ask("a", run);
    told.with(|desk, _, after| desk.drain(after));
    let late = told.submit(Options::default());
    assert_eq!(kind(late), TaskErrorKind::Rejected);
    assert!(!told.desk.is_over());
    told.answer("a", run, 42);
    assert!(told.desk.is_over());
    drop(handle);
}

#[test]
fn a_kill_resolves_everything_and_stops_what_runs() {
    let mut told = told();
    let runs = told.submit(Options::default());
    let waits = told.submit(Options::default());
    let run = told.publish();
    told.ask("a", run);
    told.with(|desk, _, after| desk.end(Phase::Killed, after));
    assert_eq!(kind(runs), TaskErrorKind::Cancelled);
    assert_eq!(kind(waits), TaskErrorKind::Cancelled);
    assert!(told.desk.is_over());
    assert!(matches!(
        told.says()[..],
        [Say::Stop { running: true, .. }, Say::Purge { before: None }]
    ));
}

#[test]
fn that_there_is_no_agent_is_said_once_and_names_the_others() {
    let mut told = told();
    let _handle = told.submit(Options::default());
    told.present("b", "1234");
    let look = |told: &mut Told| told.with(|desk, now, after| desk.look_for_agents(now, after));
    assert_eq!(look(&mut told), None);
    told.later(5 * SECOND);
    let warning = look(&mut told).unwrap();
    assert!(
        warning.contains("00ff") && warning.contains("1234"),
        "{warning}"
    );
    assert_eq!(look(&mut told), None);
    told.present("a", "00ff");
    assert_eq!(told.desk.seats(), 2);
    told.later(10 * SECOND);
    assert_eq!(look(&mut told), None, "it was there a moment ago");
    told.later(5 * SECOND);
    assert!(look(&mut told).is_some());
}

#[test]
fn tasks_without_an_agent_are_rejected_where_there_is_a_limit() {
    let mut told = told();
    told.desk.agents = Agents::new("00ff", Some(2 * SECOND), told.now);
    let handle = told.submit(Options::default());
    told.later(SECOND);
    assert_eq!(
        told.with(|desk, now, after| desk.look_for_agents(now, after)),
        None
    );
    assert!(is_open(&handle));
    told.later(SECOND);
    told.with(|desk, now, after| desk.look_for_agents(now, after));
    let error = handle.into_outcome().unwrap_err();
    assert!(
        error.is_rejected() && error.to_string().contains("no agent"),
        "{error}"
    );
}

#[test]
fn a_deadline_may_be_as_late_as_one_likes() {
    let mut told = told();
    let handle = told.submit(Options {
        timeout: Some(Duration::MAX),
        ..Options::default()
    });
    let run = told.publish();
    assert_eq!(told.ask("a", run), Verdict::Go);
    told.answer("a", run, 42);
    assert_eq!(handle.into_outcome().unwrap(), 42);
}

#[test]
fn a_failure_after_the_queued_were_cancelled_has_no_next_run() {
    let mut told = told();
    let retries = Options {
        retries: 9,
        ..Options::default()
    };
    let [first, second] = [(); 2].map(|()| told.submit(retries));
    let [failing, returning] = [(); 2].map(|()| told.publish());
    for run in [failing, returning] {
        assert_eq!(told.ask("a", run), Verdict::Go);
    }
    told.with(|desk, _, after| desk.drain(after));
    told.with(|desk, _, after| desk.cancel_all_queued(after));
    assert!(is_open(&first) && is_open(&second));
    told.fail("a", failing, TaskErrorKind::WorkerLost);
    told.with(|desk, now, after| desk.back("a", returning, now, after));
    assert_eq!(kind(first), TaskErrorKind::Cancelled);
    assert_eq!(kind(second), TaskErrorKind::Cancelled);
    assert!(told.desk.is_over());
}

#[test]
fn a_program_that_was_stopped_hears_first_what_others_have_said_meanwhile() {
    let mut told = told();
    let handle = told.submit(Options::default());
    let run = told.publish();
    told.ask("a", run);
    told.now += 60 * SECOND;
    told.with(|desk, now, after| desk.tick(now, after));
    told.later(10 * SECOND);
    assert!(is_open(&handle));
    told.answer("a", run, 42);
    assert_eq!(handle.into_outcome().unwrap(), 42);
}

#[test]
fn after_an_idle_hour_a_task_without_an_agent_has_its_time() {
    let mut told = told();
    told.desk.agents = Agents::new("00ff", Some(2 * SECOND), told.now);
    told.now += 3_600 * SECOND;
    let handle = told.submit(Options::default());
    told.with(|desk, now, after| desk.tick(now, after));
    told.with(|desk, now, after| desk.look_for_agents(now, after));
    assert!(is_open(&handle));
    told.later(2 * SECOND);
    told.with(|desk, now, after| desk.look_for_agents(now, after));
    assert_eq!(kind(handle), TaskErrorKind::Rejected);
}

#[test]
fn the_deadline_of_a_run_that_was_handed_back_is_not_that_of_the_next_one() {
    let mut told = told();
    let limited = Options {
        timeout: Some(SECOND),
        ..Options::default()
    };
    let handle = told.submit(limited);
    let run = told.publish();
    told.ask("a", run);
    told.later(SECOND);
    told.with(|desk, now, after| desk.back("a", run, now, after));
    assert_eq!(told.ask("b", run), Verdict::Go);
    told.later(2 * SECOND);
    assert!(is_open(&handle));
    told.later(SECOND);
    assert_eq!(kind(handle), TaskErrorKind::TimedOut);
}

#[test]
fn a_chunk_that_is_cut_has_an_outcome_for_each_of_its_tasks() {
    let mut told = told();
    let handle = told.submit_chunk(3);
    let run = told.publish();
    told.ask("a", run);
    told.with(|desk, _, after| desk.drain(after));
    told.with(|desk, _, after| desk.cancel_all_queued(after));
    let mut replies = vec![0; codec::REPLY_HEAD];
    replies.extend(codec::to_vec(&10_u32).unwrap());
    codec::head_reply(Reply::Output, &mut replies);
    let chunk = Chunk {
        ran: 1,
        lost: None,
        others: vec![],
        run_time: SECOND,
    };
    let fate = answered(Reply::Output, Some(chunk));
    let payload = replies.into();
    told.with(|desk, now, after| desk.done("a", run.whole(), fate, &payload, now, after));
    let ran = handle.into_outcome().unwrap();
    assert_eq!((ran.outcomes.len(), ran.others.len()), (1, 1));
    let (cut, tasks) = ran.others.into_iter().next().unwrap();
    assert_eq!((tasks, kind(cut)), (2, TaskErrorKind::Cancelled));
    assert!(told.desk.is_over());
}

#[test]
fn the_room_of_many_tasks_is_given_back_and_no_number_twice() {
    let mut told = told();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..3 {
        let handles: Vec<_> = (0..SHRINK_FROM)
            .map(|_| told.submit(Options::default()))
            .collect();
        for run in told.desk.waiting.clone() {
            assert!(seen.insert(run));
        }
        for handle in handles {
            let job = handle.job().clone();
            told.with(|desk, _, after| desk.cancel(&job, true, after));
        }
        assert_eq!((told.desk.entries.len(), told.desk.waiting.len()), (0, 0));
    }
}

#[test]
fn an_agent_of_impossible_size_or_name_is_not_believed() {
    let mut told = told();
    told.present("a.>", "00ff");
    assert_eq!(told.desk.seats(), 0);
    let huge = Present {
        agent: "a".into(),
        abi: "00ff".into(),
        seats: u32::MAX,
        busy: 0,
        host: String::new(),
        pid: 1,
        drains: false,
    };
    told.with(|desk, now, _| desk.present(huge, now));
    assert_eq!(told.desk.seats(), crate::MAX_WORKERS);
}
