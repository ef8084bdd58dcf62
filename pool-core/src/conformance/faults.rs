//! The matrix of faults: what can go wrong, at every place where code of the user runs or a worker
//! can end.

use std::os::unix::process::CommandExt;
use std::process::{self, Command};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::crash::{end_by, overflow};
use super::tasks::{add, place};
use super::{Need, PATIENCE, Subject, outcome};
use crate::api::handle::JoinHandle;
use crate::api::pool::Pool;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::pool_task;
use crate::task::TaskExt;

mod body;
mod elsewhere;
mod program;

pub(super) use body::*;
pub(super) use elsewhere::*;
pub(super) use program::*;

/// What never comes to its end is past it.
const SHORT: Duration = Duration::from_millis(100);

/// Longer than anything here takes.
const EVER: Duration = Duration::from_secs(3_600);

/// On both sides of where the way of a message changes.
const SIZES: [usize; 3] = [10, 300 << 10, 17 << 20];

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// An error, where one can be returned.
    Error,
    Panic,
    /// In a destructor, while a panic unwinds.
    SecondPanic,
    Exit0,
    Exit42,
    /// The process becomes another program, which ends well.
    Exec,
    Abort,
    Segv,
    Overflow,
    Kill,
    /// It never comes to its end.
    Hang,
}

impl Fault {
    const ALL: [Self; 11] = [
        Self::Error,
        Self::Panic,
        Self::SecondPanic,
        Self::Exit0,
        Self::Exit42,
        Self::Exec,
        Self::Abort,
        Self::Segv,
        Self::Overflow,
        Self::Kill,
        Self::Hang,
    ];

    fn happens(self) -> Result<(), &'static str> {
        match self {
            Self::Error => Err("it went wrong"),
            Self::Panic => panic!("it went wrong"),
            Self::SecondPanic => {
                let _bomb = Bomb;
                panic!("it went wrong")
            }
            Self::Exit0 => process::exit(0),
            Self::Exit42 => process::exit(42),
            Self::Exec => panic!("no other program: {}", Command::new("true").exec()),
            Self::Abort => process::abort(),
            Self::Segv => end_by(Signal::SEGV),
            Self::Overflow => {
                overflow(0);
                Ok(())
            }
            Self::Kill => end_by(Signal::KILL),
            Self::Hang => loop {
                thread::sleep(Duration::from_secs(1));
            },
        }
    }

    /// How a process ends by it: signal and code. One that becomes another program may be killed
    /// before that ends.
    fn end(self) -> Option<(Option<Signal>, Option<i32>)> {
        match self {
            Self::Error | Self::Panic | Self::Hang => None,
            Self::Exit0 | Self::Exec => Some((None, Some(0))),
            Self::Exit42 => Some((None, Some(42))),
            // What has overflowed is said, and then it is an abort.
            Self::SecondPanic | Self::Abort | Self::Overflow => Some((Some(Signal::ABORT), None)),
            Self::Segv => Some((Some(Signal::SEGV), None)),
            Self::Kill => Some((Some(Signal::KILL), None)),
        }
    }
}

/// Panics as it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("and again");
    }
}

/// Where code of a value runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Write,
    Read,
    Drop,
}

/// A value with which something goes wrong: when it is written, read or dropped, in the process
/// that has made it or in another one.
#[derive(Debug)]
pub(super) struct Trap {
    at: Moment,
    fault: Fault,
    maker: u32,
    for_maker: bool,
}

impl Trap {
    const fn new(at: Moment, fault: Fault, maker: u32, for_maker: bool) -> Self {
        Self {
            at,
            fault,
            maker,
            for_maker,
        }
    }

    /// For the worker that it is sent to, as it reads it.
    pub(super) fn as_it_is_read(fault: Fault) -> Self {
        Self::new(Moment::Read, fault, process::id(), false)
    }

    /// For the worker that it is sent to, as it sends it back.
    pub(super) fn as_it_is_written(fault: Fault) -> Self {
        Self::new(Moment::Write, fault, process::id(), false)
    }

    /// For this process, as it is sent.
    fn as_i_write_it(fault: Fault) -> Self {
        Self::new(Moment::Write, fault, process::id(), true)
    }

    /// For this process, as it comes back.
    fn as_i_read_it(fault: Fault) -> Self {
        Self::new(Moment::Read, fault, process::id(), true)
    }

    fn springs(&self, moment: Moment) -> Result<(), &'static str> {
        let is_for_me = (self.maker == process::id()) == self.for_maker;
        match is_for_me && self.at == moment {
            true => self.fault.happens(),
            false => Ok(()),
        }
    }
}

