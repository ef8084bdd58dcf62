//! Agents, pools and maps under faults.

use std::fs::{self, File};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use pool_core::{Backend, Nats, Pool, TaskErrorKind, TaskExt};
use pool_tests::journal::Journal;
use pool_tests::nats::Probe;
use pool_tests::{PATIENCE, proc, until};
use rustix::process::Signal;
use tempfile::TempDir;

/// The namespace of the tests, where it does not matter.
pub(crate) const NS: &str = "pool";

/// How many seats an agent has unless it is told otherwise.
pub(crate) const SEATS: usize = 2;

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// As [`until`], where more patience is needed.
#[track_caller]
pub(crate) fn until_within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        sleep(ms(20));
    }
}

/// A pool on these servers.
#[track_caller]
pub(crate) fn pool(url: &str) -> Pool {
    pool_of(Nats::at(url))
}

#[track_caller]
pub(crate) fn pool_of(nats: Nats) -> Pool {
    let builder = Pool::builder().backend(Backend::Cluster).grace(ms(200));
    builder.nats(nats).build().unwrap()
}

/// A folder, and the journal in it.
pub(crate) struct Notes {
    pub(crate) journal: Journal,
    folder: TempDir,
}

impl Notes {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            journal: Journal::at(folder.path()),
            folder,
        }
    }

    pub(crate) fn folder(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }
}

/// A process that runs, what it logs, and its end with this.
pub(crate) struct Program {
    child: Child,
    folder: TempDir,
    status: Option<ExitStatus>,
}

impl Program {
    /// Starts a command, which dies with this thread.
    pub(crate) fn start(command: &Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [out, err] = ["out", "err"].map(|name| File::create(folder.path().join(name)).unwrap());
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--pdeathsig", "KILL", "--"]);
        wrapped.arg(command.get_program()).args(command.get_args());
        // It runs no test of its own.
        wrapped.env_remove("POOL_TESTS_ALONE");
        for (name, value) in command.get_envs() {
            wrapped.env(name, value.unwrap_or_default());
        }
        wrapped.stdin(Stdio::null()).stdout(out).stderr(err);
        Self {
            child: wrapped.spawn().unwrap(),
            folder,
            status: None,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn said(&self, stream: &str) -> String {
        let bytes = fs::read(self.folder.path().join(stream)).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn log(&self) -> String {
        self.said("err")
    }

    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().unwrap();
        }
        self.status
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        assert!(self.status().is_none(), "it runs: {}", self.log());
        proc::signal(self.pid(), signal);
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) {
        if self.status().is_none() {
            proc::kill(self.pid());
            self.status = Some(self.child.wait().unwrap());
        }
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        until("the program has ended", || self.status().is_some());
        self.status.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let (pid, log) = (self.pid(), self.log());
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(20)..];
            eprintln!("the last that {pid} said:\n{}", last.join("\n"));
        }
    }
}

/// The command of an agent that knows the tasks of this test.
pub(crate) fn agent_command(url: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["cluster::agent", "--exact", "--nocapture"])
        .env("POOL_WORKER", url)
        .env("POOL_WORKERS", SEATS.to_string());
    command
}

/// An agent that takes tasks.
#[track_caller]
pub(crate) fn agent(url: &str) -> Program {
    agent_of(&agent_command(url))
}

#[track_caller]
pub(crate) fn agent_of(command: &Command) -> Program {
    let mut agent = Program::start(command);
    until("the agent takes tasks", || {
        assert!(agent.status().is_none(), "it has ended: {}", agent.log());
        agent.log().contains("takes tasks")
    });
    agent
}

