//! What the chaos on a cluster has found in the desk, told event by event.

use serde::{Deserialize, Serialize};

use super::*;
use crate::Task;
use crate::cell::{Handle, JobCell};

#[derive(Serialize, Deserialize)]
struct Nothing;

impl Task for Nothing {
    type Output = ();
    const NAME: &'static str = "nothing";

    fn run(self) {}
}

fn desk(now: Instant) -> Desk {
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
    Desk::new(&config, None, "00ff", Arc::new(Tally::new()), now)
}

fn submit(desk: &mut Desk) -> Handle<()> {
    let (handle, job) = JobCell::new(Nothing);
    let job = Claimed::new(job).unwrap();
    let mut after = After::default();
    assert!(desk.submit(job, false, None, None, &mut after).is_ok());
    handle
}

#[test]
fn what_its_consumer_has_done_with_is_published_again() {
    let mut now = Instant::now();
    let mut desk = desk(now);
    let _handles = [(); 4].map(|()| submit(&mut desk));
    let runs = [(); 4].map(|()| desk.next_order(now).unwrap().0);
    for (run, seq) in runs.into_iter().zip(5..) {
        desk.acked(run, seq);
    }
    assert_eq!(
        desk.ask("one", runs[0], now, &mut After::default()),
        Verdict::Go
    );
    // What has just been published may have been asked for.
    desk.has_done_with(7, now);
    assert!(desk.next_order(now).is_none());

    now += Duration::from_secs(2);
    desk.has_done_with(7, now);
    let again = [(); 2].map(|()| desk.next_order(now).unwrap().0);
    assert_eq!(again, runs[1..3]);
    // Neither what runs, nor what is still to come.
    assert!(desk.next_order(now).is_none());
    assert_eq!(desk.says, [Say::Delete(7), Say::Delete(6)]);

    // They have new messages, of which nothing is known yet.
    now += Duration::from_secs(2);
    desk.has_done_with(7, now);
    assert!(desk.next_order(now).is_none());
}
