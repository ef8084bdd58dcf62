//! Finding, among the jobs that a thread waits for, one that it has to run itself.

use std::time::Duration;

use crate::engine::{EngineRef, Help};
use crate::job::cell::Job;
use crate::sync::blocked;

/// How often a thread looks whether it is the last that could run a job which it waits for.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How many jobs it looks at then.
const LOOKS: usize = 1024;

pub(crate) type Awaited = (EngineRef, Job);

/// Goes around the jobs, some of them at each look.
#[derive(Debug, Default)]
pub(crate) struct Search {
    next: usize,
}

impl Search {
    /// A job that nobody but the calling thread may be able to run, which is counted among those
    /// who wait; else whether it may come to that. A thread that waits for nothing else is `free`: it
    /// runs what its own pool has not begun, as `join` does.
    pub(crate) fn look(&mut self, jobs: &[Option<Awaited>], free: bool) -> Result<Awaited, Help> {
        if !blocked::is_worker() || jobs.is_empty() {
            return Err(Help::Never);
        }
        let looks = jobs.len().min(LOOKS);
        let first = self.next % jobs.len();
        self.next = first + looks;
        let mut help = match looks < jobs.len() {
            true => Help::Perhaps,
            false => Help::Never,
        };
        for at in first..first + looks {
            let Some(awaited) = &jobs[at % jobs.len()] else {
                continue;
            };
            let (engine, job) = awaited;
            let now = match engine.needs_help(job) {
                Help::Now => true,
                Help::Perhaps => {
                    help = Help::Perhaps;
                    free && job.head().state.is_queued() && engine.is_own_thread()
                }
                Help::Never => false,
            };
            if now {
                return Ok(awaited.clone());
            }
        }
        Err(help)
    }
}
