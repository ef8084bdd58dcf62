//! What the protocols are made of: atomics, locks and threads, and the futexes of the lane.
//! `--cfg loom` replaces them by modelled ones.

pub(crate) mod adaptive_spin;
pub(crate) mod blocked;
pub(crate) mod clock;
pub(crate) mod local;
pub(crate) mod screen;
pub(crate) mod stderr;

#[cfg(not(loom))]
pub(crate) use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, fence},
    },
    thread,
};

#[cfg(all(feature = "processes", not(loom)))]
pub(crate) use std::sync::atomic::AtomicU32;

#[cfg(loom)]
pub(crate) use loom::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, fence},
    },
    thread,
};

#[cfg(feature = "processes")]
pub(crate) use self::futexes::*;

#[cfg(all(feature = "processes", not(loom)))]
mod futexes {
    use std::time::Duration;

    use rustix::io::Errno;
    use rustix::thread::futex;

    use super::AtomicU32;

    /// Sleeps while the word has this value, until woken or the time is over; `false` when the
    /// time was over. Other returns mean nothing: the caller looks again.
    pub(crate) fn futex_wait(word: &AtomicU32, value: u32, limit: Option<Duration>) -> bool {
        let limit = limit.map(timespec);
        // Not private: the word is shared between processes.
        futex::wait(word, futex::Flags::empty(), value, limit.as_ref()) != Err(Errno::TIMEDOUT)
    }

    /// Wakes at most this many sleepers.
    pub(crate) fn futex_wake(word: &AtomicU32, sleepers: u32) {
        // Nobody sleeps: fine.
        let _ = futex::wake(word, futex::Flags::empty(), sleepers);
    }

    pub(crate) fn timespec(duration: Duration) -> rustix::time::Timespec {
        rustix::time::Timespec {
            tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(duration.subsec_nanos()),
        }
    }
}

#[cfg(all(feature = "processes", loom))]
mod futexes {
    use std::time::Duration;

    use loom::sync::Condvar;
    use loom::sync::atomic::Ordering::SeqCst;

    use super::{AtomicU32, Mutex};

    loom::lazy_static! {
        /// The kernel's side of every futex: a sleeper compares the word under this lock.
        static ref KERNEL: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
    }

    /// The time is never over: a model that needs it to go on dead-locks, and says so.
    pub(crate) fn futex_wait(word: &AtomicU32, value: u32, _: Option<Duration>) -> bool {
        let sleeping = KERNEL.0.lock().unwrap();
        if word.load(SeqCst) == value {
            drop(KERNEL.1.wait(sleeping).unwrap());
        }
        true
    }

    pub(crate) fn futex_wake(_: &AtomicU32, _: u32) {
        let _kernel = KERNEL.0.lock().unwrap();
        KERNEL.1.notify_all();
    }

    pub(crate) fn timespec(_: Duration) -> rustix::time::Timespec {
        unreachable!("no file descriptors in a model")
    }
}
