//! Chunks, large arguments, agents that are missing, and the end.

use super::*;

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
    told.with(|coordinator, now, after| {
        coordinator.done("a", run.whole(), fate, &payload, now, after)
    });
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
        told.with(|coordinator, now, after| {
            coordinator.done("a", run.whole(), fate, &Bytes::new(), now, after);
        });
        assert_eq!(kind(handle), TaskErrorKind::Decode);
    }
}

#[test]
fn large_arguments_stay_and_are_given_out_in_pieces_to_who_may_run_them() {
    let mut told = told();
    told.coordinator.set_max_payload(4);
    let _handle = told.submit(Options::default());
    let (run, message) = told
        .with(|coordinator, now, _| coordinator.next_order(now))
        .unwrap();
    let (order, rest) = wire::decode::<Order>(&message).unwrap();
    assert_eq!(
        (order.stays, rest.len()),
        (None, 2),
        "two bytes are not large"
    );
    let fetch = Fetch {
        part: run.whole(),
        offset: 0,
        len: 10,
    };
    assert_eq!(told.coordinator.piece(&fetch), None);
    told.ask("a", run);
    let args = codec::to_vec(&21_u32).unwrap();
    assert_eq!(told.coordinator.piece(&fetch).unwrap(), args);
    let behind = Fetch { offset: 2, ..fetch };
    assert_eq!(told.coordinator.piece(&behind), None);
}

#[test]
fn a_drained_coordinator_is_over_when_the_last_task_is() {
    let mut told = told();
    let handle = told.submit(Options::default());
    let run = told.publish();
    told.ask("a", run);
    told.with(|coordinator, _, after| coordinator.drain(after));
    let late = told.submit(Options::default());
    assert_eq!(kind(late), TaskErrorKind::Rejected);
    assert!(!told.coordinator.is_over());
    told.answer("a", run, 42);
    assert!(told.coordinator.is_over());
    drop(handle);
}

#[test]
fn a_kill_resolves_everything_and_stops_what_runs() {
    let mut told = told();
    let runs = told.submit(Options::default());
    let waits = told.submit(Options::default());
    let run = told.publish();
    told.ask("a", run);
    told.with(|coordinator, _, after| coordinator.end(Phase::Killed, after));
    assert_eq!(kind(runs), TaskErrorKind::Cancelled);
    assert_eq!(kind(waits), TaskErrorKind::Cancelled);
    assert!(told.coordinator.is_over());
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
    let look = |told: &mut Told| {
        told.with(|coordinator, now, after| coordinator.look_for_agents(now, after))
    };
    assert_eq!(look(&mut told), None);
    told.later(5 * SECOND);
    let warning = look(&mut told).unwrap();
    assert!(
        warning.contains("00ff") && warning.contains("1234"),
        "{warning}"
    );
    assert_eq!(look(&mut told), None);
    told.present("a", "00ff");
    assert_eq!(told.coordinator.seats(), 2);
    told.later(10 * SECOND);
    assert_eq!(look(&mut told), None, "it was there a moment ago");
    told.later(5 * SECOND);
    assert!(look(&mut told).is_some());
}

#[test]
fn tasks_without_an_agent_are_rejected_where_there_is_a_limit() {
    let mut told = told();
    told.coordinator.agents = Agents::new("00ff", Some(2 * SECOND), told.now);
    let handle = told.submit(Options::default());
    told.later(SECOND);
    assert_eq!(
        told.with(|coordinator, now, after| coordinator.look_for_agents(now, after)),
        None
    );
    assert!(is_open(&handle));
    told.later(SECOND);
    told.with(|coordinator, now, after| coordinator.look_for_agents(now, after));
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
    told.with(|coordinator, _, after| coordinator.drain(after));
    told.with(|coordinator, _, after| coordinator.cancel_all_queued(after));
    assert!(is_open(&first) && is_open(&second));
    told.fail("a", failing, TaskErrorKind::WorkerLost);
    told.with(|coordinator, now, after| coordinator.back("a", returning, now, after));
    assert_eq!(kind(first), TaskErrorKind::Cancelled);
    assert_eq!(kind(second), TaskErrorKind::Cancelled);
    assert!(told.coordinator.is_over());
}

