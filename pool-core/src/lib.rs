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

mod api;
mod codec;
// Its thread-local values are the tasks' own.
#[cfg(feature = "conformance")]
#[allow(clippy::disallowed_methods)]
pub mod conformance;
mod engine;
mod error;
mod job;
mod metrics;
pub mod progress;
mod sync;
mod task;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

#[cfg(feature = "macros")]
pub use api::attributes::{main, pool_task, test};
pub use api::builder::PoolBuilder;
pub use api::entry::init;
pub use api::handle::{CancelOnDrop, JoinHandle};
#[cfg(feature = "async")]
pub use api::map::MapStream;
pub use api::map::{Early, Failed, Map, OnTimeout, Whole, WithIndex, WithInput};
pub use api::pool::{Pool, Submit};
pub use api::scope::{Scope, ScopedHandle};
#[cfg(feature = "signals")]
pub use api::signals::InterruptGuard;
pub use api::wait::{AsCompleted, Until, as_completed, wait};
pub use codec::path;
#[cfg(feature = "cluster")]
pub use engine::cluster::Nats;
pub use engine::description::{Description, Finding, Phase, WorkerInfo, WorkerState};
pub use engine::output::Output;
// Not public API: what the fuzz targets call.
#[cfg(all(any(test, fuzzing), feature = "processes", not(loom)))]
#[doc(hidden)]
pub use engine::process::fuzzing;
pub use error::backend::Backend;
pub use error::flatten::{Failure, flatten};
pub use error::pool_error::{Duplicate, Error, MAX_DEPTH, MAX_WORKERS, StartFailure};
pub use error::remote::{Cause, RemoteError};
pub use error::task_error::{TaskError, TaskErrorKind};
pub use job::current::{Current, current};
pub use job::initializer::Initialized;
pub use job::registry::{TaskEntry, tasks};
pub use metrics::stats::{Failures, Interval, Stats, Times};
pub use progress::state::{ProgressStage, ProgressState};
pub use task::{Task, TaskExt, WithOptions};
