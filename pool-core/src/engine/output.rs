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
    ///
    /// Lines of workers and of the program keep the order in which they are complete; neither breaks
    /// the other's, unless standard output is a pipe and a line is longer than 4,096 bytes. The lock
    /// of [`stdout`](std::io::stdout) is not taken. A task whose output nobody reads waits, as with a
    /// pipe. The end of the pool waits until its output is written, and no longer than 5 s in which
    /// nobody takes any of it; what is left is written if the program goes on.
    /// [`Description::lost_lines`](crate::Description::lost_lines) counts what cannot be written.
    Prefix,
    /// Nowhere.
    Null,
}
