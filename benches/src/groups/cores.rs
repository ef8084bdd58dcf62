//! More workers than cores.

use std::time::Duration;

use crate::Fault;
use crate::group::{Context, Effort, Group, Row, Sample, Unit};
use crate::peers::{self, Bench, Peer};
use crate::stats::mean_seconds;
use crate::subject::Subject;
use crate::tasks::{add, churn};

pub(crate) static CORES: Group = Group {
    name: "cores",
    rows: &[
        Row {
            name: "cores.tiny",
            title: "tiny tasks, 20,000 in flight, with more workers than cores",
            unit: Unit::PerSecond,
            reference: Subject::Processes(2),
        },
        Row {
            name: "cores.20us",
            title: "tasks of 20 µs of work, 2,000 in flight, with more workers than cores",
            unit: Unit::PerSecond,
            reference: Subject::Processes(2),
        },
    ],
    subjects: &[
        Subject::Processes(2),
        Subject::Processes(4),
        Subject::Processes(8),
    ],
    rounds: Effort::new(3, 5),
    budget: Effort::secs(2, 10),
    sample: |subject, context| peers::run(subject, Cores(subject.workers(), context)),
};

struct Cores(usize, Context);

impl Bench for Cores {
    type Out = Sample;

    fn run<P: Peer>(self, start: &dyn Fn(usize) -> Result<P, Fault>) -> Result<Sample, Fault> {
        let Self(workers, context) = self;
        let peer = start(workers)?;
        super::submit::warm(&peer)?;
        let enough = Duration::from_millis(context.pick(150, 400));
        let rounds = context.churn_for(Duration::from_micros(20));
        let tiny = rate(enough, 20_000, |i| peer.submit(add::task(i, 1)), P::join)?;
        let work = rate(enough, 2_000, |_| peer.submit(churn::task(rounds)), P::join)?;
        Ok(vec![("cores.tiny", tiny), ("cores.20us", work)])
    }
}

/// Tasks a second, so many in flight, again and again.
fn rate<H>(
    enough: Duration,
    tasks: u64,
    submit: impl Fn(u64) -> H,
    join: impl Fn(H) -> Result<u64, Fault>,
) -> Result<f64, Fault> {
    let seconds = mean_seconds(enough, || {
        let handles: Vec<H> = (0..tasks).map(&submit).collect();
        handles.into_iter().try_for_each(|h| join(h).map(drop))
    })?;
    Ok(tasks as f64 / seconds)
}
