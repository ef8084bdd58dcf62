//! One list of behaviours, each run on every backend it applies to: alone in a process, watched,
//! and counted out.

mod alone;
#[cfg(feature = "cluster")]
mod cluster;
pub(crate) mod program;
pub(crate) mod terminal;

use std::time::Duration;

use pool_core::{Backend, Pool, PoolBuilder};

#[cfg(feature = "cluster")]
pub(crate) use alone::alone;
pub(crate) use alone::run;
#[cfg(feature = "cluster")]
pub(crate) use cluster::run as run_on_cluster;

/// Writes a test `topic::behaviour::backend` for every behaviour and every backend on its list.
/// A behaviour that is not `on all` says why.
///
/// What runs on `processes` also runs on a cluster, where the workers are processes too (with the
/// Cargo feature `cluster`), unless it is `not cluster`, which says why as well.
macro_rules! behaviours {
    ($($topic:ident {
        $($name:ident on $backends:tt $($why:literal)? $(not cluster $here:literal)?;)+
    })+) => {$(
        mod $topic {$(
            mod $name {
                $crate::harness::backends! {
                    $topic::$name on $backends $($why)? not cluster [$($here)?]
                }
            }
        )+}
    )+};
}

/// The tests of one behaviour. `bug` keeps one that fails on the list until it is mended.
macro_rules! backends {
    ($topic:ident::$name:ident on all not cluster $here:tt) => {
        $crate::harness::backends! {
            $topic::$name on [inline, threads, processes] "all" not cluster $here
        }
    };
    ($topic:ident::$name:ident on [$($backend:ident $(bug $bug:literal)?),+] $why:literal
        not cluster $here:tt) => {$(
        #[pool_core::test]
        $(#[ignore = $bug])?
        fn $backend() {
            $crate::harness::run(
                module_path!(),
                stringify!($backend),
                $crate::behaviour::$topic::$name,
            );
        }
        $crate::harness::on_cluster! { $backend $topic::$name not cluster $here }
    )+};
}

/// Beside the test on `processes` that on a cluster, unless there is a reason for none.
macro_rules! on_cluster {
    (processes $topic:ident::$name:ident not cluster []) => {
        #[cfg(feature = "cluster")]
        #[pool_core::test]
        fn cluster() {
            $crate::harness::run_on_cluster(module_path!(), $crate::behaviour::$topic::$name);
        }
    };
    ($backend:ident $topic:ident::$name:ident not cluster $here:tt) => {};
}

pub(crate) use {backends, behaviours, on_cluster};

/// What a backend wants to be told in addition, of every pool.
type Prepare = fn(PoolBuilder) -> PoolBuilder;

/// Where a behaviour runs.
pub(crate) struct On {
    backend: Backend,
    prepare: Prepare,
}

impl On {
    /// Also inside of tasks.
    pub(crate) fn new(backend: Backend) -> Self {
        let prepare: Prepare = match backend {
            #[cfg(feature = "cluster")]
            Backend::Cluster => cluster::prepare,
            _ => |builder| builder,
        };
        Self { backend, prepare }
    }

    pub(crate) fn backend(&self) -> Backend {
        self.backend
    }

    /// Whether tasks run in processes of their own: of the pool, or of the cluster.
    pub(crate) fn processes(&self) -> bool {
        self.backend == Backend::Processes || self.cluster()
    }

    pub(crate) fn cluster(&self) -> bool {
        self.backend == Backend::Cluster
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
        self.prepare(Pool::builder())
            .workers(2)
            .grace(Duration::from_millis(50))
    }

    /// A pool like this one, on the backend.
    pub(crate) fn prepare(&self, builder: PoolBuilder) -> PoolBuilder {
        (self.prepare)(builder.backend(self.backend))
    }
}
