//! Interrupts: what Ctrl-C does to a pool, and that it does nothing to a worker.
//!
//! A handler is installed in either case, never `SIG_IGN`: that one is inherited by whatever the
//! process executes, which must be interruptible as ever.
//!
//! Installing a handler takes the default away for good, since nobody can know who else has put
//! one on top of it. So [`InterruptGuard`] comes with a second handler in front of its own, which
//! does what the signal does by default ([`DEFAULT`]) whenever no guard wants the signal. It is
//! installed only where the signal had its default when the first guard was made: a handler of the
//! program's own, which is called in any case, must not find the process ended.

use std::ffi::c_int;
use std::fmt;
use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};

use crate::api::pool::{Pool, WeakPool};
use crate::engine::home::Home;
use crate::error::pool_error::Error;

/// What a terminal sends for Ctrl-C, and what asks a process to end.
const SIGNALS: [c_int; 2] = [SIGINT, SIGTERM];

impl Pool {
    /// Ends the pool when the program is interrupted, by SIGINT (Ctrl-C) or SIGTERM, the way users
    /// of a terminal expect, until the guard is dropped:
    ///
    /// | signal | what happens |
    /// |---|---|
    /// | first | [`shutdown_timeout(grace)`](Self::shutdown_timeout): no more tasks, queued ones are cancelled, running ones have `grace` to end |
    /// | second | the same without any grace: running tasks are cancelled, worker processes killed |
    /// | third | what it does by default: the program ends |
    ///
    /// Nothing else is done to the program: handles resolve, a [`Map`](crate::Map) comes to its
    /// end, and `main` decides what to do then. What it asks is [`InterruptGuard::exit_code`].
    /// Worker processes get no signal of a terminal, and one that is sent SIGINT ignores it.
    ///
    /// Several pools have a guard each, and every signal is for all of them. The guard does not
    /// keep its pool; a pool that has ended is not touched. With two guards for one pool the
    /// shorter grace counts. A handler that the program has installed before is called as well. A
    /// signal that was ignored when the first guard was made, as under `nohup` or in the
    /// background of a script, stays ignored.
    ///
    /// ```no_run
    /// use std::process::ExitCode;
    /// use std::time::Duration;
    ///
    /// use pool_core::{Pool, pool_task};
    ///
    /// #[pool_task]
    /// fn work(n: u64) -> u64 {
    ///     n + 1
    /// }
    ///
    /// #[pool_core::main]
    /// fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    ///     let pool = Pool::processes()?;
    ///     let interrupt = pool.shutdown_on_interrupt(Duration::from_secs(5))?;
    ///     for result in pool.map((0..1_000_000).map(|n| work::task(n))) {
    ///         match result {
    ///             Ok(n) => println!("{n}"),
    ///             // The tasks that were under way are done: what comes now are cancelled ones.
    ///             Err(_) if interrupt.is_interrupted() => break,
    ///             Err(error) => return Err(error.into()),
    ///         }
    ///     }
    ///     Ok(interrupt.exit_code().map_or(ExitCode::SUCCESS, ExitCode::from))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Signals`] when no handler can be installed or no thread started.
    pub fn shutdown_on_interrupt(&self, grace: Duration) -> Result<InterruptGuard, Error> {
        InterruptGuard::new(self.downgrade(), grace).map_err(|error| Error::signals(&error))
    }
}

/// As long as it lives, an interrupt ends its pool. Made by [`Pool::shutdown_on_interrupt`].
#[must_use = "an interrupt ends the pool only until the guard is dropped"]
pub struct InterruptGuard {
    /// The first signal; 0 before.
    heard: Arc<AtomicI32>,
    listening: Handle,
    listener: Option<JoinHandle<()>>,
    /// Where the listening thread is: not in a fork.
    home: Home,
    wanted: Option<Wanted>,
}

impl InterruptGuard {
    fn new(pool: WeakPool, grace: Duration) -> io::Result<Self> {
        #[cfg(feature = "processes")]
        let _reserved = crate::engine::process::Reserved::new();
        let (wanted, watched) = Wanted::new()?;
        let mut signals = Signals::new(watched)?;
        let listening = signals.handle();
        let heard = Arc::new(AtomicI32::new(0));
        let first = heard.clone();
        let listener = thread::Builder::new()
            .name("pool-interrupt".into())
            .spawn(move || listen(&mut signals, &first, &pool, grace))?;
        Ok(Self {
            heard,
            listening,
            listener: Some(listener),
            home: Home::new(),
            wanted: Some(wanted),
        })
    }

