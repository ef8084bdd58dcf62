//! What a worker writes, line by line, with its number in front.
//!
//! A relay writes to the descriptor and not through the standard library, whose lock the program may
//! hold for as long as it likes. A complete line that the program prints is in the descriptor before
//! `println!` returns, so the order of lines stays; what it has printed of an unfinished line comes
//! with the rest of that line. A line goes out in one `write`, which the kernel keeps whole among the
//! writes of others in a file and a terminal, and up to 4,096 bytes in a pipe; among the relays of
//! this program a line is whole however long it is.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::descriptors;
use crate::sync::screen::without_bars;

/// From how many bytes on a line is broken.
const MAX_LINE: usize = 64 * 1024;

/// The end of a pool waits for its relays until their readers have taken nothing during so many
/// looks. Looks and not a time: no time passes for the readers while everything is stopped.
const MAX_IDLE_LOOKS: u32 = 50;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Which stream of this program the lines go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Stdout,
    Stderr,
}

/// The streams of this program, for the relays of all of its pools.
#[derive(Debug, Default)]
struct Streams {
    /// One line at a time.
    stdout: Mutex<()>,
    stderr: Mutex<()>,
}

impl Streams {
    /// Those of this process. A process that was forked gets its own, since a lock may be held for
    /// ever in the copy.
    fn of_this_process() -> Arc<Self> {
        static OURS: Mutex<Option<(u32, Arc<Streams>)>> = Mutex::new(None);
        let process = std::process::id();
        for _ in 0..100 {
            if let Ok(mut ours) = OURS.try_lock() {
                let (owner, streams) = ours.get_or_insert_with(|| (process, Arc::default()));
                if *owner != process {
                    (*owner, *streams) = (process, Arc::default());
                }
                return Arc::clone(streams);
            }
            std::thread::yield_now();
        }
        Arc::default()
    }
}

/// The relays of one pool.
#[derive(Debug, Clone)]
pub(super) struct Relays(Arc<All>);

#[derive(Debug)]
struct All {
    streams: Arc<Streams>,
    /// How many of them run.
    running: Mutex<usize>,
    ended: Condvar,
    /// How many bytes were written.
    written: AtomicU64,
    lost: Mutex<Lost>,
}

/// Lines that could not be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) lines: u64,
    /// Why the last of them was not.
    pub(super) why: Option<String>,
}

/// A thread that hands on what comes through a pipe.
#[derive(Debug)]
pub(super) struct Relay {
    over: Arc<OwnedFd>,
}

impl Relays {
    pub(super) fn new() -> Self {
        Self(Arc::new(All {
            streams: Streams::of_this_process(),
            running: Mutex::new(0),
            ended: Condvar::new(),
            written: AtomicU64::new(0),
            lost: Mutex::default(),
        }))
    }

    /// Starts a relay for the worker `index`; returns it with the end of the pipe for the worker.
    pub(super) fn start(&self, index: usize, to: To) -> io::Result<(Relay, OwnedFd)> {
        let [pipe, write] = descriptors::pipe()?;
        let over = Arc::new(descriptors::event_counter()?);
        let heard = Arc::clone(&over);
        let runs = Runs::begin(Arc::clone(&self.0));
        std::thread::Builder::new()
            .name("pool-output".into())
            .spawn(move || {
                let mut lines = Lines::new(format!("[worker {index}] "));
                let write = |line: &[u8]| runs.0.write(to, line);
                copy(&pipe, &heard, |bytes| lines.add(bytes, write));
                lines.end(write);
            })?;
        Ok((Relay { over }, write))
    }

