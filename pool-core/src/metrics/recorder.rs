//! What a pool counts of its tasks beside its engine's own numbers: which have failed, and how long
//! the parts of some of them took.
//!
//! Nothing here is done for each task. Failures are counted where they happen, and *samples* are
//! taken: a task that is one is timed on its whole way. Where tasks take longer than
//! [`WORTH_TIMING`] each is one, else one in [`SAMPLE_EVERY`], so that what the clock costs stays
//! below a hundredth of what it measures. Submitters find out by a count of their own thread.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::error::task_error::TaskErrorKind;
use crate::metrics::stats::{Failures, Mean, Part, Stats, Times};
use crate::sync::local::{self, Local};

/// The number of quick tasks of which one is timed.
const SAMPLE_EVERY: u32 = 256;

/// Every task that takes at least this time is timed.
const WORTH_TIMING: Duration = Duration::from_micros(20);

thread_local! {
    /// How many tasks the thread has submitted since its last sample.
    static SUBMITTED: Cell<u32> = const { Cell::new(0) };
}

pub(crate) struct Metrics {
    born: Instant,
    /// The number of tasks of which one is a sample. Read at each submit, and seldom written.
    every: CachePadded<AtomicU32>,
    failed: [AtomicU64; TaskErrorKind::ALL.len()],
    times: CachePadded<[Sum; Part::COUNT]>,
}

#[derive(Default)]
struct Sum {
    count: AtomicU64,
    nanos: AtomicU64,
}

/// When a job was submitted that is a sample, in the note of its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(NonZeroU32);

impl Stamp {
    /// Tells a stamp from whatever else is noted.
    const BIT: u32 = 1 << 31;

    /// The unit of a stamp is 2^`SHIFT` nanoseconds, about four microseconds, so that it can express a
    /// wait of two hours. The mean of many stamps is finer.
    const SHIFT: u32 = 12;

    /// The stamp of a time, in nanoseconds since the pool was built.
    fn of(nanos: u64) -> Self {
        let units = (nanos >> Self::SHIFT) as u32;
        // The last one means something else to the process engine.
        let stamp = (units | Self::BIT).min(u32::MAX - 1);
        Self(NonZeroU32::new(stamp).unwrap_or(NonZeroU32::MAX))
    }

    /// How many units lie between this and a later one.
    fn until(self, later: Self) -> u32 {
        later.0.get().wrapping_sub(self.0.get()) & !Self::BIT
    }

    pub(crate) fn to_note(self) -> u32 {
        self.0.get()
    }

