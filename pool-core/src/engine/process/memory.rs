//! How much memory a worker has.

use std::fs;
use std::time::{Duration, Instant};

/// How often the memory of busy workers is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// When workers were looked at last.
#[derive(Debug)]
pub(super) struct Watch {
    next: Instant,
    page: u64,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            next: crate::sync::clock::now(),
            page: rustix::param::page_size() as u64,
        }
    }

    /// The bytes of resident memory of a process, what it shares with others included.
    pub(super) fn resident(&self, pid: u32) -> Option<u64> {
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let resident: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(resident * self.page)
    }

    /// Whether it is time to look; then the next time is set.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + LOOK_EVERY;
        }
        due
    }

    /// The bytes of resident memory that a process does not share: with nobody, so neither its
    /// lane nor the files that it maps count. `None` where it is gone.
    pub(super) fn used(&self, pid: u32) -> Option<u64> {
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        Some(unshared_pages(&statm)? * self.page)
    }
}

/// Whether a process is stopped, by a signal or a debugger.
pub(super) fn is_stopped(pid: u32) -> bool {
    matches!(state(pid), Some('T' | 't'))
}

/// Whether a process is stopped by a signal.
pub(super) fn is_stopped_by_signal(pid: u32) -> bool {
    state(pid) == Some('T')
}

fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    // The name before the state may have parentheses and blanks in it.
    let stat = stat.ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    behind.trim_start().chars().next()
}

/// The second field is what is resident, the third what of it is shared.
fn unshared_pages(statm: &str) -> Option<u64> {
    let mut fields = statm.split_ascii_whitespace().skip(1);
    let resident: u64 = fields.next()?.parse().ok()?;
    let shared: u64 = fields.next()?.parse().ok()?;
    Some(resident.saturating_sub(shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_does_not_count() {
        assert_eq!(unshared_pages("1000 300 100 1 0 50 0\n"), Some(200));
        assert_eq!(unshared_pages("1000 300 400 1 0 50 0\n"), Some(0));
        for nonsense in ["", "1", "1 2", "1 x 2", "1 2 x"] {
            assert_eq!(unshared_pages(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn memory_of_this_process_is_seen() {
        let watch = Watch::new();
        let before = watch.used(std::process::id()).unwrap();
        let block = vec![1_u8; 64 << 20];
        assert!(watch.used(std::process::id()).unwrap() >= before + (60 << 20));
        drop(block);
        assert_eq!(watch.used(u32::MAX), None);
    }
}
