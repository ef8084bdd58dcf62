//! Which file worker processes execute.
//!
//! It is the file of this program, by the link `/proc/self/exe`, which means that very file even if
//! another one has taken its name since. But the link names what the kernel has executed, and that
//! may be something that has loaded the program: `ld.so ./program`, valgrind, an emulator. Executed
//! again with the arguments of this program, that would take the first of them for a program and
//! execute it. So the link is used only where the code of this library is mapped from that file, or
//! where the file is a program that needs a loader itself, in which this library is a part.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{Access, Stat, access, stat};

use crate::error::pool_error::Error;

/// What the kernel has executed.
const EXE: &str = "/proc/self/exe";

/// The same; valgrind and qemu answer for the other name, but execute what it really means.
const REAL_EXE: &str = "/proc/thread-self/exe";

const MAPS: &str = "/proc/self/maps";

/// The path of a file that can be executed. It is found when the pool is built.
#[derive(Debug)]
pub(super) struct Program(PathBuf);

impl Program {
    /// The program that runs.
    pub(super) fn own() -> Result<Self, Error> {
        static FOUND: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
        stat(EXE).map_err(|error| no_proc(EXE, error))?;
        let found = FOUND.get_or_init(|| {
            let code = Self::own as fn() -> Result<Self, Error> as usize;
            find(code).map_err(|error| error.to_string())
        });
        match found {
            Ok(None) => Ok(Self(EXE.into())),
            Ok(Some(path)) => Ok(Self(path.clone())),
            Err(why) => Err(Error::spawn(why, &io::ErrorKind::Unsupported.into())),
        }
    }