#[test]
fn a_program_that_was_stopped_hears_first_what_others_have_said_meanwhile() {
    let mut told = told();
    let handle = told.submit(Options::default());
    let run = told.publish();
    told.ask("a", run);
    told.now += 60 * SECOND;
    told.with(|coordinator, now, after| coordinator.tick(now, after));
    told.later(10 * SECOND);
    assert!(is_open(&handle));
    told.answer("a", run, 42);
    assert_eq!(handle.into_outcome().unwrap(), 42);
}

#[test]
fn after_an_idle_hour_a_task_without_an_agent_has_its_time() {
    let mut told = told();
    told.coordinator.agents = Agents::new("00ff", Some(2 * SECOND), told.now);
    told.now += 3_600 * SECOND;
    let handle = told.submit(Options::default());
    told.with(|coordinator, now, after| coordinator.tick(now, after));
    told.with(|coordinator, now, after| coordinator.look_for_agents(now, after));
    assert!(is_open(&handle));
    told.later(2 * SECOND);
    told.with(|coordinator, now, after| coordinator.look_for_agents(now, after));
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
    told.with(|coordinator, now, after| coordinator.back("a", run, now, after));
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
    told.with(|coordinator, _, after| coordinator.drain(after));
    told.with(|coordinator, _, after| coordinator.cancel_all_queued(after));
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
    told.with(|coordinator, now, after| {
        coordinator.done("a", run.whole(), fate, &payload, now, after)
    });
    let ran = handle.into_outcome().unwrap();
    assert_eq!((ran.outcomes.len(), ran.others.len()), (1, 1));
    let (cut, tasks) = ran.others.into_iter().next().unwrap();
    assert_eq!((tasks, kind(cut)), (2, TaskErrorKind::Cancelled));
    assert!(told.coordinator.is_over());
}

#[test]
fn the_room_of_many_tasks_is_given_back_and_no_number_twice() {
    let mut told = told();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..3 {
        let handles: Vec<_> = (0..SHRINK_FROM)
            .map(|_| told.submit(Options::default()))
            .collect();
        for run in told.coordinator.waiting.clone() {
            assert!(seen.insert(run));
        }
        for handle in handles {
            let job = handle.job().clone();
            told.with(|coordinator, _, after| coordinator.cancel(&job, true, after));
        }
        assert_eq!(
            (
                told.coordinator.entries.len(),
                told.coordinator.waiting.len()
            ),
            (0, 0)
        );
    }
}

#[test]
fn an_agent_of_impossible_size_or_name_is_not_believed() {
    let mut told = told();
    told.present("a.>", "00ff");
    assert_eq!(told.coordinator.seats(), 0);
    let huge = Present {
        agent: "a".into(),
        abi: "00ff".into(),
        seats: u32::MAX,
        busy: 0,
        host: String::new(),
        pid: 1,
        drains: false,
    };
    told.with(|coordinator, now, _| coordinator.present(huge, now));
    assert_eq!(
        told.coordinator.seats(),
        crate::error::pool_error::MAX_WORKERS
    );
}

/// Found by the chaos on a cluster, with a server that was killed.
#[test]
fn what_its_consumer_has_done_with_is_published_again() {
    let mut told = told();
    let _handles = [(); 4].map(|()| told.submit(Options::default()));
    let runs = [(); 4].map(|()| told.publish());
    for (run, seq) in runs.into_iter().zip(5..) {
        told.coordinator.acked(run, seq);
    }
    assert_eq!(told.ask("one", runs[0]), Verdict::Go);
    // What has just been published may have been asked for.
    told.coordinator.has_done_with(7, told.now);
    assert!(told.publish_next().is_none());

    told.now += 2 * SECOND;
    told.coordinator.has_done_with(7, told.now);
    let again = [(); 2].map(|()| told.publish());
    assert_eq!(again, runs[1..3]);
    // Neither what runs, nor what is still to come.
    assert!(told.publish_next().is_none());
    assert_eq!(told.coordinator.says, [Say::Delete(7), Say::Delete(6)]);

    // They have new messages, of which nothing is known yet.
    told.now += 2 * SECOND;
    told.coordinator.has_done_with(7, told.now);
    assert!(told.publish_next().is_none());
}
