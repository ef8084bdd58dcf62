//! Every descriptor that the library opens and keeps comes from here. None of them gets the number
//! of a standard stream, also where a program runs with its standard streams closed: what such a
//! program prints would go into the pool.

// The one place where they may be called.
#![allow(clippy::disallowed_methods)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::path::Path;

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fs::{MemfdFlags, Mode, OFlags, fcntl_getfl, memfd_create, open};
use rustix::io::{Errno, fcntl_getfd};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::stdio;

/// The descriptors from 0 to 2 are the standard streams.
const STREAMS: i32 = 3;

/// Occupies the numbers of the standard streams that are closed, as long as it lives. What is
/// written to one of them meanwhile fails as before, since the descriptor that occupies it cannot
/// be written to.
pub(crate) struct Reserved(Vec<OwnedFd>);

impl Reserved {
    pub(crate) fn new() -> Self {
        let mut held = Vec::new();
        let streams = [stdio::stdin(), stdio::stdout(), stdio::stderr()];
        if streams.iter().all(|stream| fcntl_getfd(stream).is_ok()) {
            return Self(held);
        }
        // The kernel gives the lowest number that is free.
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        while let Ok(fd) = open("/", flags, Mode::empty()) {
            if fd.as_raw_fd() >= STREAMS {
                break;
            }
            held.push(fd);
        }
        Self(held)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        for fd in self.0.drain(..) {
            // The program may have put a stream of its own there meanwhile: that one stays.
            if !fcntl_getfl(&fd).is_ok_and(|flags| flags.contains(OFlags::PATH)) {
                let _ = fd.into_raw_fd();
            }
        }
    }
}

/// Opens descriptors by `make`, until none of them has the number of a standard stream. (Another
/// thread may have given up its [`Reserved`] between two calls.)
fn above_streams<const N: usize>(
    call: &str,
    make: impl Fn() -> rustix::io::Result<[OwnedFd; N]>,
) -> io::Result<[OwnedFd; N]> {
    loop {
        let _reserved = Reserved::new();
        let fds = make().map_err(|error| refused(call, error))?;
        if fds.iter().all(|fd| fd.as_raw_fd() >= STREAMS) {
            return Ok(fds);
        }
    }
}

fn one(call: &str, make: impl Fn() -> rustix::io::Result<OwnedFd>) -> io::Result<OwnedFd> {
    above_streams(call, || Ok([make()?])).map(|[fd]| fd)
}

/// The error of a system call, with the name of the call, and with a hint where it may be
/// forbidden.
pub(crate) fn refused(call: &str, error: impl Into<io::Error>) -> io::Error {
    let error = error.into();
    let hint = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::PERM | Errno::NOSYS) => {
            "; the kernel or a seccomp profile does not allow this call (docs/environments.md)"
        }
        _ => "",
    };
    io::Error::new(error.kind(), format!("{call}: {error}{hint}"))
}

/// A counter that wakes who polls it.
pub(crate) fn event_counter() -> io::Result<OwnedFd> {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    one("eventfd2", || eventfd(0, flags))
}

pub(crate) fn epoll_set() -> io::Result<OwnedFd> {
    one("epoll_create1", || {
        epoll::create(epoll::CreateFlags::CLOEXEC)
    })
}

/// The two ends of a control socket.
pub(crate) fn socket_pair() -> io::Result<[OwnedFd; 2]> {
    above_streams("socketpair", || {
        let (one, other) = net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok([one, other])
    })
}

/// A socket that receives nothing: who reads from it is at the end.
pub(crate) fn dead_socket() -> io::Result<OwnedFd> {
    let (unix, cloexec) = (AddressFamily::UNIX, SocketFlags::CLOEXEC);
    let unconnected = one("socket", || {
        let socket = net::socket_with(unix, SocketType::DGRAM, cloexec, None)?;
        net::shutdown(&socket, net::Shutdown::Read)?;
        Ok(socket)
    });
    // Where that is forbidden: one whose other end is closed.
    unconnected.or_else(|_| {
        one("socketpair", || {
            let (socket, _) = net::socketpair(unix, SocketType::STREAM, cloexec, None)?;
            Ok(socket)
        })
    })
}

/// The end of a pipe to read from, and the one to write to.
pub(crate) fn pipe() -> io::Result<[OwnedFd; 2]> {
    above_streams("pipe2", || {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok([read, write])
    })
}

/// A file of memory that can be sealed.
pub(crate) fn memory_file(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    one("memfd_create", || memfd_create(name, flags))
}

/// A descriptor of a process.
pub(crate) fn process(pid: Pid) -> Result<OwnedFd, Errno> {
    loop {
        let _reserved = Reserved::new();
        let fd = pidfd_open(pid, PidfdFlags::empty())?;
        if fd.as_raw_fd() >= STREAMS {
            return Ok(fd);
        }
    }
}

/// A file that is there, whatever happens to its name; it can be neither read nor written to.
pub(crate) fn place(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let call = format!("open {}", path.display());
    one(&call, || open(path, flags, Mode::empty()))
}

/// A file, opened to be read.
pub(crate) fn read_only(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let call = format!("open {}", path.display());
    one(&call, || open(path, flags, Mode::empty()))
}

/// The sink for what is not wanted.
pub(crate) fn null() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    one("open /dev/null", || open("/dev/null", flags, Mode::empty()))
}

/// A copy of a descriptor.
pub(crate) fn copy(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, STREAMS)
        .map_err(|error| refused("fcntl(F_DUPFD_CLOEXEC)", error))
}
