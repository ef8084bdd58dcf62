//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg::{Long, Value};
use lexopt::ValueExt;

use crate::Fault;
use crate::group::Context;

pub(crate) const HELP: &str = "\
Measures pool-core beside its peers and the limits of the machine.

usage: pool-benches peers [--python] [--json FILE] [--svg FILE] [--quick] [--only ROW]...
       pool-benches faults [FIGURE]...
       pool-benches futures [FIGURE]...
       pool-benches codec
       pool-benches macro-cost
       pool-benches progress
       pool-benches stats
       pool-benches list

  --python     also multiprocessing.Pool, ProcessPoolExecutor, loky and joblib, with `python3`
  --json FILE  every sample, for machines
  --svg FILE   a chart
  --quick      fewer and shorter samples: about a minute
  --only ROW   only the groups of rows whose name starts so: `trip`, `submit.1m`; may be repeated
  faults       what faults cost: kill, deadline, cancel, memory, resize, shutdown; some minutes
  futures      as_completed, wait, and maps as they come, endless, beside each other, as streams:
               completed, endless, fair, unordered, stream; some minutes
  codec        what values cost on their way, beside postcard, JSON and MessagePack; a minute
  macro-cost   what the attribute adds to a build of 500 functions; some minutes
  progress     what a progress display costs a map of tiny tasks; a minute and a half
  stats        what it costs to look at a pool; about a minute
  list         the rows, what they mean, and who runs in them
";

/// What the program was started for. All but `peers`, `macro-cost`, `progress`, `stats` and
/// `list` are for itself.
pub(crate) enum Command {
    Help,
    List,
    Codec,
    MacroCost,
    Progress,
    Stats,
    Peers(Options),
    Sample {
        group: String,
        subject: String,
        context: Context,
    },
    /// The other side of a limit.
    Limit(String),
    IpcWorker(String),
    Empty,
    Nothing,
}

#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) python: bool,
    pub(crate) quick: bool,
    pub(crate) json: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    pub(crate) only: Vec<String>,
}

impl Command {
    pub(crate) fn parse() -> Result<Self, Fault> {
        let mut args = lexopt::Parser::from_env();
        let mut word = |what: &str| -> Result<String, Fault> {
            match args.next()? {
                Some(Value(value)) => Ok(value.string()?),
                Some(Long("help")) => Ok("help".into()),
                Some(other) => Err(other.unexpected().into()),
                None => Err(format!("{what} is missing; try `help`").into()),
            }
        };
        match &*word("a command")? {
            "help" => Ok(Self::Help),
            "list" => Ok(Self::List),
            "codec" => Ok(Self::Codec),
            "macro-cost" => Ok(Self::MacroCost),
            "progress" => Ok(Self::Progress),
            "stats" => Ok(Self::Stats),
            "peers" => Options::parse(args).map(Self::Peers),
            "sample" => Ok(Self::Sample {
                group: word("a group")?,
                subject: word("a subject")?,
                context: Context {
                    quick: word("how long")? == "quick",
                    churn_per_us: word("a speed")?.parse()?,
                },
            }),
            "limit" => Ok(Self::Limit(word("a role")?)),
            "ipc-worker" => Ok(Self::IpcWorker(word("a name")?)),
            "empty" => Ok(Self::Empty),
            "nothing" => Ok(Self::Nothing),
            other => Err(format!("there is no command `{other}`; try `help`").into()),
        }
    }
}

impl Options {
    fn parse(mut args: lexopt::Parser) -> Result<Self, Fault> {
        let mut options = Self::default();
        while let Some(arg) = args.next()? {
            match arg {
                Long("python") => options.python = true,
                Long("quick") => options.quick = true,
                Long("json") => options.json = Some(args.value()?.into()),
                Long("svg") => options.svg = Some(args.value()?.into()),
                Long("only") => {
                    let rows: Vec<OsString> = args.values()?.collect();
                    for row in rows {
                        options.only.push(row.string()?);
                    }
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }
}
