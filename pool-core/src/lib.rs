//! One function, several places to run it.
//!
//! Mark an ordinary function with [`#[pool_task]`](macro@pool_task). The same body then runs in
//! the calling thread, on a pool of threads, in crash-isolated worker processes, or on those of other
//! machines, and the call site does not change: swapping threads for processes is one word.
//!
//! ```
//! use pool_core::{Pool, pool_task};
//!
//! /// How many primes there are below `n`.
//! #[pool_task]
//! fn primes_below(n: u32) -> usize {
//!     (2..n).filter(|x| (2..*x).all(|d| x % d != 0)).count()
//! }
//!
//! #[pool_core::main]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let pool = Pool::processes()?; // or threads()?, inline(), cluster("nats://…")?
//!
//!     let one = pool.submit(primes_below::task(100));
//!     assert_eq!(one.join()?, 25);
//!
//!     for result in pool.map((1..5).map(|i| primes_below::task(10 * i))) {
//!         println!("{}", result?); // in the order of the inputs, as they come
//!     }
//!     Ok(())
//! } // dropping the pool waits for what was submitted and ends its workers
//! ```
//!
//! # Words
//!
//! * A **task** is a call that can be sent: `primes_below::task(100)` makes one, and
//!   `primes_below(100)` still calls the function right here.
//! * A **pool** runs tasks on its **workers**, which are threads or processes: its **backend**.
//! * A **handle** ([`JoinHandle`]) waits for one task, or cancels it. It resolves exactly once,
//!   whatever happens to the worker.
//! * A **door** is where a worker process comes in: a worker is this very executable, started
//!   again, and [`#[pool_core::main]`](macro@main), [`init()`] or
//!   [`#[pool_core::test]`](macro@test) is where it turns into a worker instead of running the
//!   program once more. Threads and the inline backend need none.
//! * An **agent** is this very executable on another machine, started with `POOL_WORKER=nats://…`: its
//!   door turns it into a pool of worker processes for everybody's tasks.
//!
//! # Which backend
//!
//! | | a panic | an abort, a segfault, `exit` | a deadline | a task costs about |
//! |---|---|---|---|---|
//! | [`Pool::inline`] | is an error | ends the program | is checked at the end | nothing |
//! | [`Pool::threads`] | is an error | ends the program | is reported, the task goes on | a tenth of a microsecond |
//! | [`Pool::processes`] | is an error | is an error; the worker is replaced | kills the worker, which is replaced | a third of a microsecond |
//! | `Pool::cluster` | is an error | the same on the agent's machine | the same on the agent's machine | a third of a millisecond alone, a quarter of a microsecond in a map |
//!
//! [`Pool::new`] leaves the choice to the environment variable `POOL_BACKEND` (`inline`,
//! `threads`, `processes`, `cluster`) and then to the Cargo feature `default-processes`. A pool named in code
//! comes before the `backend = "…"` of a function, which `f::spawn(…)` uses, and that before
//! `POOL_BACKEND`.
//!
//! A program that is built with `panic = "abort"` ends at the first panic of a task, inline and on
//! threads. On worker processes that task is lost with its worker, and its error has the panic's text
//! and place.
//!
//! A worker runs its tasks on a stack as large as that of `main` may become (`ulimit -s`), at least
//! 8 MiB and at least `RUST_MIN_STACK` bytes; [`PoolBuilder::stack_size`] sets another size.
//!
//! A process that is forked from one with pools has a copy of them without their workers. What it
//! submits to a copied pool is [`Rejected`](TaskErrorKind::Rejected), what it joins is
//! [`Cancelled`](TaskErrorKind::Cancelled), and a pool that it builds itself works.
//!
//! What compiles on one backend runs on all: arguments and results are serializable everywhere,
//! although only worker processes need them to be. What cannot be the same is memory: a static
//! that a task changes in a worker process is that worker's own.
//!
//! # Errors
//!
//! [`Error`] says why a pool could not be built. [`TaskError`] is the fate of one task: that it
//! panicked (with message, file and line), lost its worker (with signal or exit code), ran past its
//! deadline, was cancelled, or could not be encoded or decoded. A task's own `Err` is neither: it
//! is its result, so `join` has a result in a result. `join()??` takes both apart, and [`flatten`]
//! makes one of them, whose error is a [`Failure`].
//!
//! The error that a task returns is any type that serde can send. [`RemoteError`] is one that `?`
//! makes of every other error, of `anyhow`'s too:
//!
//! ```
//! use pool_core::{RemoteError, pool_task};
//!
//! #[pool_task]
//! fn line_count(path: &str) -> Result<usize, RemoteError> {
//!     Ok(std::fs::read_to_string(path)?.lines().count())
//! }
//! # assert!(line_count("/no/such/file").unwrap_err().to_string().starts_with("No such file"));
//! ```
//!
//! # Cargo features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `macros` | yes | [`#[pool_task]`](macro@pool_task), [`#[pool_core::main]`](macro@main), [`#[pool_core::test]`](macro@test) |
//! | `processes` | yes | [`Pool::processes`] (Linux) |
//! | `signals` | yes | [`Pool::shutdown_on_interrupt`]; part of `processes` |
//! | `default-processes` | no | [`Pool::new`] means processes unless `POOL_BACKEND` says otherwise |
//! | `async` | no | `Map::into_stream`: a `futures_core::Stream`. Handles are futures without it |
//! | `tokio` | no | `runtime = "tokio"`: an `async fn` that needs tokio's reactor |
//! | `cluster` | no | `Pool::cluster`: agents on other machines, over NATS JetStream; includes `async` and `tokio` |
//! | `progress` | no | `Map::progress`: bars on a terminal, lines elsewhere |
//! | `conformance` | no | `pool_core::conformance`: what any backend has to survive, as tests |

