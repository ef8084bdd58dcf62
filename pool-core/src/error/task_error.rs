//! The fate of one task that has no result.

use std::fmt;

/// How a worker process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) signal: Option<i32>,
    pub(crate) code: Option<i32>,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.signal, self.code) {
            (Some(signal), _) => write!(f, "killed by {}", signal_name(signal)),
            (None, Some(code)) => write!(f, "exit code {code}"),
            (None, None) => f.write_str("its end was seen by somebody else"),
        }
    }
}

/// Why a handle was resolved before its task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Abandon {
    Cancelled,
    /// It ran for too long.
    TimedOut,
    /// It did not start in time.
    Expired,
}

/// Why a task has no result.
///
/// It never needs the user's code to be read: everything in it was text and numbers when it
/// arrived. A task's own `Err(…)` is not a `TaskError`: it is the task's result.
#[derive(Clone, PartialEq, Eq)]
pub struct TaskError(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: TaskErrorKind,
    task: &'static str,
    message: Option<String>,
    location: Option<String>,
    worker: Option<u32>,
    signal: Option<i32>,
    exit_code: Option<i32>,
    /// Peak and limit, in bytes.
    memory: Option<(u64, u64)>,
    attempt: u32,
    index: Option<usize>,
}

/// What happened, for programs. People read the `Display` of [`TaskError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskErrorKind {
    /// The task panicked.
    Panicked,
    /// The worker process ended while it ran the task.
    WorkerLost,
    /// The task's deadline passed, or it did not start within its `queue_timeout`.
    TimedOut,
    /// The task was cancelled through its handle, or the pool was killed.
    Cancelled,
    /// The arguments (in the parent) or the result (in the worker) could not be serialized.
    Encode,
    /// The arguments (in the worker) or the result (in the parent) could not be deserialized.
    Decode,
    /// The pool did not take the task: it was shut down, or is broken.
    Rejected,
    /// The task went over its worker's memory limit.
    OutOfMemory,
    /// The worker does not know the task.
    UnknownTask,
    /// The result was already handed out by an earlier call on the same handle.
    AlreadyJoined,
}

impl TaskErrorKind {
    /// In the order of their declaration.
    pub(crate) const ALL: [Self; 10] = [
        Self::Panicked,
        Self::WorkerLost,
        Self::TimedOut,
        Self::Cancelled,
        Self::Encode,
        Self::Decode,
        Self::Rejected,
        Self::OutOfMemory,
        Self::UnknownTask,
        Self::AlreadyJoined,
    ];

    /// What tasks are that failed like this.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Panicked => "panicked",
            Self::WorkerLost => "worker lost",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
            Self::Encode => "not encoded",
            Self::Decode => "not decoded",
            Self::Rejected => "rejected",
            Self::OutOfMemory => "out of memory",
            Self::UnknownTask => "unknown",
            Self::AlreadyJoined => "already joined",
        }
    }
}

const _: () = {
    let mut at = 0;
    while at < TaskErrorKind::ALL.len() {
        assert!(TaskErrorKind::ALL[at] as usize == at);
        at += 1;
    }
};

impl TaskError {
    pub(crate) fn new(kind: TaskErrorKind, task: &'static str) -> Self {
        Self(Box::new(Inner {
            kind,
            task,
            message: None,
            location: None,
            worker: None,
            signal: None,
            exit_code: None,
            memory: None,
            attempt: 1,
            index: None,
        }))
    }

    pub(crate) fn message_is(mut self, message: impl Into<String>) -> Self {
        self.0.message = Some(message.into());
        self
    }

    pub(crate) fn location_is(mut self, location: Option<String>) -> Self {
        self.0.location = location;
        self
    }

    pub(crate) fn worker_is(mut self, pid: u32) -> Self {
        self.0.worker = (pid != 0).then_some(pid);
        self
    }

    pub(crate) fn out_of_memory(task: &'static str, peak: u64, limit: u64) -> Self {
        let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
        let (used, may) = (mib(peak), mib(limit));
        let mut error = Self::new(TaskErrorKind::OutOfMemory, task)
            .message_is(format!("{used:.1} MiB, the limit is {may:.1} MiB"));
        error.0.memory = Some((peak, limit));
        error
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn memory_is(mut self, memory: Option<(u64, u64)>) -> Self {
        self.0.memory = memory;
        self
    }

    pub(crate) fn attempt_is(mut self, attempt: u32) -> Self {
        self.0.attempt = attempt;
        self
    }

    pub(crate) fn index_is(mut self, index: usize) -> Self {
        self.0.index = Some(index);
        self
    }

    #[cfg(feature = "processes")]
    pub(crate) fn exit_is(mut self, exit: Exit) -> Self {
        self.0.signal = exit.signal;
        self.0.exit_code = exit.code;
        self
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> TaskErrorKind {
        self.0.kind
    }

    /// The task panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.0.kind == TaskErrorKind::Panicked
    }

    /// The worker process ended while it ran the task.
    #[must_use]
    pub fn is_worker_lost(&self) -> bool {
        self.0.kind == TaskErrorKind::WorkerLost
    }

    /// The task's deadline passed.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.kind == TaskErrorKind::TimedOut
    }

