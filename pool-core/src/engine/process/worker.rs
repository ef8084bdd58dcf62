//! The worker's side: takes over the re-executed process and runs the tasks of its lane.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::exit;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::fence;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{self, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags};
use rustix::process::{Pid, Signal, getpgrp, getpid, getppid};
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use super::descriptors::{self, Reserved, refused};
use super::inherited::close_inherited;
use super::lane::arena::{Allocator, Region};
use super::lane::memory::{ControlMap, TrustedArena, WriteArena, use_large_pages};
use super::lane::slot::{Facts, SLOT_INLINE, Start, TELL_JOINER, TELL_SUPERVISOR};
use super::lane::{Control, monotonic_nanos};
use super::memory::is_stopped_by_signal;
use super::spawn::Token;
use super::terminal::{self, Blocked};
use super::wire::{
    DING, Finished, Hello, Identity, LastWords, MESSAGE_MAX, Progress, Unreadable, VERSION,
    Welcome, kind,
};
use super::{pause, privilege};
use crate::codec::bytes::LARGE_PAGES;
use crate::codec::{self, Frames, REPLY_HEAD, Reply};
use crate::engine::home::Home;
use crate::error::backend::Backend;
use crate::error::panics;
use crate::job::current::{self, Frame, Probe};
use crate::job::registry::{Catalog, Entry};
use crate::sync::adaptive_spin::AdaptiveSpin;
use crate::sync::timespec;
use crate::task::{TaskId, seed};

/// How deep this process is in nested pools: 0 where no pool started it.
static DEPTH: AtomicU32 = AtomicU32::new(0);

/// The value of [`DEPTH`].
pub(super) fn depth() -> u32 {
    DEPTH.load(Relaxed)
}

/// The exit code of a process that was started as a worker and cannot be one.
const EXIT_NOT_A_WORKER: i32 = 64;

/// How often a worker looks for its parent where the kernel does not tell of its end.
const LOOK_AT_PARENT: Duration = Duration::from_secs(1);
/// The exit code of a Rust program that panics.
const EXIT_PANICKED: i32 = 101;

/// How much room the replies of a chunk get at first.
const CHUNK_ROOM: u64 = 64 << 10;

/// How much touched memory a worker keeps for its results, beside what has lately been in use.
const KEEP_BYTES: u64 = 1 << 20;

/// How many results a worker puts into its arena between two checks for memory to give back.
const RESULTS_PER_TRIM: u32 = 64;

/// The worker's end of its lane; there is one lane in a process, and it lives as long.
struct Lane {
    /// A process that a task forks does not have the mappings, and is asked before they are used.
    home: Home,
    control: ControlMap,
    request: TrustedArena,
    reply: WriteArena,
    arena_bytes: u64,
    socket: BorrowedFd<'static>,
}

/// The control socket, from when it is not the standard input any more.
static SOCKET: OnceLock<OwnedFd> = OnceLock::new();

static LANE: OnceLock<Lane> = OnceLock::new();

/// The number of the running task.
static RUNNING: AtomicU64 = AtomicU64::new(0);

/// Makes this process the worker that its token says it is. Does not return.
pub(crate) fn take_over(token: Token) -> ! {
    let _ = LARGE_PAGES.set(use_large_pages);
    match serve(token) {
        Ok(()) => exit(0),
        Err(reason) => {
            if !say_last(&reason) {
                // Standard error may be closed.
                let _ = writeln!(
                    io::stderr(),
                    "this process was started as a worker of pool-core and cannot be one: {reason}"
                );
            }
            exit(EXIT_NOT_A_WORKER)
        }
    }
}

/// Tells the parent why this process ends; returns whether there is a parent to be told.
fn say_last(words: &str) -> bool {
    let socket = SOCKET
        .get()
        .map_or(rustix::stdio::stdin(), |socket| socket.as_fd());
    let message = LastWords(words.to_owned()).encode();
    net::sockopt::socket_type(socket) == Ok(net::SocketType::SEQPACKET)
        && net::send(socket, &message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).is_ok()
}

