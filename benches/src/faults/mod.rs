//! What faults cost: `pool-benches faults` prints one table of how soon a killed worker is
//! replaced, how late a deadline comes, and how long it takes to cancel, to limit, to grow and to
//! end.
//!
//! All runs of a figure are in one process, for faults come again to pools that have seen some.

mod cancel;
mod deadline;
mod kill;
mod memory;
mod size;

use crate::figures::Chapter;

pub(crate) static CHAPTER: Chapter = Chapter {
    name: "faults",
    figures: &[
        &kill::KILL,
        &kill::PYTHON,
        &deadline::IDLE,
        &deadline::LOAD,
        &cancel::CANCEL,
        &cancel::PYTHON,
        &memory::MEMORY,
        &size::RESIZE,
        &size::SHUTDOWN,
        &size::PYTHON,
    ],
    script: include_str!("faults.py"),
};
