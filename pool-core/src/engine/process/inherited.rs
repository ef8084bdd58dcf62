//! What a worker has open that it must not keep: the descriptors of its parent.
//!
//! A program that is executed gets every descriptor that is not marked to be closed then. Rust marks
//! all of its own, but a library in C, a `dup`, or whoever started the program may not, and a worker
//! that has a copy of the end of a pipe keeps its reader from ever seeing the end.
//!
//! The parent cannot prevent it. To mark its descriptors for a moment would change what other
//! threads start meanwhile; to close them between fork and execution takes a real fork, which copies
//! the page tables of the whole program, where a worker is started without one. So the worker closes
//! them, at the door.
//!
//! There it must know them from what the code before the door has opened for itself. A descriptor is
//! the parent's if the parent has the same number open, for the same file, and in both processes
//! without the mark. What the worker opens cannot get such a number, since the inherited one takes
//! it. What cannot be read, or was closed by the parent in the millisecond since the start, is left
//! open: a copy too many is less than a hole in a file that somebody writes to.

use std::fs;

use rustix::fs::{OFlags, stat};

/// The descriptors of this process.
const OPEN: &str = "/proc/self/fd";

/// The standard streams are meant to be shared. They come first.
const STREAMS: i32 = 3;

/// Closes what this process has inherited from the process `parent`, but for the standard streams.
/// No object of this process owns any of it, since no code of this process has opened it.
pub(super) fn close_inherited(parent: u32) {
    // The size of this folder is the number of descriptors, or 0 in a kernel before 6.2. A program
    // has its standard streams at least, so most workers are done here, fifty microseconds earlier.
    if stat(OPEN).is_ok_and(|folder| (1..=i64::from(STREAMS)).contains(&folder.st_size)) {
        return;
    }
    let Ok(folder) = fs::read_dir(OPEN) else {
        return;
    };
    let open: Vec<i32> = folder
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for fd in open.into_iter().filter(|fd| *fd >= STREAMS) {
        let own = Descriptor::of("self", fd);
        if own.is_some() && own == Descriptor::of(&parent.to_string(), fd) {
            let _ = nix::unistd::close(fd);
        }
    }
}

/// A descriptor that a program hands on when it executes another: the file that it stands for.
#[derive(Debug, PartialEq, Eq)]
struct Descriptor {
    device: u64,
    inode: u64,
}

impl Descriptor {
    fn of(process: &str, fd: i32) -> Option<Self> {
        let info = fs::read_to_string(format!("/proc/{process}/fdinfo/{fd}")).ok()?;
        if !is_handed_on(&info)? {
            return None;
        }
        let file = stat(format!("/proc/{process}/fd/{fd}")).ok()?;
        Some(Self {
            device: file.st_dev,
            inode: file.st_ino,
        })
    }
}

/// Whether a descriptor is not marked to be closed, by the text in its `fdinfo`.
fn is_handed_on(info: &str) -> Option<bool> {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
    Some(flags & OFlags::CLOEXEC.bits() == 0)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn the_mark_is_read() {
        let marked = "pos:\t0\nflags:\t02100002\nmnt_id:\t15\n";
        assert_eq!(is_handed_on(marked), Some(false));
        let unmarked = "pos:\t0\nflags:\t0100002\nmnt_id:\t15\n";
        assert_eq!(is_handed_on(unmarked), Some(true));
        for nothing in ["", "flags:\n", "flags:\t9\n"] {
            assert_eq!(is_handed_on(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn descriptors_are_told_apart_by_their_files() {
        let (read, write) = std::io::pipe().expect("a pipe");
        let (other, _) = std::io::pipe().expect("a pipe");
        assert_eq!(Descriptor::of("self", read.as_raw_fd()), None, "marked");
        let [read, write, other] = [
            rustix::io::dup(&read),
            rustix::io::dup(&write),
            rustix::io::dup(&other),
        ]
        .map(|fd| fd.expect("a descriptor"));
        let of = |fd: &std::os::fd::OwnedFd| Descriptor::of("self", fd.as_raw_fd());
        assert!(of(&read).is_some());
        assert_eq!(of(&read), of(&write));
        assert_ne!(of(&read), of(&other));
        let own = std::process::id().to_string();
        assert_eq!(of(&read), Descriptor::of(&own, read.as_raw_fd()));
        assert_eq!(Descriptor::of("self", i32::MAX), None);
    }
}
