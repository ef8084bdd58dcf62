//! What became of each task of a round as its caller saw it, and whether that agrees with the
//! journal.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::figures::{FIGURES, blame};
use crate::journal::Start;

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Returned,
    Panicked,
    /// It ended its worker, which had this number.
    Exited(u32),
    /// Its worker was killed from outside.
    Lost(u32),
    TimedOut,
    Cancelled,
    /// It was cancelled when it surely waited behind another one.
    CancelledQueued,
    Rejected,
    /// It was not submitted.
    Never,
    /// Nobody waited for it.
    Detached,
    /// Of a map that was dropped half-way.
    Dropped,
    /// Something that must not be, and was said already.
    Odd,
}

/// The tasks of a round, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Vec<Option<Fate>>>);

impl Ledger {
    fn fates(&self) -> MutexGuard<'_, Vec<Option<Fate>>> {
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
    pub(crate) fn close(&self, number: u64, fate: Fate) {
        let before = self.fates()[number as usize].replace(fate);
        if let Some(before) = before {
            let text = format!("task {number} was {before:?} and then {fate:?}");
            blame(&FIGURES.wrong, &text);
        }
        let figures = &FIGURES;
        let figure = match fate {
            Fate::Returned => &figures.returned,
            Fate::Panicked => &figures.panicked,
            Fate::Exited(_) => &figures.exited,
            Fate::Lost(_) => &figures.worker_lost,
            Fate::TimedOut => &figures.timed_out,
            Fate::Cancelled | Fate::CancelledQueued => &figures.cancelled,
            Fate::Rejected => &figures.rejected,
            Fate::Detached => &figures.detached,
            Fate::Dropped => &figures.dropped,
            Fate::Never | Fate::Odd => return,
        };
        figure.add(1);
        figures.tasks.add(1);
    }

    /// At the end of the round: the starts of all tasks, and how often each worker was killed.
    pub(crate) fn check(&self, starts: &[Start], kills: &HashMap<u32, u64>) {
        let fates = self.fates();
        let mut started: HashMap<u64, Vec<Start>> = HashMap::new();
        for start in starts {
            started.entry(start.number).or_default().push(*start);
        }
        let mut lost: HashMap<u32, u64> = HashMap::new();
        let mut missing = 0;
        for (number, fate) in (0_u64..).zip(fates.iter()) {
            let starts = started.remove(&number).unwrap_or_default();
            let Some(fate) = *fate else {
                blame(&FIGURES.lost, &format!("task {number}, {starts:?}"));
                continue;
            };
            if let Fate::Lost(pid) = fate {
                *lost.entry(pid).or_default() += 1;
            }
            if fate == Fate::Detached && starts.is_empty() {
                missing += 1;
            }
            check_starts(number, fate, &starts);
        }
        for starts in started.values() {
            blame(&FIGURES.wrong, &format!("nobody asked for {starts:?}"));
        }
        for (pid, lost) in &lost {
            let kills = kills.get(pid).copied().unwrap_or(0);
            if *lost > kills {
                let text = format!("worker {pid} lost {lost} tasks by {kills} kills");
                blame(&FIGURES.wrong, &text);
            }
        }
        // A worker that is killed between taking a task and its note takes it along unseen.
        let unused =
            kills.values().sum::<u64>() - lost.values().sum::<u64>().min(kills.values().sum());
        if missing > unused {
            let text = format!("{missing} detached tasks never started, {unused} kills took any");
            blame(&FIGURES.lost, &text);
        }
    }
}

/// Whether a task of this fate can have been started so often, and there.
fn check_starts(number: u64, fate: Fate, starts: &[Start]) {
    if starts.len() > 1 {
        let text = format!("task {number} ({fate:?}): {starts:?}");
        blame(&FIGURES.duplicated, &text);
        return;
    }
    let start = starts.first();
    let is_possible = match fate {
        Fate::Returned | Fate::Panicked => start.is_some(),
        Fate::Exited(pid) => start.is_some_and(|start| start.pid == pid),
        // Its end may have come before its note.
        Fate::Lost(pid) => start.is_none_or(|start| start.pid == pid),
        Fate::Rejected | Fate::Never | Fate::CancelledQueued => start.is_none(),
        Fate::TimedOut | Fate::Cancelled | Fate::Detached | Fate::Dropped | Fate::Odd => true,
    };
    if !is_possible || start.is_some_and(|start| start.attempt != 1) {
        blame(
            &FIGURES.wrong,
            &format!("task {number} was {fate:?}, but {starts:?}"),
        );
    }
}
