//! Tiny tasks one by one, a handle each, all handles held, then all joined.

use std::thread;
use std::time::{Duration, Instant};

use crate::group::{Context, Effort, Group, Row, Sample, Unit};
use crate::peers::{self, Bench, Peer, python};
use crate::stats::median;
use crate::subject::Subject;
use crate::tasks::add;
use crate::{Fault, proc};

const OWN: Subject = Subject::Processes(2);

pub(crate) static FEW: Group = Group {
    name: "submit.2k",
    rows: &[Row {
        name: "submit.2k",
        title: "tiny tasks one by one, 2,000 in flight",
        unit: Unit::PerSecond,
        reference: Subject::Procspawn,
    }],
    subjects: EVERYBODY,
    rounds: Effort::new(3, 9),
    budget: Effort::secs(1, 5),
    sample: |subject, _| in_flight(subject, 2_000, "submit.2k"),
};

pub(crate) static MANY: Group = Group {
    name: "submit.100k",
    rows: &[Row {
        name: "submit.100k",
        title: "tiny tasks one by one, 100,000 in flight",
        unit: Unit::PerSecond,
        reference: Subject::Procspawn,
    }],
    subjects: EVERYBODY,
    rounds: Effort::new(3, 7),
    budget: Effort::secs(1, 5),
    sample: |subject, _| in_flight(subject, 100_000, "submit.100k"),
};

const EVERYBODY: &[Subject] = &[
    OWN,
    Subject::Processes(1),
    Subject::Processes(4),
    Subject::Threads(2),
    Subject::Procspawn,
    Subject::IpcChannel,
    Subject::Rayon,
    Subject::Threadpool,
    Subject::Crossbeam,
    python::MP_POOL,
    python::EXECUTOR,
    python::LOKY,
];

pub(crate) static MILLION: Group = Group {
    name: "submit.1m",
    rows: &[
        Row {
            name: "submit.1m",
            title: "tiny tasks one by one, 1,000,000 in flight",
            unit: Unit::PerSecond,
            reference: Subject::Rayon,
        },
        Row {
            name: "submit.1m.cost",
            title: "the same: time of one task",
            unit: Unit::Seconds,
            reference: Subject::Rayon,
        },
        Row {
            name: "submit.1m.memory",
            title: "the same: memory at the peak, each task",
            unit: Unit::Bytes,
            reference: Subject::Rayon,
        },
    ],
    subjects: &[
        OWN,
        Subject::Threads(2),
        Subject::Rayon,
        Subject::Threadpool,
        Subject::Crossbeam,
        Subject::IpcChannel,
    ],
    rounds: Effort::new(2, 7),
    budget: Effort::secs(3, 12),
    sample: |subject, context| {
        let tasks = context.pick(300_000, 1_000_000);
        let (seconds, bytes) = peers::run(subject, Held { subject, tasks })?;
        Ok(vec![
            ("submit.1m", tasks as f64 / seconds),
            ("submit.1m.cost", seconds / tasks as f64),
            ("submit.1m.memory", bytes / tasks as f64),
        ])
    },
};

pub(crate) static CALLERS: Group = Group {
    name: "submit.callers",
    rows: &[
        Row {
            name: "submit.callers.1",
            title: "200,000 tiny tasks, submitted from one thread",
            unit: Unit::PerSecond,
            reference: Subject::Rayon,
        },
        Row {
            name: "submit.callers.4",
            title: "the same from four threads at once",
            unit: Unit::PerSecond,
            reference: Subject::Rayon,
        },
    ],
    subjects: &[
        OWN,
        Subject::Threads(2),
        Subject::Rayon,
        Subject::Threadpool,
        Subject::Crossbeam,
    ],
    rounds: Effort::new(2, 5),
    budget: Effort::secs(2, 10),
    sample: |subject, context| peers::run(subject, Callers { subject, context }),
};

/// One sample of a row whose only value is the rate.
fn in_flight(subject: Subject, tasks: u64, row: &'static str) -> Result<Sample, Fault> {
    let (seconds, _) = peers::run(subject, Held { subject, tasks })?;
    Ok(vec![(row, tasks as f64 / seconds)])
}

/// The seconds for so many tasks, and the memory that they took.
struct Held {
    subject: Subject,
    tasks: u64,
}

impl Bench for Held {
    type Out = (f64, f64);

    fn run<P: Peer>(self, start: &dyn Fn(usize) -> Result<P, Fault>) -> Result<Self::Out, Fault> {
        let peer = start(self.subject.workers())?;
        warm(&peer)?;
        let mut pids = proc::children()?;
        pids.push(std::process::id());
        let before = total(&pids, proc::resident_bytes)?;
        let begin = Instant::now();
        hold_and_join(&peer, 0..self.tasks)?;
        let seconds = begin.elapsed().as_secs_f64();
        let peak = total(&pids, proc::peak_bytes)?;
        Ok((seconds, peak - before))
    }
}

fn total(pids: &[u32], of: fn(u32) -> Result<f64, Fault>) -> Result<f64, Fault> {
    pids.iter().map(|pid| of(*pid)).sum()
}

/// From one thread and from four, in turn.
struct Callers {
    subject: Subject,
    context: Context,
}

impl Bench for Callers {
    type Out = Sample;

    fn run<P: Peer>(self, start: &dyn Fn(usize) -> Result<P, Fault>) -> Result<Sample, Fault> {
        const CALLERS: u64 = 4;
        let tasks: u64 = self.context.pick(100_000, 200_000);
        let peer = start(self.subject.workers())?;
        warm(&peer)?;
        let (mut one, mut four) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let begin = Instant::now();
            hold_and_join(&peer, 0..tasks)?;
            one.push(tasks as f64 / begin.elapsed().as_secs_f64());

            let begin = Instant::now();
            thread::scope(|scope| {
                let share = tasks / CALLERS;
                let callers: Vec<_> = (0..CALLERS)
                    .map(|caller| caller * share..(caller + 1) * share)
                    .map(|range| scope.spawn(|| hold_and_join(&peer, range)))
                    .collect();
                callers
                    .into_iter()
                    .try_for_each(|caller| caller.join().map_err(|_| "a caller panicked")?)
            })?;
            four.push(tasks as f64 / begin.elapsed().as_secs_f64());
        }
        Ok(vec![
            ("submit.callers.1", median(one)),
            ("submit.callers.4", median(four)),
        ])
    }
}

/// Until every worker has run something and the ways are trodden.
pub(crate) fn warm<P: Peer>(peer: &P) -> Result<(), Fault> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(20) {
        hold_and_join(peer, 0..100)?;
    }
    Ok(())
}

/// Submits all, then joins all.
fn hold_and_join<P: Peer>(peer: &P, numbers: std::ops::Range<u64>) -> Result<(), Fault> {
    let mut handles = Vec::with_capacity((numbers.end - numbers.start) as usize);
    handles.extend(numbers.clone().map(|i| peer.submit(add::task(i, 1))));
    for (i, handle) in numbers.zip(handles) {
        let sum = P::join(handle)?;
        if sum != i + 1 {
            return Err(format!("{i} + 1 came back as {sum}").into());
        }
    }
    Ok(())
}
