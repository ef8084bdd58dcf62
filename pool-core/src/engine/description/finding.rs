//! Why nothing moves: a function of what is known of a pool.

use std::fmt;
use std::time::Duration;

use super::text::{Human, SEEN_NOW, count};
use super::{Description, Phase, WorkerInfo, WorkerState};
use crate::error::backend::Backend;

/// One thing that explains what a pool does, or why it does nothing. People read its `Display`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// This process was forked from the one that has the workers.
    Forked,
    /// The pool was killed.
    Killed,
    /// The pool cannot go on.
    Broken {
        /// Why.
        why: String,
    },
    /// The pool was shut down, and everything is done.
    Ended,
    /// The pool was shut down and does what it has.
    Draining {
        /// Tasks that run, wait for a worker, or wait for another run.
        left: usize,
    },
    /// No worker takes tasks.
    NoWorker {
        /// Workers that are starting.
        starting: usize,
        /// Starts in a row that have failed.
        failed_starts: u32,
        /// Why the last one has.
        why: Option<String>,
    },
    /// Workers are missing, while others work.
    Missing {
        /// How many.
        workers: usize,
        /// Starts in a row that have failed.
        failed_starts: u32,
        /// Why the last one has.
        why: Option<String>,
    },
    /// Every worker has ended for want of work; they come back with it.
    Resting,
    /// Workers run the initializer, and take no tasks until it ends.
    Initializing {
        /// How many.
        workers: usize,
    },
    /// A worker process is stopped.
    Stopped {
        /// The process.
        pid: u32,
        /// The task that it is at.
        task: Option<&'static str>,
    },
    /// Every worker waits inside of its task, for another task or for room in a queue.
    WaitInside {
        /// How many workers there are.
        workers: usize,
        /// Tasks behind them.
        queued: usize,
    },
    /// Workers are held by tasks that nobody waits for any more.
    Overdue {
        /// How many.
        workers: usize,
        /// Whether they will be killed, or have to be waited for.
        are_killed: bool,
    },
    /// Every worker runs a task.
    Busy {
        /// How many workers there are.
        workers: usize,
        /// The task that has run for the longest time, and where.
        longest: Box<WorkerInfo>,
        /// Tasks behind them.
        queued: usize,
    },
    /// The queue is full.
    Full {
        /// Threads and futures that wait for room.
        waiting: usize,
    },
    /// Tasks have failed and wait for another run.
    Retrying {
        /// How many.
        tasks: usize,
        /// When the first one comes.
        next: Option<Duration>,
    },
    /// Some workers run tasks, others are free.
    Working {
        /// Those that do.
        running: usize,
        /// All of them.
        workers: usize,
        /// Tasks that are on their way to one.
        queued: usize,
    },
    /// Everything that was submitted has its outcome.
    Idle,
    /// Nothing was ever submitted.
    Unused,
}

/// What explains this, the most important first.
pub(super) fn of(seen: &Description) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &seen.phase {
        Phase::Open => {}
        Phase::Forked => return vec![Finding::Forked],
        Phase::Broken(why) => findings.push(Finding::Broken { why: why.clone() }),
        Phase::Killed => findings.push(Finding::Killed),
        Phase::Ended => findings.push(Finding::Ended),
        Phase::Draining => findings.push(Finding::Draining { left: left(seen) }),
    }
    let is_open = matches!(seen.phase, Phase::Open | Phase::Draining);
    if is_open {
        findings.extend(of_the_workers(seen));
    }
    findings.extend(of_workers(seen));
    if is_open && seen.waiting_for_room > 0 {
        let waiting = seen.waiting_for_room;
        findings.push(Finding::Full { waiting });
    }
    if seen.retries > 0 {
        let (tasks, next) = (seen.retries, seen.next_retry);
        findings.push(Finding::Retrying { tasks, next });
    }
    if findings.is_empty() {
        findings.push(of_one_that_moves(seen));
    }
    findings
}

fn left(seen: &Description) -> usize {
    seen.stats.queued + seen.stats.running + seen.retries
}

