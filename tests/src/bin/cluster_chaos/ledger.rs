//! What became of each task as its caller saw it, and whether that agrees with the journal.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::figures::{FIGURES, add, blame, moved};
use crate::journal::Start;

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Returned,
    Panicked,
    /// It ended its worker.
    Exited,
    /// Its agent was lost.
    Lost,
    TimedOut,
    /// It had not started in time.
    Expired,
    Cancelled,
    /// It was cancelled when no agent had it.
    CancelledQueued,
    Rejected,
    /// Its pool did not take it.
    NotTaken,
    /// It was not submitted.
    Never,
    /// Nobody waited for it.
    Detached,
    /// Of a map that was dropped half-way.
    Dropped,
    /// Something that must not be, and was said already.
    Odd,
}

/// What became of a task, and how often it may run.
type Closed = Option<(Fate, u32)>;

/// All tasks, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Vec<Closed>>);

impl Ledger {
    fn fates(&self) -> MutexGuard<'_, Vec<Closed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers for so many tasks, of which each must get its fate: the first one.
    pub(crate) fn open(&self, tasks: usize) -> u64 {
        let mut fates = self.fates();
        let first = fates.len();
        fates.resize(first + tasks, None);
        first as u64
    }

    /// What became of a task, once.
    pub(crate) fn close(&self, number: u64, fate: Fate, runs: u32) {
        let before = self.fates()[number as usize].replace((fate, runs));
        if let Some((before, _)) = before {
            let text = format!("task {number} was {before:?} and then {fate:?}");
            blame(&FIGURES.wrong, &text);
        }
        let all = &FIGURES;
        let figure = match fate {
            Fate::Returned => &all.returned,
            Fate::Panicked => &all.panicked,
            Fate::Exited => &all.exited,
            Fate::Lost => &all.worker_lost,
            Fate::TimedOut => &all.timed_out,
            Fate::Expired => &all.expired,
            Fate::Cancelled => &all.cancelled,
            Fate::CancelledQueued => &all.cancelled_queued,
            Fate::Rejected => &all.rejected,
            Fate::NotTaken => &all.not_taken,
            Fate::Detached => &all.detached,
            Fate::Dropped => &all.dropped,
            Fate::Never | Fate::Odd => return,
        };
        add(figure, 1);
        add(&all.tasks, 1);
        moved();
    }

    /// At the end: the starts of all tasks.
    pub(crate) fn check(&self, starts: &[Start]) {
        let mut started: HashMap<u64, Vec<Start>> = HashMap::new();
        for start in starts {
            started.entry(start.number).or_default().push(*start);
        }
        for (number, fate) in (0_u64..).zip(self.fates().iter()) {
            let starts = started.remove(&number).unwrap_or_default();
            match *fate {
                None => blame(&FIGURES.lost, &format!("task {number}, {starts:?}")),
                Some((fate, runs)) => check_starts(number, fate, runs, &starts),
            }
        }
        for starts in started.values() {
            blame(&FIGURES.wrong, &format!("nobody asked for {starts:?}"));
        }
    }
}

/// Whether a task of this fate can have been started so often.
fn check_starts(number: u64, fate: Fate, runs: u32, starts: &[Start]) {
    let text = || format!("task {number} ({fate:?}, {runs} runs): {starts:?}");
    add(&FIGURES.runs_again, (starts.len() as u64).saturating_sub(1));
    // Not in order: an agent that was stopped may start the first run late.
    let mut attempts: Vec<u32> = starts.iter().map(|start| start.attempt).collect();
    attempts.sort_unstable();
    let each_once = attempts.windows(2).all(|pair| pair[0] < pair[1]);
    let in_bounds = attempts.iter().all(|attempt| (1..=runs).contains(attempt));
    if !each_once || !in_bounds {
        return blame(&FIGURES.twice, &text());
    }
    match fate {
        Fate::Returned | Fate::Panicked | Fate::Exited if starts.is_empty() => {
            blame(&FIGURES.wrong, &text());
        }
        Fate::CancelledQueued | Fate::Expired if !starts.is_empty() => {
            blame(&FIGURES.twice, &text());
        }
        Fate::Rejected | Fate::Never | Fate::NotTaken if !starts.is_empty() => {
            blame(&FIGURES.wrong, &text());
        }
        _ => {}
    }
}
