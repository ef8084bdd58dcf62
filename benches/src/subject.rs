//! Who is measured.

use std::fmt;

/// A contestant of a row, or a limit of the machine beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// This project: worker processes, that many.
    Processes(usize),
    /// This project: threads, that many.
    Threads(usize),
    /// This project: in the calling thread.
    Inline,
    Procspawn,
    /// Worker processes and typed messages over ipc-channel, by hand.
    IpcChannel,
    /// The same, payloads in its shared memory.
    IpcShared,
    /// `spawn` and a oneshot channel; parallel iterators; `join`.
    Rayon,
    /// The `threadpool` crate and a oneshot channel.
    Threadpool,
    /// Threads that take boxed closures from a crossbeam channel, by hand.
    Crossbeam,
    Python(Python),
    Limit(Limit),
}

/// What a Python user would pick; run with `--python`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Python {
    MpPool,
    Executor,
    Loky,
    Joblib,
}

/// What the machine can do at best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Limit {
    /// Nothing between two readings of the clock.
    Clock,
    /// A plain call in a loop.
    Call,
    /// Two processes that spin on shared memory.
    Spin,
    /// Two processes that sleep in a futex.
    Futex,
    /// Two processes and a unix socket: `seqpacket` for words, `stream` for bulk.
    Socket,
    /// Two processes and two pipes.
    Pipe,
    /// A copy into memory that was written before.
    WarmCopy,
    /// A copy into fresh private memory.
    UntouchedCopy,
    /// A copy into fresh shared memory.
    UntouchedShared,
    /// Starting `true` and waiting for its end.
    True,
    /// Starting this very program, which ends at once, and waiting for its end.
    Nothing,
}

impl Subject {
    /// How many workers the contestant gets, unless a row says otherwise.
    pub(crate) fn workers(self) -> usize {
        match self {
            Self::Processes(workers) | Self::Threads(workers) => workers,
            Self::Inline | Self::Limit(_) => 1,
            _ => 2,
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Processes(_) | Self::Threads(_) | Self::Inline => Kind::Own,
            Self::Limit(_) => Kind::Limit,
            _ => Kind::Peer,
        }
    }
}

/// What a reader has to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Own,
    Peer,
    Limit,
}

impl Python {
    /// The name by which the script knows it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::MpPool => "mp_pool",
            Self::Executor => "executor",
            Self::Loky => "loky",
            Self::Joblib => "joblib",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Processes(workers) => return f.pad(&format!("pool: processes ×{workers}")),
            Self::Threads(workers) => return f.pad(&format!("pool: threads ×{workers}")),
            Self::Inline => "pool: inline",
            Self::Procspawn => "procspawn",
            Self::IpcChannel => "ipc-channel by hand",
            Self::IpcShared => "ipc-channel, shared memory",
            Self::Rayon => "rayon",
            Self::Threadpool => "threadpool",
            Self::Crossbeam => "crossbeam channel by hand",
            Self::Python(Python::MpPool) => "Python mp.Pool",
            Self::Python(Python::Executor) => "Python ProcessPoolExecutor",
            Self::Python(Python::Loky) => "Python loky",
            Self::Python(Python::Joblib) => "Python joblib",
            Self::Limit(limit) => match limit {
                Limit::Clock => "limit: reading the clock",
                Limit::Call => "limit: a plain call",
                Limit::Spin => "limit: spin, shared memory",
                Limit::Futex => "limit: futex",
                Limit::Socket => "limit: unix socket",
                Limit::Pipe => "limit: pipe",
                Limit::WarmCopy => "limit: warm memcpy",
                Limit::UntouchedCopy => "limit: copy, untouched memory",
                Limit::UntouchedShared => "limit: copy, untouched shared",
                Limit::True => "limit: spawn and wait `true`",
                Limit::Nothing => "limit: spawn and wait, itself",
            },
        };
        f.pad(name)
    }
}
