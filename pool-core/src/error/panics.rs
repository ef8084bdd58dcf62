//! Catching a panic of user code together with the place where it happened.
//!
//! The place is known to the panic hook only. A hook of ours is put in front of the program's
//! own, once; it notes the place while a task runs in that thread and then calls the program's
//! hook, so that what is printed does not change.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering::Acquire, Ordering::Release};

use crate::sync::local::{self, Local};
use crate::sync::screen::without_bars;

/// A caught panic.
#[derive(Debug)]
pub(crate) struct Panic {
    pub(crate) message: String,
    pub(crate) location: Option<String>,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked")?;
        if let Some(location) = &self.location {
            write!(f, " at {location}")?;
        }
        write!(f, ": {}", self.message)
    }
}

thread_local! {
    /// Whether a panic in this thread will be caught by [`catch`].
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    /// Where the last such panic happened.
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs user code; a panic in it is an error with its message and place.
#[inline]
pub(crate) fn catch<T>(code: impl FnOnce() -> T) -> Result<T, Panic> {
    install_hook();
    let outer = CATCHING.swap(true);
    // The values that the code touched are dropped or owned by the caller, which reports the
    // panic: nobody looks at them as if nothing had happened.
    let result = panic::catch_unwind(AssertUnwindSafe(code));
    CATCHING.store(outer);
    result.map_err(|payload| {
        let message = text(&*payload);
        // A payload's destructor may panic as well; one such panic is swallowed, and the
        // payload of that panic is leaked rather than dropped in turn.
        if let Err(second) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        Panic {
            message,
            location: LOCATION.take_out(),
        }
    })
}

/// Told of every panic before it ends the process, where panics do.
static BEFORE_ABORT: OnceLock<fn(&Panic)> = OnceLock::new();

/// From here on `tell` is called with every panic of this process, before the program's own hook.
pub(crate) fn tell_before_abort(tell: fn(&Panic)) {
    let _ = BEFORE_ABORT.set(tell);
    install_hook();
}

/// Puts the hook of this module in front of the program's own, once.
#[inline]
fn install_hook() {
    if HOOK.load(Acquire) != INSTALLED {
        install_hook_now();
    }
}

/// Not a `Once`: a fork at that moment would wait for ever for a thread that it does not have.
static HOOK: AtomicU8 = AtomicU8::new(0);
const INSTALLING: u8 = 1;
const INSTALLED: u8 = 2;

/// For how many turns of others a thread waits until another one has installed the hook. Without it
/// the first panic would have no place.
const INSTALL_TURNS: u32 = 1_000;

#[cold]
fn install_hook_now() {
    if HOOK
        .compare_exchange(0, INSTALLING, Acquire, Acquire)
        .is_err()
    {
        let mut turns = 0..INSTALL_TURNS;
        while HOOK.load(Acquire) != INSTALLED && turns.next().is_some() {
            std::thread::yield_now();
        }
        return;
    }
    let program_hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if local::read(&CATCHING) {
            LOCATION.store(info.location().map(ToString::to_string));
        }
        if let Some(tell) = BEFORE_ABORT.get() {
            tell(&Panic {
                message: text(info.payload()),
                location: info.location().map(ToString::to_string),
            });
        }
        // Not into a progress bar.
        without_bars(|| program_hook(info));
    }));
    HOOK.store(INSTALLED, Release);
}

/// The text of a panic payload: what `panic!` makes of its arguments.
fn text(payload: &dyn Any) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic payload that is not text".to_owned()
    }
}

/// Drops a user's value; a panic in its destructor harms nobody.
pub(crate) fn drop_quietly<T>(value: T) {
    if std::mem::needs_drop::<T>() {
        // The hook has printed it; there is no handle that it could go to.
        let _ = catch(move || drop(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_and_place_of_a_panic() {
        let line = line!() + 1;
        let panic = catch(|| panic!("seven is {}", 8)).unwrap_err();
        assert_eq!(panic.message, "seven is 8");
        let location = panic.location.unwrap();
        assert!(
            location.starts_with(&format!("{}:{line}:", file!())),
            "{location}"
        );
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_survived() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic::panic_any(Bomb);
            }
        }
        let panic = catch(|| panic::panic_any(Bomb)).unwrap_err();
        assert_eq!(panic.message, "a panic payload that is not text");
    }

    #[test]
    fn nested_catches_keep_their_own_places() {
        let outer = catch(|| {
            let inner = catch(|| panic!("inner")).unwrap_err();
            assert_eq!(inner.message, "inner");
            panic!("outer");
        })
        .unwrap_err();
        assert_eq!(outer.message, "outer");
        assert!(outer.location.is_some());
    }
}
