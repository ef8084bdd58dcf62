//! Who is measured at what.

use std::fmt;
use std::time::{Duration, Instant};

use super::blobs::Store;
use super::engine::Submitter;
use super::ours;
use super::server::Server;
use crate::Fault;
use crate::figures::{Row, tell};
use crate::group::Unit;
use crate::stats::{quantile, sorted};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contestant {
    /// The bare engine, with so many slots.
    Bare(usize),
    /// This project, with one agent that has so many workers.
    Ours(usize),
    /// The client's object store.
    Blobs,
}

use Contestant::{Bare, Blobs, Ours};

/// What one process measures of a contestant.
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) rows: &'static [Row],
    pub(super) contestants: &'static [Contestant],
    /// Whom the others are compared with.
    pub(super) reference: Option<Contestant>,
    take: fn(Contestant) -> Result<(), Fault>,
}

pub(super) static FIGURES: [Figure; 3] = [
    Figure {
        name: "single",
        rows: &[
            Row::new("trip.p50", "one task after the other", Unit::Seconds),
            Row::new(
                "trip.p99",
                "one task after the other, the slowest",
                Unit::Seconds,
            ),
            Row::new("burst", "10,000 single tasks at once", Unit::PerSecond),
        ],
        contestants: &[Bare(4), Bare(16), Bare(256), Ours(2), Ours(4)],
        reference: Some(Bare(16)),
        take: single,
    },
    Figure {
        name: "map",
        rows: &[Row::new(
            "map",
            "2,000,000 tiny tasks of a map",
            Unit::PerSecond,
        )],
        contestants: &[Ours(2), Ours(4)],
        reference: None,
        take: map,
    },
    Figure {
        name: "echo",
        rows: &[
            Row::new("echo.64k", "64 KiB there and back", Unit::BytesPerSecond),
            Row::new("echo.1m", "1 MiB there and back", Unit::BytesPerSecond),
            Row::new("echo.64m", "64 MiB there and back", Unit::BytesPerSecond),
        ],
        contestants: &[Blobs, Ours(2)],
        reference: Some(Blobs),
        take: echo,
    },
];

const TRIPS: u64 = 2_000;
const BURST: u64 = 10_000;
const BURSTS: usize = 4;

const ITEMS: u64 = 2_000_000;
const MAPS: usize = 3;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The rows of `echo`: bytes, and how often.
const ECHOES: [(&str, usize, usize); 3] = [
    ("echo.64k", 64 * KIB, 200),
    ("echo.1m", MIB, 40),
    ("echo.64m", 64 * MIB, 3),
];

/// Who can run single tasks.
pub(super) trait Single {
    /// How long a task takes that is alone.
    fn trip(&mut self) -> Result<Duration, Fault>;

    /// How long so many tasks take that are all there from the beginning.
    fn burst(&mut self, tasks: u64) -> Result<Duration, Fault>;
}

fn single(contestant: Contestant) -> Result<(), Fault> {
    let server = Server::start()?;
    match contestant {
        Bare(slots) => singles(&mut Submitter::start(server.url(), slots)?),
        Ours(workers) => singles(&mut ours::Ours::start(server.url(), workers)?),
        Blobs => Err(NOT_ITS.into()),
    }
}

const NOT_ITS: &str = "not a figure of this contestant";

fn singles(who: &mut impl Single) -> Result<(), Fault> {
    let mut trips = |times| -> Result<Vec<f64>, Fault> {
        (0..times).map(|_| Ok(who.trip()?.as_secs_f64())).collect()
    };
    // The first ones warm, here and below.
    trips(TRIPS / 10)?;
    let trips = sorted(trips(TRIPS)?);
    tell("trip.p50", quantile(&trips, 0.5));
    tell("trip.p99", quantile(&trips, 0.99));
    who.burst(BURST)?;
    for _ in 0..BURSTS {
        let seconds = who.burst(BURST)?.as_secs_f64();
        tell("burst", BURST as f64 / seconds);
    }
    Ok(())
}

fn map(contestant: Contestant) -> Result<(), Fault> {
    let server = Server::start()?;
    let Ours(workers) = contestant else {
        return Err(NOT_ITS.into());
    };
    let ours = ours::Ours::start(server.url(), workers)?;
    ours.map(ITEMS)?;
    for _ in 0..MAPS {
        let seconds = ours.map(ITEMS)?.as_secs_f64();
        tell("map", ITEMS as f64 / seconds);
    }
    Ok(())
}

fn echo(contestant: Contestant) -> Result<(), Fault> {
    let server = Server::start()?;
    match contestant {
        Blobs => {
            let store = Store::open(server.url())?;
            echoes(|bytes| store.echo(bytes))
        }
        Ours(workers) => {
            let ours = ours::Ours::start(server.url(), workers)?;
            echoes(|bytes| ours.echo(bytes))
        }
        Bare(_) => Err(NOT_ITS.into()),
    }
}

/// Tells how many bytes go from one program to another in a second, where each goes there and back.
fn echoes(mut once: impl FnMut(Vec<u8>) -> Result<Vec<u8>, Fault>) -> Result<(), Fault> {
    for (row, size, times) in ECHOES {
        for turn in 0..=times {
            let bytes = vec![turn as u8; size];
            let begin = Instant::now();
            let back = once(bytes)?;
            let seconds = begin.elapsed().as_secs_f64();
            if back.len() != size || back[size / 2] != turn as u8 {
                return Err("other bytes came back".into());
            }
            if turn > 0 {
                tell(row, 2.0 * size as f64 / seconds);
            }
        }
    }
    Ok(())
}

impl Figure {
    pub(super) fn named(name: &str) -> Result<&'static Self, Fault> {
        let found = FIGURES.iter().find(|figure| figure.name == name);
        found.ok_or_else(|| {
            let known = FIGURES.each_ref().map(|figure| figure.name);
            format!("there is no figure `{name}`, but {}", known.join(", ")).into()
        })
    }

    /// Takes one sample in this process.
    pub(super) fn take(&self, contestant: Contestant) -> Result<(), Fault> {
        (self.take)(contestant)
    }
}

impl Contestant {
    pub(super) fn named(name: &str) -> Result<Self, Fault> {
        let mut all = FIGURES.iter().flat_map(|figure| figure.contestants);
        let found = all.find(|contestant| contestant.to_string() == name);
        Ok(*found.ok_or("no such contestant")?)
    }

    pub(super) fn is_ours(self) -> bool {
        matches!(self, Ours(_))
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bare(slots) => f.pad(&format!("bare engine, {slots} slots")),
            Ours(workers) => f.pad(&format!("pool: cluster ×{workers}")),
            Blobs => f.pad("object store"),
        }
    }
}
