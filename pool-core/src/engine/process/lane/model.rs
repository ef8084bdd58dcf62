//! The lane's protocols under every interleaving: the command is in CONTRIBUTING.md.
//!
//! A lost wake-up is a dead-lock of the model, which loom reports. A worker runs as many tasks as
//! its model gives it; the parent's side is reduced to the calls that the worker queue and the joiner
//! make, in their order.

use loom::sync::Arc;
use loom::thread;

use super::Header;
use super::slot::{Facts, Slot, SlotState, Start, TELL_JOINER};

#[derive(Default)]
struct Lane {
    header: Header,
    slots: [Slot; 2],
}

/// The worker's loop: runs or passes `tasks` slots, then ends.
fn work(lane: &Lane, tasks: usize) -> u64 {
    let mut sum = 0;
    for slot in lane.slots.iter().take(tasks) {
        loop {
            match slot.start() {
                Start::Run => {
                    let facts = slot.facts();
                    sum += facts.task;
                    slot.write(
                        &Facts {
                            task: facts.task + 100,
                            ..Facts::default()
                        },
                        &[],
                    );
                    if slot.finish() & TELL_JOINER != 0 {
                        lane.header.ring_parent();
                    }
                    break;
                }
                Start::Skipped => break,
                Start::Nothing => lane.header.sleep_worker(|| slot.has_work(), || {}, || {}),
            }
        }
    }
    sum
}

fn publish(lane: &Lane, at: usize, task: u64) {
    lane.slots[at].write(
        &Facts {
            task,
            ..Facts::default()
        },
        &[],
    );
    lane.slots[at].publish(0);
    if lane.header.must_wake_worker() {
        lane.header.wake_worker();
    }
}

/// The joiner's loop, without the spinning.
fn join(lane: &Lane, at: usize) -> u64 {
    let slot = &lane.slots[at];
    loop {
        let bell = lane.header.parent_bell();
        if slot.state() == SlotState::Done {
            return slot.facts().task;
        }
        if !slot.ask(TELL_JOINER).is_settled() {
            lane.header.wait_for_bell(bell, None);
        }
    }
}

#[test]
fn model_every_published_task_is_run_and_joined() {
    loom::model(|| {
        let lane = Arc::new(Lane::default());
        let worker = thread::spawn({
            let lane = lane.clone();
            move || work(&lane, 1)
        });
        publish(&lane, 0, 7);
        assert_eq!(join(&lane, 0), 107);
        assert_eq!(worker.join().unwrap(), 7);
    });
}

#[test]
fn model_a_worker_is_woken_again_after_each_sleep() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let lane = Arc::new(Lane::default());
        let worker = thread::spawn({
            let lane = lane.clone();
            move || work(&lane, 2)
        });
        publish(&lane, 0, 1);
        publish(&lane, 1, 2);
        assert_eq!(join(&lane, 1), 102);
        assert_eq!(worker.join().unwrap(), 3);
    });
}

#[test]
fn model_a_task_is_run_or_taken_back_and_never_both() {
    loom::model(|| {
        let lane = Arc::new(Lane::default());
        let worker = thread::spawn({
            let lane = lane.clone();
            move || work(&lane, 1)
        });
        publish(&lane, 0, 7);
        let taken = lane.slots[0].take_back().is_some();
        if taken {
            // It goes elsewhere; this lane gets another.
            publish(&lane, 0, 20);
        }
        let expected = if taken { 20 } else { 7 };
        assert_eq!(join(&lane, 0), expected + 100);
        assert_eq!(worker.join().unwrap(), expected);
    });
}

#[test]
fn model_a_skipped_task_is_passed_or_run() {
    loom::model(|| {
        let lane = Arc::new(Lane::default());
        let worker = thread::spawn({
            let lane = lane.clone();
            move || work(&lane, 1)
        });
        publish(&lane, 0, 7);
        let skipped = lane.slots[0].skip().is_some();
        let sum = worker.join().unwrap();
        assert_eq!(sum, if skipped { 0 } else { 7 });
        assert_eq!(lane.slots[0].state(), SlotState::Done);
    });
}

/// A job that leaves the lane while its joiner is about to sleep: the joiner looks again.
#[test]
fn model_a_joiner_does_not_sleep_on_a_lane_that_its_job_has_left() {
    use loom::sync::Mutex;

    loom::model(|| {
        let lane = Arc::new(Lane::default());
        // The scheduler: whether the job is in the lane.
        let scheduler = Arc::new(Mutex::new(true));
        publish(&lane, 0, 7);
        let parent = thread::spawn({
            let (lane, scheduler) = (lane.clone(), scheduler.clone());
            move || {
                // The worker has died, say.
                let mut in_lane = scheduler.lock().unwrap();
                lane.header.turn_bell();
                *in_lane = false;
                drop(in_lane);
                lane.header.ring_parent();
            }
        });
        loop {
            let in_lane = scheduler.lock().unwrap();
            let bell = lane.header.parent_bell();
            if !*in_lane {
                break;
            }
            drop(in_lane);
            if !lane.slots[0].ask(TELL_JOINER).is_settled() {
                lane.header.wait_for_bell(bell, None);
            }
        }
        parent.join().unwrap();
    });
}

/// The supervisor asks to hear of a dry worker, or sees that it sleeps already.
#[test]
fn model_a_dry_worker_is_heard_of() {
    use loom::sync::atomic::{AtomicBool, Ordering::SeqCst};

    loom::model(|| {
        let lane = Arc::new(Lane::default());
        let dinged = Arc::new(AtomicBool::new(false));
        let worker = thread::spawn({
            let (lane, dinged) = (lane.clone(), dinged.clone());
            move || {
                lane.header.sleep_worker(
                    || lane.slots[0].has_work(),
                    || dinged.store(true, SeqCst),
                    || {},
                );
            }
        });
        let asleep = lane.header.want_dry(true);
        // The end of the model: wakes the worker, which has announced its sleep by then or finds
        // the task.
        publish(&lane, 0, 0);
        worker.join().unwrap();
        let found_work_first = !dinged.load(SeqCst) && !asleep;
        if found_work_first {
            // It never slept without work: `dry_wanted` is still set for its next sleep.
            assert!(!lane.header.want_dry(true));
        }
    });
}
