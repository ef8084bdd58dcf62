//! The life of workers, step by step.

use super::*;

const LIMIT: Duration = Duration::from_secs(10);
const KILLED: Exit = Exit {
    signal: Some(9),
    code: None,
};

const ENDED: Exit = Exit {
    signal: None,
    code: Some(0),
};

fn building(workers: usize, now: Instant) -> WorkerLifecycle {
    let mut worker_lifecycle = WorkerLifecycle::new(workers, LIMIT, now);
    let starts: Vec<_> = (0..workers).map(Action::Start).collect();
    assert_eq!(worker_lifecycle.due(now), starts);
    for index in 0..workers {
        worker_lifecycle.started(index, 100 + index as u32, now);
    }
    worker_lifecycle
}

fn running(workers: usize, now: Instant) -> WorkerLifecycle {
    let mut worker_lifecycle = building(workers, now);
    for index in 0..workers {
        let mut expected = vec![Action::Serve(index)];
        if index + 1 == workers {
            expected.push(Action::Built);
        }
        assert_eq!(worker_lifecycle.hello(index, Ok(()), now), expected);
    }
    worker_lifecycle
}

#[test]
fn a_dead_worker_is_replaced_at_once() {
    let now = Instant::now();
    let mut worker_lifecycle = running(2, now);
    assert_eq!(worker_lifecycle.exited(1, KILLED, CameTo::Work, now), []);
    assert_eq!(worker_lifecycle.due(now), [Action::Start(1)]);
    worker_lifecycle.started(1, 300, now);
    assert_eq!(worker_lifecycle.due(now), []);
    assert_eq!(worker_lifecycle.hello(1, Ok(()), now), [Action::Serve(1)]);
}

#[test]
fn a_failure_while_building_breaks_the_pool() {
    let now = Instant::now();
    let mut worker_lifecycle = building(2, now);
    let actions = worker_lifecycle.exited(0, KILLED, CameTo::Work, now);
    assert!(
        matches!(
            &actions[..],
            [Action::Break(Error::WorkerStart {
                pid: 100,
                reason: StartFailure::Ended { .. }
            })]
        ),
        "{actions:?}"
    );
    assert_eq!(worker_lifecycle.kill(), [Action::Kill(1)]);
    assert!(!worker_lifecycle.is_gone());
    assert_eq!(worker_lifecycle.exited(1, KILLED, CameTo::Work, now), []);
    assert!(worker_lifecycle.is_gone());
}

#[test]
fn silence_is_a_failure_after_the_limit() {
    let now = Instant::now();
    let mut worker_lifecycle = building(1, now);
    assert_eq!(worker_lifecycle.next_due(), Some(now + LIMIT));
    assert_eq!(worker_lifecycle.due(now + LIMIT), [Action::Kill(0)]);
    let actions = worker_lifecycle.exited(0, KILLED, CameTo::Work, now + LIMIT);
    assert_eq!(
        actions,
        [Action::Break(Error::WorkerStart {
            pid: 100,
            reason: StartFailure::Silent(LIMIT)
        })]
    );
}

#[test]
fn a_wrong_hello_is_killed_and_reported() {
    let now = Instant::now();
    let mut worker_lifecycle = building(1, now);
    assert_eq!(
        worker_lifecycle.hello(0, Err(StartFailure::Garbage), now),
        [Action::Kill(0)]
    );
    assert_eq!(
        worker_lifecycle.exited(0, KILLED, CameTo::Work, now),
        [Action::Break(Error::WorkerStart {
            pid: 100,
            reason: StartFailure::Garbage
        })]
    );
}

#[test]
fn replacements_back_off_and_the_pool_breaks_when_nobody_serves() {
    let now = Instant::now();
    let mut worker_lifecycle = running(1, now);
    assert_eq!(worker_lifecycle.exited(0, KILLED, CameTo::Work, now), []);
    let mut at = now;
    for failure in 1..MAX_START_FAILURES {
        assert_eq!(worker_lifecycle.due(at), [Action::Start(0)]);
        assert_eq!(worker_lifecycle.not_started(0, Error::TooDeep, at), []);
        let next = worker_lifecycle.next_due().unwrap();
        assert_eq!(next - at, backoff(failure));
        assert_eq!(worker_lifecycle.due(at), []);
        at = next;
    }
    assert_eq!(worker_lifecycle.due(at), [Action::Start(0)]);
    assert_eq!(
        worker_lifecycle.not_started(0, Error::TooDeep, at),
        [Action::Break(Error::TooDeep)]
    );
    assert!(worker_lifecycle.is_gone());
}

