//! Keeps workers away from the terminal of their parent.
//!
//! A worker is the leader of a session without a terminal, from its entry point on. Until then it is
//! in the process group of the parent, so the keys of the terminal send their signals to it as well:
//! the supervisor blocks those signals while it starts a worker, which inherits the mask through
//! `exec`, and the worker discards what is pending before it restores the mask.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that the keys of a terminal send, and those for a group in its background.
const SIGNALS: [Signal; 5] = [
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
];

/// Signals of [`SIGNALS`], one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocked(pub(super) u8);

/// Blocks the signals of a terminal in the calling thread until it is dropped.
///
/// Without it a SIGTSTP stops a child between `clone` and `exec`, where the parent waits for it in
/// the kernel, and nobody continues it.
#[derive(Debug)]
pub(super) struct Shielded {
    /// `None`: the kernel did not allow it, and the mask is as it was.
    before: Option<SigSet>,
}

impl Shielded {
    pub(super) fn new() -> Self {
        let before = set(|_| true).thread_swap_mask(SigmaskHow::SIG_BLOCK).ok();
        Self { before }
    }

    /// The signals that were blocked before, and stay blocked in the worker.
    pub(super) fn blocked_before(&self) -> Blocked {
        let before = self.before.unwrap_or_else(|| set(|_| true));
        let bits = SIGNALS.iter().enumerate();
        let bits = bits.filter(|(_, signal)| before.contains(**signal));
        Blocked(bits.map(|(bit, _)| 1 << bit).sum())
    }
}

impl Drop for Shielded {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // It was the mask of this thread.
            let _ = before.thread_set_mask();
        }
    }
}

/// Gives this process, a worker, a session of its own: it has no terminal, and no signal for the
/// process group of the parent reaches it.
pub(super) fn leave() {
    // Refused to the leader of a process group, which no signal for the parent's reaches either.
    let _ = rustix::process::setsid();
    // A scheduler that shares the CPUs among sessions (`sched_autogroup`) would forget that the
    // program is nice. The file is missing where it does not.
    if let Ok(nice @ 1..) = rustix::process::getpriority_process(None) {
        let _ = std::fs::write("/proc/self/autogroup", nice.to_string());
    }
}

/// Discards the signals of the parent's terminal that came before [`leave`], and unblocks those that
/// were not blocked in the parent.
pub(super) fn restore(blocked: Blocked) {
    if let Ok(pending) = SignalFd::with_flags(&set(|_| true), SfdFlags::SFD_NONBLOCK) {
        while let Ok(Some(_)) = pending.read_signal() {}
    }
    let _ = set(|bit| blocked.0 >> bit & 1 == 0).thread_unblock();
}

fn set(has: impl Fn(usize) -> bool) -> SigSet {
    let signals = SIGNALS.into_iter().enumerate();
    signals
        .filter(|(bit, _)| has(*bit))
        .map(|(_, signal)| signal)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_is_restored_and_pending_signals_are_discarded() {
        // The mask is the thread's, and so is a signal that is raised in it.
        std::thread::spawn(|| {
            let _ = SigSet::all().thread_unblock();
            let _ = SigSet::from_iter([Signal::SIGTTIN]).thread_block();
            let shielded = Shielded::new();
            let blocked = shielded.blocked_before();
            assert_eq!(blocked, Blocked(1 << 3));
            nix::sys::signal::raise(Signal::SIGQUIT).unwrap();
            nix::sys::signal::raise(Signal::SIGTSTP).unwrap();
            restore(blocked);
            let mask = SigSet::thread_get_mask().unwrap();
            let left: Vec<_> = SIGNALS.into_iter().filter(|s| mask.contains(*s)).collect();
            assert_eq!(left, [Signal::SIGTTIN]);
            drop(shielded);
        })
        .join()
        .unwrap();
    }
}
