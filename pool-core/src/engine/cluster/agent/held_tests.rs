//! What an agent decides, told event by event, with a clock of its own.

use std::time::{Duration, Instant};

use ::bytes::Bytes;

use super::super::wire::{Failure, Fate, Order, Part, Run, Verdict};
use super::held::{ABSENT_DELAY, Ack, Key, Outcome, Question, Table};
use crate::error::task_error::{TaskError, TaskErrorKind};

const SECOND: Duration = Duration::from_secs(1);

struct Told {
    table: Table,
    now: Instant,
}

/// An agent with two seats.
fn told() -> Told {
    Told {
        table: Table::new(2),
        now: Instant::now(),
    }
}

fn run(job: u64) -> Run {
    Run { job, run: 0 }
}

impl Told {
    fn came(&mut self, client: &str, job: u64) {
        self.came_as(client, job, job);
    }

    fn came_as(&mut self, client: &str, job: u64, seq: u64) {
        let order = Order {
            run: run(job),
            task: 0,
            attempt: 1,
            chunk: 0,
            is_seeded: false,
            timeout: None,
            stays: None,
        };
        let ack = format!("ack{seq}").into();
        self.table
            .came(client, order, Bytes::new(), seq, ack, self.now);
    }

    fn later(&mut self, time: Duration) -> Vec<(usize, u64)> {
        self.now += time;
        self.table.tick(self.now)
    }

    /// What it asks for next.
    fn asks(&mut self) -> Option<(u64, Vec<Run>)> {
        match self.table.next_question(self.now)? {
            (_, number, Question::Ask(runs)) => Some((number, runs)),
            _ => panic!("another question"),
        }
    }

    fn tells(&mut self) -> Option<(u64, Vec<Part>)> {
        match self.table.next_question(self.now)? {
            (_, number, Question::Done(parts)) => Some((number, parts)),
            _ => panic!("another question"),
        }
    }

    fn hands_back(&mut self) -> Option<(u64, Vec<Run>)> {
        match self.table.next_question(self.now)? {
            (_, number, Question::Back(runs)) => Some((number, runs)),
            _ => panic!("another question"),
        }
    }

    fn judged(&mut self, number: u64, verdicts: &[Verdict]) -> Vec<Key> {
        self.table.judged(number, verdicts, self.now)
    }

    /// Runs a job on the local pool, under this number.
    fn starts(&mut self, job: u64, number: usize) -> Key {
        let (question, runs) = self.asks().unwrap();
        assert_eq!(runs, [run(job)]);
        let keys = self.judged(question, &[Verdict::Go]);
        assert_eq!(keys.len(), 1);
        self.table.started(keys[0], number, self.now);
        keys[0]
    }

    fn ends(&mut self, key: Key, is_large: bool) {
        let error = TaskError::new(TaskErrorKind::Panicked, "");
        let outcome = Outcome {
            fate: Fate::Failed(Failure::of(&error)),
            payload: Bytes::new(),
            is_large,
        };
        self.table.done(key, 0, outcome, self.now);
    }

    fn acks(&mut self) -> Vec<Ack> {
        std::mem::take(&mut self.table.acks)
    }
}

fn done(seq: u64) -> Ack {
    Ack::Done(format!("ack{seq}").into())
}

fn back(seq: u64, delay: Duration) -> Ack {
    Ack::Back(format!("ack{seq}").into(), delay)
}

#[test]
fn a_run_is_acknowledged_with_its_outcome_and_kept_until_that_is_heard() {
    let mut told = told();
    told.came("c", 1);
    let key = told.starts(1, 7);
    assert_eq!(told.table.busy(), 1);
    told.ends(key, false);
    assert_eq!(told.table.busy(), 0);
    let (number, parts) = told.tells().unwrap();
    assert_eq!(parts, [run(1).whole()]);
    assert_eq!(told.acks(), [done(1)]);
    // Where that is lost, it comes again.
    told.came("c", 1);
    assert_eq!(told.acks(), [done(1)]);
    told.later(10 * SECOND);
    assert!(told.acks().is_empty(), "there is no lease to be renewed");
    told.table.answered(number, told.now);
    let (number, _) = told.tells().unwrap();
    told.table.answered(number, told.now);
    assert!(told.table.is_empty() && told.acks().is_empty());
}