fn serve(token: Token) -> Result<(), String> {
    privilege::check()?;
    let starter = getppid();
    // Before the look at its number: if that is right, this is the parent and no later process.
    let pidfd = starter.and_then(|pid| descriptors::process(pid).ok());
    let parent = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if u32::try_from(parent) != Ok(token.parent) {
        // An orphan: its parent died before it got here, and nobody wants to hear of it.
        if net::sockopt::socket_type(rustix::stdio::stdin()).is_ok() {
            return Ok(());
        }
        return Err(format!(
            "its parent is process {parent}, the token is of process {}",
            token.parent
        ));
    }
    terminal::leave();
    close_inherited(token.parent);
    // The supervisor thread, which started this process, outlives it; so this comes when the
    // parent dies. It means nothing to a process that runs, and lets a stopped one run again, so
    // that it sees the socket's end and takes along what it has started.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::CONT));
    if token.version != VERSION {
        // The parent reads our version in the hello.
        let _ = net::send(
            rustix::stdio::stdin(),
            &Hello {
                identity: identity()?,
            }
            .encode(),
            SendFlags::NOSIGNAL,
        );
        return Err(format!("its parent speaks version {}", token.version));
    }
    // A parent that runs without standard streams starts workers without them.
    let reserved = Reserved::new();
    let (welcome, mut fds) = receive_welcome(rustix::stdio::stdin())?;
    let socket = move_stdin_away().map_err(|error| format!("its standard input: {error}"))?;
    drop(reserved);
    if welcome.stdout {
        let stdout = fds.pop().ok_or("a descriptor is missing")?;
        rustix::stdio::dup2_stdout(stdout).map_err(|error| format!("standard output: {error}"))?;
    }
    if let Some(umask) = welcome.umask {
        rustix::process::umask(Mode::from_raw_mode(umask));
    }
    let [control, request, reply] =
        <[OwnedFd; 3]>::try_from(fds).map_err(|fds| format!("it got {} descriptors", fds.len()))?;
    let own = identity()?;
    let say_hello = move || {
        net::send(
            socket,
            &Hello { identity: own }.encode(),
            SendFlags::NOSIGNAL,
        )
        .map(drop)
        .map_err(|error| format!("its parent does not hear it: {error}"))
    };
    if !welcome.foreign && own != welcome.identity {
        // The parent sees in the hello what differs.
        say_hello()?;
        return Err("it links other tasks than its parent".into());
    }
    let lane = map(&welcome, socket, [&control, &request, &reply])
        .map_err(|error| format!("its lane: {error}"))?;
    drop((control, request, reply));
    DEPTH.store(welcome.depth, Relaxed);
    crate::engine::cpus::share_with(welcome.sharers);
    outlive_interrupts().map_err(|error| format!("its signals: {error}"))?;
    terminal::restore(Blocked(welcome.blocked));
    let _ = rustix::thread::set_name(c"pool-worker");
    let Ok(()) = LANE.set(lane) else {
        return Err("it is one already".into());
    };
    let Some(lane) = LANE.get() else {
        return Err("it has no lane".into());
    };
    // Before the first task, which may look at the descriptors that there are.
    let unparker = pause::unparker();
    std::thread::Builder::new()
        .name("pool-watch".into())
        .stack_size(64 * 1024)
        .spawn(move || watch_parent(lane, starter, pidfd.as_ref(), unparker))
        .map_err(|error| format!("its watching thread: {error}"))?;
    // The parent has checked that there are no duplicates.
    let catalog = Catalog::get().map_err(|error| error.to_string())?;
    let backend = match welcome.agent {
        true => Backend::Cluster,
        false => Backend::Processes,
    };
    let frame = Frame::new(backend, welcome.index as usize);
    if cfg!(panic = "abort") {
        panics::tell_before_abort(|panic| {
            if LANE.get().is_some_and(|lane| lane.home.is_here()) {
                say_last(&panic.to_string());
            }
        });
    }
    // The main thread's stack may have no limit, or a small one. That thread stays, since the
    // parent-death signal is tied to it.
    let stack = usize::try_from(welcome.stack_size).unwrap_or(usize::MAX);
    let tasks = std::thread::Builder::new()
        .name("pool-worker".into())
        .stack_size(stack)
        .spawn(move || {
            // With it the parent knows that everything is there.
            say_hello()?;
            Worker::new(lane, catalog, frame).run();
            Ok(())
        })
        .map_err(|error| format!("its thread for tasks, with a stack of {stack} bytes: {error}"))?;
    match tasks.join() {
        Ok(ended) => ended,
        // A panic of our own, which the hook has printed.
        Err(_) => exit(EXIT_PANICKED),
    }
}

