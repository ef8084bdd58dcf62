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
/// | `types(f32, f64)` | the instances of a generic function that are tasks |
/// | `runtime = "tokio"` | what drives an `async fn` that needs a reactor (feature `tokio`) |
/// | `task = Name` | the name of the struct, where the function's is taken |
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
/// The others are [`TaskExt`](crate::TaskExt)'s for every call of the function, which a call can
/// replace:
///
/// ```
/// use pool_core::{Pool, TaskExt, pool_task};
///
/// #[pool_task(retries = 3, idempotent, queue_timeout = "1m")]
/// fn fetch(url: &str) -> usize {
///     url.len()
/// }
///
/// let pool = Pool::threads()?;
/// assert_eq!(pool.submit(fetch::task("…").retries(0)).join().unwrap(), 3);
/// # Ok::<(), pool_core::Error>(())
/// ```
///
/// # What a task can be
///
/// Arguments and result must implement serde's `Serialize` and `Deserialize`, and be
/// `Send + 'static`. Borrowed arguments (`&str`, `&[T]`, `&Path`, `&T`) are stored through
/// [`ToOwned`] and lent to the function again. Arguments may be patterns; a field has the name of
/// its argument, or `arg0`, `arg1`, … by position where the pattern has none.
///
/// ## Generic functions
///
/// A worker finds a task by its name, so the instances that can be tasks are listed. A function
/// with one parameter lists types or constants, one with several lists tuples of them.
///
/// ```
/// use pool_core::{Pool, pool_task};
/// use std::ops::Mul;
///
/// #[pool_task(types(f32, f64))]
/// fn norm<T: Mul<Output = T> + Copy + std::iter::Sum>(v: &[T]) -> T {
///     v.iter().map(|x| *x * *x).sum()
/// }
///
/// #[pool_task(types((u8, 4), (String, 2)))]
/// fn repeat<T: Clone, const N: usize>(item: T) -> Vec<T> {
///     vec![item; N]
/// }
///
/// let pool = Pool::threads()?;
/// assert_eq!(pool.submit(norm::task(&[3.0_f32, 4.0])).join().unwrap(), 25.0);
/// assert_eq!(pool.submit(repeat::<u8, 4>::task(7)).join().unwrap(), [7; 4]);
/// # Ok::<(), pool_core::Error>(())
/// ```
///
/// Any other instance of the function can be called, but is no [`Task`](crate::Task):
///
/// ```compile_fail
/// # use pool_core::pool_task;
/// # #[pool_task(types(f32, f64))]
/// # fn norm<T: std::ops::Mul<Output = T> + Copy + std::iter::Sum>(v: &[T]) -> T {
/// #     v.iter().map(|x| *x * *x).sum()
/// # }
/// let task = norm::task(&[3_u64, 4]); // `norm<u64>` is not among the tasks of `norm`
/// ```
///
/// Each instance is a task of its own in the catalog: `my_crate::norm<f32>`. Where no argument
/// mentions a parameter, the struct cannot be written as a literal: use `task`.
///
/// ## Functions of an `impl`
///
/// On the `impl` of a type (not of a trait) the attribute makes a task of every function in it. The
/// struct of `Model::train` is `Model_train`, or what `#[pool_task(task = …)]` above that function
/// says. What the attribute of the `impl` says holds for all its functions; one of a function's own
/// comes before it. `self` and `&self` are arguments like others, which every call sends along: a
/// large value is better loaded where it is needed. What should not be a task (`&mut self`, for
/// one) goes to another `impl`.
///
/// ```
/// use pool_core::{Pool, pool_task};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Model {
///     weight: f64,
/// }
///
/// #[pool_task(timeout = "5s")]
/// impl Model {
///     fn train(samples: &[f64]) -> Self {
///         let weight = samples.iter().sum();
///         Self { weight }
///     }
///
///     #[pool_task(retries = 1)]
///     fn apply(&self, x: f64) -> f64 {
///         self.weight * x
///     }
/// }
///
/// let pool = Pool::threads()?;
/// let model = pool.submit(Model_train::task(&[1.0, 2.0])).join().unwrap();
/// assert_eq!(pool.submit(Model_apply::task(&model, 2.0)).join().unwrap(), 6.0);
/// # Ok::<(), pool_core::Error>(())
/// ```
///
/// ## `async fn`
///
/// The worker runs the future to its end before it takes the next task, on the same thread: a pool
/// runs as many at once as it has workers. When the task is cancelled or its deadline passes, the
/// future is dropped where it waits, on threads as well as in processes (not with
/// `panic = "abort"`). It may await the [`JoinHandle`](crate::JoinHandle)s of other tasks, in any order:
/// where every worker of a thread pool waits, one of them runs what is awaited. (Not so for handles that
/// are awaited in `tokio::spawn`, which no worker polls.)
///
/// ```
/// use pool_core::{Pool, pool_task};
///
/// #[pool_task]
/// async fn total(n: u32) -> u32 {
///     if n == 0 { 0 } else { n + total::spawn(n - 1).await.unwrap() }
/// }
///
/// assert_eq!(Pool::threads()?.submit(total::task(10)).join().unwrap(), 55);
/// # Ok::<(), pool_core::Error>(())
/// ```
///
/// Functions that use tokio's timers and sockets say `runtime = "tokio"`, with pool-core's feature
/// `tokio`: then the future and the decoding of the arguments are inside of a runtime, one for the
/// process, whose one thread drives the reactor and what the function spawns.
///
#[cfg_attr(feature = "tokio", doc = "```")]
#[cfg_attr(not(feature = "tokio"), doc = "```ignore")]
/// # use pool_core::pool_task;
/// # use std::time::Duration;
/// #[pool_task(runtime = "tokio")]
/// async fn later(text: String) -> String {
///     tokio::time::sleep(Duration::from_millis(5)).await;
///     text
/// }
///
/// assert_eq!(later::spawn("x".to_owned()).join().unwrap(), "x");
/// ```
///
/// # What is generated
///
/// Beside the function, for `fn repeat(text: &str, times: usize) -> String`:
///
/// ```
/// # use pool_core::JoinHandle;
/// pub struct repeat {
///     pub text: String,
///     pub times: usize,
/// }
///
/// impl repeat {
///     pub fn task(text: &str, times: usize) -> Self {
///         # panic!()
///         // …
///     }
///
///     pub fn spawn(text: &str, times: usize) -> JoinHandle<String> {
///         # panic!()
///         // …
///     }
/// }
/// ```
///
/// with implementations of serde's traits and of [`Task`](crate::Task), and an entry in the catalog
/// ([`tasks()`](crate::tasks)). Struct, fields and functions are as visible as the function.
/// `#[cfg]`, `#[deprecated]`, `#[doc(hidden)]`, the allowed lints and the first paragraph of the
/// documentation are taken over. ARCHITECTURE.md has the whole text.
///
/// # Limits
///
/// * Refused, each with a message that says what to write instead: `unsafe fn`, `&mut` arguments
///   and `&mut self`, `impl Trait`, arguments that contain a reference, `&'static` arguments,
///   results that borrow, functions, closures, futures and pointers as data, variadic functions,
///   more than 16 arguments.
/// * With an attribute that makes a plain function of an `async fn`, such as `#[tokio::main]`, this
///   one comes below; with one that wraps the future, above.
/// * The name of the function is taken among types, too: where a type or a module has it, use
///   `task = Name`.
/// * An error type must be serializable. For `?` from any error there is
///   [`RemoteError`](crate::RemoteError).
/// * In a binary, tasks of a crate that nothing else names are not linked in: see
///   [`use_tasks!`](crate::use_tasks).
/// * Two tasks must not have the same name and signature (or the same `name = "…"`): that is found
///   when the first process pool is built, and
///   [`Error::DuplicateTask`](crate::Error::DuplicateTask) names both places.
/// * Inside of a marked `impl`, what stands in `#[cfg_attr(…)]` above a function is not looked at.
/// * Type parameters are not called `__S`, `__D` or `__Owner`.
///
/// # What a worker process sees
///
/// The body of the function, with the values that were sent. It is the same program, so it has the
/// same code and arguments; but statics have their first values in every worker, and what a task
/// changes in memory stays in that worker.
///
/// A worker has the environment, the working folder, the umask and the standard output and error
/// that the program had when the pool was built, however much later it starts. It does not have the
/// program's standard input: reading from it is at the end at once, and its names (`/dev/stdin`,
/// `/proc/self/fd/0`) cannot be opened. Nor does it have any other descriptor of the program, so a
/// path such as `/dev/fd/63`, which is what a shell makes of `<(command)`, names nothing there. Let
/// the program read such a file, and send what it holds.
pub use pool_macros::pool_task;