/// What is wrong with the number of workers.
fn of_the_workers(seen: &Description) -> Option<Finding> {
    let (failed_starts, why) = (seen.failed_starts, seen.last_failed_start.clone());
    let ending = |worker: &&WorkerInfo| worker.state == WorkerState::Ending;
    let up = seen.workers.len() - seen.workers.iter().filter(ending).count();
    let missing = seen.target.saturating_sub(up + seen.resting);
    match seen.backend {
        Backend::Inline => None,
        _ if up == 0 && seen.resting > 0 && seen.stats.queued == 0 => Some(Finding::Resting),
        _ if up == 0 => Some(Finding::NoWorker {
            starting: seen.starting,
            failed_starts,
            why,
        }),
        _ if missing > 0 => Some(Finding::Missing {
            workers: missing,
            failed_starts,
            why,
        }),
        _ => None,
    }
}

/// What holds the workers up.
fn of_workers(seen: &Description) -> Vec<Finding> {
    let mut findings = Vec::new();
    let count_in = |state| {
        let workers = seen.workers.iter();
        workers.filter(|worker| worker.state == state).count()
    };
    for worker in &seen.workers {
        if let (WorkerState::Stopped, Some(pid)) = (worker.state, worker.pid) {
            let task = worker.task;
            findings.push(Finding::Stopped { pid, task });
        }
    }
    let initializing = count_in(WorkerState::Initializing);
    if initializing > 0 {
        findings.push(Finding::Initializing {
            workers: initializing,
        });
    }
    let overdue = count_in(WorkerState::Overdue);
    if overdue > 0 {
        findings.push(Finding::Overdue {
            workers: overdue,
            are_killed: matches!(seen.backend, Backend::Processes | Backend::Cluster),
        });
    }
    let workers = seen.workers.len();
    let running = count_in(WorkerState::Running);
    let queued = seen.stats.queued;
    if workers > 0 && running == workers && seen.waiting_inside >= workers {
        findings.push(Finding::WaitInside { workers, queued });
    }
    if workers > 0
        && running + overdue == workers
        && running > 0
        && let Some(longest) = seen.longest()
    {
        findings.push(Finding::Busy {
            workers,
            longest: Box::new(longest.clone()),
            queued,
        });
    }
    findings
}

/// Nothing is wrong.
fn of_one_that_moves(seen: &Description) -> Finding {
    let stats = &seen.stats;
    if left(seen) > 0 {
        Finding::Working {
            running: stats.running,
            workers: seen.workers.len(),
            queued: stats.queued,
        }
    } else if stats.finished + stats.failed.total() > 0 {
        Finding::Idle
    } else {
        Finding::Unused
    }
}

/// "all 3 workers" or "the worker".
fn all(workers: usize) -> String {
    match workers {
        1 => "the worker".into(),
        _ => format!("all {} workers", count(workers)),
    }
}

/// The number and the word, with an s or without.
fn some(number: usize, word: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {word}{s}", count(number))
}

/// A verb of one, or of many.
fn verb<'a>(number: usize, of_one: &'a str, of_many: &'a str) -> &'a str {
    if number == 1 { of_one } else { of_many }
}

