//! The command line.

use std::ffi::OsString;

use lexopt::prelude::*;
use pool_core::{Backend, MAX_WORKERS};

pub(crate) const USAGE: &str = "\
usage: titles [--backend inline|threads|processes|cluster]... [--nats URL]
              [--workers N] [--json] [--progress] [--pages N | URL | FILE | FOLDER]...
       titles --help
";

pub(crate) const HELP: &str = "\
Prints the titles of web pages, and how fast each backend of pool-core found them.

usage: titles [--backend inline|threads|processes|cluster]... [--nats URL]
              [--workers N] [--json] [--progress] [--pages N | URL | FILE | FOLDER]...

  URL             a page to download, http:// or https://
  FILE            a page to read
  FOLDER          is searched, folders in it too, for files named *.html; links to
                  folders are not followed
                  Without any of these: a small site that comes with the program,
                  served on this machine

  --pages N       visit N pages of that site, all of them again and again
  --backend NAME  inline, threads, processes or cluster; can be given several times
                  Without it: the first three in turn, and their results are compared
  --nats URL      where the servers of the cluster are, like nats://127.0.0.1:4222;
                  without it, POOL_NATS says. Without --backend, the cluster is the fourth
  --workers N     how many workers, from 1 to 1024; without it, one for each CPU
  --json          print one JSON document
  --progress      show how far it is: a bar, or a line for each tenth where there is no terminal
  --help          print this

Text that is not UTF-8 is decoded by its byte order mark, the HTTP header or the <meta> tag,
in this order, and without these as windows-1252. The time that is measured begins when the
pool is ready: its start is listed apart. If several backends run, files are read once before.

Exit code: 0 if every page has a title, the same on every backend; 1 if not; 2 for arguments
that make no sense.
";

pub(crate) enum Command {
    Run(Options),
    Help,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) backends: Vec<Backend>,
    pub(crate) nats: Option<String>,
    pub(crate) workers: Option<usize>,
    pub(crate) json: bool,
    pub(crate) progress: bool,
    /// The number of pages of the bundled site.
    pub(crate) pages: Option<usize>,
    pub(crate) inputs: Vec<OsString>,
}

pub(crate) fn parse() -> Result<Command, lexopt::Error> {
    parse_from(lexopt::Parser::from_env())
}

fn parse_from(mut parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut options = Options {
        backends: Vec::new(),
        nats: None,
        workers: None,
        json: false,
        progress: false,
        pages: None,
        inputs: Vec::new(),
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("backend") => options.backends.push(backend(&parser.value()?.string()?)?),
            Long("workers") => options.workers = Some(workers(&parser.value()?.string()?)?),
            Long("nats") => options.nats = Some(parser.value()?.string()?),
            Long("json") => options.json = true,
            Long("progress") => options.progress = true,
            Long("pages") => options.pages = Some(parser.value()?.parse()?),
            Long("help") | Short('h') => return Ok(Command::Help),
            Value(input) => options.inputs.push(input),
            other => return Err(other.unexpected()),
        }
    }
    if options.pages.is_some() && !options.inputs.is_empty() {
        return Err("--pages is about the bundled site: name no others".into());
    }
    options.backends = pool_examples::backends(options.backends, options.nats.as_deref());
    Ok(Command::Run(options))
}

fn backend(name: &str) -> Result<Backend, String> {
    name.parse()
        .map_err(|_| format!("--backend is inline, threads, processes or cluster, not {name:?}"))
}

fn workers(number: &str) -> Result<usize, String> {
    match number.parse() {
        Ok(workers @ 1..=MAX_WORKERS) => Ok(workers),
        _ => Err(format!(
            "--workers is a number from 1 to {MAX_WORKERS}, not {number:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Options, String> {
        match parse_from(lexopt::Parser::from_args(args)) {
            Ok(Command::Run(options)) => Ok(options),
            Ok(Command::Help) => Err("help".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn nothing_means_everything() {
        let options = parsed(&[]).expect("valid");
        let names: Vec<_> = options.backends.iter().map(|b| b.name()).collect();
        assert_eq!(names, ["inline", "threads", "processes"]);
        let options = parsed(&["--nats", "nats://x"]).expect("valid");
        assert_eq!(options.backends.last(), Some(&Backend::Cluster));
        assert_eq!(options.workers, None);
        assert!(options.inputs.is_empty());
    }

    #[test]
    fn options_and_inputs_mix() {
        let options = parsed(&[
            "a.html",
            "--workers=3",
            "--backend",
            "threads",
            "--",
            "--json",
        ]);
        assert_eq!(
            options,
            Ok(Options {
                backends: vec![Backend::Threads],
                nats: None,
                workers: Some(3),
                json: false,
                progress: false,
                pages: None,
                inputs: vec!["a.html".into(), "--json".into()],
            })
        );
    }

    #[test]
    fn nonsense_is_named() {
        for (args, named) in [
            (&["--backend", "fibres"][..], "\"fibres\""),
            (&["--backend"], "--backend"),
            (&["--workers", "0"], "\"0\""),
            (&["--workers", "1025"], "\"1025\""),
            (&["--workers=two"], "\"two\""),
            (&["--jason"], "--jason"),
            (&["--pages", "few"], "few"),
            (&["--pages", "9", "a.html"], "--pages"),
            (&["--json=yes"], "--json"),
        ] {
            let error = parsed(args).expect_err("nonsense");
            assert!(error.contains(named), "{args:?}: {error}");
        }
    }
}