    #[inline]
    pub(crate) fn of_note(note: u32) -> Option<Self> {
        let stamped = note & Self::BIT != 0 && note != u32::MAX;
        NonZeroU32::new(note).filter(|_| stamped).map(Self)
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            born: Instant::now(),
            every: CachePadded::new(AtomicU32::new(1)),
            failed: Default::default(),
            times: CachePadded::default(),
        }
    }

    /// Counts tasks that failed.
    #[cold]
    pub(crate) fn failed(&self, kind: TaskErrorKind, tasks: usize) {
        // Relaxed: an outcome is told with release after this, so who has it finds it counted.
        self.failed[kind as usize].fetch_add(tasks as u64, Relaxed);
    }

    /// Whether the task that the calling thread is about to submit is a sample.
    #[inline]
    pub(crate) fn takes_a_sample(&self) -> bool {
        let submitted = local::read(&SUBMITTED) + 1;
        let sample = submitted >= self.every.load(Relaxed);
        SUBMITTED.store(if sample { 0 } else { submitted });
        sample
    }

    /// Whether each task is a sample.
    pub(crate) fn times_all(&self) -> bool {
        self.every.load(Relaxed) == 1
    }

    /// Records that `tasks` tasks spent `time` in `part`.
    pub(crate) fn took(&self, part: Part, tasks: usize, time: Duration) {
        let sum = &self.times[part as usize];
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        sum.count.fetch_add(tasks as u64, Relaxed);
        sum.nanos.fetch_add(nanos, Relaxed);
    }

    /// Encodes, and times a sample of the calls; `tasks` returns how many tasks were encoded.
    pub(crate) fn encode<T>(
        &self,
        encode: impl FnOnce() -> T,
        tasks: impl FnOnce(&T) -> usize,
    ) -> T {
        let start = self.takes_a_sample().then(Instant::now);
        let encoded = encode();
        if let Some(start) = start {
            self.took(Part::Encode, tasks(&encoded), start.elapsed());
        }
        encoded
    }

    /// Decodes the results of `tasks` tasks, and records the time.
    pub(crate) fn decode<T>(&self, tasks: usize, decode: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let decoded = decode();
        self.took(Part::Decode, tasks, start.elapsed());
        decoded
    }

    /// A sample has run: it says how many others are to be ones.
    pub(crate) fn ran(&self, time: Duration) {
        self.took(Part::Run, 1, time);
        let every = match time >= WORTH_TIMING {
            true => 1,
            false => SAMPLE_EVERY,
        };
        if self.every.load(Relaxed) != every {
            self.every.store(every, Relaxed);
        }
    }

    /// A sample that was submitted at `stamp` has started at `start`.
    pub(crate) fn waited(&self, stamp: Stamp, start: Instant) {
        let start = self.nanos(start);
        let units = stamp.until(Stamp::of(start));
        let submitted = (start >> Stamp::SHIFT).wrapping_sub(units.into()) << Stamp::SHIFT;
        // The middle of what the stamp means. Where the start comes before that the sum becomes
        // smaller, as it has to: it is the mean that counts.
        let waited = start.wrapping_sub(submitted.wrapping_add((1 << Stamp::SHIFT) / 2));
        let sum = &self.times[Part::Wait as usize];
        sum.count.fetch_add(1, Relaxed);
        sum.nanos.fetch_add(waited, Relaxed);
    }

    pub(crate) fn stamp(&self, now: Instant) -> Stamp {
        Stamp::of(self.nanos(now))
    }

    fn nanos(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.born);
        u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)
    }

    /// What is counted here; the rest is the engine's.
    pub(crate) fn stats(&self) -> Stats {
        let mut failed = Failures::default();
        for kind in TaskErrorKind::ALL {
            failed.add(kind, self.failed[kind as usize].load(Relaxed));
        }
        let mean = |sum: &Sum| Mean {
            count: sum.count.load(Relaxed),
            // Of waits of no time it may be a little less than nothing.
            nanos: sum.nanos.load(Relaxed).cast_signed().max(0).cast_unsigned(),
        };
        Stats {
            uptime: self.born.elapsed(),
            failed,
            times: Times(std::array::from_fn(|part| mean(&self.times[part]))),
            ..Stats::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_of(metrics: &Metrics, from: Duration, to: Duration) -> Duration {
        let stamp = Stamp::of_note(metrics.stamp(metrics.born + from).to_note()).unwrap();
        metrics.waited(stamp, metrics.born + to);
        metrics.stats().times.wait().unwrap()
    }

    #[test]
    fn waits_are_told_to_some_microseconds_and_up_to_two_hours() {
        let hours = |hours: u64| Duration::from_secs(3600 * hours);
        for (from, wait) in [
            (Duration::ZERO, Duration::from_secs(1)),
            (hours(2), hours(1)),
            (hours(1000), Duration::from_millis(3)),
            (hours(24 * 365), hours(2)),
        ] {
            let told = wait_of(&Metrics::new(), from, from + wait);
            assert!(told.abs_diff(wait) < Duration::from_micros(5), "{told:?}");
        }
    }

    #[test]
    fn the_mean_of_short_waits_is_right() {
        let metrics = Metrics::new();
        let wait = Duration::from_nanos(700);
        let mut told = Duration::ZERO;
        for i in 0..10_000 {
            let from = Duration::from_nanos(1_237 * i);
            told = wait_of(&metrics, from, from + wait);
        }
        assert!(told.abs_diff(wait) < Duration::from_nanos(100), "{told:?}");
    }

    #[test]
    fn other_notes_are_no_stamps() {
        for note in [0, 1, (1 << 17) - 1, u32::MAX] {
            assert_eq!(Stamp::of_note(note), None);
        }
        let stamp = Stamp::of(u64::MAX);
        assert!(Stamp::of_note(stamp.to_note()).is_some());
    }

    #[test]
    fn slow_tasks_are_all_samples_and_quick_ones_seldom() {
        let metrics = Metrics::new();
        let samples = || {
            (0..10 * SAMPLE_EVERY)
                .filter(|_| metrics.takes_a_sample())
                .count()
        };
        assert_eq!(samples(), 10 * SAMPLE_EVERY as usize);
        metrics.ran(Duration::from_nanos(100));
        assert_eq!(samples(), 10);
        metrics.ran(WORTH_TIMING);
        assert_eq!(samples(), 10 * SAMPLE_EVERY as usize);
    }
}
