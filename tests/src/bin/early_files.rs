//! A program that opens a file before its door, without the mark that Rust gives its own: each
//! worker opens it for itself, beside the one of its parent.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::OnceLock;

use pool_core::{Backend, Pool, pool_task};
use rustix::fs::{Mode, OFlags, open};

static FILE: OnceLock<OwnedFd> = OnceLock::new();

/// Writes to the file that this process has opened; says how many descriptors it has for it.
#[pool_task]
fn write(path: &Path) -> usize {
    let file = FILE.get().expect("opened before the door");
    let line = format!("process {}\n", std::process::id());
    assert_eq!(rustix::io::write(file, line.as_bytes()), Ok(line.len()));
    let folder = std::fs::read_dir("/proc/self/fd").expect("the descriptors");
    folder
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target == path)
        .count()
}

fn main() {
    let path = std::env::args().nth(1).expect("the file");
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
    let file = open(&path, flags, Mode::RUSR | Mode::WUSR).expect("a file");
    let _ = FILE.set(file);
    pool_core::init();

    let pool = Pool::builder()
        .backend(Backend::Processes)
        .workers(2)
        .build()
        .expect("a pool");
    for _ in 0..10 {
        let count = pool.submit(write::task(Path::new(&path))).join();
        writeln!(std::io::stdout(), "{}", count.expect("a result")).expect("written");
    }
}