/// The door for worker processes, on `main`.
///
/// In a process that was started as a worker, `main` does not run: the worker serves tasks. In
/// every other process `main` runs as it is; when it returns, the global pools (of `f::spawn`)
/// finish what was submitted. Its result is that of the program: an `Err` is printed and the exit
/// code is 1, an `ExitCode` is what it says.
///
/// ```
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
/// [`std::env::args`] are the program's. A worker has the same ones, but for the first, the name
/// of the program, which in a worker begins with `pool-worker:`.
///
/// With an attribute that makes an `async fn main` an ordinary one, this one comes first, so that
/// a worker never starts the runtime:
///
/// ```ignore
/// #[pool_core::main]
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let pool = pool_core::Pool::processes()?;
///     assert_eq!(pool.submit(double::task(4)).await?, 8);
///     Ok(())
/// }
/// ```
///
/// # In doc tests
///
/// This attribute on the `main` of a doc test, or [`init()`](crate::init) as its first statement,
/// is enough, in every edition. Where `rustdoc` makes one program of several (edition 2024), each
/// still runs in a process of its own, with workers of its own; but the tasks of all are in one
/// catalog, so two that have the same `name = "…"` need a `standalone_crate`.
pub use pool_macros::main;

/// The door for worker processes, on a test: `#[pool_core::test]` instead of `#[test]`.
///
/// A test binary has no `main` of its own. Workers of a pool that such a test makes are the test
/// binary, started again for exactly this test; its first statement turns them into workers.
/// Other attributes (`#[ignore]`, `#[should_panic]`) and a result are kept. What an attribute below
/// this one puts around the test, a lock or a runtime, is left to the test: workers do not come to it.
/// It works with any number of `--test-threads`, and under `cargo nextest`.
///
/// The door is for pools that the test makes, in its own thread or in threads that it starts. A test
/// without a door cannot make a process pool, whichever tests ran before it.
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
///
/// With an attribute that makes a test of an `async fn`, this one comes first, so that a worker
/// never starts the runtime. Below it, or below `#[test]`, it makes a second test of the same name.
///
/// ```ignore
/// #[pool_core::test]
/// #[tokio::test(flavor = "multi_thread")]
/// async fn doubles_in_another_process() {
///     let pool = pool_core::Pool::processes().unwrap();
///     assert_eq!(pool.submit(double::task(4)).await.unwrap(), 8);
/// }
/// ```
pub use pool_macros::test;
