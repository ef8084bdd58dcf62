//! The clock of deadlines, which does not run while the program is stopped.
//!
//! A program that was stopped, by Ctrl-Z or because its machine did not run it, finds that all its
//! deadlines have passed, and no task had that time. So deadlines are times of this clock. Whoever
//! judges by it calls [`look`]; as long as anything has a deadline, somebody looks at least every
//! [`BEAT`], which a [`Watch`] promises. Two looks that are much further apart mean that the program
//! did not run, and the time between them does not count.
//!
//! A stop that is shorter than [`STALL`] is not noticed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

/// How long a watcher may sleep.
pub(crate) const BEAT: Duration = Duration::from_millis(100);

/// Two looks that are so far apart had a stop between them.
const STALL: Duration = Duration::from_millis(300);

/// How many stops are remembered one by one.
const MAX_STOPS: usize = 64;

/// The time that did not count so far, in nanoseconds.
static LOST: AtomicU64 = AtomicU64::new(0);

static CLOCK: Mutex<Clock> = Mutex::new(Clock::new());

#[derive(Debug)]
struct Clock {
    /// The process whose watchers are counted: a fork has none of their threads.
    process: u32,
    watchers: usize,
    seen: Option<Instant>,
    /// When a look found out about each stop, and its length; the last one at the end.
    stops: VecDeque<(Instant, Duration)>,
}

impl Clock {
    const fn new() -> Self {
        Self {
            process: 0,
            watchers: 0,
            seen: None,
            stops: VecDeque::new(),
        }
    }

    /// Forgets the watchers of the process from which this one was forked.
    fn notice_fork(&mut self) {
        let process = std::process::id();
        if self.process != process {
            self.process = process;
            self.watchers = 0;
            self.seen = None;
        }
    }

    /// Takes a look at the time `now`; returns for how long the program was stopped before.
    fn look(&mut self, now: Instant) -> Option<Duration> {
        let seen = self.seen.replace(now)?;
        let gap = now.saturating_duration_since(seen);
        if self.watchers == 0 || gap < STALL {
            return None;
        }
        if self.stops.len() == MAX_STOPS {
            self.stops.pop_front();
        }
        self.stops.push_back((now, gap));
        Some(gap)
    }

    fn watch(&mut self, now: Instant) -> Option<Duration> {
        let lost = self.look(now);
        self.watchers += 1;
        lost
    }

    /// For how long the program was stopped since `start`.
    fn lost_since(&self, start: Instant) -> Duration {
        let stops = self.stops.iter().rev();
        let since = stops.take_while(|(end, _)| *end > start);
        since
            .map(|(end, lost)| end.saturating_duration_since(start).min(*lost))
            .sum()
    }
}

/// The lock is held for some instructions at a time. `None`: in a process that was forked meanwhile
/// nobody gives it up.
fn lock() -> Option<MutexGuard<'static, Clock>> {
    for _ in 0..1_000 {
        let mut clock = match CLOCK.try_lock() {
            Ok(clock) => clock,
            Err(TryLockError::Poisoned(clock)) => clock.into_inner(),
            Err(TryLockError::WouldBlock) => {
                std::thread::yield_now();
                continue;
            }
        };
        clock.notice_fork();
        return Some(clock);
    }
    None
}

/// The time as of the last [`look`].
#[inline]
pub(crate) fn now() -> Instant {
    of(Instant::now())
}

/// A time of this clock for one of the system's.
#[inline]
pub(crate) fn of(time: Instant) -> Instant {
    let lost = Duration::from_nanos(LOST.load(Acquire));
    time.checked_sub(lost).unwrap_or(time)
}

/// The time, for whoever judges by it.
pub(crate) fn look() -> Instant {
    let Some(mut clock) = lock() else {
        return now();
    };
    let time = Instant::now();
    add(clock.look(time));
    drop(clock);
    of(time)
}

/// Adds to what did not count; under the lock, so that whoever looks next finds it added.
fn add(lost: Option<Duration>) {
    if let Some(lost) = lost {
        let nanos = u64::try_from(lost.as_nanos()).unwrap_or(u64::MAX);
        LOST.fetch_add(nanos, Release);
    }
}

