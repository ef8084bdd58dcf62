//! What a map over an endless input holds in memory.

use std::time::Instant;

use pool_core::{Backend, TaskError};

use super::{check, pool};
use crate::Fault;
use crate::figures::{Figure, Row, Taker, tell};
use crate::group::Unit;
use crate::proc::peak_bytes;
use crate::tasks::{add, echo};

/// A figure for each, since what one has held stays in the peak.
macro_rules! figure {
    ($name:literal, $title:literal, $backend:expr, $is_unordered:literal) => {
        Figure {
            name: concat!("endless.", $name),
            rows: &[
                Row::new(
                    concat!("endless.", $name, ".100k"),
                    concat!(
                        "map of an endless input, ",
                        $title,
                        ": peak memory after 100,000 items"
                    ),
                    Unit::Bytes,
                ),
                Row::new(
                    concat!("endless.", $name, ".1m"),
                    "after 1,000,000",
                    Unit::Bytes,
                ),
                Row::new(
                    concat!("endless.", $name, ".10m"),
                    "after 10,000,000",
                    Unit::Bytes,
                ),
                Row::new(
                    concat!("endless.", $name, ".rate"),
                    "items a second",
                    Unit::PerSecond,
                ),
            ],
            taker: Taker::Itself(|_| {
                let name = concat!("endless.", $name);
                let pool = pool($backend)?;
                let map = pool.map((0..).map(|i| add::task(i, 1)));
                let map = if $is_unordered { map.unordered() } else { map };
                consume(name, map, &LOOKS)
            }),
        }
    };
}

pub(super) static THREADS: Figure = figure!("threads", "threads", Backend::Threads, false);

pub(super) static THREADS_UNORDERED: Figure = figure!(
    "threads.unordered",
    "threads, unordered",
    Backend::Threads,
    true
);

pub(super) static PROCESSES: Figure = figure!("processes", "processes", Backend::Processes, false);

pub(super) static PROCESSES_UNORDERED: Figure = figure!(
    "processes.unordered",
    "processes, unordered",
    Backend::Processes,
    true
);

/// Blocks lie in the arenas of the lanes.
pub(super) static BLOCKS: Figure = Figure {
    name: "endless.blocks",
    rows: &[
        Row::new(
            "endless.blocks.1k",
            "endless map of blocks of 4 KiB, processes: peak memory after 1,000",
            Unit::Bytes,
        ),
        Row::new("endless.blocks.10k", "after 10,000", Unit::Bytes),
        Row::new("endless.blocks.100k", "after 100,000", Unit::Bytes),
        Row::new("endless.blocks.rate", "items a second", Unit::PerSecond),
    ],
    taker: Taker::Itself(|_| {
        let pool = pool(Backend::Processes)?;
        let map = pool.map((0..).map(|i: u64| echo::task(vec![i as u8; BLOCK])));
        consume("endless.blocks", map, &BLOCK_LOOKS)
    }),
};

const BLOCK: usize = 4 << 10;

const BLOCK_LOOKS: [(u64, &str); 3] = [(1_000, "1k"), (10_000, "10k"), (100_000, "100k")];

/// After how many items the peak of the resident memory is looked at; the last one is the end.
const LOOKS: [(u64, &str); 3] = [(100_000, "100k"), (1_000_000, "1m"), (10_000_000, "10m")];

fn consume<T>(
    name: &str,
    results: impl Iterator<Item = Result<T, TaskError>>,
    looks: &[(u64, &str); 3],
) -> Result<(), Fault> {
    let own = std::process::id();
    let [.., (items, _)] = *looks;
    let begin = Instant::now();
    let mut seen = 0;
    for result in results.take(items as usize) {
        result?;
        seen += 1;
        if let Some((_, size)) = looks.iter().find(|(items, _)| *items == seen) {
            tell(&format!("{name}.{size}"), peak_bytes(own)?);
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    tell(&format!("{name}.rate"), items as f64 / seconds);
    check(seen, items)
}
