//! Many tasks on two workers: the speed-up, and whether a long one holds up short ones.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::Fault;
use crate::group::{Context, Effort, Group, Row, Sample, Unit};
use crate::peers::{self, Bench, Peer, python};
use crate::subject::Subject;
use crate::tasks::{Stamp, busy, churn, now};

pub(crate) static SCALE: Group = Group {
    name: "scale",
    rows: &[Row {
        name: "scale",
        title: "2,000 tasks of 1 ms of work on two workers: speed-up over one core",
        unit: Unit::SpeedUp,
        reference: Subject::Rayon,
    }],
    subjects: &[
        Subject::Processes(2),
        Subject::Threads(2),
        Subject::Procspawn,
        Subject::Rayon,
        python::MP_POOL,
        python::EXECUTOR,
    ],
    rounds: Effort::new(1, 3),
    budget: Effort::secs(1, 9),
    sample: |subject, context| peers::run(subject, Scale(subject.workers(), context)),
};

struct Scale(usize, Context);

impl Bench for Scale {
    type Out = Sample;

    fn run<P: Peer>(self, start: &dyn Fn(usize) -> Result<P, Fault>) -> Result<Sample, Fault> {
        let Self(workers, context) = self;
        let tasks = context.pick(300, 2_000);
        let rounds = context.churn_for(Duration::from_millis(1));
        let peer = start(workers)?;
        super::submit::warm(&peer)?;
        // Half of the yardstick before and half after: what the machine does changes.
        let one_core = |tasks| {
            let begin = Instant::now();
            for _ in 0..tasks {
                black_box(churn(black_box(rounds)));
            }
            begin.elapsed()
        };
        let before = one_core(tasks / 2);
        let begin = Instant::now();
        let handles: Vec<_> = (0..tasks)
            .map(|_| peer.submit(churn::task(rounds)))
            .collect();
        for handle in handles {
            P::join(handle)?;
        }
        let both = begin.elapsed();
        let after = one_core(tasks - tasks / 2);
        let speed_up = (before + after).as_secs_f64() / both.as_secs_f64();
        Ok(vec![("scale", speed_up)])
    }
}

pub(crate) static DELAY: Group = Group {
    name: "delay",
    rows: &[
        Row {
            name: "delay.overtaken",
            title: "a 2 s task among 10,000 of 100 µs: longest time that a task waited while later ones started, beyond a run without it",
            unit: Unit::Seconds,
            reference: Subject::Threads(2),
        },
        Row {
            name: "delay.rest",
            title: "the same: time of the 10,000 over their time on one worker alone",
            unit: Unit::Stretch,
            reference: Subject::Threads(2),
        },
        Row {
            name: "delay.end",
            title: "the same: largest delay of an end against a run on two free workers (one is busy for 2 s)",
            unit: Unit::Seconds,
            reference: Subject::Threads(2),
        },
    ],
    subjects: &[
        Subject::Processes(2),
        Subject::Threads(2),
        Subject::Rayon,
        Subject::Threadpool,
    ],
    rounds: Effort::new(1, 3),
    budget: Effort::secs(2, 8),
    sample: |subject, context| peers::run(subject, Delay(context)),
};

struct Delay(Context);

impl Bench for Delay {
    type Out = Sample;

    fn run<P: Peer>(self, start: &dyn Fn(usize) -> Result<P, Fault>) -> Result<Sample, Fault> {
        let tasks = self.0.pick(2_000, 10_000);
        let long = Duration::from_millis(self.0.pick(500, 2_000));
        let alone = run(&start(1)?, tasks, None)?;
        let peer = start(2)?;
        let free = run(&peer, tasks, None)?;
        let with = run(&peer, tasks, Some(long))?;
        let delay = with
            .iter()
            .zip(&free)
            .map(|(with, free)| with.end.saturating_sub(free.end))
            .max()
            .ok_or("no tasks")?;
        Ok(vec![
            (
                "delay.overtaken",
                (overtaken(&with) as f64 - overtaken(&free) as f64).max(0.0) / 1e9,
            ),
            ("delay.rest", last(&with) as f64 / last(&alone) as f64),
            ("delay.end", delay as f64 / 1e9),
        ])
    }
}

/// When each short task ran, counted from the first submission; in the order of submission.
fn run<P: Peer>(peer: &P, tasks: usize, long: Option<Duration>) -> Result<Vec<Stamp>, Fault> {
    const SHORT: Duration = Duration::from_micros(100);
    /// How many short ones go before the long one.
    const BEFORE: usize = 100;
    super::submit::warm(peer)?;
    let begin = now();
    let submit = |time: Duration| peer.submit(busy::task(time.as_nanos() as u64));
    let mut handles: Vec<_> = (0..BEFORE).map(|_| submit(SHORT)).collect();
    let long = long.map(submit);
    handles.extend((BEFORE..tasks).map(|_| submit(SHORT)));
    let mut stamps = Vec::with_capacity(tasks);
    for handle in handles {
        let Stamp { start, end } = P::join(handle)?;
        stamps.push(Stamp {
            start: start - begin,
            end: end - begin,
        });
    }
    if let Some(long) = long {
        P::join(long)?;
    }
    Ok(stamps)
}

/// The longest time from the first start of a later task to the start of an earlier one.
fn overtaken(stamps: &[Stamp]) -> u64 {
    let mut earliest_later = u64::MAX;
    let mut longest = 0;
    for stamp in stamps.iter().rev() {
        longest = longest.max(stamp.start.saturating_sub(earliest_later));
        earliest_later = earliest_later.min(stamp.start);
    }
    longest
}

fn last(stamps: &[Stamp]) -> u64 {
    stamps.iter().map(|stamp| stamp.end).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_overtaken_by_later_ones_that_start_before_it() {
        let starts = |starts: &[u64]| -> Vec<Stamp> {
            let stamp = |start: &u64| Stamp {
                start: *start,
                end: *start + 1,
            };
            starts.iter().map(stamp).collect()
        };
        assert_eq!(overtaken(&starts(&[1, 2, 3])), 0);
        assert_eq!(overtaken(&starts(&[1, 90, 10, 20, 30])), 80);
        assert_eq!(overtaken(&[]), 0);
    }
}
