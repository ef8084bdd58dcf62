//! What is tested: how its pools are built, and what they can do.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use crate::api::builder::PoolBuilder;
use crate::api::pool::Pool;
use crate::error::backend::Backend;
use crate::error::pool_error::Error;

/// A backend that is put to the test.
pub struct Subject {
    name: String,
    build: Box<Build>,
    prepare: Option<Box<Prepare>>,
    program: Option<Box<Program>>,
    can: Vec<Need>,
}

type Build = dyn Fn(PoolBuilder) -> Result<Pool, Error> + Send + Sync;
type Prepare = dyn Fn(PoolBuilder) -> PoolBuilder + Send + Sync;
type Program = dyn Fn() -> Command + Send + Sync;

/// What a statement takes, and not every backend has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Need {
    /// A task that is submitted waits for a worker and runs beside its caller.
    Queue,
    /// Tasks run in the memory of the program.
    SharedMemory,
    /// A task that takes its worker down costs that task and nothing else, and workers are
    /// processes of this machine.
    Isolation,
    /// A running task can be stopped, whatever it does.
    Stop,
    /// Arguments and results travel as bytes.
    Codec,
    /// Workers are started from the program that [`PoolBuilder::worker_exe`] names.
    WorkerExe,
    /// A pool needs nothing but the program: no servers, and no agents.
    Local,
    /// Nobody stands between a pool and its workers: tasks start in the order in which they were
    /// submitted, and what nobody wants any more is stopped at once.
    Near,
    /// The program can be started again so that it comes to the same statement: see
    /// [`Subject::program`].
    Program,
    /// Ten gigabytes of memory are free, and may be used.
    Room,
}

impl Need {
    /// Why a statement is not tested where this is missing.
    #[must_use]
    pub fn excuse(self) -> &'static str {
        match self {
            Self::Queue => "there are no workers: a task is done when `submit` returns",
            Self::SharedMemory => "a task has memory of its own",
            Self::Isolation => "what ends a worker ends the program",
            Self::Stop => "a task that does not listen cannot be stopped",
            Self::Codec => "nothing is encoded",
            Self::WorkerExe => "there is no worker program",
            Self::Local => "it takes a server, and agents",
            Self::Near => {
                "an agent hands back what it has no seat for, and hears a moment later of what \
                 nobody wants any more"
            }
            Self::Program => "the program is not started again",
            Self::Room => "there is no room for gigabytes of memory",
        }
    }
}

impl Subject {
    /// A backend whose pools are built by this function, from the options that a statement sets.
    /// It can nothing yet: see [`can`](Self::can).
    pub fn new(
        name: impl Into<String>,
        build: impl Fn(PoolBuilder) -> Result<Pool, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            build: Box::new(build),
            prepare: None,
            program: None,
            can: Vec::new(),
        }
    }

    /// One of the backends of this crate, with what it can.
    ///
    /// Of the cluster, agents of this program and on this machine are expected to be there, or
    /// [prepared](Self::prepare): each pool may have one of its own, by `Nats::local_agent`.
    #[must_use]
    pub fn of(backend: Backend) -> Self {
        let can: &[Need] = match backend {
            Backend::Inline => &[Need::SharedMemory, Need::Local, Need::Near],
            Backend::Threads => &[Need::Queue, Need::SharedMemory, Need::Local, Need::Near],
            Backend::Processes => &[
                Need::Queue,
                Need::Isolation,
                Need::Stop,
                Need::Codec,
                Need::WorkerExe,
                Need::Local,
                Need::Near,
            ],
            Backend::Cluster => &[
                Need::Queue,
                Need::Isolation,
                Need::Stop,
                Need::Codec,
                Need::WorkerExe,
            ],
        };
        let subject = Self::new(backend.name(), move |builder| {
            builder.backend(backend).build()
        });
        can.iter().fold(subject, |subject, need| subject.can(*need))
    }

    /// Says that this backend has what some statements need.
    #[must_use]
    pub fn can(mut self, need: Need) -> Self {
        self.can.push(need);
        self
    }

    /// What its pools are told beside what a statement says: the servers of a cluster, for instance.
    #[must_use]
    pub fn prepare(
        mut self,
        prepare: impl Fn(PoolBuilder) -> PoolBuilder + Send + Sync + 'static,
    ) -> Self {
        self.prepare = Some(Box::new(prepare));
        self
    }

    /// How to start this program again so that it comes to the statement that is being tested, on
    /// this subject. Some statements are about whole programs, that are killed or exit: they play
    /// a part in such a program, which they know by a variable of its environment. Other
    /// statements do nothing there.
    #[must_use]
    pub fn program(mut self, command: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        self.program = Some(Box::new(command));
        self.can(Need::Program)
    }

    /// The name of the backend.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has what some statements need.
    #[must_use]
    pub fn has(&self, need: Need) -> bool {
        self.can.contains(&need)
    }

    /// As if there were all that depends on the machine and the tests, not on the backend.
    pub(super) fn with_everything_around_it(self) -> Self {
        self.can(Need::Program).can(Need::Room)
    }

    /// The options that a statement starts from: two workers, and little grace.
    pub(super) fn builder(&self) -> PoolBuilder {
        Pool::builder().workers(2).grace(Duration::from_millis(50))
    }

    /// Options for tasks that are told to stop and do: grace enough for a busy machine.
    pub(super) fn patient(&self) -> PoolBuilder {
        self.builder().grace(Duration::from_secs(60))
    }

    pub(super) fn build(&self, builder: PoolBuilder) -> Result<Pool, Error> {
        let prepared = match &self.prepare {
            Some(prepare) => prepare(builder),
            None => builder,
        };
        (self.build)(prepared)
    }

    #[track_caller]
    pub(super) fn pool(&self) -> Pool {
        self.build(self.builder()).unwrap()
    }

    #[track_caller]
    pub(super) fn pool_of(&self, workers: usize) -> Pool {
        self.build(self.builder().workers(workers)).unwrap()
    }

    pub(super) fn command(&self) -> Command {
        let program = self.program.as_ref();
        program.expect("asked for by `Need::Program`")()
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("name", &self.name)
            .field("can", &self.can)
            .finish_non_exhaustive()
    }
}
