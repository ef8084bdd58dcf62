//! The runs of a task on the thread that has claimed it, and the claim that is kept between two.

use std::time::{Duration, Instant};

use super::seat::{self, OnSeat};
use super::{Contents, Job, running};
use crate::error::panics::drop_quietly;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::job::current::{self, Frame};
use crate::job::work::Work;
use crate::sync::clock;
use crate::task::Options;
use crate::task::retry::{self, Fate};

/// A claimed call on its way through its runs.
pub(super) struct Turn<T> {
    /// There is one before each run; or why there is none.
    pub(super) task: Result<T, String>,
    pub(super) options: Options,
    /// The arguments for another run, where there can be one.
    pub(super) kept: Vec<u8>,
}

impl<T: Work> Turn<T> {
    pub(super) fn of(contents: Contents<T>) -> Self {
        match contents {
            Contents::Call(task) => {
                let options = task.options();
                let kept = match options.retries {
                    0 => Ok(Vec::new()),
                    _ => task.keep(),
                };
                match kept {
                    Ok(kept) => Self {
                        task: Ok(task),
                        options,
                        kept,
                    },
                    Err(message) => {
                        drop_quietly(task);
                        Self {
                            task: Err(message),
                            options,
                            kept: Vec::new(),
                        }
                    }
                }
            }
            Contents::Again(again) => {
                let (kept, options) = *again;
                Self {
                    task: T::again(&kept),
                    options,
                    kept,
                }
            }
            Contents::Remote(_) | Contents::Output(_) | Contents::Empty => {
                unreachable!("a queued cell holds its call")
            }
        }
    }

    pub(super) fn run(
        &mut self,
        job: &Job,
        frame: Frame,
        seat: Option<OnSeat<'_>>,
    ) -> Result<T::Output, TaskError> {
        let name = T::INFO.name;
        let limit = self.options.timeout;
        let started = limit.map(|_| clock::now());
        // On a seat, a thread of the pool looks at the clock.
        let _kept = (started.is_some() && seat.is_none()).then(clock::Kept::new);
        let deadline = match (started, limit) {
            (Some(started), Some(limit)) => started.checked_add(limit),
            _ => None,
        };
        let mut task = match std::mem::replace(&mut self.task, Err(String::new())) {
            Ok(task) => Some(task),
            Err(message) => return Err(TaskError::not_encoded(name, &message)),
        };
        let attempt = self.options.attempt();
        let frame = frame.named(name).attempt(attempt).seeded(self.options.seed);
        // Outside the closure, so that its destructor is not left to an unwinding `enter`.
        let outcome = seat::enter(seat, job, deadline, || {
            let task = task.take().unwrap_or_else(|| unreachable!("it runs once"));
            running::enter(job, || current::enter(frame, || task.run()))
        });
        let outcome = match outcome {
            Ok(outcome) if overran(started, limit) => {
                drop_quietly(outcome);
                Err(TaskError::new(TaskErrorKind::TimedOut, name))
            }
            Ok(outcome) => outcome,
            Err(seat::Closed) => {
                drop_quietly(task);
                Err(TaskError::killed(name))
            }
        };
        outcome.map_err(|error| error.attempt_is(attempt))
    }

    pub(super) fn again(&self, error: &TaskError) -> Option<retry::Again> {
        if self.options.retries == 0 {
            return None;
        }
        retry::again(&self.options, Fate::of(error)?)
    }
}

/// A claim that a pool keeps for a later run of its task. Dropped, it resolves the handle.
pub(crate) struct Paused {
    /// `Some` until the claim is given up.
    job: Option<Job>,
}

impl Paused {
    /// The caller gives up its claim; the call is stored again.
    pub(super) fn new(job: Job) -> Self {
        job.head().state.pause();
        Self { job: Some(job) }
    }

    pub(crate) fn is_resolved(&self) -> bool {
        self.job.as_ref().is_none_or(|job| job.head().is_resolved())
    }

    pub(crate) fn is(&self, job: &Job) -> bool {
        self.job.as_ref().is_some_and(|own| own.is(job))
    }

    /// Gives the claim up: the job can be run by whoever comes first.
    pub(crate) fn resume(mut self) -> Option<Job> {
        let job = self.job.as_ref()?;
        // Abandoned: the drop ends it.
        if !job.head().state.requeue() {
            return None;
        }
        self.job.take()
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            let error = TaskError::cancelled(job.name());
            // SAFETY: the claim is this value's, and it was not given up.
            drop_quietly(unsafe { (job.head().vtable.fail)(job.0, error) });
            // SAFETY: the claim ends here, with its pointer.
            unsafe { job.finish() };
        }
    }
}

/// Sleeps, and looks now and then whether there is still a reason to.
pub(super) fn sleep_unless(time: Duration, over: impl Fn() -> bool) {
    const LOOK: Duration = Duration::from_millis(10);
    let mut left = time;
    while !left.is_zero() && !over() {
        let nap = left.min(LOOK);
        std::thread::sleep(nap);
        left -= nap;
    }
}

/// What the clock says of a task that cannot be stopped: checked when it returns.
fn overran(started: Option<Instant>, limit: Option<Duration>) -> bool {
    let (Some(started), Some(limit)) = (started, limit) else {
        return false;
    };
    let is_over = |now: Instant| now.saturating_duration_since(started) > limit;
    is_over(clock::now()) && is_over(clock::look())
}