#[test]
fn an_outcome_that_nobody_hears_is_told_again() {
    let mut told = told();
    told.came("c", 1);
    let key = told.starts(1, 7);
    told.ends(key, false);
    let (first, _) = told.tells().unwrap();
    assert!(told.table.next_question(told.now).is_none());
    told.later(SECOND);
    let (second, parts) = told.tells().unwrap();
    assert_eq!(parts, [run(1).whole()]);
    // The answer to the first comes late, and means nothing.
    told.table.answered(first, told.now);
    assert!(!told.table.is_empty());
    told.table.answered(second, told.now);
    assert!(told.table.is_empty());
}

#[test]
fn large_outcomes_are_told_alone() {
    let mut told = told();
    told.came("c", 1);
    told.came("c", 2);
    let (number, _) = told.asks().unwrap();
    let keys = told.judged(number, &[Verdict::Go, Verdict::Go]);
    for (number, key) in keys.iter().enumerate() {
        told.table.started(*key, number, told.now);
    }
    told.ends(keys[0], false);
    told.ends(keys[1], true);
    assert_eq!(told.tells().unwrap().1, [run(1).whole()]);
    assert_eq!(told.tells().unwrap().1, [run(2).whole()]);
}

#[test]
fn no_more_are_asked_for_than_there_are_seats() {
    let mut told = told();
    for job in 1..=3 {
        told.came("c", job);
    }
    let (number, runs) = told.asks().unwrap();
    assert_eq!(runs, [run(1), run(2)]);
    assert!(told.asks().is_none());
    let keys = told.judged(number, &[Verdict::Drop, Verdict::Elsewhere]);
    assert!(keys.is_empty());
    assert_eq!(
        told.acks(),
        [done(1)],
        "another agent acknowledges the second"
    );
    assert_eq!(told.asks().unwrap().1, [run(3)]);
}

#[test]
fn quick_runs_let_more_of_them_wait_here_and_slow_ones_none() {
    let mut told = told();
    let all = |told: &Told| told.table.wants().1;
    let before = all(&told);
    for job in 0..100 {
        told.came("c", job);
        let key = told.starts(job, 7);
        told.ends(key, false);
        let (number, _) = told.tells().unwrap();
        told.table.answered(number, told.now);
    }
    assert!(all(&told) > 10 * before);
    for job in 100..110 {
        told.came("c", job);
        let key = told.starts(job, 7);
        told.now += SECOND;
        told.ends(key, false);
        let (number, _) = told.tells().unwrap();
        told.table.answered(number, told.now);
    }
    assert_eq!(all(&told), 2);
}

#[test]
fn a_question_without_an_answer_is_asked_again_and_only_the_last_answer_counts() {
    let mut told = told();
    told.came("c", 1);
    let (first, _) = told.asks().unwrap();
    told.later(SECOND);
    let (second, runs) = told.asks().unwrap();
    assert_eq!(runs, [run(1)]);
    assert!(told.judged(first, &[Verdict::Go]).is_empty());
    assert_eq!(told.judged(second, &[Verdict::Go]).len(), 1);
    assert!(told.judged(second, &[Verdict::Go]).is_empty());
}

#[test]
fn a_message_that_comes_twice_is_one_run() {
    let mut told = told();
    told.came_as("c", 1, 1);
    told.came_as("c", 1, 1);
    told.came_as("c", 1, 2);
    assert_eq!(told.acks(), [done(2)]);
    assert_eq!(told.asks().unwrap().1, [run(1)]);
    assert_eq!(told.table.len(), 1);
}

#[test]
fn leases_are_renewed() {
    let mut told = told();
    told.came("c", 1);
    told.starts(1, 7);
    told.later(SECOND);
    assert!(told.acks().is_empty());
    told.later(SECOND);
    assert_eq!(told.acks(), [Ack::Renew("ack1".into())]);
}

#[test]
fn messages_of_who_is_away_go_back_and_of_who_is_gone_go_for_good() {
    let mut told = told();
    told.came("c", 1);
    let (number, _) = told.asks().unwrap();
    told.table.unheard(number, told.now);
    assert_eq!(told.acks(), [back(1, ABSENT_DELAY)]);
    // Without another question.
    told.came("c", 2);
    assert_eq!(told.acks(), [back(2, ABSENT_DELAY)]);
    let asked_in_vain = |told: &mut Told| {
        told.came("c", 1);
        let (number, _) = told.asks().unwrap();
        told.table.unheard(number, told.now);
        told.acks()
    };
    for _ in 0..11 {
        told.later(5 * SECOND);
        assert_eq!(asked_in_vain(&mut told), [back(1, ABSENT_DELAY)]);
    }
    told.later(5 * SECOND);
    assert_eq!(asked_in_vain(&mut told), [done(1)]);
    told.came("c", 3);
    assert_eq!(told.acks(), [done(3)]);
    // It stays gone, and is asked now and then all the same.
    told.later(60 * SECOND);
    assert_eq!(asked_in_vain(&mut told), [done(1)]);
    assert!(told.table.is_empty());
}

