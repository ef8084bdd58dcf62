//! The fork guard: tells a process from those that were forked from it.
//!
//! A fork has a copy of the pools of its parent and none of their threads. A lock that another
//! thread held at that moment stays locked in the copy for ever, and the lanes of worker processes
//! are shared with the parent. So an engine asks its guard before it takes a lock, writes to a lane
//! or waits.

#[cfg(feature = "processes")]
use crate::backend::HomeMark;

/// The process in which this value was made.
#[derive(Debug)]
pub(crate) struct Home {
    /// A word that a fork finds wiped: as quick to read as any other. There is none where the
    /// kernel does not wipe memory.
    #[cfg(feature = "processes")]
    mark: Option<HomeMark>,
    process: u32,
}

impl Home {
    /// Marks the calling process.
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(feature = "processes")]
            mark: HomeMark::new().ok(),
            process: std::process::id(),
        }
    }

    /// Whether the calling process is the marked one, and not a fork of it.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        #[cfg(feature = "processes")]
        if let Some(mark) = &self.mark {
            return mark.is_home();
        }
        self.process == std::process::id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marking_process_is_home_with_and_without_a_mark() {
        let mut home = Home::new();
        assert!(home.is_here());
        #[cfg(feature = "processes")]
        {
            home.mark = None;
        }
        assert!(home.is_here());
        home.process += 1;
        assert!(!home.is_here());
    }
}
