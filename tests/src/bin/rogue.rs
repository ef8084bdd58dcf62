//! A worker that does not behave. What it does is its first argument; or, where the folder of the
//! program has a file `lives`, the first worker of a pool leads one life after the other, each bad
//! in another way, and the others are as they should be.

use std::fs::File;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};

// The honest workers run what is linked in.
use pool_tests as _;

/// Magic and version, as in `wire.rs`.
const HEAD: usize = 8 + 4;

fn main() {
    lives::begin();
    // The name of the task that a test gives to the process that it starts may come first.
    let mode = std::env::args().nth(1).expect("what to do");
    match &*mode {
        "silent" => for_ever(),
        "exit" => std::process::exit(3),
        "abort" => std::process::abort(),
        "garbage" => say(b"hello, this is dog"),
        "prefix" => say(&hello()[..20]),
        "longer" => say(&[&hello()[..], b"x"].concat()),
        "huge" => say(&vec![7; 50_000]),
        "empty" => say(b""),
        "version" => {
            let mut hello = hello();
            hello[8] += 41;
            say(&hello);
        }
        "deaf" => {
            welcome();
            let null = File::open("/dev/null").expect("there");
            rustix::stdio::dup2_stdin(null).expect("replaced");
        }
        "hello then exit" => {
            say(&hello());
            std::process::exit(7);
        }
        "hello then nothing" => say(&hello()),
        "scribble" => served_lane().scribble(for_ever),
        "nonsense" => served_lane().answer_nonsense(),
        "claim" => served_lane().claim_a_large_result(),
        "sleepless" => served_lane().deny_that_it_was_asked(),
        "done before" => served_lane().say_of_all_slots(lane::DONE),
        "skip" => served_lane().answer_ready_with(lane::SKIP),
        "out of order" => served_lane().answer_out_of_order(),
        "told" => served_lane().run_until_told(),
        "flood" => {
            say(&hello());
            loop {
                let _ = send(rustix::stdio::stdin(), &[1; 128], SendFlags::NOSIGNAL);
            }
        }
        other => panic!("{other}"),
    }
    for_ever()
}

fn for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn say(message: &[u8]) {
    send(rustix::stdio::stdin(), message, SendFlags::NOSIGNAL).expect("sent");
}

/// The lane of a worker that has said hello.
fn served_lane() -> lane::Lane {
    let lane = lane::Lane::map(&welcome().1[0]);
    say(&hello());
    lane
}

/// The welcome: its head, and the descriptors that came with it.
fn welcome() -> &'static (Vec<u8>, Vec<OwnedFd>) {
    static WELCOME: std::sync::OnceLock<(Vec<u8>, Vec<OwnedFd>)> = std::sync::OnceLock::new();
    WELCOME.get_or_init(|| {
        let mut message = [0; 256];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        recvmsg(
            rustix::stdio::stdin(),
            &mut [IoSliceMut::new(&mut message)],
            &mut ancillary,
            RecvFlags::empty(),
        )
        .expect("a welcome");
        let fds = ancillary.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        (message[..HEAD].to_vec(), fds.flatten().collect())
    })
}

/// A proper hello, but for the build and the catalog.
fn hello() -> Vec<u8> {
    let mut hello = welcome().0.clone();
    hello.extend([1; 16]);
    hello
}

/// Numbers that look random and are the same in every run of a life.
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        // Not zero, from which it would not move.
        Self(0x9e37_79b9_7f4a_7c15 ^ seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Small numbers look most like the truth.
    fn word(&mut self) -> u32 {
        let shift = self.below(32);
        self.next() as u32 >> shift
    }
}

/// The lives of the first worker of a pool.
mod lives {
    use std::fs::{self, OpenOptions};
    use std::io::{IoSlice, Write};
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::fs::FileExt;
    use std::path::Path;
    use std::process;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use rustix::net::{
        SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, send, sendmsg, shutdown,
    };
    use rustix::process::{Signal, getpid, kill_process};

    use super::lane::{FIRST_SLOT, LINE, Lane, SLOTS};
    use super::{Noise, hello, say, welcome};

