//! The supervisor thread: processes, sockets and timers. What is to be done is decided in
//! [`worker_lifecycle`](super::worker_lifecycle) and [`scheduler`](super::scheduler).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, Shutdown};
use rustix::process::{Signal, kill_process};

use super::descriptors::{self, refused};
use super::lane::Lane;
use super::memory::Watch;
use super::pause::{self, Paused};
use super::relay::Relay;
use super::scheduler::Scheduler;
use super::spawn::Recipe;
use super::wire::{Hello, LastWords, MESSAGE_MAX, PAUSED, RESUMED, Unreadable, VERSION};
use super::worker_lifecycle::{Action, Then, WorkerLifecycle};
use super::{ENDED, Shared, TICK, child};
use crate::engine::{Config, SHUT_DOWN};
use crate::error::pool_error::{Error, StartFailure};
use crate::error::task_error::TaskErrorKind;
use crate::sync::{clock, timespec};

/// How many messages of one worker are read before the others get their turn.
const MESSAGES_PER_LOOK: usize = 64;

/// The same of a worker that is dead: more than fit into a socket.
const MESSAGES_OF_THE_DEAD: usize = 4096;

const POKE: u64 = u64::MAX;

pub(super) struct Supervisor {
    shared: Arc<Shared>,
    recipe: Recipe,
    worker_lifecycle: WorkerLifecycle,
    processes: Vec<Option<Process>>,
    memory: Option<Watch>,
    epoll: OwnedFd,
    /// Except while it sleeps without a limit.
    watch: Option<clock::Watch>,
    built: Option<SyncSender<Result<(), Error>>>,
}

struct Process {
    child: child::Worker,
    socket: OwnedFd,
    /// Until the worker serves.
    lane: Option<Lane>,
    /// What it writes goes through this program.
    relays: Vec<Relay>,
    /// Why the pool has killed it, where no task of it knows.
    killed_for: Option<&'static str>,
    /// Why it ends, in its own words, which may be anything.
    last_words: Option<String>,
    /// It has stopped itself with this program.
    paused: Option<Paused>,
}

impl Process {
    /// Keeps what the worker says of its end; returns whether the message is that.
    fn hear_last_words(&mut self, message: &[u8]) -> bool {
        let words = LastWords::decode(message);
        let is_said = words.is_some();
        if let (None, Some(LastWords(words))) = (&self.last_words, words) {
            self.last_words = Some(words);
        }
        is_said
    }

    /// Reads what a dead worker has left in its socket.
    fn hear_the_rest(&mut self) {
        for _ in 0..MESSAGES_OF_THE_DEAD {
            let mut message = [0; MESSAGE_MAX];
            match receive(self.socket.as_fd(), &mut message) {
                Heard::Message(len) => self.hear_last_words(&message[..len]),
                Heard::Nothing | Heard::End => return,
            };
        }
    }
}

/// Why the pool kills a worker.
const ITS_TASK: &str = "the pool killed the worker for what another task did";
const NOT_IN_TIME: &str = "the pool killed the worker, which had not started or ended in time";

impl Supervisor {
    pub(super) fn new(
        shared: Arc<Shared>,
        recipe: Recipe,
        config: &Config,
        built: SyncSender<Result<(), Error>>,
    ) -> io::Result<Self> {
        let epoll = descriptors::epoll_set()?;
        epoll::add(
            &epoll,
            &shared.poke,
            EventData::new_u64(POKE),
            EventFlags::IN,
        )
        .map_err(|error| refused("epoll_ctl", error))?;
        Ok(Self {
            shared,
            recipe,
            worker_lifecycle: WorkerLifecycle::new(
                config.workers,
                config.start_timeout,
                clock::now(),
            ),
            processes: (0..config.workers).map(|_| None).collect(),
            memory: config.processes.memory_limit.map(|_| Watch::new()),
            epoll,
            watch: clock::Watch::new(),
            built: Some(built),
        })
    }

    pub(super) fn run(mut self) {
        let mut trim_at = None;
        loop {
            let now = clock::look();
            if self.worker_lifecycle.next_due().is_some_and(|at| at <= now) {
                // Nobody is late whose message has arrived.
                self.hear_all(Some(Duration::ZERO));
            }
            let actions = self.worker_lifecycle.due(now);
            self.act(actions);
            let wake_at = earliest(self.look(), self.continue_paused());
            if self.worker_lifecycle.is_gone() {
                return;
            }
            let now = clock::now();
            trim_at = match trim_at {
                Some(at) if at <= now => self.shared.trim(now),
                None => self.shared.next_trim(now),
                later => later,
            };
            let next = earliest(wake_at, self.worker_lifecycle.next_due());
            self.sleep(earliest(next, trim_at));
        }
    }

