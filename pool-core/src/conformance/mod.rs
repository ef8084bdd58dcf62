//! What an executor must survive, as tests that any backend can be put to.
//!
//! Each [`Statement`] is one sentence about pools and their tasks, distilled from what the test
//! suites of other executors found worth a test. The list covers submitting, handles, maps, ends
//! of pools, workers that die, and what is left behind; a statement that makes no sense for tasks
//! in Rust, or whose interface is not there yet, is on it with the reason.
//!
//! What a backend cannot do (a thread cannot be killed) is not asked of it: a [`Subject`] says how
//! its pools are built and what they [can](Need), and a statement says what it needs. So whoever
//! writes a backend runs them all and reads what does not hold:
//!
//! ```
//! use pool_core::Pool;
//! use pool_core::conformance::{Need, Subject, find, run_all};
//!
//! pool_core::init();
//! let subject = Subject::new("threads", |builder| {
//!     builder.backend(pool_core::Backend::Threads).build()
//! })
//! .can(Need::Queue)
//! .can(Need::SharedMemory);
//!
//! find("SUB-1").expect("it is on the list").run(&subject);
//!
//! # fn all(subject: &Subject) {
//! let report = run_all(subject);
//! println!("{report}");
//! assert!(report.is_ok());
//! # }
//! # Ok::<(), pool_core::Error>(())
//! ```
//!
//! A statement that does not hold panics. None of them looks at the clock to decide: tasks wait
//! for each other at gates, and what must happen may take half a minute before it counts as not
//! happening.
//!
//! For one test of a harness for each statement there is
//! [`conformance_statements!`](crate::conformance_statements).

// A failed `unwrap` is a statement that does not hold.
#![allow(clippy::unwrap_used)]

mod gate;
mod list;
mod proc;
mod program;
mod subject;
mod table;
mod tasks;
mod tracked;

// The statements, by the parts of the list.
mod crash;
mod environment;
mod faults;
mod future;
mod leaks;
mod life;
mod map;
mod same;
mod shutdown;
mod submit;

use std::fmt;
use std::time::{Duration, Instant};

pub use list::statements;
pub use subject::{Need, Subject};
pub use table::table;

use crate::api::handle::JoinHandle;
use crate::error::panics;
use crate::error::task_error::TaskError;

/// One sentence about pools and their tasks, and the test of it.
#[derive(Debug)]
pub struct Statement {
    id: &'static str,
    /// The module of its test.
    part: &'static str,
    topic: &'static str,
    says: &'static str,
    verdict: Verdict,
}

/// What became of a statement.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Verdict {
    /// It is tested, on every subject that can what is needed.
    Tested {
        /// What it takes.
        needs: &'static [Need],
        #[doc(hidden)]
        body: fn(&Subject),
    },
    /// It is not tested yet, for this reason.
    Later(&'static str),
    /// It does not apply to this project, for this reason.
    Never(&'static str),
}

impl Statement {
    /// Its short name, such as `SUB-1`.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// The part of the list in which it stands.
    #[must_use]
    pub fn topic(&self) -> &'static str {
        self.topic
    }

    /// The sentence.
    #[must_use]
    pub fn says(&self) -> &'static str {
        self.says
    }

    /// Whether it is tested, or why not.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Why it is not tested on this subject; `None`: it is.
    #[must_use]
    pub fn excuse(&self, subject: &Subject) -> Option<&'static str> {
        match self.verdict {
            Verdict::Tested { needs, .. } => {
                let missing = needs.iter().find(|need| !subject.has(**need));
                missing.map(|need| need.excuse())
            }
            Verdict::Later(reason) | Verdict::Never(reason) => Some(reason),
        }
    }

    /// Tests it on this subject; does nothing where there is an [excuse](Self::excuse).
    ///
    /// # Panics
    /// When the statement does not hold.
    pub fn run(&self, subject: &Subject) {
        // A program that was started for one statement plays its part in that one only.
        if program::started_for().is_some_and(|id| id != self.id) {
            return;
        }
        if let (Verdict::Tested { body, .. }, None) = (self.verdict, self.excuse(subject)) {
            body(subject);
        }
    }
}

/// The statement with this short name.
#[must_use]
pub fn find(id: &str) -> Option<&'static Statement> {
    statements().iter().find(|statement| statement.id == id)
}

/// Tests every statement on this subject, one after the other, and goes on after one that does
/// not hold. What a failed one leaves running may disturb the next.
pub fn run_all(subject: &Subject) -> Report {
    let run = |statement: &'static Statement| {
        let outcome = match statement.excuse(subject) {
            Some(reason) => Outcome::Excused(reason),
            None => match panics::catch(|| statement.run(subject)) {
                Ok(()) => Outcome::Holds,
                Err(panic) => Outcome::Fails(panic.to_string()),
            },
        };
        (statement, outcome)
    };
    Report {
        subject: subject.name().to_owned(),
        outcomes: statements().iter().map(run).collect(),
    }
}

/// What [`run_all`] found. `Display` prints a line for each statement that does not hold, and the
/// counts.
#[derive(Debug)]
#[must_use]
pub struct Report {
    subject: String,
    outcomes: Vec<(&'static Statement, Outcome)>,
}

/// What became of one statement on one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It holds.
    Holds,
    /// It does not; this is what its test said.
    Fails(String),
    /// It was not tested, for this reason.
    Excused(&'static str),
}

impl Report {
    /// Whether every statement holds that was tested.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures().next().is_none()
    }

    /// Every statement with what became of it, in the order of the list.
    #[must_use]
    pub fn outcomes(&self) -> &[(&'static Statement, Outcome)] {
        &self.outcomes
    }

    fn failures(&self) -> impl Iterator<Item = (&'static Statement, &str)> {
        self.outcomes.iter().filter_map(|(statement, outcome)| {
            if let Outcome::Fails(text) = outcome {
                Some((*statement, &**text))
            } else {
                None
            }
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (statement, text) in self.failures() {
            writeln!(f, "{}: {}\n    {text}", statement.id, statement.says)?;
        }
        let count = |is: fn(&Outcome) -> bool| {
            let of_kind = self.outcomes.iter().filter(|(_, outcome)| is(outcome));
            of_kind.count()
        };
        write!(
            f,
            "{}: {} statements hold, {} do not, {} were not tested",
            self.subject,
            count(|outcome| matches!(outcome, Outcome::Holds)),
            count(|outcome| matches!(outcome, Outcome::Fails(_))),
            count(|outcome| matches!(outcome, Outcome::Excused(_))),
        )
    }
}

// ---- what the statements share ----

/// How long what must happen may take. Nothing passes or fails because it was quick.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the condition holds.
#[track_caller]
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What became of a task. A handle must resolve: one that does not is a failure, not a wait for
/// ever.
#[track_caller]
fn outcome<T>(handle: JoinHandle<T>) -> Result<T, TaskError> {
    match handle.join_timeout(PATIENCE) {
        Some(outcome) => outcome,
        None => panic!("{handle:?} does not resolve"),
    }
}
