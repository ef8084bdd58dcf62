//! Programs that are interrupted.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use pool_core::{Backend, InterruptGuard, JoinHandle, Pool, pool_task};
use pool_tests::gate::{Gate, hold, never, pass};
use pool_tests::tasks::pid;
use pool_tests::watchdog::Watchdog;
use pool_tests::{proc, until};
use rustix::process::Signal;

use crate::raw;

const LONG: Duration = Duration::from_secs(3_600);

/// The signals are as if a shell had started the program in the foreground.
fn pool(backend: &str, workers: usize) -> Pool {
    for signal in [Signal::INT, Signal::TERM] {
        raw::by_default(signal);
    }
    Pool::builder()
        .backend(backend.parse().unwrap())
        .workers(workers)
        .warn_after(None)
        .build()
        .unwrap()
}

/// Says how the tasks ended: all alike.
fn say_outcome<T>(what: &str, handles: impl IntoIterator<Item = JoinHandle<T>>) {
    let mut said: Vec<String> = handles
        .into_iter()
        .map(|handle| match handle.join() {
            Ok(_) => "done".into(),
            Err(error) => format!("{:?}", error.kind()),
        })
        .collect();
    said.dedup();
    println!("{what}: {}", said.join(", "));
}

fn end(interrupt: &InterruptGuard, pool: Pool) -> ! {
    drop(pool);
    std::process::exit(interrupt.exit_code().map_or(0, i32::from))
}

/// Two tasks run and ten are queued when the signal comes; `end` says what the program does then.
pub(crate) fn interrupted(backend: &str, grace: &str, stubborn: bool, folder: &str) {
    let _watchdog = Watchdog::start(Duration::from_secs(60));
    let folder = Path::new(folder);
    let pool = pool(backend, 2);
    let grace = grace.parse().map_or(LONG, Duration::from_millis);
    let interrupt = pool.shutdown_on_interrupt(grace).unwrap();
    let running: Vec<_> = (0..2)
        .map(|number| match stubborn {
            true => pool.submit(never::task(folder, number)),
            false => pool.submit(hold::task(folder, number)),
        })
        .collect();
    let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    until("two tasks run", || log().lines().count() == 2);
    let queued: Vec<_> = (2..12)
        .map(|number| pool.submit(pass::task(folder, number)))
        .collect();
    println!("interrupted before: {}", interrupt.is_interrupted());
    println!("ready");
    say_outcome("queued", queued);
    println!("interrupted then: {}", interrupt.is_interrupted());
    say_outcome("later", [pool.submit(pid::task())]);
    println!("first");
    say_outcome("running", running);
    println!("started: {}", log().lines().count());
    println!("second");
    end(&interrupt, pool)
}

/// The input of a map never ends, but the interrupt comes.
pub(crate) fn endless(backend: &str) {
    let _watchdog = Watchdog::start(Duration::from_secs(60));
    let pool = pool(backend, 2);
    let interrupt = pool.shutdown_on_interrupt(LONG).unwrap();
    let gate = Gate::new();
    let mut done = 0;
    for result in pool.map((0..).map(|number| gate.pass(number))) {
        match result {
            Ok(number) => assert_eq!(number, done),
            Err(error) => {
                assert!(interrupt.is_interrupted());
                println!("after it: {:?}", error.kind());
                break;
            }
        }
        done += 1;
        if done == 100 {
            println!("ready");
        }
    }
    end(&interrupt, pool)
}