    /// Looks at the scheduler; returns when it has to be looked at again.
    fn look(&mut self) -> Option<Instant> {
        let ending = self.worker_lifecycle.is_ending();
        let now = clock::look();
        let used = self.used_memory(now);
        let mut stop = false;
        let (look, target) = self.shared.with(|scheduler, after| {
            let mut kill = scheduler.due(now, after);
            for (index, bytes, seq) in used {
                kill.extend(
                    scheduler
                        .uses_memory(index, bytes, seq, after)
                        .then_some(index),
                );
            }
            scheduler.tick(now, after);
            if scheduler.is_draining() && scheduler.is_drained() && !ending {
                stop = true;
                scheduler.put_stops(after);
            }
            let look = Look {
                kill,
                retired: scheduler.retire(now, after),
                needed: scheduler.waiting().0,
                ended: scheduler.has_ended(),
            };
            (look, scheduler.target)
        });
        for index in look.kill {
            if self.worker_lifecycle.condemn(index) {
                self.kill(index, Some(ITS_TASK));
            }
        }
        let mut actions = Vec::new();
        if look.ended && !ending {
            // By an initializer, while others had not said hello: the pool tells why.
            self.report(Ok(()));
            actions.extend(self.worker_lifecycle.kill());
        } else if stop {
            actions.extend(self.worker_lifecycle.stop(now));
        } else {
            actions.extend(self.keep_the_workers(target, look.retired, look.needed, now));
        }
        self.act(actions);
        let look_at_room = self.shared.room.is_watched().then(|| {
            self.shared.make_room();
            clock::now() + TICK
        });
        // Copies and callbacks of the look above are done: from here on only a poke brings news.
        let seen = self.worker_lifecycle.seen();
        let next = self.shared.with(|scheduler, _| {
            scheduler.worker_lifecycle = seen;
            scheduler.next_look(clock::now())
        });
        earliest(next, look_at_room)
    }

    fn keep_the_workers(
        &mut self,
        target: usize,
        retired: Vec<(usize, Then)>,
        needed: usize,
        now: Instant,
    ) -> Vec<Action> {
        for (index, then) in retired {
            self.worker_lifecycle.retire(index, then, now);
        }
        let mut actions = Vec::new();
        if target != self.worker_lifecycle.target() {
            actions = self.worker_lifecycle.resize(target, now);
            let all = self.processes.len().max(target);
            self.processes.resize_with(all, || None);
        }
        self.worker_lifecycle.wake(needed, now);
        actions.extend(self.worker_lifecycle.due(now));
        actions
    }

