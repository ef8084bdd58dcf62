//! Two words in a mapping that two processes share: one for each direction.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::thread::futex;

use crate::Fault;

/// What lies at the start of the mapping; each word has a cache line pair to itself.
#[repr(C)]
struct Lines {
    ping: Line,
    pong: Line,
}

#[repr(align(128))]
struct Line(AtomicU32);

/// A shared mapping of a memory file, unmapped when dropped.
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

/// Makes a file in memory.
pub(super) fn memory(len: usize) -> Result<OwnedFd, Fault> {
    let fd = memfd_create("pool-benches", MemfdFlags::CLOEXEC)?;
    ftruncate(&fd, len as u64)?;
    Ok(fd)
}

impl Mapping {
    /// `len` is what the file was made with, or less.
    pub(super) fn new(fd: BorrowedFd<'_>, len: usize) -> Result<Self, Fault> {
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                fd,
                0,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or("mapped at null")?;
        Ok(Self { start, len })
    }

    /// The words, of a mapping that is shared with another process.
    fn lines(&self) -> &Lines {
        assert!(self.len >= size_of::<Lines>());
        // SAFETY: long enough (checked above), aligned to a page, made of atomics, for which any
        // bits are valid and writes from elsewhere are allowed; mapped as long as `self`.
        unsafe { self.start.cast().as_ref() }
    }

    /// The bytes, of a mapping that no other process has.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped, writable, and `&mut self` is the only way to it: callers never pass the
        // file on.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `new` made it, and what points into it borrows `self`.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

// SAFETY: plain memory, reached through atomics or `&mut self`.
unsafe impl Send for Mapping {}

/// One side of the words.
pub(super) struct Side(Mapping);

/// How a side waits for a word to become other than `old`; returns what it became.
pub(super) type Wait = fn(word: &AtomicU32, old: u32) -> u32;

pub(super) fn spin(word: &AtomicU32, old: u32) -> u32 {
    loop {
        match word.load(Acquire) {
            same if same == old => std::hint::spin_loop(),
            new => return new,
        }
    }
}

pub(super) fn sleep(word: &AtomicU32, old: u32) -> u32 {
    loop {
        match word.load(Acquire) {
            // Interrupted, or changed meanwhile: look again.
            same if same == old => {
                let _ = futex::wait(word, futex::Flags::empty(), old, None);
            }
            new => return new,
        }
    }
}

/// Tells a side that sleeps. A side that spins is told by the word itself.
fn wake(word: &AtomicU32, wait: Wait) {
    if ptr::fn_addr_eq(wait, sleep as Wait) {
        let _ = futex::wake(word, futex::Flags::empty(), 1);
    }
}

/// The file that the two sides share.
pub(super) fn words() -> Result<File, Fault> {
    Ok(File::from(memory(size_of::<Lines>())?))
}

impl Side {
    pub(super) fn new(fd: impl AsFd) -> Result<Self, Fault> {
        Mapping::new(fd.as_fd(), size_of::<Lines>()).map(Self)
    }

    /// There and back once: `turn` goes up by one each time, from 1.
    pub(super) fn trip(&self, turn: u32, wait: Wait) {
        let Lines { ping, pong } = self.0.lines();
        ping.0.store(turn, Release);
        wake(&ping.0, wait);
        wait(&pong.0, turn.wrapping_sub(1));
    }

    fn answer(&self, wait: Wait) -> ! {
        let Lines { ping, pong } = self.0.lines();
        let mut turn = 0;
        loop {
            turn = wait(&ping.0, turn);
            pong.0.store(turn, Release);
            wake(&pong.0, wait);
        }
    }
}

/// The other process: the words are its standard input.
pub(super) fn serve(wait: Wait) -> Result<(), Fault> {
    Side::new(rustix::stdio::stdin())?.answer(wait)
}
