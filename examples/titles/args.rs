//! The command line.

use std::ffi::OsString;

use lexopt::prelude::*;
use pool_core::{Backend, MAX_WORKERS};

pub(crate) const USAGE: &str = "\
usage: titles [--backend inline|threads|processes]... [--workers N] [--json]
              [URL | FILE | FOLDER]...
       titles --help
";

pub(crate) const HELP: &str = "\
Prints the titles of web pages, and how fast each backend of pool-core found them.

usage: titles [--backend inline|threads|processes]... [--workers N] [--json]
              [URL | FILE | FOLDER]...

  URL             a page to download, http:// or https://
  FILE            a page to read
  FOLDER          is searched, folders in it too, for files named *.html; links to
                  folders are not followed
                  Without any of these: a small site that comes with the program,
                  served on this machine

  --backend NAME  inline, threads or processes; can be given several times
                  Without it: all three in turn, and their results are compared
  --workers N     how many workers, from 1 to 1024; without it, one for each CPU
  --json          print one JSON document
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
    pub(crate) workers: Option<usize>,
    pub(crate) json: bool,
    pub(crate) inputs: Vec<OsString>,
}

pub(crate) fn parse() -> Result<Command, lexopt::Error> {
    parse_from(lexopt::Parser::from_env())
}

fn parse_from(mut parser: lexopt::Parser) -> Result<Command, lexopt::Error> {
    let mut options = Options {
        backends: Vec::new(),
        workers: None,
        json: false,
        inputs: Vec::new(),
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("backend") => options.backends.push(backend(&parser.value()?.string()?)?),
            Long("workers") => options.workers = Some(workers(&parser.value()?.string()?)?),
            Long("json") => options.json = true,
            Long("help") | Short('h') => return Ok(Command::Help),
            Value(input) => options.inputs.push(input),
            other => return Err(other.unexpected()),
        }
    }
    if options.backends.is_empty() {
        options.backends = vec![Backend::Inline, Backend::Threads, Backend::Processes];
    }
    Ok(Command::Run(options))
}

fn backend(name: &str) -> Result<Backend, String> {
    match name.parse() {
        Ok(Backend::Cluster) | Err(_) => Err(format!(
            "--backend is inline, threads or processes, not {name:?}"
        )),
        Ok(backend) => Ok(backend),
    }
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
                workers: Some(3),
                json: false,
                inputs: vec!["a.html".into(), "--json".into()],
            })
        );
    }

    #[test]
    fn nonsense_is_named() {
        for (args, named) in [
            (&["--backend", "fibres"][..], "\"fibres\""),
            (&["--backend", "cluster"], "\"cluster\""),
            (&["--backend"], "--backend"),
            (&["--workers", "0"], "\"0\""),
            (&["--workers", "1025"], "\"1025\""),
            (&["--workers=two"], "\"two\""),
            (&["--jason"], "--jason"),
            (&["--json=yes"], "--json"),
        ] {
            let error = parsed(args).expect_err("nonsense");
            assert!(error.contains(named), "{args:?}: {error}");
        }
    }
}
