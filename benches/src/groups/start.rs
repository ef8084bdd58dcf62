//! How long a program that needs a pool waits for it, the first time.

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Fault;
use crate::group::{Effort, Group, Row, Sample, Unit};
use crate::peers::{self, Bench, Peer, python};
use crate::stats::median;
use crate::subject::{Limit, Subject};
use crate::tasks::who;

pub(crate) static START: Group = Group {
    name: "start",
    rows: &[Row {
        name: "start",
        title: "start of a pool until the first result of every worker",
        unit: Unit::Seconds,
        reference: Subject::Limit(Limit::True),
    }],
    subjects: &[
        Subject::Limit(Limit::True),
        Subject::Limit(Limit::Nothing),
        Subject::Processes(2),
        Subject::Processes(1),
        Subject::Processes(4),
        Subject::Threads(2),
        Subject::Procspawn,
        Subject::IpcChannel,
        Subject::Rayon,
        python::MP_POOL,
        python::EXECUTOR,
        python::LOKY,
        python::JOBLIB,
    ],
    rounds: Effort::new(7, 25),
    budget: Effort::secs(1, 4),
    sample: |subject, _| {
        let seconds = match subject {
            Subject::Limit(Limit::True) => commands(|| Command::new("true"))?,
            Subject::Limit(_) => commands(|| {
                let mut itself = Command::new("/proc/self/exe");
                itself.arg("nothing");
                itself
            })?,
            _ => peers::run(subject, Start(subject.workers()))?,
        };
        Ok(Sample::from([("start", seconds)]))
    },
};

/// The median time of a few runs of a command.
fn commands(command: impl Fn() -> Command) -> Result<f64, Fault> {
    let times = (0..5)
        .map(|_| {
            let begin = Instant::now();
            let status = command().stdin(Stdio::null()).status()?;
            let time = begin.elapsed().as_secs_f64();
            match status.success() {
                true => Ok(time),
                false => Err(format!("ended with {status}").into()),
            }
        })
        .collect::<Result<_, Fault>>()?;
    Ok(median(times))
}

struct Start(usize);

impl Bench for Start {
    type Out = f64;

    fn run<P: Peer>(self, start: &dyn Fn(usize) -> Result<P, Fault>) -> Result<f64, Fault> {
        // Long enough that no worker takes the task of another.
        const TASK: Duration = Duration::from_micros(20);
        let workers = self.0;
        let begin = Instant::now();
        let peer = start(workers)?;
        let mut seen = HashSet::new();
        while seen.len() < workers {
            let asked: Vec<_> = (0..workers)
                .map(|_| peer.submit(who::task(TASK.as_nanos() as u64)))
                .collect();
            for handle in asked {
                seen.insert(P::join(handle)?);
            }
            if begin.elapsed() > Duration::from_secs(5) {
                return Err("a worker never answered".into());
            }
        }
        Ok(begin.elapsed().as_secs_f64())
    }
}
