//! What became of every probe, and what may have become of it.

use super::probe::Probe;
use crate::error::task_error::TaskError;
use crate::task::{Options, Task};

/// The probes of one input; the number of a probe is its id.
#[derive(Default)]
pub(super) struct Fates(Vec<Fate>);

#[derive(Debug)]
struct Fate {
    wants: u32,
    /// It may run more than once.
    again: bool,
    /// How often a handle gave its outcome out.
    outcomes: u32,
    /// The last outcome was its result.
    right: bool,
    /// How often the honest worker has run it to its end.
    honest_runs: u32,
    /// It may end without its result: it was cancelled, or has a deadline.
    stopped: bool,
    /// Nobody holds its handle.
    detached: bool,
}

impl Fates {
    /// The id of a new probe.
    pub(super) fn add(&mut self, wants: u32, options: &Options) -> u32 {
        let stopped = options.timeout.is_some() || options.queue_timeout.is_some();
        self.0.push(Fate {
            wants,
            again: options.retries > 0 || options.idempotent,
            outcomes: 0,
            right: false,
            honest_runs: 0,
            stopped,
            detached: false,
        });
        // An input has some thousand bytes.
        (self.0.len() - 1) as u32
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The honest worker has run it.
    pub(super) fn ran(&mut self, id: u32) {
        let fate = self.0.get_mut(id as usize);
        fate.expect("an honest worker finds probes").honest_runs += 1;
    }

    pub(super) fn stop(&mut self, id: u32) {
        self.0[id as usize].stopped = true;
    }

    pub(super) fn stop_all(&mut self) {
        self.0.iter_mut().for_each(|fate| fate.stopped = true);
    }

    pub(super) fn detach(&mut self, id: u32) {
        self.0[id as usize].detached = true;
    }

    pub(super) fn ended(&mut self, id: u32, outcome: Result<(u32, String), TaskError>) {
        let fate = &mut self.0[id as usize];
        fate.outcomes += 1;
        fate.right = match outcome {
            Ok(result) => result == Probe::new(id, fate.wants, 0).run(),
            Err(error) => {
                // It can be printed, whatever the worker wrote.
                assert!(!format!("{error} {error:?}").is_empty());
                false
            }
        };
    }

    /// Whatever one worker wrote: every handle has one outcome, and what the other worker did is
    /// delivered.
    pub(super) fn check(&self) {
        for (id, fate) in self.0.iter().enumerate() {
            let expected = u32::from(!fate.detached);
            assert_eq!(fate.outcomes, expected, "outcomes of {id}: {fate:?}");
            let once = fate.honest_runs <= 1 || fate.again;
            assert!(once, "{id} ran again: {fate:?}");
            let must_be_right = fate.honest_runs > 0 && !fate.stopped && !fate.detached;
            assert!(
                fate.right || !must_be_right,
                "{id} was done, and that was lost: {fate:?}"
            );
        }
    }
}
