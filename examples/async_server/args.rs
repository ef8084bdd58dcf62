//! The command line.

use std::time::Duration;

use lexopt::prelude::*;

pub(crate) const HELP: &str = "\
Serves pictures of fractals that worker processes draw, and measures how it goes.

usage: async_server [--seconds N]             serves while another process loads it, and ends
       async_server --listen ADDRESS          serves until Ctrl-C
       async_server --load URL [--seconds N]  loads a server that runs elsewhere

  --listen ADDRESS  as in 127.0.0.1:8080; port 0 is any free one
  --load URL        as in http://127.0.0.1:8080
  --seconds N       how long each of the loads takes; without it, 2
  --help            print this

  /julia/DEGREES    a picture, drawn by a worker process; 503 if too many wait, 504 if it takes
                    too long
  /direct/DEGREES   the same drawn by the runtime's own thread, to see what comes of that
  /ping             a word, at once

Exit code: 0; 1 if something went wrong; 2 for arguments that make no sense.
";

#[derive(Debug, PartialEq)]
pub(crate) enum Mode {
    /// Serves, and has itself loaded for so long by another process.
    Demonstrate(Duration),
    Listen(String),
    Load(String, Duration),
}

pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Mode, lexopt::Error> {
    let mut time = Duration::from_secs(2);
    let (mut listen, mut load) = (None, None);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("listen") => listen = Some(parser.value()?.string()?),
            Long("load") => load = Some(parser.value()?.string()?),
            Long("seconds") => time = parser.value()?.parse_with(seconds)?,
            Long("help") | Short('h') => pool_examples::help(HELP),
            other => return Err(other.unexpected()),
        }
    }
    match (listen, load) {
        (None, None) => Ok(Mode::Demonstrate(time)),
        (Some(address), None) => Ok(Mode::Listen(address)),
        (None, Some(url)) => Ok(Mode::Load(url.trim_end_matches('/').to_owned(), time)),
        (Some(_), Some(_)) => Err("--listen and --load are two programs".into()),
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let number = text.parse().ok().filter(|seconds| *seconds > 0.0);
    let time = number.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or("a number of seconds above 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let parsed = |args: &[&str]| {
            parse(lexopt::Parser::from_args(args)).map_err(|error| error.to_string())
        };
        let url = "http://127.0.0.1:1";
        assert_eq!(
            parsed(&["--seconds", "0.5"]),
            Ok(Mode::Demonstrate(Duration::from_millis(500)))
        );
        assert_eq!(
            parsed(&["--listen=127.0.0.1:0"]),
            Ok(Mode::Listen("127.0.0.1:0".to_owned()))
        );
        assert_eq!(
            parsed(&["--load", "http://127.0.0.1:1/"]),
            Ok(Mode::Load(url.to_owned(), Duration::from_secs(2)))
        );
        for (args, named) in [
            (&["--seconds", "0"][..], "\"0\""),
            (&["--listen", "x", "--load", "y"], "--load"),
            (&["8080"], "8080"),
        ] {
            let error = parsed(args).expect_err("nonsense");
            assert!(error.contains(named), "{args:?}: {error}");
        }
    }
}
