//! A map whose items go from 1 µs to 50 ms half-way: do all workers stay busy, and how long is a
//! result held back that could be handed out?

use std::time::Duration;

use pool_core::Backend;

use crate::Fault;
use crate::group::{Context, Effort, Group, Row, Sample, Unit};
use crate::peers::Own;
use crate::subject::Subject;
use crate::tasks::{Stamp, busy, now};

pub(crate) static SHIFT: Group = Group {
    name: "map.shift",
    rows: &[
        Row {
            name: "map.shift.busy",
            title: "map whose items go from 1 µs to 50 ms: busy share of the workers in the slow half",
            unit: Unit::Share,
            reference: Subject::Threads(2),
        },
        Row {
            name: "map.shift.held",
            title: "the same: longest time that a result which was due was held back",
            unit: Unit::Seconds,
            reference: Subject::Threads(2),
        },
    ],
    subjects: &[Subject::Processes(2), Subject::Threads(2)],
    rounds: Effort::new(2, 5),
    budget: Effort::secs(3, 10),
    sample,
};

const FAST: Duration = Duration::from_micros(1);
const SLOW: Duration = Duration::from_millis(50);

fn sample(subject: Subject, context: Context) -> Result<Sample, Fault> {
    let fast_items: usize = 50_000;
    let slow_items: usize = context.pick(20, 40);
    let backend = match subject {
        Subject::Processes(_) => Backend::Processes,
        _ => Backend::Threads,
    };
    let workers = subject.workers();
    let pool = Own::start(backend, workers)?.0;
    let items = (0..fast_items + slow_items).map(|i| {
        let time = if i < fast_items { FAST } else { SLOW };
        busy::task(time.as_nanos() as u64)
    });

    // Due is a result when it and all before it have been found.
    let (mut due, mut held) = (0, 0);
    let mut slow = Vec::with_capacity(slow_items);
    for (i, stamp) in pool.map(items).enumerate() {
        let arrived = now();
        let stamp = stamp?;
        due = due.max(stamp.end);
        held = held.max(arrived.saturating_sub(due));
        if i >= fast_items {
            slow.push(stamp);
        }
    }
    Ok(vec![
        ("map.shift.busy", busy_share(&slow, workers)?),
        ("map.shift.held", held as f64 / 1e9),
    ])
}

/// How much of the time from the first start to the last end the workers were running tasks.
fn busy_share(stamps: &[Stamp], workers: usize) -> Result<f64, Fault> {
    let first = stamps
        .iter()
        .map(|s| s.start)
        .min()
        .ok_or("no slow items")?;
    let last = stamps.iter().map(|s| s.end).max().ok_or("no slow items")?;
    let run: u64 = stamps.iter().map(|s| s.end - s.start).sum();
    Ok(run as f64 / (workers as u64 * (last - first)) as f64)
}
