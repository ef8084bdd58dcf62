//! What a task can do to its worker beside that.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command, Stdio};

use rustix::net::{SendFlags, send};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, Signal, getpid, pidfd_getfd, pidfd_open};

use super::super::crash::end_by;
use super::super::gate::{Gate, note};
use super::super::proc::{Thread, descendants_of, wait_until_gone};
use super::super::tasks::add;
use super::super::{Subject, outcome, program};
use super::{Fault, SHORT, assert_works, fate, goes_wrong};
use crate::api::handle::JoinHandle;
use crate::engine::output::Output;
use crate::pool_task;
use crate::task::TaskExt;

#[track_caller]
fn assert_killed<T>(handle: JoinHandle<T>) {
    let error = fate(handle).unwrap_err();
    assert!(error.is_worker_lost(), "{error}");
    assert_eq!(error.signal(), Some(Signal::KILL.as_raw()), "{error}");
}

/// The numbers of the descriptors beyond the standard streams.
fn descriptors() -> Vec<i32> {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let open = open.filter_map(|fd| fd.ok()?.file_name().to_str()?.parse().ok());
    open.filter(|fd| *fd > 2).collect()
}

/// As libraries do that turn a process into a daemon.
#[pool_task(crate = crate)]
fn closes_everything(then: u8) -> u32 {
    for fd in descriptors() {
        // Some are closed already: the one by which they were listed.
        let _ = nix::unistd::close(fd);
    }
    let _ = Fault::ALL[usize::from(then)].happens();
    0
}

pub(in super::super) fn fault_body_close(subject: &Subject) {
    let pool = subject.pool_of(1);
    for then in [Fault::Hang, Fault::Panic, Fault::Exit42] {
        let handle = pool.submit(closes_everything::task(then as u8).timeout(SHORT));
        let behind: Vec<_> = (0..10).map(|i| pool.submit(add::task(i, 1))).collect();
        // It may be seen that the way to it is gone before that is over.
        let error = fate(handle).unwrap_err();
        let expected = error.is_worker_lost() || error.is_timeout() || error.is_panic();
        assert!(expected, "{error}");
        for (i, handle) in (0..).zip(behind) {
            assert_eq!(outcome(handle).unwrap(), i + 1);
        }
        assert_works(&pool);
    }
}

/// Becomes a program that does not end.
#[pool_task(crate = crate)]
fn becomes_another_program() -> u32 {
    panic!(
        "no other program: {}",
        Command::new("sleep").arg("600").exec()
    )
}

pub(in super::super) fn fault_body_exec_hang(subject: &Subject) {
    let pool = subject.pool_of(1);
    let handle = pool.submit(becomes_another_program::task());
    let behind = pool.submit(add::task(1, 1));
    assert_killed(handle);
    assert_eq!(outcome(behind).unwrap(), 2);
    assert_works(&pool);
    drop(pool);
    wait_until_gone(&descendants_of(process::id()));
}

/// Writes nonsense to every socket that it has.
#[pool_task(crate = crate)]
fn writes_to_its_sockets() -> usize {
    // The library does not keep it.
    #[allow(clippy::disallowed_methods)]
    let this = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let mut written = 0;
    for fd in descriptors() {
        let Ok(socket) = pidfd_getfd(&this, fd, PidfdGetfdFlags::empty()) else {
            continue;
        };
        for len in 1..300 {
            let noise = vec![len as u8; len];
            written += usize::from(send(&socket, &noise, SendFlags::DONTWAIT).is_ok());
        }
    }
    written
}

pub(in super::super) fn fault_body_noise(subject: &Subject) {
    let pool = subject.pool_of(1);
    let mut has_written = false;
    for _ in 0..3 {
        let handle = pool.submit(writes_to_its_sockets::task());
        match outcome(handle) {
            // The pool may have closed its end already, for the noise before.
            Ok(written) => has_written |= written > 0,
            Err(error) => {
                assert!(error.is_worker_lost(), "{error}");
                has_written = true;
            }
        }
        assert_works(&pool);
    }
    assert!(has_written, "no worker has a socket");
}

/// Writes nonsense to all the memory that it shares and may write to.
#[pool_task(crate = crate)]
fn scribbles(folder: &Path) -> u32 {
    note(folder, 1);
    let memory = File::options().write(true).open("/proc/self/mem").unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    for line in maps.lines().filter(|line| line.contains(" rw-s ")) {
        let (start, _) = line.split_once('-').unwrap();
        let start = u64::from_str_radix(start, 16).unwrap();
        for page in 0..16 {
            let noise: Vec<u8> = (0..4096_u32).map(|i| (i * 31 + page) as u8).collect();
            // What is behind the end of it cannot be written.
            let _ = memory.write_all_at(&noise, start + u64::from(page) * 4096);
        }
    }
    1
}