    /// Whether a signal has come.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.signal().is_some()
    }

    /// The first signal that has come.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        Some(self.heard.load(SeqCst)).filter(|signal| *signal != 0)
    }

    /// With which code a program ends that was interrupted: 130 after SIGINT, 143 after SIGTERM,
    /// which is what a shell says of a program that the signal has ended.
    #[must_use]
    pub fn exit_code(&self) -> Option<u8> {
        let signal = u8::try_from(self.signal()?).ok()?;
        Some(128 | signal)
    }
}

impl fmt::Debug for InterruptGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterruptGuard")
            .field("signal", &self.signal())
            .finish_non_exhaustive()
    }
}

impl Drop for InterruptGuard {
    fn drop(&mut self) {
        // First the default, then the end of the own handler: a signal between them is not lost.
        drop(self.wanted.take());
        if !self.home.is_here() {
            return;
        }
        self.listening.close();
        if let Some(listener) = self.listener.take() {
            // It waits for nothing but signals.
            let _ = listener.join();
        }
    }
}

fn listen(signals: &mut Signals, first: &AtomicI32, pool: &WeakPool, grace: Duration) {
    for (count, signal) in signals.forever().enumerate() {
        match count {
            0 => {
                // Noted before the pool closes: who gets a cancelled task can ask why.
                first.store(signal, SeqCst);
                end_within(pool, grace);
            }
            1 => {
                DEFAULT.store(true, SeqCst);
                end_within(pool, Duration::ZERO);
            }
            // The program has a handler of its own, which knows.
            _ => {}
        }
    }
}

/// Waits in a thread of its own, since there may be another signal meanwhile.
fn end_within(pool: &WeakPool, grace: Duration) {
    let waiting = pool.clone();
    let thread = thread::Builder::new()
        .name("pool-interrupt".into())
        .spawn(move || waiting.shutdown_timeout(grace));
    if thread.is_err() {
        // Without a thread nobody can wait: too early is better than never.
        pool.shutdown_timeout(Duration::ZERO);
    }
}

/// Whether the signals do what they do by default: no guard wants them, or they have come twice.
static DEFAULT: AtomicBool = AtomicBool::new(true);

/// How many guards there are.
static GUARDS: Mutex<usize> = Mutex::new(0);

/// A guard wants the signals.
struct Wanted;

impl Wanted {
    /// The signals come with it: those that were not ignored.
    fn new() -> io::Result<(Self, Vec<c_int>)> {
        let before = before();
        let mut guards = GUARDS.lock().unwrap_or_else(PoisonError::into_inner);
        static INSTALLED: AtomicBool = AtomicBool::new(false);
        if !INSTALLED.load(SeqCst) {
            for signal in SIGNALS {
                if !before.ignored.has(signal) && !before.caught.has(signal) {
                    flag::register_conditional_default(signal, &DEFAULT)?;
                }
            }
            INSTALLED.store(true, SeqCst);
        }
        *guards += 1;
        DEFAULT.store(false, SeqCst);
        let watched = SIGNALS.into_iter().filter(|s| !before.ignored.has(*s));
        Ok((Self, watched.collect()))
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        let mut guards = GUARDS.lock().unwrap_or_else(PoisonError::into_inner);
        *guards -= 1;
        if *guards == 0 {
            DEFAULT.store(true, SeqCst);
        }
    }
}

/// A set of signals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Set(u64);

impl Set {
    fn has(self, signal: c_int) -> bool {
        self.0 >> (signal - 1) & 1 == 1
    }
}

/// What this process does with signals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Dispositions {
    ignored: Set,
    caught: Set,
}

/// What was done with the signals before the first guard was made. Where `/proc` is not mounted
/// nobody can say: the default, as in most programs.
fn before() -> &'static Dispositions {
    static BEFORE: OnceLock<Dispositions> = OnceLock::new();
    BEFORE.get_or_init(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        dispositions(&status)
    })
}

/// The sets in `/proc/PID/status`: a bit for each signal, from 1.
fn dispositions(status: &str) -> Dispositions {
    let set = |key: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(key));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        Set(mask.unwrap_or_default())
    };
    Dispositions {
        ignored: set("SigIgn:"),
        caught: set("SigCgt:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dispositions_are_read_from_the_status() {
        let status = "Name:\tsh\nSigBlk:\t0000000000004002\nSigIgn:\t0000000000000002\n\
                      SigCgt:\t0000000180004000\n";
        let Dispositions { ignored, caught } = dispositions(status);
        assert!(ignored.has(SIGINT) && !ignored.has(SIGTERM));
        assert!(caught.has(SIGTERM) && !caught.has(SIGINT));
        for nothing in ["", "SigIgn:", "SigIgn:\tx\nSigCgt:\t-1\n"] {
            assert_eq!(dispositions(nothing), Dispositions::default(), "{nothing}");
        }
    }
}