    /// How long a life goes on when it has become bad.
    const BAD_FOR: Duration = Duration::from_millis(100);

    /// What a life is like.
    #[derive(Clone, Copy)]
    enum Life {
        /// A worker in which something writes to the lane while it works.
        Memory(Memory),
        /// A worker in which something uses its socket.
        Socket(Socket),
        /// None: it goes wrong at its start.
        Start(Start),
    }

    #[derive(Clone, Copy)]
    enum Memory {
        States,
        Header,
        Facts,
        Replies,
        Everything,
    }

    #[derive(Clone, Copy)]
    enum Socket {
        Dings,
        Noise,
        Huge,
        Descriptors,
        HelloAgain,
        Empty,
        HalfClosed,
        Closed,
    }

    #[derive(Clone, Copy)]
    enum Start {
        ScribbleAndExit,
        ScribbleAndTalk,
        HelloInPieces,
        HelloWithDescriptors,
        HelloOfAnother,
        HelloAndScribble,
    }

    const MEMORY: &[Life] = &[
        Life::Memory(Memory::States),
        Life::Memory(Memory::Header),
        Life::Memory(Memory::Facts),
        Life::Memory(Memory::Replies),
        Life::Memory(Memory::Everything),
    ];

    const SOCKET: &[Life] = &[
        Life::Socket(Socket::Dings),
        Life::Socket(Socket::Noise),
        Life::Socket(Socket::Huge),
        Life::Socket(Socket::Descriptors),
        Life::Socket(Socket::HelloAgain),
        Life::Socket(Socket::Empty),
        Life::Socket(Socket::HalfClosed),
        Life::Socket(Socket::Closed),
    ];

    /// The first one lets the pool come up.
    const START: &[Life] = &[
        Life::Memory(Memory::Everything),
        Life::Start(Start::ScribbleAndExit),
        Life::Start(Start::ScribbleAndTalk),
        Life::Start(Start::HelloInPieces),
        Life::Start(Start::HelloWithDescriptors),
        Life::Start(Start::HelloOfAnother),
        Life::Start(Start::HelloAndScribble),
    ];

    /// Where the folder of the program says so, this is a worker; it does not return.
    pub(crate) fn begin() {
        let program = std::env::current_exe().expect("a path");
        let folder = program.parent().expect("in a folder");
        let Ok(kind) = fs::read_to_string(folder.join("lives")) else {
            return;
        };
        let token = std::env::args().next().expect("a token");
        if token.ends_with(":0") {
            let lives = match &*kind {
                "memory" => MEMORY,
                "socket" => SOCKET,
                "descriptors" => &[Life::Socket(Socket::Descriptors)],
                "start" => START,
                other => panic!("{other}"),
            };
            let number = enter(folder);
            live(lives[number % lives.len()], number as u64, folder);
        }
        pool_core::init();
    }

    /// Notes this process among the bad ones; how many there were before.
    fn enter(folder: &Path) -> usize {
        let path = folder.join("bad");
        let before = fs::read_to_string(&path).map_or(0, |text| text.lines().count());
        let mut file = OpenOptions::new().append(true).create(true).open(path);
        writeln!(file.as_mut().expect("opened"), "{}", process::id()).expect("written");
        before
    }

    /// Returns where the process is to be a worker all the same, bad in a thread beside it.
    fn live(life: Life, seed: u64, folder: &Path) {
        let noise = Noise::new(seed);
        let go = folder.join("go");
        match life {
            Life::Start(start) => go_wrong(start, noise),
            Life::Memory(memory) => {
                std::thread::spawn(move || scribble(memory, noise, &go));
            }
            Life::Socket(socket) => {
                // The same socket; the worker moves its own away.
                let own = rustix::stdio::stdin().try_clone_to_owned().expect("open");
                std::thread::spawn(move || talk(socket, noise, &own, &go));
            }
        }
    }

    /// A pool comes up before anything is bad.
    fn wait_for(go: &Path) {
        while !go.exists() {
            sleep(Duration::from_millis(1));
        }
    }

    fn die() -> ! {
        let _ = kill_process(getpid(), Signal::KILL);
        super::for_ever()
    }

