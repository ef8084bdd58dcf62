//! How far a map has come, for people and for other interfaces.
//!
//! `Map::progress` (Cargo feature `progress`) draws a bar where standard error is a terminal and
//! writes some lines where it is not; [`Map::on_progress`](crate::Map::on_progress) calls the program. One thread of the
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
use std::sync::{Arc, Mutex, PoisonError};

use self::state::{ProgressStage, ProgressState};
use self::watch::{Live, Show};
use crate::engine::door;
use crate::job::current::current;
use crate::sync::screen::without_bars;

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
    /// How the map is called where it is shown.
    pub(crate) fn set_title(&mut self, title: String) {
        self.title = Some(title);
    }

    /// Calls back with how far the map is.
    pub(crate) fn add_callback(&mut self, callback: impl FnMut(&ProgressState) + Send + 'static) {
        let callbacks = self.callbacks.get_mut();
        callbacks
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(callback));
    }

    /// Shows the map on standard error.
    #[cfg(feature = "progress")]
    pub(crate) fn show(&mut self) {
        self.display = Some(display::display);
    }

    #[inline]
    pub(crate) fn is_to_begin(&self) -> bool {
        !self.has_begun
    }

    /// Starts at the first `next` of a map of tasks of this name; `size` is the size hint of its input.
    #[cold]
    pub(crate) fn begin(
        &mut self,
        name: &'static str,
        size: (usize, Option<usize>),
        running: impl Fn() -> usize + Send + Sync + 'static,
    ) {
        self.has_begun = true;
        let callbacks = self.callbacks.get_mut();
        let mut shows = std::mem::take(callbacks.unwrap_or_else(PoisonError::into_inner));
        let is_nested = current().is_a_run() || door::is_worker();
        let display = self.display.filter(|_| !is_nested);
        shows.extend(display.and_then(|display| display()));
        let title = self.title.take();
        let title = plain(title.as_deref().unwrap_or(short(name)));
        let total = match size {
            (least, Some(most)) if least == most => Some(most as u64),
            _ => None,
        };
        self.live = Live::begin(title, total, Box::new(running), shows);
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
    without_bars(code)
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
