//! Waiting without the kernel for a short, bounded time.
//!
//! A wake-up through the kernel costs tens of microseconds on a virtual machine, so both sides of
//! a lane look again and again before they sleep. How long is learnt: a wait that ended by
//! itself was worth it, one that went to sleep was not.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often the condition is looked at before the processor is offered to others.
const PAUSES: u32 = 300;

const MIN_MICROS: u32 = 2;
const MAX_MICROS: u32 = 60;

/// How long it is worth to spin, learnt from the last waits.
#[derive(Debug)]
pub(super) struct Patience {
    micros: AtomicU32,
    pauses: u32,
}

impl Patience {
    pub(super) fn new() -> Self {
        let alone = std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() == 1);
        Self {
            micros: AtomicU32::new(MAX_MICROS),
            // On one processor the other side runs only while this one does not.
            pauses: if alone { 0 } else { PAUSES },
        }
    }

    /// Waits for the condition; `false` when it is time to sleep.
    #[inline]
    pub(super) fn spin_until(&self, condition: impl Fn() -> bool) -> bool {
        for _ in 0..self.pauses {
            if condition() {
                return true;
            }
            std::hint::spin_loop();
        }
        let micros = self.micros.load(Relaxed);
        let limit = Duration::from_micros(micros.into());
        let start = Instant::now();
        while start.elapsed() < limit {
            if condition() {
                self.learn(micros, micros * 2);
                return true;
            }
            // Others may need the processor, the other side of the lane among them.
            std::thread::yield_now();
        }
        self.learn(micros, micros / 2);
        condition()
    }

    #[inline]
    fn learn(&self, was: u32, now: u32) {
        let now = now.clamp(MIN_MICROS, MAX_MICROS);
        if now != was {
            // A hint: a lost update does no harm.
            self.micros.store(now, Relaxed);
        }
    }
}