    // ---- memory ----

    /// Where a segment of the lane is mapped, as soon as it is.
    fn address_of(segment: &str) -> u64 {
        loop {
            let maps = fs::read_to_string("/proc/self/maps").expect("readable");
            let line = maps.lines().find(|line| line.contains(segment));
            let start = line.and_then(|line| line.split('-').next());
            if let Some(start) = start {
                return u64::from_str_radix(start, 16).expect("an address");
            }
            sleep(Duration::from_micros(100));
        }
    }

    fn scribble(memory: Memory, mut noise: Noise, go: &Path) {
        wait_for(go);
        let (control, replies) = (address_of("pool-control"), address_of("pool-reply"));
        let own = OpenOptions::new().write(true).open("/proc/self/mem");
        let own = own.expect("opened");
        let end = Instant::now() + BAD_FOR;
        while Instant::now() < end {
            for _ in 0..=noise.below(40) {
                let slot = (FIRST_SLOT + noise.below(SLOTS as u64) as usize * LINE) as u64;
                let at = match memory {
                    Memory::States => control + slot,
                    Memory::Header => control + noise.below(FIRST_SLOT as u64 / 4) * 4,
                    Memory::Facts => control + slot + 4 * (1 + noise.below(31)),
                    Memory::Replies => replies + noise.below(1 << 18),
                    Memory::Everything => {
                        control + noise.below((FIRST_SLOT + SLOTS * LINE) as u64 / 4) * 4
                    }
                };
                let _ = own.write_at(&noise.word().to_ne_bytes(), at);
            }
            sleep(Duration::from_micros(noise.below(1_000)));
        }
        die()
    }

    // ---- the socket ----

    fn talk(socket: Socket, mut noise: Noise, own: &OwnedFd, go: &Path) {
        wait_for(go);
        // The worker's own hello is on its way.
        address_of("pool-control");
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let end = Instant::now() + BAD_FOR;
        while Instant::now() < end {
            // What does not fit is not sent: the next time.
            let _ = match socket {
                Socket::Dings => send(own, &[1], flags),
                Socket::Noise => {
                    let len = 1 + noise.below(200) as usize;
                    let bytes: Vec<_> = (0..len).map(|_| noise.next() as u8).collect();
                    send(own, &bytes, flags)
                }
                Socket::Huge => send(own, &vec![1; 100_000], flags),
                Socket::Descriptors => Ok(send_descriptors(own, &[1])),
                Socket::HelloAgain => {
                    send(own, &[b"poolcore\x02\0\0\0", &[7; 16][..]].concat(), flags)
                }
                Socket::Empty => send(own, &[], flags),
                Socket::HalfClosed => shutdown(own, Shutdown::Write).map(|()| 0),
                Socket::Closed => shutdown(own, Shutdown::Both).map(|()| 0),
            };
        }
        die()
    }

    /// A message with as many descriptors as one may have here.
    fn send_descriptors(socket: impl AsFd, message: &[u8]) -> usize {
        let null = fs::File::open("/dev/null").expect("there");
        let fds = [null.as_fd(); 16];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(socket, &[IoSlice::new(message)], &mut ancillary, flags).unwrap_or(0)
    }

    // ---- the start ----

    fn go_wrong(start: Start, mut noise: Noise) {
        let lane = Lane::map(&welcome().1[0]);
        let end = Instant::now() + BAD_FOR;
        let until_end = || {
            if Instant::now() >= end {
                die();
            }
        };
        match start {
            Start::ScribbleAndExit => lane.scribble(until_end),
            Start::ScribbleAndTalk => {
                lane.scribble_once(&mut noise);
                say(&noise.next().to_le_bytes());
            }
            Start::HelloInPieces => {
                let (one, other) = (&hello()[..10], &hello()[10..]);
                say(one);
                let _ = send(rustix::stdio::stdin(), other, SendFlags::NOSIGNAL);
            }
            Start::HelloWithDescriptors => {
                send_descriptors(rustix::stdio::stdin(), &hello());
                lane.scribble(until_end);
            }
            Start::HelloOfAnother => {
                let mut other = hello();
                other[8] ^= noise.next() as u8 | 1;
                say(&other);
            }
            Start::HelloAndScribble => {
                lane.scribble_once(&mut noise);
                say(&hello());
                say(&hello());
                lane.scribble(until_end);
            }
        }
        super::for_ever()
    }
}

