//! What [`Map::progress`](crate::Map::progress) shows, and where.

use super::setting::{Setting, setting};
use super::watch::Show;
use super::{bar, steps};

pub(super) fn display() -> Option<Show> {
    match setting() {
        Setting::Nothing => None,
        Setting::Lines => Some(steps::show()),
        Setting::Default => Some(bar::show().unwrap_or_else(steps::show)),
    }
}
