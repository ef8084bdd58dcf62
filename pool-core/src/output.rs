//! Where worker processes write.

/// Where the standard output or standard error of worker processes goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Output {
    /// Where that of the program goes.
    #[default]
    Inherit,
    /// The same, each line with the number of its worker in front: `[worker 0] …`. A line of more
    /// than 64 KiB is broken into several.
    Prefix,
    /// Nowhere.
    Null,
}