fn identity() -> Result<Identity, String> {
    let catalog = Catalog::get().map_err(|error| error.to_string())?;
    Ok(Identity::of(catalog))
}

fn receive_welcome(socket: BorrowedFd<'_>) -> Result<(Welcome, Vec<OwnedFd>), String> {
    let mut message = [0; MESSAGE_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match net::recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut message)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        ) {
            Err(Errno::INTR) => {}
            received => break received,
        }
    };
    let len = match received {
        Ok(received) => received.bytes,
        Err(Errno::NOTSOCK) => return Err("its standard input is not a control socket".into()),
        Err(error) => return Err(format!("no welcome: {error}")),
    };
    let fds = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    match Welcome::decode(&message[..len]) {
        Ok(welcome) => Ok((welcome, fds)),
        Err(Unreadable::Garbage) if len == 0 => Err("its parent is gone".into()),
        Err(Unreadable::Garbage) => Err("what it was sent is not a welcome".into()),
        Err(Unreadable::Version(theirs)) => Err(format!("its parent speaks version {theirs}")),
    }
}

/// Moves the control socket to a descriptor of its own. The standard input becomes one that is at
/// its end: a socket, so that the names of the standard input (`/dev/stdin`, `/proc/self/fd/0`)
/// cannot be opened. The program's input is not here, and an empty file in its place would be taken
/// for it. (It is not connected: a shell takes a connected one for a login from elsewhere.)
fn move_stdin_away() -> io::Result<BorrowedFd<'static>> {
    let socket = descriptors::copy(rustix::stdio::stdin())?;
    let dead = descriptors::dead_socket()?;
    rustix::stdio::dup2_stdin(&dead).map_err(|error| refused("dup2", error))?;
    Ok(SOCKET.get_or_init(|| socket).as_fd())
}

fn map(welcome: &Welcome, socket: BorrowedFd<'static>, fds: [&OwnedFd; 3]) -> io::Result<Lane> {
    let [control, request, reply] = fds.map(AsFd::as_fd);
    let control = ControlMap::new(control)?;
    control.keep_from_forks();
    Ok(Lane {
        home: Home::new(),
        control,
        request: TrustedArena::new(request, welcome.arena_bytes)?,
        reply: WriteArena::in_worker(reply, welcome.arena_bytes)?,
        arena_bytes: welcome.arena_bytes,
        socket,
    })
}

/// Waits for the end of the parent, and ends this process with everything it has started. While a
/// task runs, it stops with the parent.
fn watch_parent(
    lane: &Lane,
    number: Option<Pid>,
    parent: Option<&OwnedFd>,
    unparker: Option<&OwnedFd>,
) {
    let socket = lane.socket.as_fd();
    let header = &lane.control.get().header;
    // The socket ends when the parent dies or executes another program. A process that the parent
    // has forked keeps a copy of the other end, so the parent itself is watched as well.
    let mut watched = vec![PollFd::from_borrowed_fd(socket, PollFlags::IN)];
    watched.extend(parent.map(|parent| PollFd::new(parent, PollFlags::IN)));
    let unparked_at = watched.len();
    watched.extend(unparker.map(|unparker| PollFd::new(unparker, PollFlags::IN)));
    let pid = number.map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs());
    let look_every = timespec(pause::LOOK_EVERY);
    // Without a pidfd the parent's number is looked at: who loses its parent gets another one.
    let look_at_parent = parent.is_none().then(|| timespec(LOOK_AT_PARENT));
    let mut is_parked = false;
    loop {
        let wait = match is_parked {
            false => Some(&look_every),
            true => look_at_parent.as_ref(),
        };
        match poll(&mut watched, wait) {
            Ok(0) => {
                if parent.is_none() && getppid() != number {
                    break;
                }
                if !is_parked {
                    if is_stopped_by_signal(pid) {
                        pause::stop(socket, pid);
                    }
                    is_parked = pause::park(|| header.worker_sleeps());
                }
                continue;
            }
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => break,
        }
        if parent.is_some() && !watched[1].revents().is_empty() {
            break;
        }
        if let Some(unparker) = unparker
            && !watched[unparked_at].revents().is_empty()
        {
            let _ = rustix::io::read(unparker, &mut [0; 8]);
            is_parked = false;
        }
        // The parent says nothing after the welcome; a later version may.
        match net::recv(socket, &mut [0; MESSAGE_MAX][..], RecvFlags::DONTWAIT) {
            Ok((_, 1..)) | Err(Errno::INTR | Errno::AGAIN) => {}
            _ => break,
        }
    }
    if getpgrp() == getpid() {
        let _ = rustix::process::kill_current_process_group(Signal::KILL);
    }
    let _ = rustix::process::kill_process(getpid(), Signal::KILL);
}

