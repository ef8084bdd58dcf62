//! The attribute macros, with their documentation.

/// Makes a task of an ordinary function.
///
/// The function stays what it was and can be called. Beside it comes a struct of the same name,
/// which is the task: the call with its arguments, ready to be sent.
///
/// ```
/// use pool_core::{Pool, pool_task};
///
/// /// Repeats a text.
/// #[pool_task]
/// fn repeat(text: &str, times: usize) -> String {
///     text.repeat(times)
/// }
///
/// // The function, right here.
/// assert_eq!(repeat("ab", 2), "abab");
///
/// // The task: arguments are given as to the function.
/// let pool = Pool::threads()?;
/// assert_eq!(pool.submit(repeat::task("ab", 3)).join().unwrap(), "ababab");
///
/// // `task` is short for the struct. A borrowed argument is stored as its owned form.
/// let same = repeat { text: "ab".to_owned(), times: 3 };
/// assert_eq!(pool.submit(same).join().unwrap(), "ababab");
///
/// // On the global pool of the function's backend.
/// assert_eq!(repeat::spawn("x", 3).join().unwrap(), "xxx");
/// # Ok::<(), pool_core::Error>(())
/// ```
///
/// # Arguments of the macro
///
/// | argument | meaning |
/// |---|---|
/// | `backend = "inline"`, `"threads"`, `"processes"` | the global pool that `spawn` uses; else `POOL_BACKEND`, then the feature default |
/// | `name = "…"` | the name under which workers find the task; else the module path and the function's name |
/// | `timeout = "5s"` | the longest that a run may take (`ns`, `us`, `ms`, `s`, `m`, `h`) |
/// | `queue_timeout = "5s"` | the longest that it may wait until it starts |
/// | `retries = 3` | how often it runs again after a panic, a lost worker, a passed deadline ([`TaskExt::retries`](crate::TaskExt::retries)) |
/// | `idempotent` | it does no harm twice: it runs again when its worker is lost ([`TaskExt::idempotent`](crate::TaskExt::idempotent)) |
/// | `crate = some::path` | where `pool_core` is found, when it was renamed or re-exported |
///
/// ```
/// use pool_core::pool_task;
/// use std::time::Duration;
///
/// #[pool_task(backend = "threads", name = "math.slow", timeout = "50ms")]
/// fn slow() {
///     std::thread::sleep(Duration::from_millis(500));
/// }
///
/// let error = slow::spawn().join().unwrap_err();
/// assert!(error.is_timeout());
/// assert_eq!(error.task_name(), "math.slow");
/// ```
///
/// # What a task can be
///
/// Arguments and result must implement serde's `Serialize` and `Deserialize`, and be
/// `Send + 'static`. Borrowed arguments (`&str`, `&[T]`, `&Path`, `&T`) are stored through
/// [`ToOwned`] and lent to the function again.
///
/// Not yet, or not at all: generic functions, `async fn`, `unsafe fn`, `self`, `&mut` arguments,
/// `impl Trait`, variadic functions, and results that borrow. The compiler's message says in each
/// case what to write instead.
///
/// # What a worker process sees
///
/// The body of the function, with the values that were sent. It is the same program, so it has the
/// same code, environment and arguments; but statics have their first values in every worker, and
/// what a task changes in memory stays in that worker.
pub use pool_macros::pool_task;

/// The door for worker processes, on `main`.
///
/// In a process that was started as a worker, `main` does not run: the worker serves tasks. In
/// every other process `main` runs as it is; when it returns, the global pools (of `f::spawn`)
/// finish what was submitted.
///
/// ```no_run
/// use pool_core::Pool;
///
/// #[pool_core::main]
/// fn main() -> Result<(), pool_core::Error> {
///     let pool = Pool::processes()?;
///     println!("{} workers", pool.workers());
///     Ok(())
/// }
/// ```
///
/// With an attribute that makes an `async fn main` an ordinary one, this one comes first:
/// `#[pool_core::main]` above `#[tokio::main]`, so that a worker never starts the runtime.
pub use pool_macros::main;

/// The door for worker processes, on a test: `#[pool_core::test]` instead of `#[test]`.
///
/// A test binary has no `main` of its own. Workers of a pool that such a test makes are the test
/// binary, started again for exactly this test; its first statement turns them into workers.
/// Other attributes (`#[ignore]`, `#[should_panic]`) and a result are kept.
///
/// ```no_run
/// #[pool_core::pool_task]
/// fn double(x: u32) -> u32 {
///     2 * x
/// }
///
/// #[pool_core::test]
/// fn doubles_in_another_process() -> Result<(), Box<dyn std::error::Error>> {
///     let pool = pool_core::Pool::processes()?;
///     assert_eq!(pool.submit(double::task(4)).join()?, 8);
///     Ok(())
/// }
/// ```
pub use pool_macros::test;
