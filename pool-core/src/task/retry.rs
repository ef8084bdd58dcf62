//! Whether a task that has failed runs again, and when: a function of what happened, without a
//! clock.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::task::Options;

/// How many workers a task that is `idempotent` may lose before it is taken for the cause.
pub(crate) const MAX_LOST: u32 = 3;

/// How long the first retry waits, at most; each later one twice as long as the one before.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// Why a run gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Panicked,
    /// Its worker ended.
    Lost,
    TimedOut,
    OutOfMemory,
}

impl Fate {
    /// What can be tried again; nothing else can be other the next time, or is wanted to.
    pub(crate) fn of(error: &TaskError) -> Option<Self> {
        match error.kind() {
            TaskErrorKind::Panicked => Some(Self::Panicked),
            TaskErrorKind::WorkerLost => Some(Self::Lost),
            TaskErrorKind::TimedOut => Some(Self::TimedOut),
            TaskErrorKind::OutOfMemory => Some(Self::OutOfMemory),
            _ => None,
        }
    }
}

/// The next run of a task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Again {
    pub(crate) after: Duration,
    pub(crate) options: Options,
}

/// Whether a task with these options runs again after this.
pub(crate) fn again(options: &Options, fate: Fate) -> Option<Again> {
    decide(options, fate, random())
}

fn decide(options: &Options, fate: Fate, random: u32) -> Option<Again> {
    let mut next = *options;
    next.earlier = options.earlier.saturating_add(1);
    next.lost += u32::from(fate == Fate::Lost);
    let after = if options.idempotent && fate == Fate::Lost && next.lost < MAX_LOST {
        // Like one that had not started.
        Duration::ZERO
    } else if options.earlier < options.retries {
        backoff(options.earlier, random)
    } else {
        return None;
    };
    let options = next;
    Some(Again { after, options })
}

/// Between half and all of the time, so that what failed together does not come back together.
fn backoff(earlier: u32, random: u32) -> Duration {
    let longest = FIRST_BACKOFF
        .saturating_mul(1 << earlier.min(16))
        .min(MAX_BACKOFF);
    longest / 2 + (longest / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

fn random() -> u32 {
    // Its keys are other ones each time.
    RandomState::new().hash_one(0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Fate; 4] = [
        Fate::Panicked,
        Fate::Lost,
        Fate::TimedOut,
        Fate::OutOfMemory,
    ];

    fn options(retries: u32, idempotent: bool) -> Options {
        Options {
            retries,
            idempotent,
            ..Options::default()
        }
    }

    #[test]
    fn without_leave_nothing_runs_again() {
        for fate in ALL {
            assert!(again(&options(0, false), fate).is_none());
        }
    }

    #[test]
    fn retries_are_counted_and_wait_longer_each_time() {
        for fate in ALL {
            let mut options = options(3, false);
            for (earlier, millis) in [(0, 50), (1, 100), (2, 200)] {
                assert_eq!(options.earlier, earlier);
                for random in [0, 1 << 31, u32::MAX] {
                    let next = decide(&options, fate, random).unwrap();
                    let longest = Duration::from_millis(millis);
                    assert!(next.after >= longest / 2 && next.after <= longest);
                }
                options = again(&options, fate).unwrap().options;
            }
            assert!(again(&options, fate).is_none());
        }
        assert_eq!(backoff(40, u32::MAX), MAX_BACKOFF);
    }

    #[test]
    fn what_is_idempotent_survives_its_workers_until_it_has_lost_too_many() {
        let mut options = options(0, true);
        for _ in 1..MAX_LOST {
            let next = again(&options, Fate::Lost).unwrap();
            assert_eq!(next.after, Duration::ZERO);
            options = next.options;
        }
        assert!(again(&options, Fate::Lost).is_none());
        assert!(again(&options, Fate::Panicked).is_none());
    }
}