#[test]
fn a_pool_with_a_serving_worker_never_breaks() {
    let now = Instant::now();
    let mut worker_lifecycle = running(2, now);
    assert_eq!(worker_lifecycle.exited(0, KILLED, CameTo::Work, now), []);
    let mut at = now;
    for _ in 0..10 * MAX_START_FAILURES {
        assert_eq!(worker_lifecycle.due(at), [Action::Start(0)]);
        assert_eq!(worker_lifecycle.not_started(0, Error::TooDeep, at), []);
        at = worker_lifecycle.next_due().unwrap();
    }
}

#[test]
fn who_does_not_stop_is_killed() {
    let now = Instant::now();
    let mut worker_lifecycle = running(2, now);
    assert_eq!(worker_lifecycle.stop(now), []);
    assert!(worker_lifecycle.is_ending());
    assert_eq!(worker_lifecycle.exited(0, KILLED, CameTo::Work, now), []);
    assert_eq!(worker_lifecycle.due(now), []);
    assert_eq!(worker_lifecycle.due(now + STOP_GRACE), [Action::Kill(1)]);
    assert_eq!(worker_lifecycle.exited(1, KILLED, CameTo::Work, now), []);
    assert!(worker_lifecycle.is_gone());
}

#[test]
fn a_condemned_worker_is_killed_once_and_replaced() {
    let now = Instant::now();
    let mut worker_lifecycle = running(1, now);
    assert!(worker_lifecycle.condemn(0));
    assert!(!worker_lifecycle.condemn(0));
    assert_eq!(worker_lifecycle.exited(0, KILLED, CameTo::Work, now), []);
    assert_eq!(worker_lifecycle.due(now), [Action::Start(0)]);
}

#[test]
fn workers_that_end_right_after_their_hello_break_the_pool() {
    let now = Instant::now();
    let mut worker_lifecycle = running(1, now);
    let mut at = now;
    for _ in 1..MAX_START_FAILURES {
        assert_eq!(worker_lifecycle.exited(0, KILLED, CameTo::Nothing, at), []);
        at = worker_lifecycle.next_due().unwrap();
        assert_eq!(worker_lifecycle.due(at), [Action::Start(0)]);
        worker_lifecycle.started(0, 300, at);
        assert_eq!(worker_lifecycle.hello(0, Ok(()), at), [Action::Serve(0)]);
    }
    let actions = worker_lifecycle.exited(0, KILLED, CameTo::Nothing, at);
    assert!(matches!(actions[..], [Action::Break(_)]), "{actions:?}");
}

#[test]
fn nor_does_it_help_them_to_close_their_socket_first() {
    let now = Instant::now();
    let mut worker_lifecycle = running(1, now);
    let mut at = now;
    for _ in 1..MAX_START_FAILURES {
        assert!(worker_lifecycle.condemn(0));
        assert_eq!(worker_lifecycle.exited(0, KILLED, CameTo::Nothing, at), []);
        at = worker_lifecycle.next_due().unwrap();
        assert_eq!(worker_lifecycle.due(at), [Action::Start(0)]);
        worker_lifecycle.started(0, 300, at);
        assert_eq!(worker_lifecycle.hello(0, Ok(()), at), [Action::Serve(0)]);
    }
    assert!(worker_lifecycle.condemn(0));
    let actions = worker_lifecycle.exited(0, KILLED, CameTo::Nothing, at);
    assert!(matches!(actions[..], [Action::Break(_)]), "{actions:?}");
}

#[test]
fn a_worker_that_served_a_while_is_replaced_at_once() {
    let now = Instant::now();
    let mut worker_lifecycle = running(1, now);
    for round in 1..=2 * MAX_START_FAILURES {
        let at = now + round * SETTLED_AFTER;
        assert_eq!(worker_lifecycle.exited(0, KILLED, CameTo::Nothing, at), []);
        assert_eq!(worker_lifecycle.due(at), [Action::Start(0)]);
        worker_lifecycle.started(0, 300, at);
        assert_eq!(worker_lifecycle.hello(0, Ok(()), at), [Action::Serve(0)]);
    }
}

#[test]
fn a_retired_worker_is_replaced_or_rests_until_it_is_needed() {
    let now = Instant::now();
    let mut worker_lifecycle = running(3, now);
    worker_lifecycle.retire(0, Then::Replace, now);
    worker_lifecycle.retire(1, Then::Rest, now);
    assert_eq!(worker_lifecycle.exited(0, ENDED, CameTo::Work, now), []);
    assert_eq!(worker_lifecycle.exited(1, ENDED, CameTo::Nothing, now), []);
    assert_eq!(worker_lifecycle.due(now), [Action::Start(0)]);
    // One is on its way, and two are needed.
    worker_lifecycle.wake(1, now);
    assert_eq!(worker_lifecycle.due(now), [Action::Start(0)]);
    worker_lifecycle.wake(2, now);
    assert_eq!(
        worker_lifecycle.due(now),
        [Action::Start(0), Action::Start(1)]
    );
}

