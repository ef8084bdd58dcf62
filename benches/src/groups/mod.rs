//! The groups of rows, in the order of the list.

mod balance;
mod burst;
mod bytes;
mod cores;
mod fib;
mod idle;
mod map;
mod shift;
mod start;
mod submit;
mod trip;

use crate::group::{Group, Row};

pub(crate) static ALL: [&Group; 18] = [
    &trip::HOT,
    &trip::COLD,
    &submit::FEW,
    &submit::MANY,
    &submit::MILLION,
    &submit::CALLERS,
    &map::TINY,
    &shift::SHIFT,
    &bytes::ECHO,
    &bytes::BIG,
    &start::START,
    &idle::IDLE,
    &burst::BURST,
    &balance::SCALE,
    &balance::DELAY,
    &cores::CORES,
    &fib::FIB,
    &map::THREADS,
];

/// Every row, with its group.
pub(crate) fn rows() -> impl Iterator<Item = (&'static Group, &'static Row)> {
    ALL.iter()
        .flat_map(|group| group.rows.iter().map(move |row| (*group, row)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_rows_begin_with_their_group() {
        let mut names = HashSet::new();
        for (group, row) in rows() {
            assert!(row.name.starts_with(group.name), "{}", row.name);
            assert!(names.insert(row.name), "{} twice", row.name);
        }
        let groups: HashSet<_> = ALL.iter().map(|group| group.name).collect();
        assert_eq!(groups.len(), ALL.len());
    }
}
