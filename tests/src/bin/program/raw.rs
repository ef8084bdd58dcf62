//! What takes the C library: signals and forks.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use rustix::process::Signal;

/// How often the program's own handler was called.
pub(crate) static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    HANDLED.fetch_add(1, SeqCst);
}

/// The program handles the signal itself.
pub(crate) fn handle(signal: Signal) {
    let handler: extern "C" fn(libc::c_int) = count;
    // SAFETY: the handler is a function of the right type and does nothing that it must not.
    unsafe { libc::signal(signal.as_raw(), handler as libc::sighandler_t) };
}

/// The signal does what it does by default, whatever the program was started with.
pub(crate) fn by_default(signal: Signal) {
    // SAFETY: no handler is installed.
    unsafe { libc::signal(signal.as_raw(), libc::SIG_DFL) };
}

/// The signal does nothing.
pub(crate) fn ignore(signal: Signal) {
    // SAFETY: no handler is installed.
    unsafe { libc::signal(signal.as_raw(), libc::SIG_IGN) };
}

/// The number of a child that goes on from here; `None` in the child. It has this thread alone, so
/// it must not wait for another one.
pub(crate) fn fork() -> Option<u32> {
    // SAFETY: what the child does with memory and locks is what the tests are about. The C library
    // keeps its allocator usable.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
    u32::try_from(pid).ok().filter(|pid| *pid > 0)
}

/// Ends the process: nothing else of it runs.
pub(crate) fn end_at_once(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}
