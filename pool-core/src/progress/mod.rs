//! How far a map has come, for people and for other interfaces.
//!
//! `Map::progress` (Cargo feature `progress`) draws a bar where standard error is a terminal and
//! writes some lines where it is not; [`Map::on_progress`] calls the program. One thread of the
//! process looks after both; what they cost the map is a counter, or two where a task has failed.
//!
//! Log lines go in between with [`suspend`].

mod format;
mod speed;
pub(crate) mod state;
mod watch;

#[cfg(feature = "progress")]
mod bar;
#[cfg(feature = "progress")]
mod display;
#[cfg(feature = "progress")]
mod layout;
#[cfg(feature = "progress")]
mod screen;
#[cfg(feature = "progress")]
mod setting;
#[cfg(feature = "progress")]
mod short;
#[cfg(feature = "progress")]
mod steps;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use self::state::{ProgressStage, ProgressState};
use self::watch::{Live, Show};
use crate::api::entry;
use crate::api::map::Map;
use crate::api::pool::Pool;
use crate::job::current::current;
use crate::task::Task;

/// What a map has to do with showing how far it is.
#[derive(Default)]
pub(crate) struct Progress {
    title: Option<String>,
    /// What makes the display: nothing, where none is to be seen.
    display: Option<fn() -> Option<Show>>,
    /// The program's callbacks, until it begins; behind a lock that nobody else takes, so that a
    /// map can be shared between threads.
    callbacks: Mutex<Vec<Show>>,
    has_begun: bool,
    /// From the first `next` to the end.
    live: Option<Arc<Live>>,
    done: u64,
    failed: u64,
}

impl Progress {
    #[inline]
    pub(crate) fn is_to_begin(&self) -> bool {
        !self.has_begun
    }

    /// The first `next`: of a map of tasks of this name, with so many left.
    #[cold]
    pub(crate) fn begin(&mut self, name: &'static str, size: (usize, Option<usize>), pool: &Pool) {
        self.has_begun = true;
        let callbacks = self.callbacks.get_mut();
        let mut shows = std::mem::take(callbacks.unwrap_or_else(PoisonError::into_inner));
        let is_nested = current().is_a_run() || entry::is_worker();
        let display = self.display.filter(|_| !is_nested);
        shows.extend(display.and_then(|display| display()));
        let title = self.title.take();
        let title = plain(title.as_deref().unwrap_or(short(name)));
        let total = match size {
            (least, Some(most)) if least == most => Some(most as u64),
            _ => None,
        };
        self.live = Live::begin(title, total, pool.downgrade(), shows);
    }

    /// An outcome is returned.
    #[inline]
    pub(crate) fn count(&mut self, is_failure: bool) {
        if let Some(live) = &self.live {
            // Nobody else writes them; see `watch`.
            self.done += 1;
            live.done.store(self.done, Relaxed);
            if is_failure {
                self.failed += 1;
                live.failed.store(self.failed, Relaxed);
            }
        }
    }

    /// There is no other one.
    pub(crate) fn finish(&mut self) {
        self.end(ProgressStage::Finished);
    }

    #[cold]
    fn end(&mut self, stage: ProgressStage) {
        if let Some(live) = self.live.take() {
            live.end(stage);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end(ProgressStage::Abandoned);
    }
}

/// The function's name of a task's: `norm<f32>` of `shop::math::norm<f32>`.
fn short(name: &str) -> &str {
    let end = name.find('<').unwrap_or(name.len());
    let begin = name[..end].rfind("::").map_or(0, |at| at + 2);
    &name[begin..]
}

/// Without what moves the cursor of a terminal.
fn plain(title: &str) -> Arc<str> {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    title.chars().map(visible).collect::<String>().into()
}

impl<I: Iterator<Item: Task>, E> Map<I, E> {
    /// How the map is called where its progress is shown; else it is the name of the function.
    /// Control characters are replaced by spaces.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.progress_mut().title = Some(title.into());
        self
    }

    /// Calls back with how far the map is: some times a second, in a thread of its own, and once
    /// more when it is over, in the thread that ends it, before `next` returns `None` or the drop
    /// of the map returns. May be called several times, for several callbacks.
    ///
    /// The callback keeps back what else is shown, so it should be quick. One that panics is not
    /// called again. It is not to end the map that it is called for.
    ///
    /// ```
    /// use pool_core::{Pool, pool_task};
    /// use std::sync::{Arc, Mutex};
    ///
    /// #[pool_task]
    /// fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// let last = Arc::new(Mutex::new(None));
    /// let seen = Arc::clone(&last);
    /// let sum: u64 = Pool::threads()?
    ///     .map((0..100).map(double::task))
    ///     .on_progress(move |state| *seen.lock().unwrap() = Some(state.clone()))
    ///     .map(Result::unwrap)
    ///     .sum();
    /// assert_eq!(sum, 9_900);
    /// let last = last.lock().unwrap().take().unwrap();
    /// assert_eq!((last.done, last.total, last.is_over()), (100, Some(100), true));
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    #[must_use]
    pub fn on_progress(self, callback: impl FnMut(&ProgressState) + Send + 'static) -> Self {
        let mut this = self;
        let callbacks = this.progress_mut().callbacks.get_mut();
        callbacks
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(callback));
        this
    }
}

/// What stands in the way of log lines: the bars.
pub(crate) trait Screen: Sync {
    /// Takes all bars away, until as many `show`.
    fn hide(&self);
    fn show(&self);
}

/// From the first bar on.
static SCREEN: OnceLock<&'static dyn Screen> = OnceLock::new();

/// Runs code that writes to the terminal, while no progress bar is there. Without bars it just runs
/// it, so a logger can always use it.
///
/// Several threads may do so at the same time, and code in it may again. It holds no lock while the
/// code runs.
///
/// ```
/// use pool_core::progress::suspend;
///
/// suspend(|| eprintln!("a line of its own, above the bars"));
/// ```
pub fn suspend<T>(code: impl FnOnce() -> T) -> T {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_is_the_functions_name() {
        assert_eq!(short("shop::math::add"), "add");
        assert_eq!(short("add"), "add");
        assert_eq!(
            short("shop::norm<std::num::Wrapping<f32>>"),
            "norm<std::num::Wrapping<f32>>"
        );
        assert_eq!(short("shop::Cart::total"), "total");
    }

    #[test]
    fn a_title_moves_nothing() {
        assert_eq!(&*plain("a\nb\x1b[2Jc é"), "a b [2Jc é");
    }

    #[test]
    fn a_suspended_panic_harms_nothing() {
        assert_eq!(suspend(|| suspend(|| 7)), 7);
        assert!(std::panic::catch_unwind(|| suspend(|| panic!("on purpose"))).is_err());
        assert_eq!(suspend(|| 8), 8);
    }
}
