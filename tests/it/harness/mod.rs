//! One list of behaviours, each run on every backend it applies to: alone in a process, watched,
//! and counted out.

mod alone;
pub(crate) mod program;

use std::time::Duration;

use pool_core::{Backend, Pool, PoolBuilder};

#[cfg(feature = "cluster")]
pub(crate) use alone::alone;
pub(crate) use alone::run;

/// Writes a test `topic::behaviour::backend` for every behaviour and every backend on its list.
/// A behaviour that is not `on all` says why.
macro_rules! behaviours {
    ($($topic:ident { $($name:ident on $backends:tt $($why:literal)?;)+ })+) => {$(
        mod $topic {$(
            mod $name {
                $crate::harness::backends! { $topic::$name on $backends $($why)? }
            }
        )+}
    )+};
}

/// The tests of one behaviour. `bug` keeps one that fails on the list until it is mended.
macro_rules! backends {
    ($topic:ident::$name:ident on all) => {
        $crate::harness::backends! { $topic::$name on [inline, threads, processes] "all" }
    };
    ($topic:ident::$name:ident on [$($backend:ident $(bug $bug:literal)?),+] $why:literal) => {$(
        #[pool_core::test]
        $(#[ignore = $bug])?
        fn $backend() {
            $crate::harness::run(
                module_path!(),
                stringify!($backend),
                $crate::behaviour::$topic::$name,
            );
        }
    )+};
}

pub(crate) use {backends, behaviours};

/// Where a behaviour runs.
pub(crate) struct On {
    backend: Backend,
}

impl On {
    pub(crate) fn backend(&self) -> Backend {
        self.backend
    }

    pub(crate) fn processes(&self) -> bool {
        self.backend == Backend::Processes
    }

    pub(crate) fn inline(&self) -> bool {
        self.backend == Backend::Inline
    }

    /// A pool of two workers.
    pub(crate) fn pool(&self) -> Pool {
        self.pool_of(2)
    }

    pub(crate) fn pool_of(&self, workers: usize) -> Pool {
        self.builder().workers(workers).build().unwrap()
    }

    /// Two workers, and little grace.
    pub(crate) fn builder(&self) -> PoolBuilder {
        Pool::builder()
            .backend(self.backend)
            .workers(2)
            .grace(Duration::from_millis(50))
    }
}
