//! Waiting without the kernel for a short, bounded time.
//!
//! A wake-up through the kernel costs tens of microseconds on a virtual machine, so both sides of
//! a lane, and who waits for many tasks, look again and again before they sleep: first without a pause for others, then offering
//! the processor to them between two looks, since the other side may be waiting for
//! it. How long each is worth is learnt: a wait that ended by itself was worth it, one that did not
//! was too long.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often the condition is looked at before the processor is offered to others: for about one
/// microsecond, and about ten.
const MIN_LOOKS: u32 = 32;
const MAX_LOOKS: u32 = 300;

const MIN_MICROS: u32 = 2;
const MAX_MICROS: u32 = 60;

/// How long it is worth to spin, learnt from the last waits.
#[derive(Debug)]
pub(crate) struct AdaptiveSpin {
    looks: AtomicU32,
    micros: AtomicU32,
    /// On one processor the other side runs only while this one does not.
    is_alone: bool,
}

impl AdaptiveSpin {
    pub(crate) fn new() -> Self {
        Self {
            looks: AtomicU32::new(MAX_LOOKS),
            micros: AtomicU32::new(MAX_MICROS),
            is_alone: std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() == 1),
        }
    }

    /// Waits for the condition; `false` when it is time to sleep.
    #[inline]
    pub(crate) fn spin_until(&self, condition: impl Fn() -> bool) -> bool {
        let looks = self.looks.load(Relaxed);
        if !self.is_alone {
            for _ in 0..looks {
                if condition() {
                    learn(&self.looks, looks, looks * 2, MIN_LOOKS..=MAX_LOOKS);
                    return true;
                }
                std::hint::spin_loop();
            }
        }
        let micros = self.micros.load(Relaxed);
        let limit = Duration::from_micros(micros.into());
        let start = Instant::now();
        while start.elapsed() < limit {
            if condition() {
                learn(&self.micros, micros, micros * 2, MIN_MICROS..=MAX_MICROS);
                learn(&self.looks, looks, looks / 2, MIN_LOOKS..=MAX_LOOKS);
                return true;
            }
            // Others may need the processor, the other side of the lane among them.
            std::thread::yield_now();
        }
        learn(&self.micros, micros, micros / 2, MIN_MICROS..=MAX_MICROS);
        condition()
    }
}

#[inline]
fn learn(word: &AtomicU32, was: u32, now: u32, range: RangeInclusive<u32>) {
    let now = now.clamp(*range.start(), *range.end());
    if now != was {
        // A hint: a lost update does no harm.
        word.store(now, Relaxed);
    }
}