struct Worker {
    lane: &'static Lane,
    control: &'static Control,
    catalog: &'static Catalog,
    frame: Frame,
    adaptive_spin: AdaptiveSpin,
    /// The number of the next task.
    next: u64,
    arena: Allocator,
    /// The tasks with results in the arena, oldest first.
    regions: VecDeque<(u64, Region)>,
    /// The number of regions allocated since the last check for memory to give back.
    since_trim: u32,
    out: Vec<u8>,
    /// The task that runs, or ran last, gave no result.
    failed: bool,
    /// The task that ran last.
    last: Option<(TaskId, &'static Entry)>,
}

impl Worker {
    fn new(lane: &'static Lane, catalog: &'static Catalog, frame: Frame) -> Self {
        Self {
            lane,
            control: lane.control.get(),
            catalog,
            frame: frame.probed(PROBE),
            adaptive_spin: AdaptiveSpin::new(),
            next: 0,
            arena: Allocator::new(lane.arena_bytes),
            regions: VecDeque::new(),
            since_trim: 0,
            out: Vec::new(),
            failed: false,
            last: None,
        }
    }

    /// Runs tasks until it is told to stop.
    fn run(mut self) {
        let control = self.control;
        loop {
            let slot = control.slot(self.next);
            match slot.start() {
                Start::Run => {
                    let facts = slot.facts();
                    if kind::and_attempt(facts.kind).0 == kind::STOP {
                        return;
                    }
                    self.run_task(facts);
                    self.next += 1;
                }
                Start::Skipped => self.next += 1,
                Start::Nothing => {
                    let ready = || slot.has_work();
                    if !self.adaptive_spin.spin_until(ready) {
                        let socket = self.lane.socket;
                        control
                            .header
                            .sleep_worker(ready, || ding(socket), || self.trim_idle());
                        pause::unpark();
                    }
                }
            }
        }
    }

    fn run_task(&mut self, facts: Facts) {
        let slot = self.control.slot(self.next);
        let (kind, attempt) = kind::and_attempt(facts.kind);
        let is_seeded = kind & kind::SEEDED != 0;
        let kind = kind & !kind::SEEDED;
        let start = match kind {
            kind::TIMED | kind::SAMPLE => monotonic_nanos(),
            _ => 0,
        };
        if start != 0 {
            slot.set_note(start);
        }
        RUNNING.store(self.next, Relaxed);
        let task = self.task(TaskId(facts.task));
        let mut inline = [0; SLOT_INLINE];
        let args = if facts.len <= SLOT_INLINE as u64 {
            let inline = &mut inline[..facts.len as usize];
            slot.read(inline);
            Some(&*inline)
        } else {
            self.lane.request.bytes(Region {
                offset: facts.offset,
                len: facts.len,
            })
        };
        self.out.clear();
        self.failed = false;
        match (task, args) {
            (Some(task), Some(args)) => {
                let frame = self.frame.named(task.name()).attempt(attempt);
                current::enter(frame, || {
                    if kind == kind::CHUNK {
                        self.run_chunk(task, args, is_seeded);
                    } else {
                        let reply = self.run_one(task, args, is_seeded);
                        let ran = match kind {
                            kind::SAMPLE => monotonic_nanos().saturating_sub(start),
                            _ => 0,
                        };
                        self.answer(reply, ran);
                    }
                });
            }
            (None, _) => self.answer(Reply::UnknownTask, 0),
            // The parent wrote the region itself: not to be expected.
            (_, None) => self.answer(Reply::Undecodable, 0),
        }
        let told = slot.finish();
        // Before anything else is written to where the parent may still be reading (`WorkerQueue::rob`).
        fence(Release);
        if told & TELL_JOINER != 0 {
            self.control.header.ring_parent();
        }
        // One that failed may have to run again, which nobody else may notice.
        if told & TELL_SUPERVISOR != 0 || self.failed {
            ding(self.lane.socket);
        }
    }

