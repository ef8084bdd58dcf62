//! Random numbers that a seed gives again, and pauses of random length.

use std::thread;
use std::time::{Duration, Instant};

/// A sleep takes longer than this, so shorter pauses are spun.
const SPUN: u64 = 60;

/// A number that looks like no other: what a task makes of its argument.
#[must_use]
pub fn mix(value: u64) -> u64 {
    value.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)
}

/// Waits so long.
pub fn pause(micros: u64) {
    let limit = Duration::from_micros(micros);
    if micros == 0 {
    } else if micros < SPUN {
        let begin = Instant::now();
        while begin.elapsed() < limit {
            std::hint::spin_loop();
        }
    } else {
        thread::sleep(limit);
    }
}

/// A xorshift generator.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Any seed will do, and neighbours give different numbers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x5851_f42d_4c95_7f2d) | 1)
    }

    /// Any number below 2^53.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// Any number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// From 0 to 200, mostly 0: how many microseconds a task or a pause takes.
    pub fn micros(&mut self) -> u64 {
        match self.below(16) {
            0 | 1 => self.below(10),
            2 => self.below(SPUN),
            3 => self.below(200),
            _ => 0,
        }
    }
}
