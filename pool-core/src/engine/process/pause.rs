//! How a worker stops and goes on with its parent.
//!
//! No key of a terminal reaches a worker, so its watching thread looks at the state of the parent
//! while a task runs. When the parent is stopped by a signal, however that was sent, the thread says
//! so on the control socket and stops its process group. The parent reads that when it runs again,
//! and sends SIGCONT until the worker says that it runs: the first one may come before the stop.
//!
//! | worker, its watching thread | parent |
//! |---|---|
//! | sees that the parent is stopped | is stopped |
//! | sends `PAUSED`; without room in the socket it does not stop | |
//! | sends SIGSTOP to its group | |
//! | | runs, reads `PAUSED`, sends SIGCONT now and again |
//! | sees that the parent runs, sends `RESUMED` | |
//! | | reads it, sends SIGCONT once more, and is done |
//!
//! The last SIGCONT comes after every stop: each was sent before `RESUMED`. A parent that is killed
//! meanwhile sends its parent-death signal, SIGCONT. That may come before the stop, so a timer sends
//! one as well, after which the worker looks again and stops again.
//!
//! A worker that has nothing to do does not look: its thread is parked, and the next task unparks it.
//! Its own workers see that it is stopped, and so on.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst, fence};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigEvent, SigevNotify};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use rustix::io::Errno;
use rustix::net::{self, SendFlags};
use rustix::process::{Pid, Signal, getpgrp, getpid, kill_process, kill_process_group};

use super::descriptors;
use super::memory::is_stopped_by_signal;
use super::wire::{PAUSED, RESUMED};

/// How often a worker looks at its parent while a task runs.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long the parent waits at first before it sends SIGCONT once more, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const MAX_WAIT: Duration = Duration::from_secs(1);

/// After how long a stopped worker continues by itself, to look at its parent, at first and at most.
const FIRST_DOUBT: Duration = Duration::from_secs(1);
const MAX_DOUBT: Duration = Duration::from_secs(60);

/// Whether the watching thread of this worker is parked.
static PARKED: AtomicBool = AtomicBool::new(false);

/// What unparks it.
static UNPARK: OnceLock<OwnedFd> = OnceLock::new();

/// The descriptor that is readable when the watching thread is to look again. `None`: there is none
/// to be had, and it looks all the time.
pub(super) fn unparker() -> Option<&'static OwnedFd> {
    if UNPARK.get().is_none() {
        let _ = UNPARK.set(descriptors::event_counter().ok()?);
    }
    UNPARK.get()
}

/// Parks the watching thread unless a task runs; returns whether it is parked.
pub(super) fn park(is_idle: impl Fn() -> bool) -> bool {
    // The crossing of W1 to W3 and P1 to P3 of the README: `PARKED` here, the worker's word there.
    PARKED.store(true, SeqCst);
    fence(SeqCst);
    let parks = UNPARK.get().is_some() && is_idle();
    if !parks {
        PARKED.store(false, SeqCst);
    }
    parks
}

/// The worker was asleep and has a task.
#[inline]
pub(super) fn unpark() {
    fence(SeqCst);
    if PARKED.load(SeqCst)
        && PARKED.swap(false, SeqCst)
        && let Some(unpark) = UNPARK.get()
    {
        // A full counter wakes as well.
        let _ = rustix::io::write(unpark, &1_u64.to_ne_bytes());
    }
}

/// The parent is stopped: stops this worker and what it has started, until the parent continues it.
pub(super) fn stop(socket: BorrowedFd<'_>, parent: u32) {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    // Without word of it the parent would not continue it.
    if net::send(socket, &PAUSED, flags).is_err() {
        return;
    }
    let mut wait = FIRST_DOUBT;
    while is_stopped_by_signal(parent) {
        let _timer = continue_after(wait);
        let _ = match getpgrp() == getpid() {
            true => rustix::process::kill_current_process_group(Signal::STOP),
            false => kill_process(getpid(), Signal::STOP),
        };
        // Any thread takes the signal, and this one may run on for a moment.
        std::thread::sleep(Duration::from_millis(1));
        wait = MAX_DOUBT.min(2 * wait);
    }
    while let Err(Errno::AGAIN) = net::send(socket, &RESUMED, flags) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sends SIGCONT to this process after a while, unless it is dropped before.
fn continue_after(wait: Duration) -> Option<Timer> {
    let signal = SigevNotify::SigevSignal {
        signal: nix::sys::signal::SIGCONT,
        si_value: 0,
    };
    let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(signal)).ok()?;
    let once = Expiration::OneShot(TimeSpec::from_duration(wait));
    timer.set(once, TimerSetTimeFlags::empty()).ok()?;
    Some(timer)
}

/// A worker that has stopped itself, in the parent.
#[derive(Debug)]
pub(super) struct Paused {
    /// When it is continued once more.
    pub(super) next: Instant,
    wait: Duration,
}

impl Paused {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            next: now,
            wait: FIRST_WAIT,
        }
    }

    /// Continues the worker if that is due.
    pub(super) fn go_on(&mut self, group: Pid, now: Instant) {
        if self.next <= now {
            go_on(group);
            self.next = now.checked_add(self.wait).unwrap_or(now);
            self.wait = MAX_WAIT.min(2 * self.wait);
        }
    }
}

/// Continues a worker and what it has started.
pub(super) fn go_on(group: Pid) {
    // It is a zombie at worst, or could not have a group of its own.
    if kill_process_group(group, Signal::CONT).is_err() {
        let _ = kill_process(group, Signal::CONT);
    }
}
