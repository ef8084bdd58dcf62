//! Starting a worker process: the token, the executable, the welcome.

use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType,
};
use rustix::process::{Pid, PidfdFlags};

use super::lane::Lane;
use super::lane::memory::Segments;
use super::relay::{Relay, Relays, To};
use super::terminal::{Blocked, Shielded};
use super::wire::{Identity, VERSION, Welcome};
use crate::backend::ProcessConfig;
use crate::entry::Door;
use crate::{Error, Output};

/// The running executable. Executing this link runs the very file that this process runs, even
/// if another file has taken its name since.
const THIS_PROGRAM: &str = "/proc/self/exe";

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
    program: PathBuf,
    arguments: Vec<OsString>,
    /// The worker's standard output is given to it by the welcome: what the program prints before
    /// its door goes nowhere.
    late_stdout: bool,
    foreign: bool,
    config: ProcessConfig,
    depth: u32,
    /// With how many each worker shares the CPUs.
    sharers: u32,
    pub(super) identity: Identity,
}

/// A started process that has been sent its welcome.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) child: Child,
    pub(super) pidfd: OwnedFd,
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
        catalog: u64,
    ) -> Result<Self, Error> {
        // A relative path is one in this program's folder, not in the workers'.
        let exe = config.exe.take().map(|exe| match exe.components().count() {
            0 | 1 => exe,
            _ => std::path::absolute(&exe).unwrap_or(exe),
        });
        let identity = identity(Path::new(THIS_PROGRAM), catalog)?;
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
            foreign: exe.is_some(),
            late_stdout: test.is_some() && exe.is_none(),
            program: exe.unwrap_or_else(|| THIS_PROGRAM.into()),
            arguments,
            config,
            depth,
            sharers,
            identity,
        })
    }

    /// Whether what a worker says of itself is what it should be.
    pub(super) fn accepts(&self, identity: Identity) -> bool {
        self.foreign || identity == self.identity
    }

    /// Starts the worker `index` and sends it its welcome.
    pub(super) fn start(&self, index: usize, outputs: &Relays) -> Result<Process, Error> {
        let (lane, segments) =
            Lane::create().map_err(|error| Error::spawn("no shared memory", &error))?;
        let (ours, theirs) = net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|error| Error::spawn("no control socket", &error.into()))?;
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
        let (early, late) = match (stdout, self.late_stdout) {
            (Stream::Null, _) => (Stdio::null(), None),
            (stdout, true) => (Stdio::null(), Some(stdout)),
            (stdout, false) => (stdout.into(), None),
        };
        let mut command = Command::new(&self.program);
        command
            .arg0(token.to_argument(index))
            .args(&self.arguments)
            .stdin(theirs)
            .stdout(early)
            .stderr(stderr)
            .envs(self.config.env.iter().map(|(key, value)| (key, value)));
        if let Some(folder) = &self.config.current_dir {
            command.current_dir(folder);
        }
        let shielded = Shielded::new();
        let blocked = shielded.blocked_before();
        let spawned = command.spawn();
        drop(shielded);
        let mut child = spawned.map_err(|error| {
            let program = self.program.display();
            Error::spawn(
                match &self.config.current_dir {
                    None => program.to_string(),
                    Some(folder) => format!("{program} in {}", folder.display()),
                },
                &error,
            )
        })?;
        // It has the other ends of the pipes.
        drop(command);
        let welcomed = pidfd(&child).and_then(|pidfd| {
            self.welcome(ours.as_fd(), index, &segments, late.as_ref(), blocked)?;
            Ok(pidfd)
        });
        match welcomed {
            Ok(pidfd) => Ok(Process {
                child,
                pidfd,
                socket: ours,
                lane,
                relays,
            }),
            Err(error) => {
                // Not ours to serve: nothing is left of it.
                let _ = child.kill();
                let _ = child.wait();
                Err(Error::spawn("no hold of the new process", &error))
            }
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
            blocked: blocked.0,
        };
        let mut fds = vec![
            segments.control.as_fd(),
            segments.request.as_fd(),
            segments.reply.as_fd(),
        ];
        match late_stdout {
            Some(Stream::Pipe(pipe)) => fds.push(pipe.as_fd()),
            Some(Stream::Inherited | Stream::Null) => fds.push(rustix::stdio::stdout()),
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
            Err(error) => Err(error.into()),
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

impl From<Stream> for Stdio {
    fn from(stream: Stream) -> Self {
        match stream {
            Stream::Inherited => Self::inherit(),
            Stream::Null => Self::null(),
            Stream::Pipe(pipe) => pipe.into(),
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

/// The child has not been waited for, so its number is still its own.
fn pidfd(child: &Child) -> io::Result<OwnedFd> {
    let pid = Pid::from_child(child);
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// The identity of the program at this path.
pub(super) fn identity(program: &Path, catalog: u64) -> Result<Identity, Error> {
    match rustix::fs::stat(program) {
        Ok(stat) => Ok(Identity::of_file(&stat, catalog)),
        Err(error) => Err(Error::spawn(
            format!("{} (is /proc mounted?)", program.display()),
            &error.into(),
        )),
    }
}

/// The identity of this program.
pub(super) fn own_identity(catalog: u64) -> Result<Identity, Error> {
    identity(Path::new(THIS_PROGRAM), catalog)
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

    #[test]
    fn without_proc_the_error_says_so() {
        let error = identity(Path::new("/nowhere/self/exe"), 0).unwrap_err();
        assert!(error.to_string().contains("is /proc mounted?"), "{error}");
        assert!(matches!(
            error,
            Error::Spawn {
                kind: io::ErrorKind::NotFound,
                ..
            }
        ));
    }
}
