//! What the example programs share: how they read their arguments, make their pools and speak.

use std::fmt::Display;
use std::io::{self, Write};
use std::process;

use lexopt::Parser;
use pool_core::{Backend, Pool, PoolBuilder};

/// The options of the program, from its arguments. Arguments that make no sense end it with exit
/// code 2.
pub fn options<O>(parse: impl FnOnce(Parser) -> Result<O, lexopt::Error>) -> O {
    parse(Parser::from_env()).unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "Error: {error}\nTry --help.");
        process::exit(2)
    })
}

/// A pool on a backend, whichever it is. A cluster has its servers from `--nats`, or else from
/// `POOL_NATS` and what goes with it; no other line of a program is about clusters.
pub fn pool(backend: Backend, nats: Option<&str>) -> PoolBuilder {
    let pool = Pool::builder().backend(backend);
    #[cfg(feature = "cluster")]
    if let Some(servers) = nats {
        return pool.nats(pool_core::Nats::at(servers));
    }
    // Where the feature is missing, the pool says so when it is built.
    let _ = nats;
    pool
}

/// The backends to run on: those that were asked for, or all in turn, the cluster too where there
/// are servers.
pub fn backends(asked: Vec<Backend>, nats: Option<&str>) -> Vec<Backend> {
    if !asked.is_empty() {
        return asked;
    }
    let mut all = vec![Backend::Inline, Backend::Threads, Backend::Processes];
    all.extend(nats.map(|_| Backend::Cluster));
    all
}

/// Prints what `--help` asks for and ends the program.
pub fn help(text: &str) -> ! {
    let _ = write!(io::stdout(), "{text}");
    process::exit(0)
}

/// A line on stdout, where nobody may be listening. A terminal must not obey what a file is called.
pub fn say(line: impl Display) {
    let line = line.to_string();
    let line = line.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
    let _ = writeln!(io::stdout(), "{line}");
}