#[test]
fn who_was_away_twice_with_a_long_time_between_is_not_gone() {
    let mut told = told();
    for _ in 0..3 {
        told.came("c", 1);
        let (number, _) = told.asks().unwrap();
        told.table.unheard(number, told.now);
        assert_eq!(told.acks(), [back(1, ABSENT_DELAY)]);
        told.later(60 * SECOND);
    }
}

#[test]
fn runs_of_a_submitter_that_is_gone_are_stopped() {
    let mut told = told();
    told.came("c", 1);
    told.starts(1, 7);
    let mut stopped = 0;
    for second in 0..80 {
        for (_, number) in told.later(SECOND) {
            told.table.unheard(number, told.now);
        }
        if !told.table.stops.is_empty() {
            stopped = second;
            break;
        }
    }
    assert!((60..70).contains(&stopped), "{stopped}");
    assert_eq!(told.table.stops, [(7, true)]);
    assert!(told.table.is_empty());
}

#[test]
fn a_roll_tells_who_has_what() {
    let mut told = told();
    told.came("c", 1);
    let key = told.starts(1, 7);
    let mine = run(1).whole();
    let others = Part {
        run: run(2),
        part: 0,
    };
    let roll = |told: &mut Told, wanted: &[Part], unwanted: &[Part]| {
        told.table.roll(key.0, wanted, unwanted, true, told.now)
    };
    assert_eq!(roll(&mut told, &[mine, others], &[]), [others]);
    assert!(told.table.stops.is_empty());
    assert_eq!(roll(&mut told, &[], &[mine, others]), [others]);
    assert_eq!(std::mem::take(&mut told.table.stops), [(7, true)]);
    // A run that its submitter does not speak of is stopped, unless it is young.
    for _ in 0..3 {
        roll(&mut told, &[], &[]);
    }
    assert!(told.table.stops.is_empty());
    told.now += 3 * SECOND;
    roll(&mut told, &[], &[]);
    assert!(told.table.stops.is_empty());
    roll(&mut told, &[], &[]);
    assert_eq!(told.table.stops, [(7, true)]);
}

#[test]
fn a_run_that_is_stopped_before_it_starts_does_not() {
    let mut told = told();
    told.came("c", 1);
    let (number, _) = told.asks().unwrap();
    told.table.stop(0, &[run(1).whole()], true);
    let keys = told.judged(number, &[Verdict::Go]);
    assert!(told.table.get(keys[0]).unwrap().is_stopped);
    told.ends(keys[0], false);
    assert_eq!(told.table.busy(), 0);
    assert_eq!(told.tells().unwrap().1, [run(1).whole()]);
}

#[test]
fn what_waits_beside_taken_seats_goes_back_to_the_queue() {
    let mut told = told();
    for job in 1..=3 {
        told.came("c", job);
    }
    let (number, _) = told.asks().unwrap();
    for (number, key) in told
        .judged(number, &[Verdict::Go, Verdict::Go])
        .into_iter()
        .enumerate()
    {
        told.table.started(key, number, told.now);
    }
    told.later(SECOND / 20);
    assert!(told.acks().is_empty());
    told.later(SECOND / 20);
    assert_eq!(told.acks(), [back(3, Duration::ZERO)]);
    assert_eq!(told.table.wants(), (0, 2), "and no other is asked for");
}

#[test]
fn a_drain_hands_back_what_has_not_started_and_waits_for_the_rest() {
    let mut told = told();
    told.came("c", 1);
    let runs = told.starts(1, 7);
    told.came("c", 2);
    let (asked, _) = told.asks().unwrap();
    told.came("c", 3);
    told.table.drain();
    told.came("c", 4);
    assert_eq!(
        told.acks(),
        [back(3, Duration::ZERO), back(4, Duration::ZERO)]
    );
    assert_eq!(told.table.wants().0, 0);
    assert!(told.judged(asked, &[Verdict::Go]).is_empty());
    let (number, keys) = told.hands_back().unwrap();
    assert_eq!(keys, [run(2)]);
    assert!(told.acks().is_empty(), "its submitter has not heard");
    told.table.answered(number, told.now);
    assert_eq!(told.acks(), [back(2, Duration::ZERO)]);
    told.ends(runs, false);
    let (number, _) = told.tells().unwrap();
    told.table.answered(number, told.now);
    assert_eq!(told.acks(), [done(1)]);
    assert!(told.table.is_empty());
}

