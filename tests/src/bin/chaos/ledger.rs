//! What became of each task of a round as its caller saw it, and whether that agrees with the
//! journal.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::figures::{FIGURES, blame};
use crate::journal::{INITIALIZER, Start};

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Returned,
    Panicked,
    /// It ended its worker in the last of its runs.
    Exited(LastRun),
    /// The worker of the last of its runs was killed from outside.
    Lost(LastRun),
    TimedOut,
    /// It had more memory than its worker may have.
    OutOfMemory(LastRun),
    /// It waited for too long.
    TimedOutQueued,
    Cancelled,
    /// It was cancelled when it surely waited behind another one.
    CancelledQueued,
    Rejected,
    /// It was not submitted.
    Never,
    /// It was handed back, or given up while it waited for room.
    NotTaken,
    /// Nobody waited for it.
    Detached,
    /// Of a map that was dropped half-way.
    Dropped,
    /// Something that must not be, and was said already.
    Odd,
}

/// Which run it was, and in which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastRun {
    pub(crate) attempt: u32,
    pub(crate) pid: u32,
}

/// How often a task may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leave {
    pub(crate) runs: u32,
    /// It never fails by itself: it runs again only after a kill.
    pub(crate) steady: bool,
}

/// The tasks of a round, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Vec<Option<(Fate, Leave)>>>);

impl Ledger {
    fn fates(&self) -> MutexGuard<'_, Vec<Option<(Fate, Leave)>>> {
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
    pub(crate) fn close(&self, number: u64, fate: Fate, leave: Leave) {
        let before = self.fates()[number as usize].replace((fate, leave));
        if let Some((before, _)) = before {
            let text = format!("task {number} was {before:?} and then {fate:?}");
            blame(&FIGURES.wrong, &text);
        }
        let figures = &FIGURES;
        let figure = match fate {
            Fate::Returned => &figures.returned,
            Fate::Panicked => &figures.panicked,
            Fate::Exited(_) => &figures.exited,
            Fate::Lost(_) => &figures.worker_lost,
            Fate::TimedOut | Fate::TimedOutQueued => &figures.timed_out,
            Fate::Cancelled | Fate::CancelledQueued => &figures.cancelled,
            Fate::OutOfMemory(_) => &figures.out_of_memory,
            Fate::Rejected => &figures.rejected,
            Fate::NotTaken => &figures.not_taken,
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
        for start in starts.iter().filter(|start| start.number != INITIALIZER) {
            started.entry(start.number).or_default().push(*start);
        }
        let mut lost: HashMap<u32, Vec<String>> = HashMap::new();
        let mut missing = 0;
        for (number, fate) in (0_u64..).zip(fates.iter()) {
            let starts = started.remove(&number).unwrap_or_default();
            let Some((fate, leave)) = *fate else {
                blame(&FIGURES.lost, &format!("task {number}, {starts:?}"));
                continue;
            };
            FIGURES
                .runs_again
                .add((starts.len() as u64).saturating_sub(1));
            for pid in lost_workers(fate, leave, &starts) {
                let run = format!("task {number} ({fate:?}, {leave:?}), {starts:?}");
                lost.entry(pid).or_default().push(run);
            }
            if fate == Fate::Detached && starts.is_empty() {
                missing += 1;
            }
            check_starts(number, fate, leave, &starts);
        }
        for starts in started.values() {
            blame(&FIGURES.wrong, &format!("nobody asked for {starts:?}"));
        }
        for (pid, lost) in &lost {
            let kills = kills.get(pid).copied().unwrap_or(0);
            if lost.len() as u64 > kills {
                let text = format!("worker {pid} lost runs by {kills} kills: {lost:?}");
                blame(&FIGURES.wrong, &text);
            }
        }
        // A worker that is killed between taking a task and its note takes it along unseen.
        let killed: u64 = kills.values().sum();
        let noticed = lost.values().map(|runs| runs.len() as u64).sum();
        let unused = killed.saturating_sub(noticed);
        if missing > unused {
            FIGURES.lost.add(missing - unused - 1);
            let text = format!("{missing} detached tasks never started, {unused} kills took any");
            blame(&FIGURES.lost, &text);
        }
    }
}

/// The workers that were lost with a run of this task.
fn lost_workers(fate: Fate, leave: Leave, starts: &[Start]) -> Vec<u32> {
    let last = match fate {
        Fate::Lost(run) => Some(run),
        _ => None,
    };
    let earlier = match last {
        Some(run) => starts.iter().filter(|s| s.attempt != run.attempt).collect(),
        // What became of the last one is not known to be that.
        None => starts.iter().rev().skip(1).collect::<Vec<_>>(),
    };
    let earlier = earlier.into_iter().filter(|_| leave.steady);
    earlier
        .map(|start| start.worker)
        .chain(last.map(|run| run.pid))
        .collect()
}

/// Whether a task of this fate can have been started so often, and there.
fn check_starts(number: u64, fate: Fate, leave: Leave, starts: &[Start]) {
    let in_order = starts.is_sorted_by(|one, next| one.attempt < next.attempt);
    let in_bounds = starts.iter().all(|s| (1..=leave.runs).contains(&s.attempt));
    if !in_order || !in_bounds {
        let text = format!("task {number} ({fate:?}, {leave:?}): {starts:?}");
        blame(&FIGURES.duplicated, &text);
        return;
    }
    let run = |run: LastRun| starts.iter().find(|start| start.attempt == run.attempt);
    let is_possible = match fate {
        Fate::Returned | Fate::Panicked => !starts.is_empty(),
        Fate::Exited(last) | Fate::OutOfMemory(last) => {
            run(last).is_some_and(|start| start.worker == last.pid)
        }
        // Its end may have come before its note.
        Fate::Lost(last) => run(last).is_none_or(|start| start.worker == last.pid),
        Fate::Rejected
        | Fate::Never
        | Fate::NotTaken
        | Fate::CancelledQueued
        | Fate::TimedOutQueued => starts.is_empty(),
        Fate::TimedOut | Fate::Cancelled | Fate::Detached | Fate::Dropped | Fate::Odd => true,
    };
    if !is_possible {
        let text = format!("task {number} was {fate:?}, but {starts:?}");
        blame(&FIGURES.wrong, &text);
    }
}