pub(in super::super) fn fault_body_scribble(subject: &Subject) {
    let honest = subject.pool();
    for _ in 0..3 {
        let gate = Gate::new();
        let pool = subject.pool();
        let scribbles = pool.submit(scribbles::task(gate.folder()));
        let others: Vec<_> = (0..50).map(|i| pool.submit(add::task(i, 1))).collect();
        let worker = gate.wait_for(1);
        assert_works(&honest);
        // What becomes of its worker is up to the noise, so it may have to be ended by hand: it, or what
        // waits for such a worker.
        let has_ended = scribbles.join_timeout(SHORT).is_some();
        if !has_ended
            || others
                .iter()
                .any(|other| other.join_timeout(SHORT).is_none())
        {
            pool.kill();
        }
        for handle in others {
            let _ = fate(handle);
        }
        pool.kill();
        wait_until_gone(&Vec::from_iter(Thread::main_of(worker.pid)));
        let error = outcome(pool.submit(add::task(1, 1))).unwrap_err();
        assert!(error.is_rejected(), "{error}");
    }
    assert_works(&honest);
}

/// Stops its process.
#[pool_task(crate = crate)]
fn stops_itself() -> u32 {
    end_by(Signal::STOP)
}

pub(in super::super) fn fault_body_stop(subject: &Subject) {
    let pool = subject.pool_of(1);
    let handle = pool.submit(stops_itself::task().timeout(SHORT));
    assert!(fate(handle).unwrap_err().is_timeout());
    assert_works(&pool);
    let gate = Gate::new();
    drop(pool.submit(stops_itself::task()));
    drop(pool.submit(gate.pass(1)));
    pool.kill();
    wait_until_gone(&descendants_of(process::id()));
    assert_eq!(gate.numbers(), [0; 0]);
}

/// Takes memory without end.
#[pool_task(crate = crate)]
fn takes_memory() -> usize {
    let mut blocks = Vec::new();
    while blocks.len() < 8 << 10 {
        blocks.push(vec![1_u8; 1 << 20]);
    }
    blocks.len()
}

pub(in super::super) fn fault_body_memory(subject: &Subject) {
    const LIMIT: u64 = 150 << 20;
    let pool = subject
        .build(subject.builder().memory_limit(LIMIT))
        .unwrap();
    let handle = pool.submit(takes_memory::task());
    let others: Vec<_> = (0..10).map(|i| pool.submit(add::task(i, 1))).collect();
    let error = fate(handle).unwrap_err();
    assert!(error.is_out_of_memory(), "{error}");
    assert_eq!(error.memory_limit(), Some(LIMIT));
    assert!(
        error.memory_peak().is_some_and(|peak| peak > LIMIT),
        "{error}"
    );
    for (i, handle) in (0..).zip(others) {
        assert_eq!(outcome(handle).unwrap(), i + 1);
    }
    assert_works(&pool);
}

const FLOOD: usize = 50_000;

/// Writes so many lines.
#[pool_task(crate = crate)]
fn floods() {
    let line = "a line of the flood\n".repeat(100);
    for _ in 0..FLOOD / 100 {
        io::stdout().write_all(line.as_bytes()).unwrap();
    }
}

pub(in super::super) fn fault_body_flood(subject: &Subject) {
    for output in [Output::Inherit, Output::Prefix] {
        let id = "FAULT-BODY-FLOOD";
        let program = program::start(subject, id, |_| {
            // Whichever of the two this program was started for, it does both.
            for output in [Output::Inherit, Output::Prefix] {
                let pool = subject.build(subject.builder().stdout(output)).unwrap();
                outcome(pool.submit(floods::task())).unwrap();
                assert_works(&pool);
            }
        });
        let ended = program.end();
        assert!(ended.status.success(), "{:?} {}", output, ended.err);
        assert_eq!(
            ended.out.matches("a line of the flood\n").count(),
            2 * FLOOD
        );
    }
}

/// Starts a program and leaves it; says which.
#[pool_task(crate = crate)]
#[allow(clippy::zombie_processes)] // Nobody is to wait for it: that is the test.
fn leaves_a_program() -> u32 {
    let mut sleep = Command::new("sleep");
    sleep.arg("600").stdin(Stdio::null()).spawn().unwrap().id()
}

pub(in super::super) fn fault_body_spawn(subject: &Subject) {
    for dies in [true, false] {
        let pool = subject.pool_of(1);
        let left = outcome(pool.submit(leaves_a_program::task())).unwrap();
        let left = Thread::main_of(left).expect("it runs");
        assert_works(&pool);
        assert!(left.lives(), "as long as its worker");
        match dies {
            true => assert!(fate(pool.submit(goes_wrong::task(Fault::Abort as u8))).is_err()),
            false => drop(pool),
        }
        wait_until_gone(&[left]);
    }
}