// Writes what must not be there.
#[allow(unsafe_code)]
mod lane {
    use std::os::fd::OwnedFd;
    use std::ptr;
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
    use std::thread::sleep;
    use std::time::Duration;

    use rustix::mm::{MapFlags, ProtFlags, mmap};
    use rustix::net::{SendFlags, send};
    use rustix::thread::futex;

    use super::Noise;

    /// The control segment, as in `lane/mod.rs`: lines of 128 bytes, five for the header, and one
    /// for each slot.
    pub(crate) const LINE: usize = 128;
    pub(crate) const FIRST_SLOT: usize = 5 * LINE;
    pub(crate) const SLOTS: usize = 128;
    const BYTES: usize = FIRST_SLOT + SLOTS * LINE;

    /// The words of the header.
    const WORKER: usize = 0;
    const DRY_WANTED: usize = LINE;
    const BELL: usize = 2 * LINE;
    const STOP: usize = 4 * LINE;

    /// The words of a slot: its state is the first.
    const KIND: usize = 4;
    const LEN: usize = 16;
    const LEN_HIGH: usize = LEN + 4;
    const INLINE: usize = 24;
    const OFFSET: usize = 104;
    const NOTE: usize = 112;

    const READY: u32 = 1;
    const RUNNING: u32 = 2;
    pub(crate) const DONE: u32 = 3;
    pub(crate) const SKIP: u32 = 4;

    /// Its mapping.
    pub(crate) struct Lane(*mut u8);

    impl Lane {
        pub(crate) fn map(fd: &OwnedFd) -> Self {
            let rights = ProtFlags::READ | ProtFlags::WRITE;
            // SAFETY: a new mapping, which stays.
            let start = unsafe { mmap(ptr::null_mut(), BYTES, rights, MapFlags::SHARED, fd, 0) };
            Self(start.expect("mapped").cast())
        }

        fn word(&self, offset: usize) -> &AtomicU32 {
            assert!(offset + 4 <= BYTES && offset.is_multiple_of(4));
            // SAFETY: the offset lies in the mapping.
            let word = unsafe { self.0.add(offset) };
            // SAFETY: mapped as long as this process lives, aligned, and used as an atomic only.
            unsafe { AtomicU32::from_ptr(word.cast()) }
        }

        fn long(&self, offset: usize) -> &AtomicU64 {
            assert!(offset + 8 <= BYTES && offset.is_multiple_of(8));
            // SAFETY: the offset lies in the mapping.
            let long = unsafe { self.0.add(offset) };
            // SAFETY: mapped as long as this process lives, aligned, and used as an atomic only.
            unsafe { AtomicU64::from_ptr(long.cast()) }
        }

        /// Where the slots in this state are.
        fn slots_in(&self, state: u32) -> impl Iterator<Item = usize> {
            let slots = (0..SLOTS).map(|slot| FIRST_SLOT + slot * LINE);
            slots.filter(move |at| self.word(*at).load(SeqCst) & 7 == state)
        }

        /// Whoever waits looks at the lane now.
        fn tell(&self) {
            let _ = send(rustix::stdio::stdin(), &[1], SendFlags::NOSIGNAL);
            self.word(BELL).fetch_add(1, SeqCst);
            let _ = futex::wake(self.word(BELL), futex::Flags::empty(), i32::MAX as u32);
        }

        /// Writes all over the segment until it is killed, or dies in between.
        pub(crate) fn scribble<R>(&self, between: impl Fn() -> R) -> ! {
            let mut noise = Noise::new(std::process::id().into());
            loop {
                self.scribble_once(&mut noise);
                sleep(Duration::from_micros(200));
                between();
            }
        }

        pub(crate) fn scribble_once(&self, noise: &mut Noise) {
            self.scribble_with(noise, |state| state);
        }

