//! What a worker writes, line by line, with its number in front.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::descriptors;
use crate::progress;

/// From how many bytes on a line is broken.
const MAX_LINE: usize = 64 * 1024;

/// Which stream of this program the lines go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Stdout,
    Stderr,
}

/// A thread that hands on what comes through a pipe.
#[derive(Debug)]
pub(super) struct Relay {
    over: Arc<OwnedFd>,
    thread: std::thread::JoinHandle<()>,
}

impl Relay {
    /// A relay for the worker `index`, and the end of the pipe for it.
    pub(super) fn start(index: usize, to: To) -> io::Result<(Self, OwnedFd)> {
        let [pipe, write] = descriptors::pipe()?;
        let over = Arc::new(descriptors::event_counter()?);
        let heard = Arc::clone(&over);
        let thread = std::thread::Builder::new()
            .name("pool-output".into())
            .spawn(move || {
                let mut lines = Lines::new(format!("[worker {index}] "));
                copy(&pipe, &heard, |bytes| {
                    lines.add(bytes, |line| to.write(line))
                });
                lines.end(|line| to.write(line));
            })?;
        Ok((Self { over, thread }, write))
    }

    /// The worker is dead: what it has written is handed on, and no more is waited for, since what
    /// it has started may still have the pipe.
    pub(super) fn worker_is_dead(&self) {
        // The counter is ours and empty.
        let _ = rustix::io::write(&self.over, &1_u64.to_ne_bytes());
    }

    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until all is handed on; who reads this program's streams decides how long that takes.
    pub(super) fn join(self) {
        let _ = self.thread.join();
    }
}

impl To {
    fn write(self, line: &[u8]) {
        // The stream may be closed; the worker is not to notice.
        let _ = progress::suspend(|| match self {
            Self::Stdout => io::stdout().lock().write_all(line),
            Self::Stderr => io::stderr().lock().write_all(line),
        });
    }
}

/// Reads until the end, or until it is over and nothing is left.
fn copy(pipe: &OwnedFd, over: &OwnedFd, mut each: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 16 * 1024];
    // How much is left to be read, once it is over: what others write now is not the worker's.
    let mut left = None;
    loop {
        let mut fds = [
            PollFd::new(pipe, PollFlags::IN),
            PollFd::from_borrowed_fd(over.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return,
        }
        if left.is_none() && !fds[1].revents().is_empty() {
            left = Some(rustix::io::ioctl_fionread(pipe).unwrap_or(0));
        }
        // First what there is to read.
        if !fds[0].revents().is_empty() && left != Some(0) {
            match rustix::io::read(pipe, &mut buffer) {
                Ok(0) => return,
                Ok(len) => {
                    each(&buffer[..len]);
                    left = left.map(|left| left.saturating_sub(len as u64));
                }
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        } else if !fds[1].revents().is_empty() {
            return;
        }
    }
}

/// Puts the prefix in front of every line.
struct Lines {
    prefix: String,
    line: Vec<u8>,
}

impl Lines {
    fn new(prefix: String) -> Self {
        let line = prefix.clone().into_bytes();
        Self { prefix, line }
    }

    fn add(&mut self, bytes: &[u8], mut write: impl FnMut(&[u8])) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            for part in part.chunks(MAX_LINE) {
                self.line.extend(part);
                if part.ends_with(b"\n") {
                    self.flush(&mut write);
                } else if self.line.len() >= MAX_LINE {
                    self.line.push(b'\n');
                    self.flush(&mut write);
                }
            }
        }
    }

    /// The last line may have no end.
    fn end(mut self, mut write: impl FnMut(&[u8])) {
        if self.line.len() > self.prefix.len() {
            self.line.push(b'\n');
            self.flush(&mut write);
        }
    }

    fn flush(&mut self, write: &mut impl FnMut(&[u8])) {
        write(&self.line);
        self.line.truncate(self.prefix.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relayed(parts: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let mut lines = Lines::new("> ".into());
        for part in parts {
            lines.add(part, |line| out.push(line.to_vec()));
        }
        lines.end(|line| out.push(line.to_vec()));
        out
    }

    #[test]
    fn every_line_has_the_prefix_however_it_comes() {
        assert_eq!(relayed(&[]), [b""; 0]);
        assert_eq!(
            relayed(&[b"one\ntw", b"o\n", b"\nrest"]),
            [&b"> one\n"[..], b"> two\n", b"> \n", b"> rest\n"]
        );
    }

    #[test]
    fn a_line_without_an_end_is_broken() {
        let long = vec![b'x'; 3 * MAX_LINE];
        let lines = relayed(&[&long]);
        assert!(lines.len() >= 3);
        assert!(lines.iter().all(|line| line.len() <= 2 * MAX_LINE + 3));
        let xs: usize = lines.iter().flatten().filter(|byte| **byte == b'x').count();
        assert_eq!(xs, long.len());
    }
}
