//! Starting a worker process: the token, the executable, the welcome.

use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::net::{self, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::child;
use super::descriptors::{self, Reserved, refused};
use super::lane::Lane;
use super::lane::memory::Segments;
use super::program::Program;
use super::relay::{Relay, Relays, To};
use super::surroundings::{Surroundings, inherit};
use super::terminal::{Blocked, Shielded};
use super::wire::{Identity, VERSION, Welcome};
use crate::engine::ProcessConfig;
use crate::engine::door::Door;
use crate::engine::output::Output;
use crate::error::pool_error::{Error, StartFailure};

/// The first argument of a worker begins with this.
const TOKEN: &str = "pool-worker";

/// What the first argument of a worker says: the version of the protocol and who started it.
/// Nothing that a worker starts inherits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(super) version: u32,
    pub(super) parent: u32,
}

impl Token {
    /// The token of this process, if it was started as a worker.
    pub(crate) fn of_this_process() -> Option<Self> {
        Self::parse(std::env::args_os().next()?.to_str()?)
    }

    pub(super) fn parse(argument: &str) -> Option<Self> {
        let mut parts = argument.split(':');
        if parts.next() != Some(TOKEN) {
            return None;
        }
        Some(Self {
            version: parts.next()?.parse().ok()?,
            parent: parts.next()?.parse().ok()?,
        })
    }

    /// With the worker's number, for those who look at the list of processes.
    pub(super) fn to_argument(self, index: usize) -> String {
        format!("{TOKEN}:{}:{}:{index}", self.version, self.parent)
    }
}

/// How this pool starts its workers.
#[derive(Debug)]
pub(super) struct Recipe {
    program: Program,
    arguments: Vec<OsString>,
    surroundings: Surroundings,
    /// The worker's standard output is given to it by the welcome: what the program prints before
    /// its door goes nowhere.
    late_stdout: bool,
    foreign: bool,
    config: ProcessConfig,
    depth: u32,
    /// With how many each worker shares the CPUs.
    sharers: u32,
    stack_size: usize,
    pub(super) identity: Identity,
}

/// A started process that has been sent its welcome.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) child: NewChild,
    pub(super) socket: OwnedFd,
    pub(super) lane: Lane,
    pub(super) relays: Vec<Relay>,
}

impl Recipe {
    pub(super) fn new(
        door: Door,
        mut config: ProcessConfig,
        depth: u32,
        sharers: u32,
        stack_size: usize,
        identity: Identity,
    ) -> Result<Self, Error> {
        let exe = config.exe.take();
        let surroundings = Surroundings::new(&config)?;
        let foreign = exe.is_some();
        let program = match exe {
            Some(exe) => Program::other(exe, surroundings.variable("PATH")),
            None => Program::own()?,
        };
        let test = match door {
            Door::Main => None,
            Door::Test(path) => Some(path),
        };
        let arguments = match test {
            None => std::env::args_os().skip(1).collect(),
            // The harness knows a test without the name of its crate.
            Some(path) => {
                let name = path.split_once("::").map_or(path, |(_, name)| name);
                let flags = [
                    "--exact",
                    "--nocapture",
                    "--include-ignored",
                    "--test-threads=1",
                ];
                [name].into_iter().chain(flags).map(Into::into).collect()
            }
        };
        Ok(Self {
            foreign,
            late_stdout: test.is_some() && !foreign,
            program,
            arguments,
            surroundings,
            config,
            depth,
            sharers,
            stack_size,
            identity,
        })
    }

    /// Whether what a worker says of itself is what it should be.
    pub(super) fn accepts(&self, identity: Identity) -> bool {
        self.foreign || identity == self.identity
    }

    /// How a worker that is not accepted differs from this program.
    pub(super) fn difference(&self, theirs: Identity) -> StartFailure {
        StartFailure::OtherTasks {
            ours: (self.identity.tasks, self.identity.catalog),
            theirs: (theirs.tasks, theirs.catalog),
        }
    }