fn starts(f: &mut fmt::Formatter<'_>, failed: u32, why: Option<&str>) -> fmt::Result {
    match (failed, why) {
        (0, _) => Ok(()),
        (1, Some(why)) => write!(f, "; the last start failed: {why}"),
        (_, Some(why)) => write!(f, "; the last {failed} starts failed: {why}"),
        (_, None) => write!(f, "; {failed} starts failed"),
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forked => f.write_str(
                "this process was forked from the one that has the workers: it takes no tasks",
            ),
            Self::Killed => f.write_str("killed: it takes no tasks"),
            Self::Broken { why } => f.write_str(why),
            Self::Ended => f.write_str("shut down: everything is done, it takes no tasks"),
            Self::Draining { left: 0 } => f.write_str("shut down: its workers are ending"),
            Self::Draining { left } => {
                write!(f, "shut down: {} still to be done", some(*left, "task"))
            }
            Self::NoWorker {
                starting,
                failed_starts,
                why,
            } => {
                f.write_str("no worker is up")?;
                match starting {
                    0 => {}
                    1 => f.write_str(": 1 is starting")?,
                    many => write!(f, ": {} are starting", count(*many))?,
                }
                starts(f, *failed_starts, why.as_deref())
            }
            Self::Missing {
                workers,
                failed_starts,
                why,
            } => {
                let is = verb(*workers, "is", "are");
                write!(f, "{} {is} not up", some(*workers, "worker"))?;
                starts(f, *failed_starts, why.as_deref())
            }
            Self::Resting => {
                f.write_str("idle: its workers have ended for want of work, and come back with it")
            }
            Self::Initializing { workers } => {
                let runs = verb(*workers, "runs its", "run their");
                write!(f, "{} {runs} initializer", some(*workers, "worker"))
            }
            Self::Stopped { pid, task } => {
                write!(
                    f,
                    "worker process {pid} is stopped (SIGSTOP, or a debugger)"
                )?;
                if let Some(task) = task {
                    write!(f, " in `{task}`")?;
                }
                write!(f, "; `kill -CONT {pid}` lets it go on")
            }
            Self::WaitInside { workers, queued } => {
                let wait = verb(
                    *workers,
                    "waits inside of its task",
                    "wait inside of their tasks",
                );
                write!(f, "{} {wait} for others (nested join)", all(*workers))?;
                behind(f, *queued)
            }
            Self::Overdue {
                workers,
                are_killed,
            } => {
                let (is, its) = (
                    verb(*workers, "is", "are"),
                    verb(
                        *workers,
                        "a task that was cancelled or is late, until it returns",
                        "tasks that were cancelled or are late, until they return",
                    ),
                );
                let workers = some(*workers, "worker");
                write!(f, "{workers} {is} held by {its}")?;
                f.write_str(match are_killed {
                    true => " or the grace is over",
                    false => ": a thread cannot be stopped",
                })
            }
            Self::Busy {
                workers,
                longest,
                queued,
            } => {
                let run = verb(*workers, "runs a task", "run tasks");
                write!(f, "{} {run}", all(*workers))?;
                if let Some(task) = longest.task {
                    let the = verb(*workers, "", ", the longest");
                    write!(f, "{the} (`{task}`, {})", Place(longest))?;
                }
                match longest.age {
                    Some(age) if longest.age_is_exact => write!(f, " for {}", Human(age))?,
                    Some(age) if age >= SEEN_NOW => write!(f, " for at least {}", Human(age))?,
                    _ => {}
                }
                behind(f, *queued)
            }
            Self::Full { waiting } => {
                let wait = verb(*waiting, "waits", "wait");
                let waiting = some(*waiting, "submitter");
                write!(f, "the queue is full: {waiting} {wait} for room")
            }
            Self::Retrying { tasks, next } => {
                let have = verb(*tasks, "has failed and waits", "have failed and wait");
                write!(f, "{} {have} for another run", some(*tasks, "task"))?;
                match next {
                    Some(next) => write!(f, ", the next in {}", Human(*next)),
                    None => Ok(()),
                }
            }
            Self::Working {
                running,
                workers,
                queued,
            } => {
                match workers {
                    0 => write!(f, "working: {} running", count(*running))?,
                    _ => {
                        let run = verb(*running, "runs a task", "run tasks");
                        let (running, workers) = (count(*running), some(*workers, "worker"));
                        write!(f, "working: {running} of {workers} {run}")?;
                    }
                }
                match queued {
                    0 => f.write_str(", nothing waits"),
                    _ => write!(f, ", {} on their way", count(*queued)),
                }
            }
            Self::Idle => f.write_str("idle: everything that was submitted is done"),
            Self::Unused => f.write_str("idle: nothing was submitted"),
        }
    }
}

fn behind(f: &mut fmt::Formatter<'_>, queued: usize) -> fmt::Result {
    match queued {
        0 => f.write_str("; nothing waits behind"),
        1 => f.write_str("; 1 task waits behind"),
        many => write!(f, "; {} tasks wait behind", count(many)),
    }
}

/// Which worker.
struct Place<'a>(&'a WorkerInfo);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.pid {
            Some(pid) => write!(f, "worker process {pid}"),
            None => write!(f, "worker {}", self.0.index),
        }
    }
}
