//! Whether the memory of a burst of large arguments goes back to the system.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crate::group::{Context, Effort, Group, Row, Sample, Unit};
use crate::peers::{self, Bench, Peer};
use crate::subject::Subject;
use crate::tasks::{echo, length};
use crate::{Fault, proc};

pub(crate) static BURST: Group = Group {
    name: "burst",
    rows: &[
        Row {
            name: "burst.peak",
            title: "memory during a burst of 64 arguments of 8 MiB and 16 echoes of it",
            unit: Unit::Bytes,
            reference: Subject::IpcShared,
        },
        Row {
            name: "burst.left",
            title: "memory 3 s after the burst, beyond that before it",
            unit: Unit::Bytes,
            reference: Subject::IpcShared,
        },
    ],
    // procspawn hangs here: each of its threads waits to hand over a result, `spawn` for a thread.
    subjects: &[Subject::Processes(2), Subject::IpcShared],
    rounds: Effort::new(1, 2),
    budget: Effort::secs(2, 10),
    sample: |subject, context| peers::run(subject, Burst(subject.workers(), context)),
};

const BLOCK: usize = 8 << 20;

struct Burst(usize, Context);

impl Bench for Burst {
    type Out = Sample;

    fn run<P: Peer>(self, start: &dyn Fn(usize) -> Result<P, Fault>) -> Result<Sample, Fault> {
        let Self(workers, context) = self;
        let peer = start(workers)?;
        super::submit::warm(&peer)?;
        let before = proc::family_bytes()?;
        let over = AtomicBool::new(false);
        let peak = thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut peak = 0.0_f64;
                while !over.load(Relaxed) {
                    peak = peak.max(proc::family_bytes().unwrap_or(0.0));
                    thread::sleep(Duration::from_millis(5));
                }
                peak
            });
            let burst = burst(&peer, context.pick(16, 64), context.pick(4, 16));
            over.store(true, Relaxed);
            let peak = watcher.join().map_err(|_| "the watcher panicked")?;
            burst.map(|()| peak)
        })?;
        thread::sleep(Duration::from_secs(3));
        Ok(vec![
            ("burst.peak", peak - before),
            ("burst.left", proc::family_bytes()? - before),
        ])
    }
}

fn burst<P: Peer>(peer: &P, there: usize, and_back: usize) -> Result<(), Fault> {
    let block = || vec![1; BLOCK];
    let lengths: Vec<_> = (0..there)
        .map(|_| peer.submit(length::task(block())))
        .collect();
    let echoes: Vec<_> = (0..and_back)
        .map(|_| peer.submit(echo::task(block())))
        .collect();
    for handle in lengths {
        if P::join(handle)? != BLOCK as u64 {
            return Err("a wrong length".into());
        }
    }
    for handle in echoes {
        if P::join(handle)?.len() != BLOCK {
            return Err("a wrong echo".into());
        }
    }
    Ok(())
}