    /// How much memory each worker has, if it is time to look, and the task that has it.
    fn used_memory(&mut self, now: Instant) -> Vec<(usize, u64, Option<u64>)> {
        let Some(watch) = &mut self.memory else {
            return Vec::new();
        };
        if !watch.is_due(now) {
            return Vec::new();
        }
        // Before the look: what comes after it has not taken that memory.
        let at_tasks = self.shared.with(|scheduler, _| scheduler.at_tasks());
        let processes = self.processes.iter().enumerate();
        processes
            .filter_map(|(index, process)| {
                let pid = process.as_ref()?.child.id();
                let seq = at_tasks.get(index).copied().flatten();
                Some((index, watch.used(pid)?, seq))
            })
            .collect()
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Start(index) => self.start(index),
                Action::Kill(index) => self.kill(index, Some(NOT_IN_TIME)),
                Action::Serve(index) => self.serve(index),
                Action::Built => self.report(Ok(())),
                Action::Break(error) => {
                    self.shared.with(|scheduler, after| {
                        let why = format!("the pool is broken: {error}");
                        scheduler.end(TaskErrorKind::Rejected, &why, after);
                    });
                    self.report(Err(error));
                }
            }
        }
    }

    fn kill(&mut self, index: usize, why: Option<&'static str>) {
        if let Some(process) = &mut self.processes[index] {
            process.killed_for = process.killed_for.or(why);
            kill_worker(&process.child, &process.socket);
        }
    }

    fn report(&mut self, built: Result<(), Error>) {
        if let Some(waiting) = self.built.take() {
            // The builder waits for exactly this.
            let _ = waiting.send(built);
        }
    }

    fn start(&mut self, index: usize) {
        let now = clock::now();
        let started = self
            .recipe
            .start(index, &self.shared.relays)
            .and_then(|process| {
                let process = Process {
                    // From here on it is in the table, whose processes are killed and reaped at the end.
                    child: process.child.keep(),
                    socket: process.socket,
                    lane: Some(process.lane),
                    relays: process.relays,
                    killed_for: None,
                    last_words: None,
                    paused: None,
                };
                let process = self.processes[index].insert(process);
                let pid = process.child.id();
                match register(&self.epoll, index, process) {
                    Ok(()) => Ok(pid),
                    Err(error) => {
                        if let Some(process) = self.processes[index].take() {
                            kill_worker(&process.child, &process.socket);
                            process.child.reap();
                        }
                        Err(Error::spawn("no watch over the new process", &error))
                    }
                }
            });
        match started {
            Ok(pid) => self.worker_lifecycle.started(index, pid, now),
            Err(error) => {
                let actions = self.worker_lifecycle.not_started(index, error, now);
                self.act(actions);
            }
        }
    }

    fn serve(&mut self, index: usize) {
        let Some(process) = &mut self.processes[index] else {
            return;
        };
        if let Some(lane) = process.lane.take() {
            let pid = process.child.id();
            self.shared
                .with(|scheduler, after| scheduler.serve(index, Arc::new(lane), pid, after));
        }
    }

    /// Sleeps until something happens.
    fn sleep(&mut self, until: Option<Instant>) {
        let Some(until) = until else {
            self.watch = None;
            self.hear_all(None);
            self.watch = clock::Watch::new();
            return;
        };
        loop {
            let left = until.saturating_duration_since(clock::look());
            let heard = self.hear_all(Some(left.min(clock::BEAT)));
            if heard || left <= clock::BEAT {
                return;
            }
        }
    }

    /// Waits for an event, at most for this time; returns whether one happened.
    fn hear_all(&mut self, limit: Option<Duration>) -> bool {
        let timeout = limit.map(timespec);
        let mut events = Vec::with_capacity(2 * self.processes.len() + 1);
        let woken = epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            timeout.as_ref(),
        );
        // What follows goes by the clock, and there may have been a stop.
        clock::look();
        match woken {
            Ok(_) => {}
            // By a signal, or by the stop of this program: what has arrived is still to be read.
            Err(Errno::INTR) => {
                self.continue_starting();
                self.hear_all(Some(Duration::ZERO));
                return true;
            }
            // The descriptors are ours and open.
            Err(error) => unreachable!("epoll_wait: {error}"),
        }
        for event in &events {
            match event.data.u64() {
                POKE => self.shared.hear_poke(),
                data => {
                    let index = (data / 2) as usize;
                    if data % 2 == 1 {
                        self.died(index);
                    } else {
                        self.hear(index);
                    }
                }
            }
        }
        !events.is_empty()
    }

    /// The control socket of a worker has something.
    fn hear(&mut self, index: usize) {
        for _ in 0..MESSAGES_PER_LOOK {
            let Some(process) = &mut self.processes[index] else {
                return;
            };
            let mut message = [0; MESSAGE_MAX];
            match receive(process.socket.as_fd(), &mut message) {
                Heard::Message(len) if process.hear_last_words(&message[..len]) => {}
                Heard::Message(len)
                    if [&PAUSED, &RESUMED]
                        .iter()
                        .any(|it| message[..len] == it[..]) =>
                {
                    self.paused(index, &message[..len]);
                }
                Heard::Message(len) if self.worker_lifecycle.is_starting(index) => {
                    let said = self.check_hello(&message[..len]);
                    let actions = self.worker_lifecycle.hello(index, said, clock::now());
                    self.act(actions);
                }
                // A ding: the look at the scheduler comes anyway.
                Heard::Message(_) => {}
                Heard::Nothing => return,
                Heard::End => {
                    // It is ending, or has closed what it must not; its death says which.
                    let _ = epoll::delete(&self.epoll, &process.socket);
                    if !self.worker_lifecycle.is_ending() && self.worker_lifecycle.condemn(index) {
                        self.kill(index, None);
                    }
                    return;
                }
            }
        }
    }

    /// A worker has said that it stops, or that it runs again.
    fn paused(&mut self, index: usize, message: &[u8]) {
        let Some(process) = &mut self.processes[index] else {
            return;
        };
        if message == PAUSED {
            process.paused = Some(Paused::new(clock::now()));
        } else if message == RESUMED {
            process.paused = None;
            pause::go_on(process.child.pid());
        }
    }

    /// Continues the workers that have stopped with this program, which runs again; returns when
    /// that has to be done once more.
    fn continue_paused(&mut self) -> Option<Instant> {
        let now = clock::now();
        let processes = self.processes.iter_mut().flatten();
        let paused = processes.filter_map(|process| {
            let paused = process.paused.as_mut()?;
            paused.go_on(process.child.pid(), now);
            Some(paused.next)
        });
        paused.min()
    }

    /// Continues workers that a stop of this program's process group has reached on their way out of
    /// that group. They run nothing of the program's yet.
    fn continue_starting(&self) {
        for (index, process) in self.processes.iter().enumerate() {
            if let Some(process) = process
                && self.worker_lifecycle.is_starting(index)
            {
                let _ = kill_process(process.child.pid(), Signal::CONT);
            }
        }
    }

    fn check_hello(&self, message: &[u8]) -> Result<(), StartFailure> {
        match Hello::decode(message) {
            Ok(hello) if self.recipe.accepts(hello.identity) => Ok(()),
            Ok(hello) => Err(self.recipe.difference(hello.identity)),
            Err(Unreadable::Garbage) => Err(StartFailure::Garbage),
            Err(Unreadable::Version(theirs)) => Err(StartFailure::Version {
                ours: VERSION,
                theirs,
            }),
        }
    }

    /// A worker has ended.
    fn died(&mut self, index: usize) {
        // Its hello, or the reason for not sending one, may still be in the socket.
        if self.worker_lifecycle.is_starting(index) {
            self.hear(index);
        }
        let Some(mut process) = self.processes[index].take() else {
            return;
        };
        process.hear_the_rest();
        // What it started goes with it.
        let _ = process.child.kill();
        let exit = process.child.reap();
        process.relays.iter().for_each(Relay::worker_is_dead);
        let (why, words) = (process.killed_for, process.last_words);
        let came_to = self
            .shared
            .with(|scheduler, after| scheduler.settle(index, exit, why, words.as_deref(), after));
        self.worker_lifecycle.last_words_are(words);
        let actions = self
            .worker_lifecycle
            .exited(index, exit, came_to, clock::now());
        self.act(actions);
        // Dropping the process closes its descriptors, which takes them out of the epoll set.
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Also after a panic here, which would be a bug: nobody may wait for ever.
        for process in self.processes.drain(..).flatten() {
            kill_worker(&process.child, &process.socket);
            process.relays.iter().for_each(Relay::worker_is_dead);
            process.child.reap();
        }
        // What the workers have written is there when the pool has ended, if somebody reads it.
        self.shared.relays.wait();
        self.shared.with(|scheduler: &mut Scheduler, after| {
            let why = if scheduler.is_draining() {
                SHUT_DOWN
            } else {
                ENDED
            };
            scheduler.end(TaskErrorKind::Rejected, why, after);
        });
        self.shared.ended.set();
    }
}