/// For how long the program was stopped since a time of the system.
pub(crate) fn lost_since(start: Instant) -> Duration {
    // Most programs never were.
    match LOST.load(Acquire) {
        0 => Duration::ZERO,
        _ => lock().map_or(Duration::ZERO, |clock| clock.lost_since(start)),
    }
}

/// A promise to [`look`] at least every [`BEAT`], until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch(());

impl Watch {
    pub(crate) fn new() -> Option<Self> {
        let mut clock = lock()?;
        add(clock.watch(Instant::now()));
        Some(Self(()))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(mut clock) = lock() {
            clock.watchers = clock.watchers.saturating_sub(1);
        }
    }
}

/// A thread that looks for those that cannot, while there are any.
static KEEPER: Mutex<Keeper> = Mutex::new(Keeper {
    process: 0,
    users: 0,
    runs: false,
});

struct Keeper {
    /// The process that has the thread.
    process: u32,
    users: usize,
    runs: bool,
}

/// Somebody looks at the clock until it is dropped, with the best of efforts.
#[derive(Debug)]
pub(crate) struct Kept(());

fn keeper() -> Option<MutexGuard<'static, Keeper>> {
    for _ in 0..1_000 {
        let mut keeper = match KEEPER.try_lock() {
            Ok(keeper) => keeper,
            Err(TryLockError::Poisoned(keeper)) => keeper.into_inner(),
            Err(TryLockError::WouldBlock) => {
                std::thread::yield_now();
                continue;
            }
        };
        let process = std::process::id();
        if keeper.process != process {
            *keeper = Keeper {
                process,
                users: 0,
                runs: false,
            };
        }
        return Some(keeper);
    }
    None
}

impl Kept {
    pub(crate) fn new() -> Option<Self> {
        let mut keeper = keeper()?;
        keeper.users += 1;
        if !keeper.runs {
            let thread = std::thread::Builder::new().name("pool-clock".into());
            keeper.runs = thread.spawn(keep).is_ok();
        }
        Some(Self(()))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(mut keeper) = keeper() {
            keeper.users = keeper.users.saturating_sub(1);
        }
    }
}

fn keep() {
    let watch = Watch::new();
    loop {
        std::thread::sleep(BEAT);
        look();
        let Some(mut keeper) = keeper() else {
            continue;
        };
        if keeper.users == 0 {
            keeper.runs = false;
            // Before another one begins.
            drop(watch);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_lies_between_distant_looks_does_not_count() {
        let start = Instant::now();
        let mut clock = Clock::new();
        // Nobody has promised to look.
        assert_eq!(clock.look(start), None);
        assert_eq!(clock.look(start + 5 * SECOND), None);
        assert_eq!(clock.watch(start + 6 * SECOND), None);
        let mut now = start + 6 * SECOND;
        for _ in 0..100 {
            now += BEAT;
            assert_eq!(clock.look(now), None);
        }
        assert_eq!(clock.lost_since(start), Duration::ZERO);
        now += 4 * SECOND;
        assert_eq!(clock.look(now), Some(4 * SECOND));
        assert_eq!(clock.look(now), None);
        // A second watcher finds out as well.
        now += 3 * SECOND;
        assert_eq!(clock.watch(now), Some(3 * SECOND));
        assert_eq!(clock.lost_since(start), 7 * SECOND);
        assert_eq!(clock.lost_since(now - 4 * SECOND), 4 * SECOND);
        assert_eq!(clock.lost_since(now - SECOND), SECOND);
        assert_eq!(clock.lost_since(now), Duration::ZERO);
        clock.watchers = 0;
        assert_eq!(clock.look(now + 9 * SECOND), None);
    }

    #[test]
    fn not_every_stop_is_remembered() {
        let mut now = Instant::now();
        let start = now;
        let mut clock = Clock::new();
        clock.watch(now);
        for _ in 0..2 * MAX_STOPS {
            now += SECOND;
            assert_eq!(clock.look(now), Some(SECOND));
        }
        assert_eq!(clock.stops.len(), MAX_STOPS);
        let remembered = SECOND * u32::try_from(MAX_STOPS).unwrap();
        assert_eq!(clock.lost_since(start), remembered);
    }
}