impl Serialize for Trap {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.springs(Moment::Write).map_err(S::Error::custom)?;
        let parts = (self.at as u8, self.fault as u8, self.maker, self.for_maker);
        parts.serialize(out)
    }
}

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let (at, fault, maker, for_maker): (u8, u8, _, _) = Deserialize::deserialize(input)?;
        let at = [Moment::Write, Moment::Read, Moment::Drop][usize::from(at)];
        let fault = Fault::ALL[usize::from(fault)];
        // Made once, since it may spring as it is dropped too.
        let trap = Self::new(at, fault, maker, for_maker);
        trap.springs(Moment::Read).map_err(D::Error::custom)?;
        Ok(trap)
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        if self.at == Moment::Drop {
            let _ = self.springs(Moment::Drop);
        }
    }
}

/// Carries it there and back, between bytes.
#[pool_task(crate = crate)]
pub(super) fn carries(bytes: Vec<u8>, trap: Trap) -> (Vec<u8>, Trap, Vec<u8>) {
    (bytes.clone(), trap, bytes)
}

/// Drops it, and returns.
#[pool_task(crate = crate)]
fn drops(trap: Trap) -> u32 {
    drop(trap);
    1
}

/// It goes wrong in here.
#[pool_task(crate = crate)]
fn goes_wrong(fault: u8) -> Result<u32, String> {
    Fault::ALL[usize::from(fault)].happens()?;
    Ok(1)
}

/// A place where something can go wrong with one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Site {
    /// The arguments as they are written, by who submits.
    Args,
    /// The arguments as the worker reads them.
    ArgsRead,
    Body,
    /// The arguments as the worker drops them.
    ArgsDrop,
    /// The result as the worker writes it.
    Result,
    /// The result as it is read, by who waits.
    ResultRead,
}

/// What became of a task, whatever its type.
type Fate = Result<(), TaskError>;

type Waiting = Box<dyn FnOnce() -> Fate + Send>;

fn fate<T>(handle: JoinHandle<T>) -> Fate {
    outcome(handle).map(drop)
}

/// Submits a task with which that goes wrong there; the caller waits for it. `here`: the worker is
/// in this process.
fn submit(pool: &Pool, here: bool, site: Site, fault: Fault, len: usize) -> Waiting {
    // Only what never ends is given little time.
    let limit = match fault {
        Fault::Hang => SHORT,
        _ => EVER,
    };
    let carry = |trap| {
        let handle = pool.submit(carries::task(vec![7; len], trap).timeout(limit));
        Box::new(|| fate(handle)) as Waiting
    };
    match site {
        Site::Args => carry(Trap::as_i_write_it(fault)),
        Site::ArgsRead => carry(Trap::as_it_is_read(fault)),
        Site::Result => carry(Trap::as_it_is_written(fault)),
        Site::ResultRead => carry(Trap::as_i_read_it(fault)),
        Site::Body => {
            let handle = pool.submit(goes_wrong::task(fault as u8).timeout(limit));
            Box::new(|| fate(handle))
        }
        Site::ArgsDrop => {
            let trap = Trap::new(Moment::Drop, fault, process::id(), here);
            let handle = pool.submit(drops::task(trap).timeout(limit));
            Box::new(|| fate(handle))
        }
    }
}

#[track_caller]
fn assert_fate(fate: Fate, site: Site, fault: Fault) {
    // Only a function can return an error of its own, which is its result.
    if (site, fault) == (Site::Body, Fault::Error) {
        return fate.unwrap();
    }
    let error = fate.unwrap_err();
    let kind = match (site, fault) {
        (_, Fault::Hang) => TaskErrorKind::TimedOut,
        (_, fault) if fault.end().is_some() => TaskErrorKind::WorkerLost,
        (Site::Args | Site::Result, _) => TaskErrorKind::Encode,
        (Site::ArgsRead | Site::ResultRead, _) => TaskErrorKind::Decode,
        (Site::Body | Site::ArgsDrop, _) => TaskErrorKind::Panicked,
    };
    assert_eq!(error.kind(), kind, "{error}");
    if let Some((signal, code)) = fault.end() {
        let said = (error.signal(), error.exit_code());
        let killed = (Some(Signal::KILL.as_raw()), None);
        if fault != Fault::Exec || said != killed {
            assert_eq!(said, (signal.map(Signal::as_raw), code), "{error}");
        }
    } else if matches!(fault, Fault::Panic | Fault::Error) {
        assert!(error.to_string().contains("it went wrong"), "{error}");
    }
}

