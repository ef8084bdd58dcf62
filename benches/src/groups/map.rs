//! Many items through `map` with its default settings, beside rayon's parallel iterators.

use std::hint::black_box;
use std::time::Duration;

use pool_core::{Backend, Pool};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::Fault;
use crate::group::{Context, Effort, Group, Row, Sample, Unit};
use crate::peers::{self, Own, python};
use crate::stats::mean_seconds;
use crate::subject::{Limit, Subject};
use crate::tasks::{add, churn};

pub(crate) static TINY: Group = Group {
    name: "map.tiny",
    rows: &[Row {
        name: "map.tiny",
        title: "tiny items through map",
        unit: Unit::PerSecond,
        reference: python::MP_POOL,
    }],
    subjects: &[
        Subject::Processes(2),
        Subject::Processes(1),
        Subject::Processes(4),
        Subject::Threads(2),
        Subject::Inline,
        Subject::Rayon,
        python::MP_POOL,
        python::EXECUTOR,
        python::LOKY,
        python::JOBLIB,
        Subject::Limit(Limit::Call),
    ],
    rounds: Effort::new(3, 5),
    budget: Effort::secs(3, 6),
    sample: |subject, context| {
        let items = context.pick(300_000, 1_000_000);
        let seconds = per_run(subject, context, &|way| way.add(items))?;
        Ok(vec![("map.tiny", items as f64 / seconds)])
    },
};

pub(crate) static THREADS: Group = Group {
    name: "map.work",
    rows: &[
        Row {
            name: "map.work.1us",
            title: "map of tasks of 1 µs, time per item",
            unit: Unit::Seconds,
            reference: Subject::Rayon,
        },
        Row {
            name: "map.work.100ns",
            title: "map of tasks of 100 ns, time per item",
            unit: Unit::Seconds,
            reference: Subject::Rayon,
        },
    ],
    subjects: &[
        Subject::Threads(2),
        Subject::Rayon,
        Subject::Processes(2),
        Subject::Limit(Limit::Call),
    ],
    rounds: Effort::new(3, 5),
    budget: Effort::secs(3, 10),
    sample: |subject, context| {
        let mut sample = Sample::new();
        for (row, nanos, items) in [
            ("map.work.1us", 1_000, 200_000),
            ("map.work.100ns", 100, 1_000_000),
        ] {
            let rounds = context.churn_for(Duration::from_nanos(nanos));
            let items = items / context.pick(4, 1);
            let seconds = per_run(subject, context, &|way| way.churn(items, rounds))?;
            sample.push((row, seconds / items as f64));
        }
        Ok(sample)
    },
};

/// What runs the items.
enum Way {
    Map(Pool),
    Rayon(rayon::ThreadPool),
    Loop,
}

impl Way {
    fn of(subject: Subject) -> Result<Self, Fault> {
        let workers = subject.workers();
        Ok(match subject {
            Subject::Processes(_) => Self::Map(Own::start(Backend::Processes, workers)?.0),
            Subject::Threads(_) => Self::Map(Own::start(Backend::Threads, workers)?.0),
            Subject::Inline => Self::Map(Pool::inline()),
            Subject::Rayon => Self::Rayon(peers::rayon::pool(workers)?),
            Subject::Limit(Limit::Call) => Self::Loop,
            _ => return Err("has no map".into()),
        })
    }

    /// All results, collected in order, with the one that the last item must have.
    fn add(&self, items: u64) -> Result<(), Fault> {
        let results: Vec<u64> = match self {
            Self::Map(pool) => pool
                .map((0..items).map(|i| add::task(i, 1)))
                .collect::<Result<_, _>>()?,
            Self::Rayon(pool) => {
                pool.install(|| (0..items).into_par_iter().map(|i| add(i, 1)).collect())
            }
            Self::Loop => (0..items).map(|i| black_box(add)(i, 1)).collect(),
        };
        check(&black_box(results), items, items)
    }

    fn churn(&self, items: u64, rounds: u64) -> Result<(), Fault> {
        let results: Vec<u64> = match self {
            Self::Map(pool) => pool
                .map((0..items).map(|_| churn::task(rounds)))
                .collect::<Result<_, _>>()?,
            Self::Rayon(pool) => {
                pool.install(|| (0..items).into_par_iter().map(|_| churn(rounds)).collect())
            }
            Self::Loop => (0..items).map(|_| churn(rounds)).collect(),
        };
        check(&black_box(results), items, churn(rounds))
    }
}

fn check(results: &[u64], items: u64, last: u64) -> Result<(), Fault> {
    if results.len() as u64 == items && results.last() == Some(&last) {
        Ok(())
    } else {
        Err("wrong results".into())
    }
}

/// Seconds of one run, over as many as fit into some time.
fn per_run(
    subject: Subject,
    context: Context,
    run: &dyn Fn(&Way) -> Result<(), Fault>,
) -> Result<f64, Fault> {
    let way = Way::of(subject)?;
    // The first run makes memory warm and finds the pace.
    run(&way)?;
    let enough = Duration::from_millis(context.pick(100, 300));
    mean_seconds(enough, || run(&way))
}