/// What came out of a look at the scheduler.
struct Look {
    /// Workers that must be killed.
    kill: Vec<usize>,
    /// Workers that were told to end.
    retired: Vec<(usize, Then)>,
    /// How many tasks wait for a worker.
    needed: usize,
    ended: bool,
}

/// Enters the worker's descriptors in the epoll set.
fn register(epoll: &OwnedFd, index: usize, process: &Process) -> io::Result<()> {
    let [socket, death] = [false, true].map(|death| EventData::new_u64(event(index, death)));
    let add = |fd: BorrowedFd<'_>, event| epoll::add(epoll, fd, event, EventFlags::IN);
    add(process.child.end(), death)
        .and_then(|()| add(process.socket.as_fd(), socket))
        .map_err(|error| refused("epoll_ctl", error))
}

enum Heard {
    Message(usize),
    Nothing,
    End,
}

fn receive(socket: BorrowedFd<'_>, message: &mut [u8; MESSAGE_MAX]) -> Heard {
    match net::recv(socket, &mut message[..], RecvFlags::DONTWAIT) {
        Ok((_, 0)) => Heard::End,
        Ok((_, len)) => Heard::Message(len.min(MESSAGE_MAX)),
        Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
        Err(_) => Heard::End,
    }
}

/// Kills a worker and what it has started.
fn kill_worker(child: &child::Worker, socket: &OwnedFd) {
    if child.kill() == Err(Errno::PERM) {
        // This program has given up its privileges since. A worker whose socket ends kills itself.
        let _ = net::shutdown(socket, Shutdown::Both);
    }
}

fn event(index: usize, death: bool) -> u64 {
    2 * index as u64 + u64::from(death)
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
