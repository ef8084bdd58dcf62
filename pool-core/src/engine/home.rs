//! The fork guard: tells a process from those that were forked from it.
//!
//! A fork has a copy of the pools of its parent and none of their threads. A lock that another
//! thread held at that moment stays locked in the copy for ever, and the lanes of worker processes
//! are shared with the parent. So an engine asks its guard before it takes a lock, writes to a lane
//! or waits.

#[cfg(feature = "processes")]
use crate::engine::HomeMark;

/// The process in which this value was made.
#[derive(Debug)]
pub(crate) struct Home {
    /// As quick to read as any word, where the kernel wipes one in a fork.
    #[cfg(feature = "processes")]
    mark: HomeMark,
    #[cfg(not(feature = "processes"))]
    process: u32,
}

impl Home {
    /// Marks the calling process.
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(feature = "processes")]
            mark: HomeMark::new(),
            #[cfg(not(feature = "processes"))]
            process: std::process::id(),
        }
    }

    /// Whether the calling process is the marked one, and not a fork of it.
    #[inline]
    pub(crate) fn is_here(&self) -> bool {
        #[cfg(feature = "processes")]
        let is_here = self.mark.is_home();
        #[cfg(not(feature = "processes"))]
        let is_here = self.process == std::process::id();
        is_here
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marking_process_is_home() {
        assert!(Home::new().is_here());
    }
}