    /// Runs a task, with the seed that travels behind its arguments if there is one.
    #[inline]
    fn run_one(&mut self, task: &Entry, mut args: &[u8], is_seeded: bool) -> Reply {
        if is_seeded {
            let Some((rest, seed)) = seed::split(args) else {
                return Reply::Undecodable;
            };
            args = rest;
            current::reseed(seed);
        }
        let reply = task.run(args, &mut self.out);
        if !self.lane.home.is_here() {
            // The task has forked and returned in the child as well, which serves nobody.
            let _ = rustix::process::kill_process(getpid(), Signal::KILL);
        }
        reply
    }

    /// The task with this id. It is often the one before.
    #[inline]
    fn task(&mut self, id: TaskId) -> Option<&'static Entry> {
        match self.last {
            Some((last, task)) if last == id => Some(task),
            _ => {
                let task = self.catalog.get_task(id)?;
                self.last = Some((id, task));
                Some(task)
            }
        }
    }

    /// Runs the tasks of a chunk until its end, until the parent takes back the others, or until
    /// the room for replies is used up; notes its progress after each.
    fn run_chunk(&mut self, task: &Entry, args: &[u8], is_seeded: bool) {
        let slot = self.control.slot(self.next);
        let start = Instant::now();
        let mut room = self.room(CHUNK_ROOM);
        slot.set_offset(room.offset);
        let mut progress = Progress { ran: 0, bytes: 0 };
        let mut failed = 0;
        for frame in Frames(args) {
            if !slot.start_next() {
                break;
            }
            self.out.clear();
            self.out.extend([0; REPLY_HEAD]);
            let mut reply = self.run_one(task, frame, is_seeded);
            let needed = progress.bytes + self.out.len() as u64 + CHUNK_ROOM;
            let limit = (self.arena.capacity() / 2).min(u32::MAX.into()) - CHUNK_ROOM;
            if needed > limit + CHUNK_ROOM {
                // Beside the room that it would replace it has no place.
                let len = self.out.len() - REPLY_HEAD;
                let message = format!("{len} bytes are more than the limit of {limit} in a map");
                codec::report_failure(&message, REPLY_HEAD, &mut self.out);
                reply = Reply::Unencodable;
            }
            failed += u32::from(reply != Reply::Output);
            codec::head_reply(reply, &mut self.out);
            let len = self.out.len() as u64;
            let fits = progress.bytes + len <= room.len;
            if !fits {
                room = self.larger_room(room, progress.bytes, len);
                // The parent reads the offset when the progress says that there is something.
                slot.set_offset(room.offset);
            }
            let part = Region {
                offset: room.offset + progress.bytes,
                len,
            };
            self.lane.reply.write(part, &self.out);
            progress.ran += 1;
            progress.bytes += len;
            slot.set_note(progress.to_word());
            if !fits {
                break;
            }
        }
        if self.out.capacity() as u64 > KEEP_BYTES {
            self.out = Vec::new();
        }
        let finished = Finished {
            ran: progress.ran,
            failed,
            nanos: u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX),
        };
        let facts = Facts {
            kind: Reply::Output as u32,
            task: finished.to_word(),
            len: progress.bytes,
            offset: room.offset,
        };
        if progress.bytes <= SLOT_INLINE as u64 {
            let replies = self.lane.reply.read_back(Region {
                len: progress.bytes,
                ..room
            });
            slot.write(&facts, &replies);
            self.arena.free(room);
        } else {
            // The room that was not used goes back.
            let used = self.arena.shorten(room, progress.bytes);
            self.regions.push_back((self.next, used));
            slot.write(&facts, &[]);
        }
    }

    /// A room for the `used` bytes of the old one, which move there, and `more`.
    fn larger_room(&mut self, old: Region, used: u64, more: u64) -> Region {
        let replies = self.lane.reply.read_back(Region { len: used, ..old });
        self.regions.push_back((self.next, old));
        let room = self.room(used + more);
        let len = used;
        self.lane.reply.write(Region { len, ..room }, &replies);
        room
    }

    /// Writes the reply to the slot, and to the arena if it is long; `ran` is for how many
    /// nanoseconds it ran, where that is taken.
    fn answer(&mut self, reply: Reply, ran: u64) {
        self.failed |= reply.failure().is_some();
        let slot = self.control.slot(self.next);
        let len = self.out.len() as u64;
        let mut facts = Facts {
            kind: reply as u32,
            task: ran,
            len,
            ..Facts::default()
        };
        if len > self.arena.capacity() {
            let limit = self.arena.capacity();
            let message = format!("{len} bytes are more than the limit of {limit}");
            codec::report_failure(&message, 0, &mut self.out);
            return self.answer(Reply::Unencodable, ran);
        }
        if self.out.len() <= SLOT_INLINE {
            slot.write(&facts, &self.out);
            return;
        }
        let region = self.room(len);
        self.regions.push_back((self.next, region));
        self.lane.reply.write(region, &self.out);
        facts.offset = region.offset;
        slot.write(&facts, &[]);
        if self.out.capacity() as u64 > KEEP_BYTES {
            self.out = Vec::new();
        }
    }

    /// A region for a result; waits for the parent to collect older ones where the arena is full.
    fn room(&mut self, len: u64) -> Region {
        loop {
            self.release_collected();
            if let Some(region) = self.arena.alloc(len) {
                self.since_trim += 1;
                if self.since_trim >= RESULTS_PER_TRIM {
                    self.since_trim = 0;
                    self.trim();
                }
                return region;
            }
            ding(self.lane.socket);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    fn release_collected(&mut self) {
        let collected = self.control.header.collected();
        while let Some(&(seq, region)) = self.regions.front() {
            if seq >= collected {
                break;
            }
            self.regions.pop_front();
            self.arena.free(region);
        }
    }

    /// Gives the memory of large results back that was not in use since the last call.
    fn trim(&mut self) {
        if self.arena.touched() > KEEP_BYTES {
            self.release_collected();
            if let Some(excess) = self.arena.excess(KEEP_BYTES, u64::MAX) {
                self.lane.reply.give_back(excess);
                self.arena.given_back();
            }
        }
    }

    /// The same after a while without work, when nothing is in use.
    fn trim_idle(&mut self) {
        // The first call may find that the memory was in use before.
        self.trim();
        self.trim();
    }
}

const PROBE: Probe = Probe {
    is_stopped: is_asked_to_stop,
    next_stop,
};

/// Waits until there are not `seen` requests any more.
fn next_stop(seen: u32) -> u32 {
    match control() {
        Some(control) => control.header.next_stop(seen),
        // Nobody asks a fork to stop.
        None => loop {
            std::thread::park();
        },
    }
}

fn is_asked_to_stop() -> bool {
    control().is_some_and(|control| control.header.is_asked_to_stop(RUNNING.load(Relaxed)))
}

/// The control segment of this worker; `None` in a process that its task has forked.
fn control() -> Option<&'static Control> {
    let lane = LANE.get().filter(|lane| lane.home.is_here());
    lane.map(|lane| lane.control.get())
}

/// Tells the supervisor to look at the lane.
fn ding(socket: BorrowedFd<'_>) {
    // A full socket has dings enough; a closed one ends this process.
    let _ = net::send(socket, &DING, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

/// Makes this process, a worker, outlive an interrupt: its parent decides what an interrupt means.
/// A terminal sends it to the parent's process group only; this is for those who send it to every
/// process they find.
fn outlive_interrupts() -> io::Result<()> {
    static UNHEARD: AtomicBool = AtomicBool::new(false);
    flag::register(SIGINT, &UNHEARD).map(drop)
}
