//! Process pools in doc tests. Those of an edition before 2024 and those that ask for it are
//! programs of their own; the others are one program, in a process for each.
//!
//! ```
//! #[pool_core::pool_task]
//! fn pid() -> u32 {
//!     std::process::id()
//! }
//!
//! #[pool_core::main]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let pool = pool_core::Pool::processes()?;
//!     assert_ne!(pool.submit(pid::task()).join()?, std::process::id());
//!     Ok(())
//! }
//! ```
//!
//! Another task of that name, in the same program:
//!
//! ```
//! #[pool_core::main]
//! fn main() {
//!     let pool = pool_core::Pool::processes().unwrap();
//!     let [one, other] = [pid::task(), pid::task()].map(|task| pool.submit(task).join());
//!     assert_eq!([one.unwrap(), other.unwrap()], [None; 2]);
//! }
//!
//! #[pool_core::pool_task]
//! fn pid() -> Option<u32> {
//!     None
//! }
//! ```
//!
//! ```
//! pool_core::init();
//! let pool = pool_core::Pool::processes()?;
//! assert_eq!(pool.submit(pool_tests::tasks::add::task(1, 2)).join().unwrap(), 3);
//! # Ok::<(), pool_core::Error>(())
//! ```
//!
//! ```should_panic
//! pool_core::init();
//! pool_tests::tasks::boom::spawn("on purpose").join().unwrap();
//! ```
//!
//! ```
//! // Without a door.
//! assert_eq!(
//!     pool_core::Pool::processes().unwrap_err(),
//!     pool_core::Error::NotInitialized
//! );
//! ```
//!
//! ```standalone_crate
//! #[pool_core::main]
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let pool = pool_core::Pool::processes()?;
//!     let there = pool.submit(pool_tests::tasks::pid::task()).join();
//!     assert_ne!(there?, std::process::id());
//!     Ok(())
//! }
//! ```
//!
//! ```edition2021
//! #[pool_core::main]
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let pool = pool_core::Pool::processes()?;
//!     let there = pool.submit(pool_tests::tasks::pid::task()).await;
//!     assert_ne!(there?, std::process::id());
//!     Ok(())
//! }
//! ```
//!
//! A word that is a name in that edition, and a keyword in that of the macros:
//!
//! ```edition2021
//! mod gen {
//!     #[pool_core::pool_task]
//!     pub(super) fn gen(gen: u8) -> u8 {
//!         gen
//!     }
//!
//!     pub fn call() -> u8 {
//!         let pool = pool_core::Pool::processes().unwrap();
//!         pool.submit(gen::task(3)).join().unwrap()
//!     }
//! }
//!
//! #[derive(Clone, serde::Serialize, serde::Deserialize)]
//! struct Gen;
//!
//! #[pool_core::pool_task]
//! impl Gen {
//!     fn gen(self, gen: &str) -> usize {
//!         gen.len()
//!     }
//! }
//!
//! #[pool_core::main]
//! fn main() {
//!     assert_eq!(gen::call(), 3);
//!     let pool = pool_core::Pool::processes().unwrap();
//!     assert_eq!(pool.submit(Gen_gen::task(Gen, "x")).join().unwrap(), 1);
//! }
//! ```