/// Does not end by itself, whatever happens to its pools.
pub(crate) fn goes_on(backend: &str) {
    let _watchdog = Watchdog::start(Duration::from_secs(60));
    let gates = [Gate::new(), Gate::new()];
    let pools = [pool(backend, 1), pool("threads", 1)];
    let interrupts = pools
        .each_ref()
        .map(|pool| pool.shutdown_on_interrupt(LONG).unwrap());
    let handles: Vec<_> = pools
        .iter()
        .zip(&gates)
        .map(|(pool, gate)| {
            let handle = pool.submit(gate.never(1));
            let _ = gate.wait_for(1);
            handle
        })
        .collect();
    let queued: Vec<_> = pools.iter().map(|pool| pool.submit(pid::task())).collect();
    println!("ready");
    say_outcome("queued", queued);
    assert!(interrupts.iter().all(InterruptGuard::is_interrupted));
    println!("first");
    say_outcome("running", handles);
    println!("second");
    loop {
        sleep(LONG);
    }
}

fn interrupt_myself(signal: Signal) {
    proc::signal(std::process::id(), signal);
}

/// The guard is dropped: an interrupt ends the program as ever.
pub(crate) fn guard_dropped() {
    let pool = pool("processes", 1);
    let gone = pool.shutdown_on_interrupt(LONG).unwrap();
    let other = pool.shutdown_on_interrupt(LONG).unwrap();
    drop(gone);
    drop(other);
    interrupt_myself(Signal::INT);
    println!("still there");
}

/// One of two guards for one pool is dropped, and its pool is gone when the interrupt comes.
pub(crate) fn pool_dropped() {
    let first = pool("processes", 1);
    let gone = first.shutdown_on_interrupt(LONG).unwrap();
    let interrupt = first.shutdown_on_interrupt(LONG).unwrap();
    drop(gone);
    drop(first);
    assert!(proc::children_of(std::process::id()).is_empty());
    interrupt_myself(Signal::TERM);
    until("it is heard", || interrupt.is_interrupted());
    assert_eq!(interrupt.signal(), Some(Signal::TERM.as_raw()));
    // A new pool is not concerned.
    let other = pool("threads", 1);
    assert!(other.submit(pid::task()).join().is_ok());
    println!("all as it should be");
    end(&interrupt, other)
}

/// The program has a handler of its own: it is called as well, and nothing ends the program.
pub(crate) fn own_handler() {
    let pool = pool("processes", 1);
    raw::handle(Signal::INT);
    let interrupt = pool.shutdown_on_interrupt(LONG).unwrap();
    for count in 1..=4 {
        interrupt_myself(Signal::INT);
        until("it is handled", || {
            raw::HANDLED.load(std::sync::atomic::Ordering::SeqCst) == count
        });
        until("it is heard", || interrupt.is_interrupted());
    }
    drop(interrupt);
    interrupt_myself(Signal::INT);
    until("it is handled", || {
        raw::HANDLED.load(std::sync::atomic::Ordering::SeqCst) == 5
    });
    println!("all as it should be");
}

/// An interrupt that is ignored stays so; a request to end is heard.
pub(crate) fn ignored() {
    let pool = pool("processes", 1);
    raw::ignore(Signal::INT);
    let interrupt = pool.shutdown_on_interrupt(LONG).unwrap();
    interrupt_myself(Signal::INT);
    pool.submit(interrupts_itself::task()).join().unwrap();
    assert!(!interrupt.is_interrupted());
    interrupt_myself(Signal::TERM);
    until("it is heard", || interrupt.is_interrupted());
    end(&interrupt, pool)
}

/// A worker is not ended by an interrupt; but the pools that it makes can be.
#[pool_task]
fn interrupts_itself() {
    interrupt_myself(Signal::INT);
    let pool = Pool::builder()
        .backend(Backend::Threads)
        .workers(1)
        .build()
        .unwrap();
    let interrupt = pool.shutdown_on_interrupt(LONG).unwrap();
    interrupt_myself(Signal::INT);
    until("it is heard", || interrupt.is_interrupted());
    // It is heard before the pool closes.
    until("the pool has closed", || {
        let refused = pool.submit(pid::task()).join().err();
        refused.is_some_and(|error| error.is_rejected())
    });
    drop(interrupt);
    interrupt_myself(Signal::INT);
}
