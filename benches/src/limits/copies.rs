//! What a bare copy costs, into memory that was written before and into memory that was not.

use std::hint::black_box;
use std::os::fd::AsFd;
use std::time::Instant;

use super::shared::{self, Mapping};
use crate::Fault;
use crate::subject::Limit;

/// Seconds for one copy of `bytes`.
pub(crate) fn copy_cost(limit: Limit, bytes: usize) -> Result<f64, Fault> {
    let source = vec![1_u8; bytes];
    match limit {
        Limit::WarmCopy => {
            let mut target = vec![2_u8; bytes];
            target.copy_from_slice(&source);
            black_box(&mut target);
            let begin = Instant::now();
            target.copy_from_slice(&source);
            black_box(&mut target);
            Ok(begin.elapsed().as_secs_f64())
        }
        Limit::UntouchedCopy => {
            // So large that the allocator maps it anew.
            let mut target = Vec::with_capacity(bytes);
            let begin = Instant::now();
            target.extend_from_slice(&source);
            black_box(&mut target);
            Ok(begin.elapsed().as_secs_f64())
        }
        Limit::UntouchedShared => {
            let file = shared::memory(bytes)?;
            let mut target = Mapping::new(file.as_fd(), bytes)?;
            let begin = Instant::now();
            target.bytes().copy_from_slice(&source);
            black_box(target.bytes());
            Ok(begin.elapsed().as_secs_f64())
        }
        _ => Err("no copy".into()),
    }
}

/// Seconds for one copy of few bytes, over and over.
pub(crate) fn small_copy_cost(bytes: usize) -> f64 {
    const TIMES: u32 = 20_000;
    let source = vec![1_u8; bytes];
    let mut target = vec![2_u8; bytes];
    let begin = Instant::now();
    for _ in 0..TIMES {
        target.copy_from_slice(black_box(&source));
        black_box(&mut target);
    }
    begin.elapsed().as_secs_f64() / f64::from(TIMES)
}