// Without a backend that sends tasks elsewhere, the parts that serve such backends are unused.
#![cfg_attr(not(feature = "processes"), allow(dead_code))]

mod args;
mod asynchronous;
#[cfg(feature = "macros")]
mod attributes;
mod backend;
mod blocked;
mod builder;
mod bulk;
mod bytes;
mod catalog;
mod checked;
// The task cell: its contents change hands without a lock.
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
#[allow(unsafe_code)]
mod cell;
mod clock;
mod codec;
mod completions;
// Its thread-local values are the tasks' own.
#[cfg(feature = "conformance")]
#[allow(clippy::disallowed_methods)]
pub mod conformance;
mod cpus;
mod current;
mod description;
mod entry;
mod error;
mod failure;
mod handle;
mod help;
mod home;
mod initializer;
mod local;
mod map;
mod numbers;
mod output;
mod panics;
pub mod path;
mod patience;
mod pool;
pub mod progress;
mod remote_error;
mod retry;
mod scope;
mod seed;
#[cfg(feature = "signals")]
mod signals;
mod stack;
mod stats;
mod stderr;
mod sync;
mod tally;
mod task;
mod task_error;
mod wait;
mod work;

#[cfg(feature = "macros")]
pub use attributes::{main, pool_task, test};
pub use backend::Backend;
#[cfg(feature = "cluster")]
pub use backend::cluster::Nats;
pub use builder::PoolBuilder;
// Not public API: what the fuzz targets call.
#[cfg(all(any(test, fuzzing), feature = "processes", not(loom)))]
#[doc(hidden)]
pub use backend::processes::fuzzing;
pub use catalog::{Duplicate, TaskEntry, tasks};
pub use current::{Current, current};
pub use description::{Description, Finding, Phase, WorkerInfo, WorkerState};
pub use entry::init;
pub use error::{Error, StartFailure};
pub use failure::{Failure, flatten};
pub use handle::{CancelOnDrop, JoinHandle};
pub use initializer::Initialized;
#[cfg(feature = "async")]
pub use map::MapStream;
pub use map::{Early, Failed, Map, OnTimeout, Whole, WithIndex, WithInput};
pub use output::Output;
pub use pool::{MAX_WORKERS, Pool, Submit};
pub use progress::state::{ProgressStage, ProgressState};
pub use remote_error::{Cause, RemoteError};
pub use scope::{Scope, ScopedHandle};
#[cfg(feature = "signals")]
pub use signals::InterruptGuard;
pub use stats::{Failures, Interval, Stats, Times};
pub use task::{Task, TaskExt, WithOptions};
pub use task_error::{TaskError, TaskErrorKind};
pub use wait::{AsCompleted, Until, as_completed, wait};

/// How deep process pools can be nested: the pool of a worker is one deeper than the pool that
/// the worker belongs to.
pub const MAX_DEPTH: u32 = 4;