#[test]
fn a_question_that_is_open_when_the_drain_begins_does_not_hold_it_up() {
    let mut told = told();
    told.came("c", 1);
    told.asks().unwrap();
    told.table.drain();
    told.later(SECOND);
    assert!(told.acks().is_empty(), "leave may be under way");
    let (number, runs) = told.hands_back().unwrap();
    assert_eq!(runs, [run(1)]);
    told.table.answered(number, told.now);
    assert_eq!(told.acks(), [back(1, Duration::ZERO)]);
    assert!(told.table.is_empty());
}

#[test]
fn parts_of_a_chunk_are_heard_one_by_one() {
    let mut told = told();
    told.came("c", 1);
    let key = told.starts(1, 7);
    assert_eq!(told.table.divided(key, 0, 8), Some(1));
    assert_eq!(told.table.divided(key, 0, 9), Some(2));
    assert_eq!(told.table.busy(), 3);
    told.ends(key, false);
    let (number, _) = told.tells().unwrap();
    told.table.answered(number, told.now);
    assert!(told.acks().is_empty());
    told.table.stop(
        key.0,
        &[Part {
            run: run(1),
            part: 2,
        }],
        true,
    );
    assert_eq!(told.table.stops, [(9, true)]);
}

#[test]
fn a_seat_whose_task_does_not_end_is_not_given_away() {
    let mut told = told();
    told.table.set_taken(1);
    told.came("c", 1);
    told.came("c", 2);
    assert_eq!(told.asks().unwrap().1, [run(1)]);
    assert!(told.asks().is_none());
    told.table.set_taken(0);
    assert_eq!(told.asks().unwrap().1, [run(2)]);
}

#[test]
fn a_run_that_may_have_been_given_is_not_forgotten_before_its_submitter_hears_of_it() {
    let mut told = told();
    told.came("c", 1);
    told.asks().unwrap();
    // The answer to the first question is lost; to the second one nobody listens.
    told.later(SECOND);
    let (second, _) = told.asks().unwrap();
    told.table.unheard(second, told.now);
    assert!(told.acks().is_empty());
    let part = run(1).whole();
    let unknown = told.table.roll(0, &[part], &[], true, told.now);
    assert!(unknown.is_empty(), "else it would be taken for lost");
    let (number, runs) = told.hands_back().unwrap();
    assert_eq!(runs, [run(1)]);
    told.table.answered(number, told.now);
    assert_eq!(told.acks(), [back(1, Duration::ZERO)]);
    assert!(told.table.is_empty());
}

#[test]
fn the_outcome_of_a_part_is_told_when_its_submitter_knows_that_there_is_such_a_part() {
    let mut told = told();
    told.came("c", 1);
    let key = told.starts(1, 7);
    assert_eq!(told.table.divided(key, 0, 8), Some(1));
    let outcome = |is_large| Outcome {
        fate: Fate::Failed(Failure::of(&TaskError::new(TaskErrorKind::Panicked, ""))),
        payload: Bytes::new(),
        is_large,
    };
    told.table.done(key, 0, outcome(true), told.now);
    let (whole, parts) = told.tells().unwrap();
    assert_eq!(parts, [run(1).whole()]);
    told.table.done(key, 1, outcome(false), told.now);
    assert!(told.tells().is_none(), "the whole is still being fetched");
    told.table.answered(whole, told.now);
    let (part, parts) = told.tells().unwrap();
    assert_eq!(parts[0].part, 1);
    told.table.answered(part, told.now);
    assert_eq!(told.acks(), [done(1)]);
    assert!(told.table.is_empty());
}

#[test]
fn an_end_that_cannot_wait_hands_back_what_is_on_its_way_to_a_seat() {
    let mut told = told();
    told.came("c", 1);
    told.asks().unwrap();
    told.came("c", 2);
    told.table.give_up();
    assert_eq!(told.acks(), [back(2, Duration::ZERO)]);
    assert_eq!(told.hands_back().unwrap().1, [run(1)]);
    assert_eq!(told.table.busy(), 0);
}
