//! A test that is stuck fails, and says where: the stacks of all threads and the state of all
//! worker processes are printed before the process aborts.

use std::backtrace::Backtrace;
use std::io::Write;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs, io, process};

use crate::proc;

const SIGNAL: libc::c_int = libc::SIGUSR2;

/// How long a thread may take to print its stack. It cannot at all when it holds the lock of the
/// allocator or of the backtraces.
const ANSWER: Duration = Duration::from_secs(10);

/// Ends the process unless it is dropped in time.
#[derive(Debug)]
pub struct Watchdog {
    /// Dropped first, which tells the thread to end.
    calm: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Watches what the calling thread does from now on.
    #[must_use]
    pub fn start(limit: Duration) -> Self {
        let (calm, alarm) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || {
                let _ = ready.send(());
                if alarm.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                    say(&format!("STUCK for {limit:?}"));
                    print_stacks();
                    process::abort();
                }
            });
        // From here on it is there and has its name.
        let _ = is_ready.recv();
        Self {
            calm: Some(calm),
            thread: thread.ok(),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.calm.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How often [`watch_progress`] looks.
const LOOK: Duration = Duration::from_millis(200);

/// From now on the process aborts when `progress` has stood still for this long; `report` prints
/// what else there is to say.
///
/// # Panics
/// When there is no thread for it.
pub fn watch_progress(progress: &'static AtomicU64, limit: Duration, report: fn()) {
    let (ready, is_ready) = mpsc::channel();
    let watch = move || {
        let _ = ready.send(());
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            std::thread::sleep(LOOK);
            let now = progress.load(SeqCst);
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() > limit {
                say(&format!("STUCK: nothing has moved for {limit:?}"));
                report();
                print_stacks();
                process::abort();
            }
        }
    };
    let watch = std::thread::Builder::new()
        .name("watchdog".into())
        .spawn(watch);
    drop(watch.unwrap());
    // From here on it is there and has its name.
    let _ = is_ready.recv();
}

fn say(text: &str) {
    // Not by `eprint!`: a stuck thread may hold its lock.
    let _ = rustix::io::write(rustix::stdio::stderr(), format!("{text}\n").as_bytes());
}

/// The threads that have printed their stacks.
static ANSWERS: AtomicU32 = AtomicU32::new(0);

extern "C" fn answer(_: libc::c_int) {
    // Allocates and locks, which a handler must not; but this process is about to abort, and
    // whoever waits for the answer does not wait for ever.
    say(&Backtrace::force_capture().to_string());
    ANSWERS.fetch_add(1, SeqCst);
}

/// Prints the stacks of the other threads of this process, and what its descendants do.
pub fn print_stacks() {
    let handler: extern "C" fn(libc::c_int) = answer;
    // SAFETY: the handler is a function of the right type. That it is not async-signal-safe can
    // block the thread that it interrupts, and no more.
    unsafe { libc::signal(SIGNAL, handler as libc::sighandler_t) };
    // SAFETY: asks for a number.
    let own = unsafe { libc::gettid() };
    let pid = process::id();
    for tid in proc::numbers("/proc/self/task") {
        let tid = tid.cast_signed();
        if tid == own {
            continue;
        }
        let name = fs::read_to_string(format!("/proc/self/task/{tid}/comm")).unwrap_or_default();
        say(&format!("--- thread {tid} {}", name.trim()));
        let before = ANSWERS.load(SeqCst);
        // SAFETY: sends a signal that has a handler to a thread of this process.
        unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, SIGNAL) };
        let end = Instant::now() + ANSWER;
        while ANSWERS.load(SeqCst) == before {
            if Instant::now() > end {
                say("(no answer)");
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    say("--- this process and what it has started");
    say(&proc::Process::of(pid).map_or_else(String::new, |this| this.describe()));
    for descendant in proc::descendants_of(pid) {
        say(&descendant.describe());
    }
    let _ = io::stderr().flush();
}