    /// Waits until all is handed on, and no longer than the readers of this program's streams take
    /// something. A relay that is left behind goes on as long as the program runs.
    pub(super) fn wait(&self) {
        let all = &self.0;
        let mut running = all.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut written, mut idle) = (all.written.load(Relaxed), 0);
        while *running > 0 && idle < MAX_IDLE_LOOKS {
            let (guard, look) = all
                .ended
                .wait_timeout(running, LOOK_EVERY)
                .unwrap_or_else(PoisonError::into_inner);
            running = guard;
            let now = all.written.load(Relaxed);
            match now == written {
                true => idle += u32::from(look.timed_out()),
                false => idle = 0,
            }
            written = now;
        }
    }

    pub(super) fn lost(&self) -> Lost {
        self.0
            .lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Relay {
    /// The worker is dead: what it has written is handed on, and no more is waited for, since what
    /// it has started may still have the pipe.
    pub(super) fn worker_is_dead(&self) {
        // The counter is ours and empty.
        let _ = rustix::io::write(&self.over, &1_u64.to_ne_bytes());
    }
}

/// A relay that runs, until it is dropped.
struct Runs(Arc<All>);

impl Runs {
    fn begin(all: Arc<All>) -> Self {
        *all.running.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(all)
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        *self
            .0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_all();
    }
}

impl All {
    fn write(&self, to: To, line: &[u8]) {
        let written = without_bars(|| {
            let (stream, turn) = match to {
                To::Stdout => (rustix::stdio::stdout(), &self.streams.stdout),
                To::Stderr => (rustix::stdio::stderr(), &self.streams.stderr),
            };
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            write_all(stream, line, &self.written)
        });
        if let Err(error) = written {
            // The worker is not to notice.
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.lines += 1;
            let stream = match to {
                To::Stdout => "standard output",
                To::Stderr => "standard error",
            };
            lost.why = Some(format!("{stream}: {}", io::Error::from(error)));
        }
    }
}

/// Writes all bytes, also where the descriptor does not block and its reader is slow.
fn write_all(stream: BorrowedFd<'_>, bytes: &[u8], written: &AtomicU64) -> Result<(), Errno> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(stream, rest) {
            Ok(len) => {
                written.fetch_add(len as u64, Relaxed);
                rest = &rest[len..];
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut writable = [PollFd::from_borrowed_fd(stream, PollFlags::OUT)];
                match poll(&mut writable, None) {
                    // A pipe is writable with less room than the rest of a short line takes.
                    Ok(_) => std::thread::sleep(Duration::from_micros(100)),
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
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

    /// A pipe that does not block, and is full.
    fn full_pipe() -> (OwnedFd, OwnedFd) {
        let [read, write] = descriptors::pipe().unwrap();
        for end in [&read, &write] {
            rustix::io::ioctl_fionbio(end, true).unwrap();
        }
        while rustix::io::write(&write, &[b'.'; 4096]).is_ok() {}
        (read, write)
    }

    #[test]
    fn a_pipe_that_does_not_block_gets_every_byte() {
        let (read, write) = full_pipe();
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            let mut buffer = [0; 1000];
            loop {
                let mut readable = [PollFd::new(&read, PollFlags::IN)];
                poll(&mut readable, None).unwrap();
                match rustix::io::read(&read, &mut buffer) {
                    Ok(0) => return all,
                    Ok(len) => all.extend_from_slice(&buffer[..len]),
                    Err(error) => assert_eq!(error, Errno::AGAIN),
                }
            }
        });
        let written = AtomicU64::new(0);
        for len in [1, 100, 5_000, 200_000] {
            write_all(write.as_fd(), &vec![b'x'; len], &written).unwrap();
        }
        drop(write);
        let all = reader.join().unwrap();
        assert_eq!(all.iter().filter(|byte| **byte == b'x').count(), 205_101);
        assert_eq!(written.into_inner(), 205_101);
    }

    #[test]
    fn what_nobody_can_read_is_an_error() {
        let (read, write) = full_pipe();
        drop(read);
        let written = AtomicU64::new(0);
        assert_eq!(
            write_all(write.as_fd(), b"line", &written),
            Err(Errno::PIPE)
        );
    }
}
