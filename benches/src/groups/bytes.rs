//! Bytes: 64 KiB there and back, and 256 MiB of numbers there.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::Fault;
use crate::group::{Context, Effort, Group, Row, Sample, Unit};
use crate::limits::{self, Bulk};
use crate::peers::{self, Bench, Peer, python};
use crate::stats::mean_seconds;
use crate::subject::{Limit, Subject};
use crate::tasks::{echo, probe};

pub(crate) static ECHO: Group = Group {
    name: "echo",
    rows: &[
        Row {
            name: "echo.64k",
            title: "64 KiB echoed, one at a time, both ways counted",
            unit: Unit::BytesPerSecond,
            reference: Subject::Procspawn,
        },
        Row {
            name: "echo.64k.ahead",
            title: "64 KiB echoed, 16 under way, both ways counted",
            unit: Unit::BytesPerSecond,
            reference: Subject::Procspawn,
        },
    ],
    subjects: &[
        Subject::Processes(2),
        Subject::Processes(1),
        Subject::Procspawn,
        Subject::IpcChannel,
        Subject::IpcShared,
        python::MP_POOL,
        python::EXECUTOR,
        python::LOKY,
        python::JOBLIB,
        Subject::Limit(Limit::Pipe),
        Subject::Limit(Limit::Socket),
        Subject::Limit(Limit::WarmCopy),
    ],
    rounds: Effort::new(3, 5),
    budget: Effort::secs(2, 5),
    sample: echo_sample,
};

const BLOCK: usize = 64 * 1024;

fn echo_sample(subject: Subject, context: Context) -> Result<Sample, Fault> {
    let both_ways = 2.0 * BLOCK as f64;
    let enough = Duration::from_millis(context.pick(100, 300));
    match subject {
        Subject::Limit(Limit::WarmCopy) => Ok(vec![(
            "echo.64k",
            BLOCK as f64 / limits::small_copy_cost(BLOCK),
        )]),
        Subject::Limit(limit) => {
            let mut bulk = Bulk::new(limit)?;
            let seconds = mean_seconds(enough, || bulk.trip())?;
            Ok(vec![("echo.64k", both_ways / seconds)])
        }
        _ => {
            let workers = subject.workers();
            let (single, ahead) = peers::run(subject, Echo { workers, enough })?;
            Ok(vec![
                ("echo.64k", both_ways / single),
                ("echo.64k.ahead", both_ways / ahead),
            ])
        }
    }
}

/// Seconds an echo: one at a time, and with some under way.
struct Echo {
    workers: usize,
    enough: Duration,
}

impl Bench for Echo {
    type Out = (f64, f64);

    fn run<P: Peer>(self, start: &dyn Fn(usize) -> Result<P, Fault>) -> Result<Self::Out, Fault> {
        const AHEAD: usize = 16;
        let peer = start(self.workers)?;
        let mut block = block();
        let mut once = || {
            block = checked(peers::call(&peer, echo::task(std::mem::take(&mut block)))?)?;
            Ok::<_, Fault>(())
        };
        for _ in 0..50 {
            once()?;
        }
        let single = mean_seconds(self.enough, once)?;

        let mut under_way: VecDeque<_> = (0..AHEAD)
            .map(|_| peer.submit(echo::task(self::block())))
            .collect();
        let mut next = || {
            if let Some(oldest) = under_way.pop_front() {
                let block = checked(P::join(oldest)?)?;
                under_way.push_back(peer.submit(echo::task(block)));
            }
            Ok::<_, Fault>(())
        };
        for _ in 0..2 * AHEAD {
            next()?;
        }
        let ahead = mean_seconds(self.enough, next)?;
        for last in under_way {
            P::join(last)?;
        }
        Ok((single, ahead))
    }
}

fn block() -> Vec<u8> {
    (0..BLOCK).map(|i| i as u8).collect()
}

fn checked(block: Vec<u8>) -> Result<Vec<u8>, Fault> {
    if block.len() == BLOCK && block[BLOCK - 2] == 254 {
        Ok(block)
    } else {
        Err("another block came back".into())
    }
}

pub(crate) static BIG: Group = Group {
    name: "big",
    rows: &[
        Row {
            name: "big.first",
            title: "256 MiB of f64 to a worker, the first time",
            unit: Unit::Seconds,
            reference: Subject::Limit(Limit::UntouchedCopy),
        },
        Row {
            name: "big.again",
            title: "256 MiB of f64 to a worker, the second time",
            unit: Unit::Seconds,
            reference: Subject::Limit(Limit::WarmCopy),
        },
    ],
    subjects: &[
        Subject::Limit(Limit::WarmCopy),
        Subject::Limit(Limit::UntouchedCopy),
        Subject::Limit(Limit::UntouchedShared),
        Subject::Processes(2),
        Subject::Processes(1),
        Subject::Procspawn,
        Subject::IpcChannel,
        Subject::IpcShared,
        python::MP_POOL,
        python::EXECUTOR,
        python::LOKY,
        python::JOBLIB,
    ],
    rounds: Effort::new(1, 3),
    budget: Effort::secs(1, 6),
    sample: |subject, _| match subject {
        Subject::Limit(Limit::WarmCopy) => Ok(vec![(
            "big.again",
            limits::copy_cost(Limit::WarmCopy, BIG_BYTES)?,
        )]),
        Subject::Limit(limit) => Ok(vec![("big.first", limits::copy_cost(limit, BIG_BYTES)?)]),
        _ => peers::run(subject, Big(subject.workers())),
    },
};

const BIG_BYTES: usize = 256 << 20;

struct Big(usize);

impl Bench for Big {
    type Out = Sample;

    fn run<P: Peer>(self, start: &dyn Fn(usize) -> Result<P, Fault>) -> Result<Sample, Fault> {
        let peer = start(self.0)?;
        // Other work has been done before: the start of the pool is not in question.
        super::submit::warm(&peer)?;
        let mut sample = Sample::new();
        for row in ["big.first", "big.again"] {
            let values: Vec<f64> = (0..BIG_BYTES / 8).map(|i| i as f64).collect();
            let expected = crate::tasks::middle(&values);
            let begin = Instant::now();
            let answer = peers::call(&peer, probe::task(values))?;
            sample.push((row, begin.elapsed().as_secs_f64()));
            if answer != expected {
                return Err("other numbers arrived".into());
            }
        }
        Ok(sample)
    }
}
