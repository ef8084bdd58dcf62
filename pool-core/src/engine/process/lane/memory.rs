//! Shared memory: the one place where bytes of another process become Rust values.

use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use rustix::fs::{self, SealFlags};
use rustix::mm::{self, Advice, MapFlags, ProtFlags};
use rustix::process::{Resource, getrlimit};

use super::super::descriptors::{self, refused};
use super::Control;
use super::arena::Region;

/// The size of an arena in address space; memory is used for what is touched only. Halved until
/// the system agrees.
const ARENA_MAX: u64 = 1 << 36;
const ARENA_MIN: u64 = 1 << 20;

/// A mapping of a shared segment, unmapped when dropped.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is plain memory that stays mapped as long as the value lives, wherever it
// is used from. Every access goes through `Control` (atomics) or the methods of the arenas,
// which say what makes them safe.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, len: u64, protection: ProtFlags) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
        let start = unsafe {
            mm::mmap(
                ptr::null_mut(),
                len,
                protection,
                MapFlags::SHARED | MapFlags::NORESERVE,
                fd,
                0,
            )
        }
        .map_err(|error| refused("mmap", error))?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Self { start, len };
        // Large sparse segments would only bloat a core dump.
        mapping.advise(Advice::LinuxDontDump);
        Ok(mapping)
    }

    /// Advice is only that: a kernel that does not take it changes nothing here.
    fn advise(&self, advice: Advice) {
        // SAFETY: the two pieces of advice in use (do not dump, do not fork) leave the contents
        // in this process as they are.
        let _ = unsafe { mm::madvise(self.start.as_ptr().cast(), self.len, advice) };
    }

    /// A pointer to a region that lies inside; `None` where it does not.
    fn region(&self, region: Region) -> Option<NonNull<u8>> {
        region.fits(self.len as u64).then(|| {
            // SAFETY: `fits` says that the offset is at most the length of the mapping.
            unsafe { self.start.add(region.offset as usize) }
        })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` and everything that points into it borrows
        // `self`.
        let _ = unsafe { mm::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// Tells a process from those that are forked from it, which have a copy of its memory and none of
/// its threads.
#[derive(Debug)]
pub(crate) enum HomeMark {
    /// By a word that a fork finds wiped.
    Wiped(WipedWord),
    /// By the number of the process, where the kernel does not wipe. (Asking for that takes as long
    /// as a short task.)
    Number(u32),
}

impl HomeMark {
    /// Marks the calling process.
    pub(crate) fn new() -> Self {
        match WipedWord::new() {
            Ok(word) => Self::Wiped(word),
            Err(_) => Self::Number(std::process::id()),
        }
    }

    /// Whether this is the process that was marked.
    #[inline]
    pub(crate) fn is_home(&self) -> bool {
        match self {
            Self::Wiped(word) => word.get().load(Relaxed) == 1,
            Self::Number(number) => std::process::id() == *number,
        }
    }
}

/// A word that is 1, and 0 in a fork.
#[derive(Debug)]
pub(crate) struct WipedWord(Mapping);

impl WipedWord {
    fn new() -> io::Result<Self> {
        let len = size_of::<AtomicU64>();
        // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
        let start = unsafe {
            mm::mmap_anonymous(
                ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let word = Self(Mapping { start, len });
        // SAFETY: the contents in this process stay as they are.
        unsafe { mm::madvise(start.as_ptr().cast(), len, Advice::LinuxWipeOnFork) }?;
        word.get().store(1, Relaxed);
        Ok(word)
    }

    #[inline]
    fn get(&self) -> &AtomicU64 {
        // SAFETY: the mapping is as long as a word, begins on a page, and is initialised: with
        // zeros at first.
        unsafe { self.0.start.cast::<AtomicU64>().as_ref() }
    }
}

/// The three segments of a lane as descriptors, made by the parent.
#[derive(Debug)]
pub(crate) struct Segments {
    pub(crate) control: OwnedFd,
    pub(crate) request: OwnedFd,
    pub(crate) reply: OwnedFd,
    pub(crate) arena_bytes: u64,
}

/// The control segment.
#[derive(Debug)]
pub(crate) struct ControlMap(Mapping);

/// The request arena in the parent, the reply arena in the worker.
#[derive(Debug)]
pub(crate) struct WriteArena(Mapping);

/// The reply arena in the parent: the worker may change it at any moment.
#[derive(Debug)]
pub(crate) struct DoubtedArena {
    mapping: Mapping,
    file: OwnedFd,
}

/// The request arena in the worker: the parent changes no region while its task runs.
#[derive(Debug)]
pub(crate) struct TrustedArena(Mapping);

/// Makes the segments of a lane and maps them for the parent.
pub(crate) fn create() -> io::Result<(Segments, ControlMap, WriteArena, DoubtedArena)> {
    let control_bytes = size_of::<Control>() as u64;
    if file_size_limit().is_some_and(|limit| limit < control_bytes.max(ARENA_MIN)) {
        let message = "the limit of the size of files (RLIMIT_FSIZE, ulimit -f) is too small";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    let control = segment("pool-control", control_bytes)?;
    let control_map = ControlMap::new(control.as_fd())?;
    let mut arena_bytes = arena_limit();
    loop {
        match create_arenas(arena_bytes) {
            Ok((request, reply, write, doubted)) => {
                let segments = Segments {
                    control,
                    request,
                    reply,
                    arena_bytes,
                };
                return Ok((segments, control_map, write, doubted));
            }
            Err(_) if arena_bytes > ARENA_MIN => arena_bytes /= 2,
            Err(error) => return Err(error),
        }
    }
}

fn create_arenas(bytes: u64) -> io::Result<(OwnedFd, OwnedFd, WriteArena, DoubtedArena)> {
    let request = segment("pool-request", bytes)?;
    let write = WriteArena(Mapping::new(
        request.as_fd(),
        bytes,
        ProtFlags::READ | ProtFlags::WRITE,
    )?);
    seal(request.as_fd())?;
    // The worker gets this descriptor: what it maps cannot be made writable.
    let request = read_only(request.as_fd())?;
    let reply = segment("pool-reply", bytes)?;
    seal(reply.as_fd())?;
    let doubted = DoubtedArena {
        mapping: Mapping::new(reply.as_fd(), bytes, ProtFlags::READ)?,
        file: descriptors::copy(reply.as_fd())?,
    };
    Ok((request, reply, write, doubted))
}

fn segment(name: &str, bytes: u64) -> io::Result<OwnedFd> {
    let fd = descriptors::memory_file(name)?;
    fs::ftruncate(&fd, bytes).map_err(|error| refused("ftruncate", error))?;
    Ok(fd)
}

/// Without the seals the other side could cut the file off, and every access would be a bus error.
fn seal(fd: BorrowedFd<'_>) -> io::Result<()> {
    fs::fcntl_add_seals(fd, SealFlags::SHRINK | SealFlags::GROW)
        .map_err(|error| refused("fcntl(F_ADD_SEALS)", error))
}

/// The same file, opened anew for reading only.
fn read_only(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    descriptors::read_only(Path::new(&path))
}

/// How large an arena may be: a file longer than the process's limit would be answered with a
/// deadly signal, and a limit of address space is the program's, not ours to use up.
fn arena_limit() -> u64 {
    let space = getrlimit(Resource::As)
        .current
        .map(|limit| (limit / 256).max(ARENA_MIN));
    let limit = [file_size_limit(), space].into_iter().flatten().min();
    match limit {
        Some(limit) if limit < ARENA_MAX => 1 << limit.ilog2(),
        _ => ARENA_MAX,
    }
}

fn file_size_limit() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

impl ControlMap {
    pub(crate) fn new(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let len = size_of::<Control>() as u64;
        // The second side finds the seals set.
        seal(fd)?;
        Mapping::new(fd, len, ProtFlags::READ | ProtFlags::WRITE).map(Self)
    }

    #[inline]
    pub(crate) fn get(&self) -> &Control {
        // SAFETY: the mapping is as long as `Control` and begins on a page, which is aligned
        // enough; it cannot shrink (sealed); `Control` consists of atomics, for which every bit
        // pattern is valid and foreign writes are allowed.
        unsafe { self.0.start.cast::<Control>().as_ref() }
    }

    /// A child that the worker's task forks must not serve the lane as well.
    pub(crate) fn keep_from_forks(&self) {
        self.0.advise(Advice::LinuxDontFork);
    }
}

impl WriteArena {
    pub(crate) fn in_worker(fd: BorrowedFd<'_>, bytes: u64) -> io::Result<Self> {
        let mapping = Mapping::new(fd, bytes, ProtFlags::READ | ProtFlags::WRITE)?;
        mapping.advise(Advice::LinuxDontFork);
        Ok(Self(mapping))
    }

    /// Copies bytes into a region that belongs to the caller.
    pub(crate) fn write(&self, region: Region, bytes: &[u8]) {
        assert_eq!(region.len, bytes.len() as u64);
        self.writer(region).write(bytes);
    }

    /// Fills a region that belongs to the caller, piece by piece.
    pub(crate) fn writer(&self, region: Region) -> Writer<'_> {
        let to = self
            .0
            .region(region)
            .expect("the allocator gives regions inside");
        Writer {
            to,
            left: region.len as usize,
            arena: PhantomData,
        }
    }

    /// Gives the memory of a range of whole pages back to the system; nothing live lies there.
    pub(crate) fn give_back(&self, range: Region) {
        if let Some(from) = self.0.region(range) {
            // SAFETY: the range lies in the mapping, and by the caller's word nobody reads what
            // it held.
            let _ = unsafe {
                mm::madvise(
                    from.as_ptr().cast(),
                    range.len as usize,
                    Advice::LinuxRemove,
                )
            };
        }
    }

    /// Copies a region back out, which the other process cannot have changed: it has no
    /// writable mapping.
    pub(crate) fn read_back(&self, region: Region) -> Vec<u8> {
        let from = self
            .0
            .region(region)
            .expect("the allocator gives regions inside");
        let mut bytes = vec![0; region.len as usize];
        // SAFETY: the region lies in the mapping, belongs to the caller by the allocator, and nobody
        // writes to it.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), bytes.as_mut_ptr(), bytes.len()) };
        bytes
    }
}

/// The part of a region that is not written yet.
pub(crate) struct Writer<'a> {
    to: NonNull<u8>,
    left: usize,
    arena: PhantomData<&'a WriteArena>,
}

impl Writer<'_> {
    /// Writes the next bytes, which fit.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.left);
        // SAFETY: the rest of the region is the writer's alone, the bytes fit, and memory of a file is
        // never uninitialised. (The other process does not write to this arena.)
        let to = unsafe { std::slice::from_raw_parts_mut(self.to.as_ptr(), bytes.len()) };
        crate::codec::bytes::copy(to, bytes);
        // SAFETY: the region goes on as far.
        self.to = unsafe { self.to.add(bytes.len()) };
        self.left -= bytes.len();
    }
}

/// Asks for large pages where memory is touched for the first time.
pub(crate) fn use_large_pages(memory: &Range<*const u8>) {
    let start = memory.start.addr().next_multiple_of(LARGE_PAGE);
    let len = memory.end.addr().saturating_sub(start) / LARGE_PAGE * LARGE_PAGE;
    let start = memory.start.with_addr(start).cast_mut();
    // SAFETY: this advice changes nothing of what any memory holds, whoever's it is.
    let _ = unsafe { mm::madvise(start.cast(), len, Advice::LinuxHugepage) };
}

const LARGE_PAGE: usize = 2 << 20;

impl DoubtedArena {
    /// Whether the worker can have written so many bytes: memory that was never touched is not
    /// worth a copy, however long it is said to be.
    pub(crate) fn is_plausible(&self, len: u64) -> bool {
        len <= self.held()
    }

    /// The number of bytes of memory that the arena holds, whoever touched them.
    pub(crate) fn held(&self) -> u64 {
        const BLOCK: u64 = 512;
        let blocks = fs::fstat(&self.file).map_or(0, |stat| stat.st_blocks);
        u64::try_from(blocks).map_or(0, |blocks| blocks.saturating_mul(BLOCK))
    }

    /// Copies a region out; `None` when it does not lie in the arena. The worker may be writing
    /// meanwhile: then the bytes are nonsense, and no more.
    pub(crate) fn read(&self, region: Region, out: &mut [u8]) -> bool {
        debug_assert_eq!(region.len, out.len() as u64);
        let Some(from) = self.mapping.region(region) else {
            return false;
        };
        if !from.cast::<AtomicU64>().is_aligned() {
            return false;
        }
        let words = out.len().div_ceil(8);
        if region.offset + 8 * words as u64 > self.mapping.len as u64 {
            return false;
        }
        // SAFETY: aligned (checked above), `words` words lie in the mapping (checked above),
        // which cannot shrink (sealed); atomics allow foreign writes.
        let words = unsafe { std::slice::from_raw_parts(from.cast::<AtomicU64>().as_ptr(), words) };
        let (whole, rest) = out.as_chunks_mut::<8>();
        for (bytes, word) in whole.iter_mut().zip(words) {
            *bytes = word.load(Relaxed).to_ne_bytes();
        }
        if let Some(last) = words.last().filter(|_| !rest.is_empty()) {
            rest.copy_from_slice(&last.load(Relaxed).to_ne_bytes()[..rest.len()]);
        }
        true
    }
}

impl TrustedArena {
    pub(crate) fn new(fd: BorrowedFd<'_>, bytes: u64) -> io::Result<Self> {
        let mapping = Mapping::new(fd, bytes, ProtFlags::READ)?;
        mapping.advise(Advice::LinuxDontFork);
        Ok(Self(mapping))
    }

    /// The arguments of the running task.
    pub(crate) fn bytes(&self, region: Region) -> Option<&[u8]> {
        let from = self.0.region(region)?;
        // SAFETY: the region lies in the mapping. The parent wrote it before it published the
        // slot and leaves it alone until the slot is done, and the slice ends before that.
        Some(unsafe { std::slice::from_raw_parts(from.as_ptr(), region.len as usize) })
    }
}