    /// Another program: a path, or a name that is looked up in the folders of `path_variable`. A
    /// relative path is one in the folder of this program, not in that of the workers.
    pub(super) fn other(name: PathBuf, path_variable: Option<&OsStr>) -> Self {
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        if name.components().count() > 1 {
            return Self(absolute(name));
        }
        let folders = path_variable.into_iter().flat_map(std::env::split_paths);
        let found = folders
            .map(|folder| folder.join(&name))
            .find(|path| path.is_file() && access(path, Access::EXEC_OK).is_ok());
        Self(found.map_or(name, absolute))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

fn is_same(one: rustix::io::Result<Stat>, other: rustix::io::Result<Stat>) -> bool {
    matches!(
        (one, other),
        (Ok(one), Ok(other)) if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
    )
}

fn no_proc(path: &str, error: rustix::io::Errno) -> Error {
    Error::spawn(format!("{path} (is /proc mounted?)"), &error.into())
}

/// Finds the file of the program of which the code at an address is a part. `None`: what the kernel
/// has executed.
fn find(code: usize) -> io::Result<Option<PathBuf>> {
    let named =
        |path: &str, error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
    let exe = stat(REAL_EXE).map_err(|error| named(REAL_EXE, error.into()))?;
    let maps = fs::read(MAPS).map_err(|error| named(MAPS, error))?;
    let mapped = Mapped::at(&maps, code);
    if mapped.as_ref().is_some_and(|mapped| mapped.is(&exe)) {
        return Ok(None);
    }
    // A program that needs a loader is not one; this code is in a library that it has loaded.
    if Elf::of(Path::new(REAL_EXE)).is_ok_and(|exe| exe.has_interpreter) {
        return Ok(None);
    }
    let ours = mapped.map_or_else(OsString::new, |mapped| mapped.path);
    // Where this code is in a library, the program has another name.
    let called = std::env::args_os().next().unwrap_or_default();
    for path in [&ours, &called].map(Path::new) {
        let is_program = Elf::of(path).is_ok_and(|elf| elf.is_program());
        if is_program && stat(path).is_ok_and(|file| Mapped::has(&maps, &file)) {
            return std::path::absolute(path).map(Some);
        }
    }
    let exe = fs::read_link(REAL_EXE).unwrap_or_else(|_| REAL_EXE.into());
    Err(io::Error::other(format!(
        "the program was loaded by {}, which {EXE} names, and its own code is in {:?}, which cannot \
         be executed: name the program by PoolBuilder::worker_exe",
        exe.display(),
        ours
    )))
}

/// A file of which a part is mapped.
#[derive(Debug, PartialEq, Eq)]
struct Mapped {
    inode: u64,
    path: OsString,
}

impl Mapped {
    /// The file that is mapped at an address.
    fn at(maps: &[u8], address: usize) -> Option<Self> {
        let address = address as u64;
        lines(maps)
            .find(|(range, _)| range.contains(&address))
            .map(|(_, mapped)| mapped)
            .filter(|mapped| mapped.inode != 0)
    }

    /// Whether a file is mapped anywhere.
    fn has(maps: &[u8], file: &Stat) -> bool {
        lines(maps).any(|(_, mapped)| mapped.inode == file.st_ino)
    }

    /// Whether it is this file. The numbers in `/proc/self/maps` are not those of `stat` on each
    /// file system, so the path is asked as well.
    fn is(&self, file: &Stat) -> bool {
        self.inode == file.st_ino || is_same(stat(Path::new(&self.path)), Ok(*file))
    }
}

/// The lines of `/proc/self/maps`: which addresses, and which file.
fn lines(maps: &[u8]) -> impl Iterator<Item = (std::ops::Range<u64>, Mapped)> {
    maps.split(|byte| *byte == b'\n').filter_map(|line| {
        // Addresses, rights, offset, device, inode, path.
        let mut fields = line.splitn(6, |byte| *byte == b' ');
        let (start, end) = str::from_utf8(fields.next()?).ok()?.split_once('-')?;
        let start = u64::from_str_radix(start, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        let inode = str::from_utf8(fields.nth(3)?).ok()?.parse().ok()?;
        let path = OsString::from_vec(fields.next().unwrap_or_default().trim_ascii().to_vec());
        Some((start..end, Mapped { inode, path }))
    })
}

/// What the head of an executable file says of how it is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Elf {
    /// It is not loaded at an address of the loader's choice.
    is_fixed: bool,
    /// It names a program that loads it.
    has_interpreter: bool,
}

impl Elf {
    fn of(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Self::read(|bytes, at| file.read_exact_at(bytes, at))
    }

    /// Whether it can be executed by itself, as libraries cannot.
    fn is_program(self) -> bool {
        self.is_fixed || self.has_interpreter
    }

    fn read(read: impl Fn(&mut [u8], u64) -> io::Result<()>) -> io::Result<Self> {
        const FIXED: u64 = 2;
        const INTERPRETER: u64 = 3;
        let mut kind = [0; 6];
        read(&mut kind, 0)?;
        let (b"\x7fELF", [class, order]) = (&kind[..4], [kind[4], kind[5]]) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let number = |at: u64, len: usize| -> io::Result<u64> {
            let mut bytes = [0; 8];
            read(&mut bytes[..len], at)?;
            if order == 2 {
                bytes[..len].reverse();
            }
            Ok(u64::from_le_bytes(bytes))
        };
        // Where the table of segments is, the length of an entry, and how many there are.
        let [table, len, count] = match class {
            2 => [number(32, 8)?, number(54, 2)?, number(56, 2)?],
            _ => [number(28, 4)?, number(42, 2)?, number(44, 2)?],
        };
        let mut has_interpreter = false;
        for entry in 0..count {
            has_interpreter |= number(table.saturating_add(entry * len), 4)? == INTERPRETER;
        }
        Ok(Self {
            is_fixed: number(16, 2)? == FIXED,
            has_interpreter,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &[u8] = b"\
00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/some program\n\
7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n\
7f0000001000-7f0000002000 r-xp 00001000 08:02 99 /lib/libpool.so (deleted)\n";

    #[test]
    fn the_file_at_an_address_is_found() {
        let at = |address| Mapped::at(MAPS, address).map(|mapped| (mapped.inode, mapped.path));
        assert_eq!(
            at(0x40_1000),
            Some((173_521, "/usr/bin/some program".into()))
        );
        let deleted = "/lib/libpool.so (deleted)";
        assert_eq!(at(0x7f00_0000_1fff), Some((99, deleted.into())));
        // No file, and no mapping.
        assert_eq!(at(0x7f00_0000_0000), None);
        assert_eq!(at(0x7f00_0000_2000), None);
    }

    #[test]
    fn this_program_is_what_was_executed() {
        let code = find as fn(usize) -> io::Result<Option<PathBuf>> as usize;
        assert_eq!(find(code).expect("found"), None);
    }

    #[test]
    fn code_that_is_in_no_file_is_in_a_library_of_the_program() {
        // This program has an interpreter: a loader has none.
        assert!(Elf::of(Path::new(REAL_EXE)).expect("read").has_interpreter);
        assert_eq!(find(0).expect("found"), None);
    }

    /// A file with one segment of this type.
    fn elf(class: u8, order: u8, kind: u16, segment: u32) -> Vec<u8> {
        let put = |file: &mut [u8], at: usize, number: u64, len: usize| {
            let mut bytes = number.to_le_bytes()[..len].to_vec();
            if order == 2 {
                bytes.reverse();
            }
            file[at..at + len].copy_from_slice(&bytes);
        };
        let mut file = vec![0; 120];
        file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order]);
        put(&mut file, 16, kind.into(), 2);
        let [table, entry, count] = if class == 2 {
            [32, 54, 56]
        } else {
            [28, 42, 44]
        };
        put(&mut file, table, 64, if class == 2 { 8 } else { 4 });
        put(&mut file, entry, 32, 2);
        put(&mut file, count, 1, 2);
        put(&mut file, 64, segment.into(), 4);
        file
    }

    #[test]
    fn programs_are_told_from_libraries_and_loaders() {
        let read = |file: Vec<u8>| {
            Elf::read(move |bytes, at| {
                let at = usize::try_from(at).map_err(|_| io::ErrorKind::UnexpectedEof)?;
                let part = file.get(at..at + bytes.len());
                bytes.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            })
        };
        for (class, order) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
            for (kind, segment, is_program) in [(2, 1, true), (3, 3, true), (3, 1, false)] {
                let elf = read(elf(class, order, kind, segment)).expect("read");
                assert_eq!(elf.is_program(), is_program);
                assert_eq!(elf.has_interpreter, segment == 3);
            }
        }
        assert!(read(b"#!/bin/sh\n".to_vec()).is_err());
        assert!(read(b"\x7fELF".to_vec()).is_err());
        let loader = elf(2, 1, 3, 1);
        assert!(read(loader[..60].to_vec()).is_err());
    }

    #[test]
    fn a_name_is_looked_up_once() {
        let folders = std::env::join_paths(["/nowhere", "/bin", "/usr/bin"]).expect("a list");
        let found = Program::other("sleep".into(), Some(&folders));
        assert!(
            found.path().is_absolute() && found.path().exists(),
            "{found:?}"
        );
        let none = Program::other("no such program".into(), Some(&folders));
        assert_eq!(none.path(), Path::new("no such program"));
        let relative = Program::other("./here".into(), None);
        assert!(relative.path().is_absolute());
    }

    #[test]
    fn without_proc_the_error_says_so() {
        let error = no_proc(EXE, rustix::io::Errno::NOENT);
        assert!(error.to_string().contains("is /proc mounted?"), "{error}");
    }
}
