//! What the numbers of a run were measured on.

use std::fs;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::peers::python::Script;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    huge_pages: String,
    open_files: Option<u64>,
    python: Option<String>,
    /// Processes that wanted to run, on average over a minute, before and after.
    load_before: String,
    load_after: String,
    /// How many cores were busy with something else than this run, on average.
    others: Option<f64>,
    seconds: f64,
    #[serde(skip)]
    watch: Watch,
}

/// More cores than that busy with something else, and the numbers say little about this program.
pub(crate) const NOISE: f64 = 0.2;

/// Sees how busy the machine is with something else.
#[derive(Debug)]
pub(crate) struct Watch {
    since: Instant,
    before: Option<Busy>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self {
            since: Instant::now(),
            before: busy(),
        }
    }

    /// How many cores were busy with something else, on average; where the kernel tells.
    pub(crate) fn others(&self) -> Option<f64> {
        let (before, after) = self.before.zip(busy())?;
        let others = (after.machine - before.machine) - (after.family - before.family);
        Some((others / self.since.elapsed().as_secs_f64()).max(0.0))
    }
}

/// Seconds of processor time since their start: of the machine, and of this program's family.
#[derive(Debug, Clone, Copy)]
struct Busy {
    machine: f64,
    family: f64,
}

impl Machine {
    pub(crate) fn look(script: Option<&Script>) -> Self {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        Self {
            processor: processor(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease"),
            huge_pages: chosen(&read("/sys/kernel/mm/transparent_hugepage/enabled")),
            open_files: files.current,
            python: script.map(Script::versions),
            load_before: load(),
            load_after: String::new(),
            others: None,
            seconds: 0.0,
            watch: Watch::start(),
        }
    }

    pub(crate) fn look_again(&mut self, passed: Duration) {
        self.load_after = load();
        self.seconds = passed.as_secs_f64();
        self.others = self.watch.others();
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{} cores, {}, kernel {}, huge pages {}, {} open files; load {} before, {} after",
            self.cores,
            self.processor,
            self.kernel,
            self.huge_pages,
            self.open_files
                .map_or("unlimited".into(), |n| n.to_string()),
            self.load_before,
            self.load_after,
        );
        if let Some(others) = self.others {
            text += &format!("; about {others:.2} cores busy with something else");
        }
        text += &format!("; took {:.0} s", self.seconds);
        if let Some(python) = &self.python {
            text += &format!("\nPython: {python}");
        }
        text
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or("unknown".into(), |text| text.trim().to_owned())
}

fn processor() -> String {
    read("/proc/cpuinfo")
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(':'))
        .map_or("unknown".into(), |(_, name)| name.trim().to_owned())
}

/// The word in brackets.
fn chosen(choices: &str) -> String {
    let chosen = choices
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    chosen.map_or(choices, |(word, _)| word).to_owned()
}

fn load() -> String {
    let load = read("/proc/loadavg");
    load.split_whitespace().next().unwrap_or("unknown").into()
}

/// Seconds of processor time of this program and of what it has started and waited for.
pub(crate) fn family_seconds() -> Option<f64> {
    let own = fs::read_to_string("/proc/self/stat").ok()?;
    let hundredths: f64 = own
        .rsplit_once(')')?
        .1
        .split_whitespace()
        // utime, stime, and both of the children that were waited for.
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Some(hundredths / PER_SECOND)
}

/// The kernel's hundredths, whatever its own tick is.
const PER_SECOND: f64 = 100.0;

fn busy() -> Option<Busy> {
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let times: Vec<f64> = machine
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq
    let [user, nice, system, _, _, irq, softirq, ..] = times[..] else {
        return None;
    };
    Some(Busy {
        machine: (user + nice + system + irq + softirq) / PER_SECOND,
        family: family_seconds()?,
    })
}
