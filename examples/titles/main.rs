//! Downloads web pages, or reads them from files, and prints their titles: in this thread, on a
//! thread pool, in worker processes and on other machines, which is one word at the place where the
//! pool is made.
//!
//! `cargo run --release --example titles -- --help`

mod args;
mod charset;
mod input;
mod page;
mod report;
mod site;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pool_core::{Backend, pool_task};

use crate::args::{Command, Options};
use crate::input::Input;
use crate::page::Page;
use crate::report::Report;

/// The whole work on one page. It is an ordinary function, and the same on every backend.
///
/// What is wrong with a page is the function's own result. What is wrong with the place it runs
/// on (a worker that dies, say) is the pool's business, and comes as a `TaskError`. Looking at a
/// page twice does no harm, so it may run again where a worker has died.
#[pool_task(idempotent)]
fn title(page: &Page) -> Result<String, String> {
    let html = page.html()?;
    page::title_of(&html).ok_or_else(|| "the page has no title".to_owned())
}

/// One backend's turn.
struct Run {
    backend: Backend,
    workers: usize,
    /// How long it took until the pool was ready.
    start: Duration,
    /// How long the pages took from there.
    time: Duration,
    titles: Vec<Result<String, String>>,
}

/// Gets the titles of all pages on one backend. The backend is the only difference between runs.
fn run(backend: Backend, options: &Options, pages: &[Page]) -> Result<Run, pool_core::Error> {
    let mut pool = pool_examples::pool(backend, options.nats.as_deref());
    if let Some(workers) = options.workers {
        pool = pool.workers(workers);
    }
    let begin = Instant::now();
    let pool = pool.build()?;
    let ready = Instant::now();
    let outcomes = pool
        .map(pages.iter().map(title::task))
        .title(backend.name());
    let outcomes = if options.progress {
        outcomes.progress()
    } else {
        outcomes
    };
    let titles = outcomes
        .map(|outcome| outcome.unwrap_or_else(|lost| Err(lost.to_string())))
        .collect();
    Ok(Run {
        backend,
        workers: pool.workers(),
        start: ready - begin,
        time: ready.elapsed(),
        titles,
    })
}

#[pool_core::main]
fn main() -> ExitCode {
    let options = match args::parse() {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            let _ = io::stdout().write_all(args::HELP.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say(format_args!("{error}\n\n{}", args::USAGE));
            return ExitCode::from(2);
        }
    };
    match titles(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(error);
            ExitCode::FAILURE
        }
    }
}

/// Runs every backend in turn and prints what they found; whether all went well.
fn titles(options: &Options) -> Result<bool, Box<dyn Error>> {
    let input = Input::find(&options.inputs, options.pages)?;
    if options.backends.len() > 1 {
        // Else the first backend would read from the disk and the others from memory.
        input.warm_file_cache();
    }
    let mut runs = Vec::new();
    for &backend in options.backends.iter().filter(|_| !input.pages.is_empty()) {
        runs.push(run(backend, options, &input.pages)?);
    }
    let report = Report::new(&input, &runs);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let printed = if options.json {
        report.json(&mut out)
    } else {
        report.text(&mut out)
    };
    match printed.and_then(|()| out.flush()) {
        // The reader has enough, as in `titles … | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        printed => printed?,
    }
    Ok(report.is_good())
}

/// A line on stderr; nobody may be listening there.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "titles: {line}");
}
