//! What [`Map::progress`] shows, and where.

use super::setting::{Setting, setting};
use super::watch::Show;
use super::{bar, steps};
use crate::api::map::Map;
use crate::task::Task;

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
        self.progress_mut().display = Some(display);
        self
    }
}

fn display() -> Option<Show> {
    match setting() {
        Setting::Nothing => None,
        Setting::Lines => Some(steps::show()),
        Setting::Default => Some(bar::show().unwrap_or_else(steps::show)),
    }
}
