//! What is counted, and the table at the end.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Instant;

macro_rules! figures {
    ($($name:ident: $text:literal,)+) => {
        /// All that is counted.
        #[derive(Debug, Default)]
        pub(crate) struct Figures {
            $(pub(crate) $name: AtomicU64,)+
        }

        pub(crate) static FIGURES: Figures = Figures {
            $($name: AtomicU64::new(0),)+
        };

        /// The lines of the table, in order.
        const LINES: &[(&str, &AtomicU64)] = &[$(($text, &FIGURES.$name),)+];
    };
}

figures! {
    tasks: "tasks",
    returned: "  returned",
    panicked: "  panicked",
    exited: "  ended their worker",
    worker_lost: "  lost with their agent",
    timed_out: "  timed out",
    expired: "  not started in time",
    cancelled: "  cancelled",
    cancelled_queued: "  cancelled before their start",
    rejected: "  rejected",
    not_taken: "  not taken by a full queue",
    detached: "  detached",
    dropped: "  of maps dropped half-way",
    runs_again: "runs again, with leave",
    maps: "maps",
    side_pools: "pools on the side",
    not_built: "pools not built, without a server",
    mebibytes: "MiB of arguments and results",
    agents_started: "agents started",
    agents_killed: "agents killed",
    agents_stopped: "agents stopped",
    agents_drained: "agents drained",
    servers_killed: "servers killed",
    servers_stopped: "servers stopped",
    streams_deleted: "streams deleted",
    longest_gap: "ms without an outcome, longest",
    wrong: "wrong",
    lost: "lost",
    twice: "twice",
    leaked: "leaked",
}

pub(crate) fn add(figure: &AtomicU64, more: u64) {
    figure.fetch_add(more, SeqCst);
}

static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
static LAST_OUTCOME: AtomicU64 = AtomicU64::new(0);

/// There is an outcome.
pub(crate) fn moved() {
    let now = BEGIN.elapsed().as_millis() as u64;
    let last = LAST_OUTCOME.swap(now, SeqCst);
    let gap = now.saturating_sub(last);
    FIGURES.longest_gap.fetch_max(gap, SeqCst);
}

/// How many mistakes of each kind are printed.
const SHOWN: u64 = 10;

/// Counts and prints what must not be.
pub(crate) fn blame(figure: &'static AtomicU64, what: &str) {
    let before = figure.fetch_add(1, SeqCst);
    if before < SHOWN {
        let line = LINES.iter().find(|(_, of)| std::ptr::eq(*of, figure));
        let kind = line.map_or("", |(text, _)| text.trim());
        let at = BEGIN.elapsed().as_secs_f32();
        eprintln!("{} at {at:.3} s: {what}", kind.to_uppercase());
    }
}

/// The four that must be 0.
fn faults() -> [&'static AtomicU64; 4] {
    let all = &FIGURES;
    [&all.wrong, &all.lost, &all.twice, &all.leaked]
}

/// Whether nothing was as it must not be.
pub(crate) fn all_is_well() -> bool {
    faults().iter().all(|figure| figure.load(SeqCst) == 0)
}

pub(crate) fn print_line() {
    let [wrong, lost, twice, leaked] = faults().map(|figure| figure.load(SeqCst));
    let of = |figure: &AtomicU64| figure.load(SeqCst);
    eprintln!(
        "{:>5} s: {} tasks, {} lost with their agent; agents {} killed {} stopped {} drained; \
         servers {} killed {} stopped; longest {} ms; {wrong} {lost} {twice} {leaked}",
        BEGIN.elapsed().as_secs(),
        of(&FIGURES.tasks),
        of(&FIGURES.worker_lost),
        of(&FIGURES.agents_killed),
        of(&FIGURES.agents_stopped),
        of(&FIGURES.agents_drained),
        of(&FIGURES.servers_killed),
        of(&FIGURES.servers_stopped),
        of(&FIGURES.longest_gap),
    );
}

pub(crate) fn print_table() {
    for (text, figure) in LINES {
        println!("{text:34} {:>12}", figure.load(SeqCst));
    }
}