    /// The task was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.kind == TaskErrorKind::Cancelled
    }

    /// The worker had too much memory.
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        self.0.kind == TaskErrorKind::OutOfMemory
    }

    /// The arguments or the result could not be serialized or deserialized.
    #[must_use]
    pub fn is_codec(&self) -> bool {
        matches!(self.0.kind, TaskErrorKind::Encode | TaskErrorKind::Decode)
    }

    /// The pool did not take the task.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.0.kind == TaskErrorKind::Rejected
    }

    /// The name of the task.
    #[must_use]
    pub fn task_name(&self) -> &str {
        self.0.task
    }

    /// The panic's message, or the text of the error below.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// Where the task panicked: `file:line:column`.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.0.location.as_deref()
    }

    /// The process id of the worker that ran the task.
    #[must_use]
    pub fn worker_pid(&self) -> Option<u32> {
        self.0.worker
    }

    /// The signal that ended the worker.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.0.signal
    }

    /// The code with which the worker exited.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        self.0.exit_code
    }

    /// The most memory that the worker was seen to have, in bytes, where it was too much.
    #[must_use]
    pub fn memory_peak(&self) -> Option<u64> {
        self.0.memory.map(|(peak, _)| peak)
    }

    /// The limit that it was above, in bytes.
    #[must_use]
    pub fn memory_limit(&self) -> Option<u64> {
        self.0.memory.map(|(_, limit)| limit)
    }

    /// Which run of the task this was, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// Which item of its [`Map`](crate::Map) the task was, from 0; `None` for one that was submitted
    /// by itself.
    #[must_use]
    pub fn index(&self) -> Option<usize> {
        self.0.index
    }

    pub(crate) fn abandoned(reason: Abandon, task: &'static str) -> Self {
        match reason {
            Abandon::Cancelled => Self::cancelled(task),
            Abandon::TimedOut => Self::new(TaskErrorKind::TimedOut, task),
            Abandon::Expired => Self::expired(task),
        }
    }

    pub(crate) fn not_encoded(task: &'static str, why: &str) -> Self {
        Self::new(TaskErrorKind::Encode, task).message_is(format!("its arguments: {why}"))
    }

    /// What a worker sent is no answer.
    pub(crate) fn garbled(task: &'static str, worker: u32) -> Self {
        Self::new(TaskErrorKind::Decode, task)
            .worker_is(worker)
            .message_is("the worker's answer makes no sense")
    }

    pub(crate) fn cancelled(task: &'static str) -> Self {
        Self::new(TaskErrorKind::Cancelled, task)
    }

    pub(crate) fn expired(task: &'static str) -> Self {
        Self::new(TaskErrorKind::TimedOut, task)
            .message_is("it waited in the queue for longer than its `queue_timeout`")
    }

    pub(crate) fn killed(task: &'static str) -> Self {
        Self::cancelled(task).message_is("the pool was killed")
    }

    pub(crate) fn rejected(task: &'static str, why: impl Into<String>) -> Self {
        Self::new(TaskErrorKind::Rejected, task).message_is(why)
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut out = f.debug_struct("TaskError");
        out.field("kind", &inner.kind).field("task", &inner.task);
        for (name, value) in [("message", &inner.message), ("location", &inner.location)] {
            if let Some(value) = value {
                out.field(name, value);
            }
        }
        for (name, value) in [("signal", inner.signal), ("exit_code", inner.exit_code)] {
            if let Some(value) = value {
                out.field(name, &value);
            }
        }
        if inner.attempt > 1 {
            out.field("attempt", &inner.attempt);
        }
        if let Some(worker) = inner.worker {
            out.field("worker", &worker);
        }
        out.finish()
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        write!(f, "task {} ", inner.task)?;
        f.write_str(match inner.kind {
            TaskErrorKind::Panicked => "panicked",
            TaskErrorKind::WorkerLost => "lost its worker",
            TaskErrorKind::TimedOut => "timed out",
            TaskErrorKind::Cancelled => "was cancelled",
            TaskErrorKind::Encode => "could not be serialized",
            TaskErrorKind::Decode => "could not be deserialized",
            TaskErrorKind::Rejected => "was not accepted",
            TaskErrorKind::OutOfMemory => "went over the memory limit",
            TaskErrorKind::UnknownTask => "is unknown to the worker",
            TaskErrorKind::AlreadyJoined => "already handed out its result",
        })?;
        if let Some(location) = &inner.location {
            write!(f, " at {location}")?;
        }
        match (inner.signal, inner.exit_code) {
            (Some(signal), _) => write!(f, ": killed by {}", signal_name(signal))?,
            (None, Some(code)) => write!(f, ": exited with code {code}")?,
            (None, None) => {}
        }
        if let Some(message) = &inner.message {
            write!(f, ": {message}")?;
        }
        if inner.attempt > 1 {
            write!(f, " (attempt {})", inner.attempt)?;
        }
        if let Some(index) = inner.index {
            write!(f, " (item {index})")?;
        }
        if let Some(pid) = inner.worker {
            write!(f, " (worker process {pid})")?;
        }
        Ok(())
    }
}

impl std::error::Error for TaskError {}

/// The name of a signal as `kill -l` gives it, on Linux.
pub(crate) fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
