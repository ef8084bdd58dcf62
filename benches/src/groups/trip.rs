//! One tiny task, there and back: nothing else is under way.

use std::thread;
use std::time::{Duration, Instant};

use crate::Fault;
use crate::group::{Context, Effort, Group, Row, Unit};
use crate::limits::Words;
use crate::peers::{self, Bench, Peer, python};
use crate::stats::{quantile, sorted};
use crate::subject::{Limit, Subject};
use crate::tasks::add;

pub(crate) static HOT: Group = Group {
    name: "trip",
    rows: &[
        Row {
            name: "trip.p50",
            title: "round trip of one tiny task, median",
            unit: Unit::Seconds,
            reference: Subject::Limit(Limit::Spin),
        },
        Row {
            name: "trip.p99",
            title: "round trip of one tiny task, 99th percentile",
            unit: Unit::Seconds,
            reference: Subject::Limit(Limit::Spin),
        },
    ],
    subjects: &[
        Subject::Limit(Limit::Spin),
        Subject::Processes(1),
        Subject::Processes(2),
        Subject::Processes(4),
        Subject::Threads(2),
        Subject::Inline,
        Subject::Procspawn,
        Subject::IpcChannel,
        Subject::Rayon,
        Subject::Threadpool,
        Subject::Crossbeam,
        python::MP_POOL,
        python::EXECUTOR,
        python::LOKY,
        python::JOBLIB,
        Subject::Limit(Limit::Futex),
        Subject::Limit(Limit::Socket),
        Subject::Limit(Limit::Pipe),
        Subject::Limit(Limit::Clock),
    ],
    rounds: Effort::new(3, 7),
    budget: Effort::secs(2, 6),
    sample: |subject, context| {
        let times = each_way(subject, Hot(context))?;
        Ok(vec![
            ("trip.p50", quantile(&times, 0.5)),
            ("trip.p99", quantile(&times, 0.99)),
        ])
    },
};

pub(crate) static COLD: Group = Group {
    name: "trip.cold",
    rows: &[Row {
        name: "trip.cold",
        title: "round trip after 100 ms of idleness, median",
        unit: Unit::Seconds,
        reference: Subject::Limit(Limit::Futex),
    }],
    subjects: &[
        Subject::Limit(Limit::Futex),
        Subject::Processes(2),
        Subject::Threads(2),
        Subject::Procspawn,
        Subject::IpcChannel,
        Subject::Rayon,
        Subject::Crossbeam,
        python::MP_POOL,
        python::EXECUTOR,
    ],
    rounds: Effort::new(1, 3),
    budget: Effort::secs(1, 5),
    sample: |subject, context| {
        let times = each_way(subject, Cold(context))?;
        Ok(vec![("trip.cold", quantile(&times, 0.5))])
    },
};

/// A way to take the times of many round trips, in order.
trait Taker {
    fn take(&self, trip: impl FnMut() -> Result<(), Fault>) -> Result<Times, Fault>;
}

type Times = Vec<f64>;

/// The same loop around a contestant's task and around a bare limit.
fn each_way(subject: Subject, taker: impl Taker) -> Result<Times, Fault> {
    if let Subject::Limit(limit) = subject {
        let mut words = Words::new(limit)?;
        return taker.take(|| words.trip());
    }
    struct Tasks<T>(T, usize);
    impl<T: Taker> Bench for Tasks<T> {
        type Out = Times;

        fn run<P: Peer>(self, start: &dyn Fn(usize) -> Result<P, Fault>) -> Result<Times, Fault> {
            let peer = start(self.1)?;
            let mut i = 0;
            self.0.take(|| {
                i += 1;
                match peers::call(&peer, add::task(i, 1))? {
                    sum if sum == i + 1 => Ok(()),
                    sum => Err(format!("{i} + 1 came back as {sum}").into()),
                }
            })
        }
    }
    peers::run(subject, Tasks(taker, subject.workers()))
}

/// One after the other.
struct Hot(Context);

impl Taker for Hot {
    fn take(&self, mut trip: impl FnMut() -> Result<(), Fault>) -> Result<Times, Fault> {
        let warm = Instant::now();
        for _ in 0..2_000 {
            trip()?;
            if warm.elapsed() > Duration::from_millis(100) {
                break;
            }
        }
        let enough = Duration::from_millis(self.0.pick(150, 300));
        let begin = Instant::now();
        let mut times = Vec::with_capacity(50_000);
        while times.len() < times.capacity() && begin.elapsed() < enough {
            times.push(timed(&mut trip)?);
        }
        Ok(sorted(times))
    }
}

/// Each after a pause.
struct Cold(Context);

impl Taker for Cold {
    fn take(&self, mut trip: impl FnMut() -> Result<(), Fault>) -> Result<Times, Fault> {
        for _ in 0..10 {
            trip()?;
        }
        (0..self.0.pick(7, 11))
            .map(|_| {
                thread::sleep(Duration::from_millis(100));
                timed(&mut trip)
            })
            .collect::<Result<_, _>>()
            .map(sorted)
    }
}

fn timed(trip: &mut impl FnMut() -> Result<(), Fault>) -> Result<f64, Fault> {
    let begin = Instant::now();
    trip()?;
    Ok(begin.elapsed().as_secs_f64())
}