#[test]
fn a_retired_worker_that_does_not_end_is_killed_and_rests_all_the_same() {
    let now = Instant::now();
    let mut worker_lifecycle = running(1, now);
    worker_lifecycle.retire(0, Then::Rest, now);
    assert_eq!(worker_lifecycle.due(now + STOP_GRACE), [Action::Kill(0)]);
    assert_eq!(worker_lifecycle.exited(0, KILLED, CameTo::Nothing, now), []);
    assert_eq!(worker_lifecycle.due(now + STOP_GRACE), []);
    assert_eq!(worker_lifecycle.next_due(), None);
    assert_eq!(worker_lifecycle.stop(now), []);
    assert!(worker_lifecycle.is_gone());
}

#[test]
fn the_number_of_workers_grows_and_shrinks() {
    let now = Instant::now();
    let mut worker_lifecycle = running(1, now);
    assert_eq!(worker_lifecycle.resize(3, now), []);
    assert_eq!(
        worker_lifecycle.due(now),
        [Action::Start(1), Action::Start(2)]
    );
    worker_lifecycle.started(1, 7, now);
    // One is starting, one is not yet.
    assert_eq!(worker_lifecycle.resize(1, now), [Action::Kill(1)]);
    assert_eq!(worker_lifecycle.exited(1, KILLED, CameTo::Nothing, now), []);
    assert_eq!(worker_lifecycle.due(now), []);
    // A surplus worker that dies is not replaced.
    assert_eq!(worker_lifecycle.resize(2, now), []);
    assert_eq!(worker_lifecycle.due(now), [Action::Start(1)]);
    worker_lifecycle.started(1, 8, now);
    assert_eq!(worker_lifecycle.hello(1, Ok(()), now), [Action::Serve(1)]);
    assert_eq!(worker_lifecycle.resize(1, now), []);
    assert_eq!(worker_lifecycle.exited(1, KILLED, CameTo::Work, now), []);
    assert_eq!(worker_lifecycle.due(now), []);
    worker_lifecycle.wake(5, now);
    assert_eq!(worker_lifecycle.due(now), []);
}

#[test]
fn a_worker_that_ends_in_its_initializer_has_not_started_however_long_it_took() {
    let now = Instant::now();
    let mut worker_lifecycle = running(1, now);
    let mut at = now + 60 * SETTLED_AFTER;
    for _ in 1..MAX_START_FAILURES {
        assert_eq!(
            worker_lifecycle.exited(0, KILLED, CameTo::Initializer, at),
            []
        );
        at = worker_lifecycle.next_due().unwrap();
        assert_eq!(worker_lifecycle.due(at), [Action::Start(0)]);
        worker_lifecycle.started(0, 100, at);
        assert_eq!(worker_lifecycle.hello(0, Ok(()), at), [Action::Serve(0)]);
    }
    let actions = worker_lifecycle.exited(0, KILLED, CameTo::Initializer, at);
    assert!(matches!(actions[..], [Action::Break(_)]), "{actions:?}");
}

#[test]
fn a_start_without_an_end_is_waited_for() {
    let now = Instant::now();
    let mut worker_lifecycle = WorkerLifecycle::new(1, Duration::MAX, now);
    assert_eq!(worker_lifecycle.due(now), [Action::Start(0)]);
    worker_lifecycle.started(0, 100, now);
    assert_eq!(worker_lifecycle.next_due(), None);
    assert_eq!(
        worker_lifecycle.hello(0, Ok(()), now),
        [Action::Serve(0), Action::Built]
    );
}

#[test]
fn what_a_worker_says_of_its_end_is_in_the_error() {
    let now = Instant::now();
    let mut worker_lifecycle = building(1, now);
    worker_lifecycle.last_words_are(Some("panicked at src/x.rs:1:1: on purpose".to_owned()));
    let actions = worker_lifecycle.exited(0, KILLED, CameTo::Nothing, now);
    let [Action::Break(error)] = &actions[..] else {
        panic!("{actions:?}");
    };
    let said = error.to_string();
    assert!(
        said.contains("SIGKILL: panicked at src/x.rs:1:1: on purpose"),
        "{said}"
    );
    assert_eq!(worker_lifecycle.last_words, None);
}
