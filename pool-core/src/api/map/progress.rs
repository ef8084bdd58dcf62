//! How a map is shown.

use crate::api::map::Map;
use crate::progress::state::ProgressState;
use crate::task::Task;

impl<I: Iterator<Item: Task>, E> Map<I, E> {
    /// How the map is called where its progress is shown; else it is the name of the function.
    /// Control characters are replaced by spaces.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.progress_mut().set_title(title.into());
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
    pub fn on_progress(mut self, callback: impl FnMut(&ProgressState) + Send + 'static) -> Self {
        self.progress_mut().add_callback(callback);
        self
    }
}

#[cfg(feature = "progress")]
impl<I: Iterator<Item: Task>, E> Map<I, E> {
    /// Shows on standard error how far the map is: how many outcomes `next` has returned and of how
    /// many, how fast they come, how long the rest takes, how many tasks have failed, and how many
    /// workers of the pool are at work.
    ///
    /// On a terminal that is a bar, which fits itself to the width, below those of other maps, and
    /// a line that stays when the map is over. Elsewhere it is a line for each tenth, the last of
    /// them when the map is over. Of an input that does not know its length
    /// ([`size_hint`](Iterator::size_hint)) there is no bar but a count, and the lines are those of
    /// 10, 20, 50, 100, … outcomes.
    ///
    /// The environment variable `POOL_PROGRESS` has the last word: `0`, `off`, `false`, `no` and
    /// `none` show nothing, `lines` shows lines on a terminal too, and all else is as if it were
    /// not set. A program with a `--quiet` does not call this. Nothing is shown of the maps that
    /// tasks make.
    ///
    /// What the program itself writes meanwhile goes through
    /// [`progress::suspend`](crate::progress::suspend), so that it does not land in a bar. The
    /// messages of panics do, and so does what workers write with
    /// [`Output::Prefix`](crate::Output::Prefix).
    ///
    /// ```
    /// use pool_core::{Pool, pool_task};
    ///
    /// #[pool_task]
    /// fn double(n: u64) -> u64 {
    ///     2 * n
    /// }
    ///
    /// let map = Pool::threads()?.map((0..100).map(double::task)).progress();
    /// assert_eq!(map.map(Result::unwrap).sum::<u64>(), 9_900);
    /// # Ok::<(), pool_core::Error>(())
    /// ```
    #[must_use]
    pub fn progress(mut self) -> Self {
        self.progress_mut().show();
        self
    }
}
