//! What an idle pool costs: processor time, and memory of its workers.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::group::{Effort, Group, Row, Sample, Unit};
use crate::peers::{self, Bench, Peer, python};
use crate::stats::median;
use crate::subject::Subject;
use crate::{Fault, proc};

pub(crate) static IDLE: Group = Group {
    name: "idle",
    rows: &[
        Row {
            name: "idle.cpu",
            title: "processor time of an idle pool in 2 s, parent and workers",
            unit: Unit::Seconds,
            reference: Subject::Procspawn,
        },
        Row {
            name: "idle.memory",
            title: "private memory of an idle worker beyond an empty program",
            unit: Unit::Bytes,
            reference: Subject::Procspawn,
        },
    ],
    subjects: &[
        Subject::Processes(2),
        Subject::Threads(2),
        Subject::Procspawn,
        python::MP_POOL,
        python::EXECUTOR,
        python::LOKY,
    ],
    rounds: Effort::new(1, 3),
    budget: Effort::secs(2, 7),
    sample: |subject, _| peers::run(subject, Idle(subject.workers())),
};

struct Idle(usize);

impl Bench for Idle {
    type Out = Sample;

    fn run<P: Peer>(self, start: &dyn Fn(usize) -> Result<P, Fault>) -> Result<Sample, Fault> {
        let empty = empty_programs(self.0)?;
        let peer = start(self.0)?;
        super::submit::warm(&peer)?;
        // Whatever the end of the work leaves to do.
        thread::sleep(Duration::from_millis(300));

        let workers = proc::children()?;
        let family: Vec<u32> = workers
            .iter()
            .copied()
            .chain([std::process::id()])
            .collect();
        let used =
            || -> Result<f64, Fault> { family.iter().map(|pid| proc::cpu_seconds(*pid)).sum() };
        let before = used()?;
        thread::sleep(Duration::from_secs(2));
        let mut sample = vec![("idle.cpu", used()? - before)];
        if !workers.is_empty() {
            let own = workers
                .iter()
                .map(|pid| proc::private_bytes(*pid))
                .collect::<Result<_, _>>()?;
            sample.push(("idle.memory", median(own) - empty));
        }
        Ok(sample)
    }
}

/// The private memory of this program, started like a worker, that waits for its end: the median
/// of as many as there are workers, since they share pages with each other.
fn empty_programs(count: usize) -> Result<f64, Fault> {
    let mut empty = (0..count)
        .map(|_| {
            Command::new("/proc/self/exe")
                .arg("empty")
                .stdin(Stdio::piped())
                .spawn()
        })
        .collect::<Result<Vec<_>, _>>()?;
    thread::sleep(Duration::from_millis(50));
    let bytes: Result<_, Fault> = empty
        .iter()
        .map(|program| proc::private_bytes(program.id()))
        .collect();
    for program in &mut empty {
        drop(program.stdin.take());
        program.wait()?;
    }
    Ok(median(bytes?))
}
