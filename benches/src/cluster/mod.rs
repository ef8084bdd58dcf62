//! What it costs that the workers are on other machines: `pool-benches cluster` prints one table of
//! this project's cluster beside the same server, used by hand in the cheapest way we know.
//!
//! All is on this machine: a server on loopback, which each sample starts anew, and workers in
//! processes of their own, so that there is no network in the numbers, and two cores do the work of
//! all machines. Contestants take turns, each sample in a process of its own.

mod blobs;
mod contestant;
mod driver;
mod engine;
mod goals;
mod ours;
mod server;
mod table;

use std::env;
use std::ffi::OsString;

use contestant::{Contestant, Figure};

use crate::Fault;

/// How the worker of the bare engine is started; the address of the server and the number of slots
/// follow.
const WORKER: &str = "--worker";

/// How a server is started; the folder of its files follows.
const SERVE: &str = "--serve";

/// How one sample is started; the names of the figure and the contestant follow.
const TAKE: &str = "--take";

/// `cluster [--quick] [FIGURE]...` for people, the rest for itself.
pub(crate) fn run() -> Result<(), Fault> {
    let words: Result<Vec<String>, OsString> =
        env::args_os().skip(2).map(OsString::into_string).collect();
    let words = words.map_err(|word| format!("{word:?} is no text"))?;
    match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [WORKER, url, slots] => engine::work(url, slots.parse()?),
        [SERVE, folder] => server::serve(folder),
        [TAKE, figure, contestant] => Figure::named(figure)?.take(Contestant::named(contestant)?),
        ["--quick", names @ ..] => driver::run(true, names),
        names => driver::run(false, names),
    }
}
