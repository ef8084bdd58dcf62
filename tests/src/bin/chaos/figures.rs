//! What is counted, and the table at the end.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// A number of the table.
#[derive(Debug)]
pub(crate) struct Figure(AtomicU64);

impl Figure {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, SeqCst);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(SeqCst)
    }
}

macro_rules! figures {
    ($($name:ident: $text:literal,)+) => {
        /// All that is counted.
        #[derive(Debug)]
        pub(crate) struct Figures {
            $(pub(crate) $name: Figure,)+
        }

        pub(crate) static FIGURES: Figures = Figures {
            $($name: Figure::new(),)+
        };

        /// The lines of the table, in order.
        const LINES: &[(&str, &Figure)] = &[$(($text, &FIGURES.$name),)+];
    };
}

figures! {
    tasks: "tasks",
    returned: "  returned",
    panicked: "  panicked",
    exited: "  ended their worker",
    worker_lost: "  killed with their worker",
    timed_out: "  timed out",
    out_of_memory: "  over the memory limit",
    cancelled: "  cancelled",
    rejected: "  rejected",
    not_taken: "  not taken by a full queue",
    detached: "  detached",
    dropped: "  of maps dropped half-way",
    runs_again: "runs again, with leave",
    maps: "maps",
    side_pools: "pools on the side",
    resizes: "resizes",
    initialized: "initializers",
    mebibytes: "MiB of arguments and results",
    rounds: "rounds",
    kills: "kills",
    stops: "stops",
    starved: "starved",
    wrong: "wrong",
    lost: "lost",
    duplicated: "duplicated",
    leaked: "leaked",
}

/// Outcomes, and whatever else shows that the program is not stuck.
pub(crate) static PROGRESS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn moved() {
    PROGRESS.fetch_add(1, SeqCst);
}

/// How many mistakes of each kind are printed.
const SHOWN: u64 = 10;

/// Counts and prints what must not be.
pub(crate) fn blame(figure: &'static Figure, what: &str) {
    let before = figure.0.fetch_add(1, SeqCst);
    if before < SHOWN {
        let line = LINES.iter().find(|(_, of)| std::ptr::eq(*of, figure));
        let kind = line.map_or("", |(text, _)| text.trim());
        eprintln!("{}: {what}", kind.to_uppercase());
    }
}

/// Whether nothing was as it must not be.
pub(crate) fn all_is_well() -> bool {
    let all = &FIGURES;
    [&all.wrong, &all.lost, &all.duplicated, &all.leaked]
        .iter()
        .all(|figure| figure.get() == 0)
}

pub(crate) fn print_table() {
    for (text, figure) in LINES {
        println!("{text:28} {:>12}", figure.get());
    }
}

/// The memory of this process that is in use, in MiB: it stays where it is after the first rounds.
pub(crate) fn resident_mebibytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    number.map_or(0, |kibibytes| kibibytes / 1024)
}
