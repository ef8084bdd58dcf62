//! Bare round trips between two processes: words and blocks.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::shared::{self, Side, Wait};
use super::{BULK_PIPE, BULK_SOCKET, FUTEX, PIPE, SOCKET, SPIN};
use crate::Fault;
use crate::subject::Limit;

/// The size of a block.
pub(super) const BULK_BYTES: usize = 64 * 1024;

/// This program, started again in a role; killed when dropped.
struct Other(Child);

impl Other {
    fn start(role: &str, stdin: impl Into<Stdio>, stdout: impl Into<Stdio>) -> Result<Self, Fault> {
        let child = Command::new("/proc/self/exe")
            .args(["limit", role])
            .stdin(stdin)
            .stdout(stdout)
            .spawn()?;
        let other = Self(child);
        // Afterwards, since a child inherits it.
        super::pin(|cores| cores.first())?;
        Ok(other)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A word that goes to another process and comes back.
pub(crate) struct Words {
    turn: u32,
    way: Way,
    _other: Option<Other>,
}

enum Way {
    Nothing,
    Shared(Side, Wait),
    Kernel(OwnedFd, Option<OwnedFd>),
}

impl Words {
    pub(crate) fn new(limit: Limit) -> Result<Self, Fault> {
        let (way, other) = match limit {
            Limit::Clock => (Way::Nothing, None),
            Limit::Spin => Self::shared(SPIN, shared::spin)?,
            Limit::Futex => Self::shared(FUTEX, shared::sleep)?,
            Limit::Socket => {
                let (here, there) = socketpair(
                    AddressFamily::UNIX,
                    SocketType::SEQPACKET,
                    SocketFlags::CLOEXEC,
                    None,
                )?;
                let other = Other::start(SOCKET, there, Stdio::null())?;
                (Way::Kernel(here, None), Some(other))
            }
            Limit::Pipe => {
                let (from_us, to_other) = pipe()?;
                let (from_other, to_us) = pipe()?;
                let other = Other::start(PIPE, from_us, to_us)?;
                (
                    Way::Kernel(to_other.into(), Some(from_other.into())),
                    Some(other),
                )
            }
            _ => return Err("no round trip of words".into()),
        };
        Ok(Self {
            turn: 0,
            way,
            _other: other,
        })
    }

    fn shared(role: &str, wait: Wait) -> Result<(Way, Option<Other>), Fault> {
        let file = shared::words()?;
        let side = Side::new(&file)?;
        let other = Other::start(role, file, Stdio::null())?;
        Ok((Way::Shared(side, wait), Some(other)))
    }

    pub(crate) fn trip(&mut self) -> Result<(), Fault> {
        self.turn = self.turn.wrapping_add(1);
        match &self.way {
            Way::Nothing => {}
            Way::Shared(side, wait) => side.trip(self.turn, *wait),
            Way::Kernel(out, back) => {
                let word = u64::from(self.turn).to_ne_bytes();
                rustix::io::write(out, &word)?;
                let mut answer = [0; 8];
                rustix::io::read(back.as_ref().unwrap_or(out), &mut answer)?;
                if answer != word {
                    return Err("a wrong word came back".into());
                }
            }
        }
        Ok(())
    }
}

pub(super) fn serve_words(from: impl AsFd, to: impl AsFd) -> Result<(), Fault> {
    let mut word = [0; 8];
    while rustix::io::read(&from, &mut word)? == word.len() {
        rustix::io::write(&to, &word)?;
    }
    Ok(())
}

/// A block that goes to another process and comes back.
pub(crate) struct Bulk {
    block: Vec<u8>,
    way: BulkWay,
    _other: Other,
}

enum BulkWay {
    Socket(UnixStream),
    Pipes(PipeWriter, PipeReader),
}

impl Bulk {
    pub(crate) fn new(limit: Limit) -> Result<Self, Fault> {
        let (way, other) = match limit {
            Limit::Socket => {
                let (here, there) = UnixStream::pair()?;
                let other = Other::start(BULK_SOCKET, OwnedFd::from(there), Stdio::null())?;
                (BulkWay::Socket(here), other)
            }
            Limit::Pipe => {
                let (from_us, to_other) = pipe()?;
                let (from_other, to_us) = pipe()?;
                let other = Other::start(BULK_PIPE, from_us, to_us)?;
                (BulkWay::Pipes(to_other, from_other), other)
            }
            _ => return Err("no round trip of blocks".into()),
        };
        Ok(Self {
            block: vec![7; BULK_BYTES],
            way,
            _other: other,
        })
    }

    pub(crate) fn trip(&mut self) -> Result<(), Fault> {
        match &mut self.way {
            BulkWay::Socket(socket) => {
                socket.write_all(&self.block)?;
                socket.read_exact(&mut self.block)?;
            }
            BulkWay::Pipes(out, back) => {
                out.write_all(&self.block)?;
                back.read_exact(&mut self.block)?;
            }
        }
        Ok(())
    }
}
