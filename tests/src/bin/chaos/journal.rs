//! Where every task notes its start, whatever becomes of it afterwards: one file for a round, to
//! which all workers append.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process;

use pool_core::{Backend, current};
use rustix::thread::gettid;
use serde::{Deserialize, Serialize};

/// The bytes of a note. A power of two, so that no note lies across two pages of the file: a
/// writer that is killed has written the whole note or nothing.
const LEN: usize = 16;

/// The number under which every initializer notes its start.
pub(crate) const INITIALIZER: u64 = u64::MAX;

/// The start of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) number: u64,
    pub(crate) attempt: u32,
    /// The process; on threads the thread, whose number no process has.
    pub(crate) worker: u32,
}

/// Which task it is, among all of its round, and where it notes that it starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Call {
    journal: PathBuf,
    pub(crate) number: u64,
}

thread_local! {
    /// The journal that this thread wrote to last.
    static OPEN: RefCell<Option<(PathBuf, File)>> = const { RefCell::new(None) };
}

impl Call {
    pub(crate) fn new(journal: &Path, number: u64) -> Self {
        let journal = journal.to_owned();
        Self { journal, number }
    }

    /// Notes that an initializer starts. Its thread may never do anything else for this round.
    pub(crate) fn begin_initializer(&self) {
        self.begin();
        OPEN.take();
    }

    /// Notes that the task starts.
    pub(crate) fn begin(&self) {
        let current = current();
        let worker = match current.backend() {
            Backend::Threads => gettid().as_raw_nonzero().get().cast_unsigned(),
            _ => process::id(),
        };
        let mut note = [0; LEN];
        note[..8].copy_from_slice(&self.number.to_le_bytes());
        note[8..12].copy_from_slice(&current.attempt().to_le_bytes());
        note[12..].copy_from_slice(&worker.to_le_bytes());
        OPEN.with_borrow_mut(|open| {
            if open.as_ref().is_none_or(|(path, _)| *path != self.journal) {
                let file = OpenOptions::new().append(true).open(&self.journal);
                *open = Some((self.journal.clone(), file.unwrap()));
            }
            let (_, file) = open.as_mut().unwrap();
            // One `write`: no other note comes between.
            file.write_all(&note).unwrap();
        });
    }
}

/// Reads a journal, from where it stopped the last time.
#[derive(Debug)]
pub(crate) struct Reader {
    file: File,
    rest: Vec<u8>,
}

impl Reader {
    /// Of a new journal.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        File::create_new(path)?;
        Self::open(path)
    }

    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            rest: Vec::new(),
        })
    }

    /// The starts that were noted since, in the order in which they were.
    pub(crate) fn news(&mut self) -> io::Result<Vec<Start>> {
        self.file.read_to_end(&mut self.rest)?;
        let (notes, rest) = self.rest.as_chunks::<LEN>();
        let starts = notes.iter().map(read_note).collect();
        self.rest = rest.to_vec();
        Ok(starts)
    }

    /// Whether it ends in the middle of a note.
    pub(crate) fn is_torn(&self) -> bool {
        !self.rest.is_empty()
    }
}

fn read_note(note: &[u8; LEN]) -> Start {
    let word = |at: usize| u32::from_le_bytes([note[at], note[at + 1], note[at + 2], note[at + 3]]);
    Start {
        number: u64::from(word(0)) | u64::from(word(4)) << 32,
        attempt: word(8),
        worker: word(12),
    }
}
