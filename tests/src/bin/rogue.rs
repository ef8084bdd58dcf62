//! A worker that does not behave. What it does is its first argument.

use std::fs::File;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};

/// Magic and version, as in `wire.rs`.
const HEAD: usize = 8 + 4;

fn main() {
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
        "scribble" => {
            let lane = lane::Lane::map(&welcome().1[0]);
            say(&hello());
            lane.scribble();
        }
        "nonsense" => {
            let lane = lane::Lane::map(&welcome().1[0]);
            say(&hello());
            lane.answer_nonsense();
        }
        "claim" => {
            let lane = lane::Lane::map(&welcome().1[0]);
            say(&hello());
            lane.claim_a_large_result();
        }
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

    /// The control segment, as in `lane/mod.rs`: lines of 128 bytes, five for the header, of which
    /// the third is the parent's bell, and one for each slot.
    const LINE: usize = 128;
    const BELL: usize = 2 * LINE;
    const FIRST_SLOT: usize = 5 * LINE;
    const SLOTS: usize = 128;
    const BYTES: usize = FIRST_SLOT + SLOTS * LINE;

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

        /// Writes all over the segment until it is killed.
        pub(crate) fn scribble(&self) -> ! {
            let mut seed = 0x9e37_79b9_7f4a_7c15 ^ u64::from(std::process::id());
            let mut random = move || {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed as u32
            };
            loop {
                for _ in 0..1_000 {
                    let offset = random() as usize % (BYTES / 4) * 4;
                    // Small numbers look most like the truth.
                    let value = random() >> (random() % 32);
                    // Not as the length of a result: that is the mode "claim".
                    let in_slot = (offset % LINE) * usize::from(offset >= FIRST_SLOT);
                    let value = match in_slot {
                        16 => value % (1 << 20),
                        20 => 0,
                        _ => value,
                    };
                    self.word(offset).store(value, SeqCst);
                }
                sleep(Duration::from_micros(200));
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
            const READY: u32 = 1;
            const DONE: u32 = 3;
            let mut next = 0;
            loop {
                let ready = (0..SLOTS).map(|slot| FIRST_SLOT + slot * LINE);
                for at in ready.filter(|at| self.word(*at).load(SeqCst) & 7 == READY) {
                    let (kind, len, offset) = facts[next % facts.len()];
                    next += 1;
                    self.word(at + 4).store(kind, SeqCst);
                    self.long(at + 16).store(len, SeqCst);
                    for word in 0..11 {
                        self.long(at + 24 + word * 8).store(u64::MAX, SeqCst);
                    }
                    self.long(at + 112).store(offset, SeqCst);
                    self.word(at).store(DONE, SeqCst);
                    // Whoever waits looks at it now.
                    let _ = send(rustix::stdio::stdin(), &[1], SendFlags::NOSIGNAL);
                    self.word(BELL).fetch_add(1, SeqCst);
                    let _ = futex::wake(self.word(BELL), futex::Flags::empty(), i32::MAX as u32);
                }
                sleep(Duration::from_micros(100));
            }
        }
    }
}