/// Waits until the queue has nothing, as far as the server knows.
#[track_caller]
pub(crate) fn until_queue_is_empty(probe: &mut Probe) {
    let end = Instant::now() + PATIENCE + secs(15);
    while probe.queue_len(NS) != Some(0) {
        if Instant::now() > end {
            let stream = probe.stream_info(NS);
            let consumers = probe.consumers(NS);
            let mut say = |consumer: &String| probe.consumer_info(NS, consumer);
            let consumers: Vec<_> = consumers.iter().map(&mut say).collect();
            panic!("the queue is not empty: {stream:?}, {consumers:?}");
        }
        sleep(ms(20));
    }
}

/// What became of a map.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub(crate) right: usize,
    /// Tasks without a result, by kind.
    pub(crate) failed: Vec<TaskErrorKind>,
    /// Tasks that have started more than once.
    pub(crate) twice: usize,
}

impl Outcomes {
    /// All results, and each task started once.
    pub(crate) fn all(tasks: usize) -> Self {
        Self {
            right: tasks,
            failed: Vec::new(),
            twice: 0,
        }
    }
}

/// A map that runs in a thread of its own while something happens.
pub(crate) struct Load {
    notes: Notes,
    thread: thread::JoinHandle<Vec<Result<u64, TaskErrorKind>>>,
    /// When the outcomes came.
    times: Arc<Mutex<Vec<Instant>>>,
    fault: Option<Instant>,
}

impl Load {
    /// So many tasks of so many milliseconds.
    pub(crate) fn start(pool: &Pool, tasks: u64, ms: u64) -> Self {
        Self::of(pool, tasks, ms, false)
    }

    /// The same of tasks that may run again.
    pub(crate) fn idempotent(pool: &Pool, tasks: u64, ms: u64) -> Self {
        Self::of(pool, tasks, ms, true)
    }

    fn of(pool: &Pool, tasks: u64, ms: u64, idempotent: bool) -> Self {
        let notes = Notes::new();
        let times = Arc::new(Mutex::new(Vec::new()));
        let (pool, journal, seen) = (pool.clone(), notes.journal.clone(), Arc::clone(&times));
        let thread = thread::spawn(move || {
            let steps = (0..tasks).map(|number| {
                let step = journal.step(number, ms);
                match idempotent {
                    true => step.idempotent(),
                    false => step.retries(0),
                }
            });
            let outcomes = pool.map(steps).unordered().with_index();
            let outcomes = outcomes.map(|(number, outcome)| {
                seen.lock().unwrap().push(Instant::now());
                let value = outcome.map_err(|error| {
                    eprintln!("task {number}: {error}");
                    error.kind()
                })?;
                assert_eq!(value, Journal::expected(number as u64));
                Ok(value)
            });
            outcomes.collect()
        });
        Self {
            notes,
            thread,
            times,
            fault: None,
        }
    }

    /// Waits until so many tasks have outcomes.
    #[track_caller]
    pub(crate) fn wait_for(&self, outcomes: usize) {
        until_within(secs(40), "there are outcomes", || {
            self.times.lock().unwrap().len() >= outcomes
        });
    }

    /// From here on time is measured.
    pub(crate) fn fault(&mut self) {
        self.fault = Some(Instant::now());
    }

    pub(crate) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for all outcomes.
    pub(crate) fn end(self) -> Outcomes {
        let outcomes = self.thread.join().unwrap();
        if let Some(fault) = self.fault {
            let times = self.times.lock().unwrap();
            let after = |at: &Instant| at.saturating_duration_since(fault).as_millis();
            let after: Vec<u128> = times.iter().map(after).filter(|ms| *ms > 0).collect();
            let gap = after.windows(2).map(|pair| pair[1] - pair[0]).max();
            println!(
                "time from the fault: first outcome {} ms, longest gap {} ms, last {} ms",
                after.first().unwrap_or(&0),
                gap.unwrap_or(0),
                after.last().unwrap_or(&0),
            );
        }
        let failed = outcomes.iter().filter_map(|outcome| outcome.err());
        Outcomes {
            failed: failed.collect(),
            right: outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
            twice: self.notes.journal.twice(),
        }
    }
}