    /// Starts the worker `index` and sends it its welcome.
    pub(super) fn start(&self, index: usize, outputs: &Relays) -> Result<Process, Error> {
        let _reserved = Reserved::new();
        let (lane, segments) =
            Lane::create().map_err(|error| Error::spawn("no shared memory", &error))?;
        let [ours, theirs] = descriptors::socket_pair()
            .map_err(|error| Error::spawn("no control socket", &error))?;
        let token = Token {
            version: VERSION,
            parent: std::process::id(),
        };
        let mut relays = Vec::new();
        let mut stream = |output, to| {
            stream(output, index, to, outputs, &mut relays)
                .map_err(|error| Error::spawn("no pipe for its output", &error))
        };
        let stdout = stream(self.config.stdout, To::Stdout)?;
        let stderr = stream(self.config.stderr, To::Stderr)?;
        let (early, late) = match stdout {
            Stream::Null => (Stream::Null, None),
            stdout if self.late_stdout => (Stream::Null, Some(stdout)),
            stdout => (stdout, None),
        };
        let own = &self.surroundings;
        let [stdout, stderr] = [(early, own.stdout()), (stderr, own.stderr())]
            .map(|(stream, inherited)| stream.into_stdio(inherited));
        let no_stream = |error| Error::spawn("no standard stream", &error);
        let mut command = Command::new(self.program.path());
        command
            .arg0(token.to_argument(index))
            .args(&self.arguments)
            .stdin(theirs)
            .stdout(stdout.map_err(no_stream)?)
            .stderr(stderr.map_err(no_stream)?);
        own.give(&mut command);
        let shielded = Shielded::new();
        let blocked = shielded.blocked_before();
        let spawned = command.spawn();
        drop(shielded);
        let child = spawned.map_err(|error| {
            let program = self.program.path().display();
            let folder = own
                .asked()
                .map(|folder| format!(" in {}", folder.display()));
            let folder = folder.unwrap_or_default();
            // What of it has failed is not told.
            let call = format!("clone or execve of {program}{folder}");
            Error::spawn("no process", &refused(&call, error))
        })?;
        // It has the other ends of the pipes.
        drop(command);
        let child = child::Worker::hold(child)
            .map_err(|error| Error::spawn("no hold of the new process", &error))?;
        let child = NewChild(Some(child));
        match self.welcome(ours.as_fd(), index, &segments, late.as_ref(), blocked) {
            Ok(()) => Ok(Process {
                child,
                socket: ours,
                lane,
                relays,
            }),
            Err(error) => Err(Error::spawn("no welcome for the new process", &error)),
        }
    }

    fn welcome(
        &self,
        socket: BorrowedFd<'_>,
        index: usize,
        segments: &Segments,
        late_stdout: Option<&Stream>,
        blocked: Blocked,
    ) -> io::Result<()> {
        let welcome = Welcome {
            identity: self.identity,
            foreign: self.foreign,
            index: index as u32,
            depth: self.depth + 1,
            arena_bytes: segments.arena_bytes,
            stdout: late_stdout.is_some(),
            sharers: self.sharers,
            agent: self.config.agent,
            umask: self.surroundings.other_umask(),
            stack_size: self.stack_size as u64,
            blocked: blocked.0,
        };
        let mut fds = vec![
            segments.control.as_fd(),
            segments.request.as_fd(),
            segments.reply.as_fd(),
        ];
        match late_stdout {
            Some(Stream::Pipe(pipe)) => fds.push(pipe.as_fd()),
            Some(Stream::Inherited | Stream::Null) => {
                let stdout = self.surroundings.stdout();
                fds.push(stdout.map_or(rustix::stdio::stdout(), AsFd::as_fd));
            }
            None => {}
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fits = control.push(SendAncillaryMessage::ScmRights(&fds));
        debug_assert!(fits, "the space is for four descriptors");
        let message = welcome.encode();
        match net::sendmsg(
            socket,
            &[IoSlice::new(&message)],
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            // It has ended already: its death says how.
            Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(error) => Err(refused("sendmsg", error)),
        }
    }
}

/// Where a stream of a worker goes.
#[derive(Debug)]
enum Stream {
    Inherited,
    Null,
    Pipe(OwnedFd),
}

impl Stream {
    /// The stream for a new process; `own` is the program's.
    fn into_stdio(self, own: Option<&OwnedFd>) -> io::Result<Stdio> {
        match self {
            Self::Inherited => inherit(own),
            Self::Null => Ok(descriptors::null()?.into()),
            Self::Pipe(pipe) => Ok(pipe.into()),
        }
    }
}

fn stream(
    output: Output,
    index: usize,
    to: To,
    outputs: &Relays,
    relays: &mut Vec<Relay>,
) -> io::Result<Stream> {
    Ok(match output {
        Output::Inherit => Stream::Inherited,
        Output::Null => Stream::Null,
        Output::Prefix => {
            let (relay, pipe) = outputs.start(index, to)?;
            relays.push(relay);
            Stream::Pipe(pipe)
        }
    })
}

/// A process that is in no table yet: killed and reaped when this is dropped.
#[derive(Debug)]
pub(super) struct NewChild(Option<child::Worker>);

impl NewChild {
    /// Hands the process over to the caller, who kills and reaps it from here on.
    pub(super) fn keep(mut self) -> child::Worker {
        match self.0.take() {
            Some(child) => child,
            None => unreachable!("it is there until this is gone"),
        }
    }
}

impl Drop for NewChild {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            let _ = child.kill();
            child.reap();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_way_and_nothing_else_is_one() {
        let token = Token {
            version: 3,
            parent: 77,
        };
        assert_eq!(Token::parse(&token.to_argument(5)), Some(token));
        for text in [
            "",
            "titles",
            "/usr/bin/pool-worker:1:2",
            "pool-worker",
            "pool-worker:1",
            "pool-worker:x:2:0",
        ] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }
}