        /// Writes all over the segment, and what is made of it where a state is.
        fn scribble_with(&self, noise: &mut Noise, state: impl Fn(u32) -> u32) {
            for _ in 0..1_000 {
                let offset = noise.below(BYTES as u64 / 4) as usize * 4;
                let value = noise.word();
                // Not as the length of a result: that is the mode "claim".
                let value = match offset % LINE {
                    _ if offset < FIRST_SLOT => value,
                    0 => state(value),
                    LEN => value % (1 << 20),
                    LEN_HIGH => 0,
                    _ => value,
                };
                self.word(offset).store(value, SeqCst);
            }
        }

        /// Says of every task that it is done, with facts that cannot be.
        pub(crate) fn answer_nonsense(&self) -> ! {
            self.answer(&[
                (0, u64::MAX, 0),
                (0, 1 << 20, u64::MAX),
                (0, u64::MAX, u64::MAX),
                (0, 1 << 40, 0),
                (0, 100, (1 << 36) - 10),
                (0, 200, 3),
                (0, 100_000, 5),
                (99, 8, 0),
                (u32::MAX, 0, 0),
                (1, 80, 0),
                (2, 0, 0),
                (3, 88, 0),
                (4, 12, 0),
            ])
        }

        /// Says of every task that it has a large result, which was never written.
        pub(crate) fn claim_a_large_result(&self) -> ! {
            self.answer(&[(0, 1 << 30, 0)])
        }

        /// Answers with these facts in turn: kind, length, offset.
        fn answer(&self, facts: &[(u32, u64, u64)]) -> ! {
            let mut next = 0;
            loop {
                for at in self.slots_in(READY) {
                    let (kind, len, offset) = facts[next % facts.len()];
                    next += 1;
                    self.word(at + KIND).store(kind, SeqCst);
                    self.long(at + LEN).store(len, SeqCst);
                    for word in (at + INLINE..at + OFFSET).step_by(8) {
                        self.long(word).store(u64::MAX, SeqCst);
                    }
                    self.long(at + OFFSET).store(offset, SeqCst);
                    self.long(at + NOTE).store(u64::MAX, SeqCst);
                    self.word(at).store(DONE, SeqCst);
                    self.tell();
                }
                sleep(Duration::from_micros(100));
            }
        }

        /// Sleeps, as it says, and nobody has asked it to say so: at every look.
        pub(crate) fn deny_that_it_was_asked(&self) -> ! {
            loop {
                self.word(WORKER).store(1, SeqCst);
                self.word(DRY_WANTED).store(0, SeqCst);
            }
        }

        /// Gives every slot this state, whatever is in it.
        pub(crate) fn say_of_all_slots(&self, state: u32) -> ! {
            loop {
                for slot in 0..SLOTS {
                    self.word(FIRST_SLOT + slot * LINE).store(state, SeqCst);
                }
            }
        }

        /// Gives every task this state.
        pub(crate) fn answer_ready_with(&self, state: u32) -> ! {
            loop {
                for at in self.slots_in(READY) {
                    self.word(at).store(state, SeqCst);
                    self.tell();
                }
                sleep(Duration::from_micros(100));
            }
        }

        /// Runs the first task for ever, and says of those behind it that they are done.
        pub(crate) fn answer_out_of_order(&self) -> ! {
            loop {
                for at in self.slots_in(READY) {
                    let state = if at == FIRST_SLOT { RUNNING } else { DONE };
                    self.word(at).store(state, SeqCst);
                }
                sleep(Duration::from_micros(100));
            }
        }

        /// Runs a task until it is asked to stop, and then writes everywhere, but says of every
        /// task that it waits.
        pub(crate) fn run_until_told(&self) -> ! {
            while self.long(STOP).load(SeqCst) == 0 {
                for at in self.slots_in(READY) {
                    self.word(at).store(RUNNING, SeqCst);
                }
                sleep(Duration::from_micros(100));
            }
            let mut noise = Noise::new(std::process::id().into());
            loop {
                self.scribble_with(&mut noise, |_| READY);
                sleep(Duration::from_micros(200));
            }
        }
    }
}
