//! How large the stacks are on which tasks run.

use std::env;

use crate::error::pool_error::Error;

/// The smallest stack: enough for the code of a pool around a task.
const MIN: usize = 256 << 10;

/// The largest stack. No kernel has more address space to give than some of these.
const MAX: usize = 1 << 40;

/// The default if the limit of the main thread is lower, or if it has no limit.
const DEFAULT: usize = 8 << 20;

/// The size for what the user asked for, if it was anything.
pub(crate) fn size(asked: Option<usize>) -> Result<usize, Error> {
    match asked {
        Some(asked) if asked > MAX => Err(Error::StackSize { asked, limit: MAX }),
        Some(asked) => Ok(asked.max(MIN)),
        None => {
            let set = env::var("RUST_MIN_STACK").ok();
            Ok(default_of(set.as_deref(), main_thread_limit()))
        }
    }
}

/// The default for this value of `RUST_MIN_STACK` and this limit of the main thread.
fn default_of(set: Option<&str>, limit: Option<u64>) -> usize {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let set = set.and_then(|set| set.parse().ok());
    let most = |size: usize| size.min(MAX);
    DEFAULT.max(limit.map_or(0, most)).max(set.map_or(0, most))
}

/// `ulimit -s`; `None`: unlimited.
#[cfg(feature = "processes")]
fn main_thread_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Stack).current
}

/// `ulimit -s`; `None`: unlimited, or unknown.
#[cfg(not(feature = "processes"))]
fn main_thread_limit() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max stack size"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_has_a_least_and_a_most() {
        assert_eq!(size(Some(0)).unwrap(), MIN);
        assert_eq!(size(Some(1)).unwrap(), MIN);
        assert_eq!(size(Some(3 << 20)).unwrap(), 3 << 20);
        assert_eq!(size(Some(MAX)).unwrap(), MAX);
        let error = size(Some(usize::MAX)).unwrap_err().to_string();
        assert!(error.contains("stack_size"), "{error}");
    }

    #[test]
    fn the_default_is_the_largest_of_what_is_set() {
        assert_eq!(default_of(None, None), DEFAULT);
        assert_eq!(default_of(None, Some(1 << 20)), DEFAULT);
        assert_eq!(default_of(None, Some(64 << 20)), 64 << 20);
        assert_eq!(default_of(Some("100000000"), Some(64 << 20)), 100_000_000);
        assert_eq!(default_of(Some("1000"), None), DEFAULT);
        assert_eq!(default_of(Some("much"), None), DEFAULT);
        assert_eq!(default_of(None, Some(u64::MAX - 1)), MAX);
    }
}
