//! The progress bars of the program, which whoever writes to the terminal takes away first.

use std::sync::OnceLock;

/// What stands in the way of log lines: the bars.
pub(crate) trait Screen: Sync {
    /// Takes all bars away, until as many `show`.
    fn hide(&self);
    fn show(&self);
}

/// From the first bar on.
static SCREEN: OnceLock<&'static dyn Screen> = OnceLock::new();

/// From now on this is the screen with the bars, unless there is one.
#[cfg(feature = "progress")]
pub(crate) fn use_screen(screen: &'static dyn Screen) {
    // The first one stays.
    let _ = SCREEN.set(screen);
}

/// Runs code that writes to the terminal, while no progress bar is there.
pub(crate) fn without_bars<T>(code: impl FnOnce() -> T) -> T {
    /// Shows the bars again, also after a panic.
    struct Hidden(&'static dyn Screen);
    impl Drop for Hidden {
        fn drop(&mut self) {
            self.0.show();
        }
    }
    let _hidden = SCREEN.get().map(|screen| {
        screen.hide();
        Hidden(*screen)
    });
    code()
}