/// One square of the matrix: it costs that task and nothing else, wherever it was submitted.
fn square(subject: &Subject, site: Site, fault: Fault) {
    let sizes = match site {
        Site::Body | Site::ArgsDrop => &SIZES[..1],
        _ => &SIZES[..],
    };
    let pool = subject.pool_of(1);
    let here = subject.has(Need::SharedMemory);
    let (before, _) = outcome(pool.submit(place::task())).unwrap();
    for len in sizes {
        let ahead: Vec<_> = (0..10).map(|i| pool.submit(add::task(i, 1))).collect();
        let wrong = submit(&pool, here, site, fault, *len);
        let behind: Vec<_> = (0..10).map(|i| pool.submit(add::task(i, 1))).collect();
        assert_fate(wrong(), site, fault);
        for (i, handle) in (0..10).chain(0..10).zip(ahead.into_iter().chain(behind)) {
            assert_eq!(outcome(handle).unwrap(), i + 1);
        }
    }
    // From a callback.
    let (tell, told) = mpsc::channel();
    let inner = pool.clone();
    pool.submit(add::task(1, 1)).on_finish(move || {
        let _ = tell.send(submit(&inner, here, site, fault, 10));
        drop(inner.submit(add::task(1, 1)));
    });
    assert_fate(told.recv_timeout(PATIENCE).unwrap()(), site, fault);
    // The pool is as good as new.
    let (after, _) = outcome(pool.submit(place::task())).unwrap();
    if subject.has(Need::Isolation) {
        let costs_a_worker = fault.end().is_some() || fault == Fault::Hang;
        assert_eq!(before != after, costs_a_worker);
    }
    let sums = pool
        .map((0..50).map(|i| add::task(i, 1)))
        .map(Result::unwrap);
    assert!(sums.eq(1..51));
    pool.shutdown();
}

macro_rules! squares {
    ($($name:ident: $site:ident $fault:ident;)+) => {$(
        pub(super) fn $name(subject: &Subject) {
            square(subject, Site::$site, Fault::$fault);
        }
    )+};
}

squares! {
    fault_args_error: Args Error;
    fault_args_panic: Args Panic;
    fault_args_read_error: ArgsRead Error;
    fault_args_read_panic: ArgsRead Panic;
    fault_args_read_second_panic: ArgsRead SecondPanic;
    fault_args_read_exit_0: ArgsRead Exit0;
    fault_args_read_exit_42: ArgsRead Exit42;
    fault_args_read_exec: ArgsRead Exec;
    fault_args_read_abort: ArgsRead Abort;
    fault_args_read_segv: ArgsRead Segv;
    fault_args_read_overflow: ArgsRead Overflow;
    fault_args_read_kill: ArgsRead Kill;
    fault_args_read_hang: ArgsRead Hang;
    fault_body_error: Body Error;
    fault_body_panic: Body Panic;
    fault_body_second_panic: Body SecondPanic;
    fault_body_exit_0: Body Exit0;
    fault_body_exit_42: Body Exit42;
    fault_body_exec: Body Exec;
    fault_body_abort: Body Abort;
    fault_body_segv: Body Segv;
    fault_body_overflow: Body Overflow;
    fault_body_kill: Body Kill;
    fault_body_hang: Body Hang;
    fault_drop_panic: ArgsDrop Panic;
    fault_drop_second_panic: ArgsDrop SecondPanic;
    fault_drop_exit_0: ArgsDrop Exit0;
    fault_drop_exit_42: ArgsDrop Exit42;
    fault_drop_exec: ArgsDrop Exec;
    fault_drop_abort: ArgsDrop Abort;
    fault_drop_segv: ArgsDrop Segv;
    fault_drop_overflow: ArgsDrop Overflow;
    fault_drop_kill: ArgsDrop Kill;
    fault_drop_hang: ArgsDrop Hang;
    fault_result_error: Result Error;
    fault_result_panic: Result Panic;
    fault_result_second_panic: Result SecondPanic;
    fault_result_exit_0: Result Exit0;
    fault_result_exit_42: Result Exit42;
    fault_result_exec: Result Exec;
    fault_result_abort: Result Abort;
    fault_result_segv: Result Segv;
    fault_result_overflow: Result Overflow;
    fault_result_kill: Result Kill;
    fault_result_hang: Result Hang;
    fault_result_read_error: ResultRead Error;
    fault_result_read_panic: ResultRead Panic;
}

/// The pool is as good as new.
#[track_caller]
fn assert_works(pool: &Pool) {
    let sums = pool
        .map((0..50).map(|i| add::task(i, 1)))
        .map(Result::unwrap);
    assert!(sums.eq(1..51));
}
