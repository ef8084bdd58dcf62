//! Why there are worker processes: functions that would take a program down, next to healthy
//! ones in one pool. The program sees how each of them ended, and lives on.
//!
//! `cargo run --release --example isolate`

use std::hint::black_box;
use std::io::{self, Write};
use std::process::{self, ExitCode};
use std::time::{Duration, Instant};

use pool_core::{Backend, JoinHandle, Pool, TaskError, TaskErrorKind, pool_task};

/// A healthy function: how many primes there are below a number.
#[pool_task]
fn primes(below: u32) -> u32 {
    let is_prime = |n: &u32| {
        (2..)
            .take_while(|d| d * d <= *n)
            .all(|d| !n.is_multiple_of(d))
    };
    (2..below).filter(is_prime).count() as u32
}

/// Writes where no memory is, like a bug in a native library.
#[pool_task]
#[allow(unsafe_code)]
fn write_nowhere() -> u32 {
    let nowhere = black_box(std::ptr::dangling_mut::<u32>());
    // SAFETY: none. This is the crash that the example is about: no program has memory there, so
    // the write reaches nothing, and the system ends the process with SIGSEGV.
    unsafe { nowhere.write_volatile(1) };
    0
}

/// Never returns; `.timeout(…)` at the call would do as well.
#[pool_task(timeout = "300ms")]
fn loop_for_ever() -> u32 {
    loop {
        black_box(());
    }
}

/// Calls itself until the stack is full.
#[pool_task]
fn exhaust_the_stack(depth: u32) -> u32 {
    let frame = black_box([depth; 256]);
    match depth {
        u32::MAX => 0,
        _ => exhaust_the_stack(depth + 1).wrapping_add(frame[255]),
    }
}

/// Ends its process, and says that all went well.
#[pool_task]
fn exit_0() -> u32 {
    process::exit(0)
}

#[pool_task]
fn panic() -> u32 {
    let empty: Vec<u32> = black_box(Vec::new());
    empty[7]
}

#[pool_task]
fn abort() -> u32 {
    process::abort()
}

/// What a call should come to: a result, or an error with its kind and one of these signals or
/// exit codes.
enum Fate {
    Result(u32),
    Error(TaskErrorKind),
    Signal(&'static [i32]),
    ExitCode(i32),
}

impl Fate {
    fn is(&self, outcome: &Result<u32, TaskError>) -> bool {
        match (self, outcome) {
            (Self::Result(expected), Ok(result)) => result == expected,
            (Self::Error(kind), Err(error)) => error.kind() == *kind,
            (Self::Signal(signals), Err(error)) => {
                error.is_worker_lost() && error.signal().is_some_and(|s| signals.contains(&s))
            }
            (Self::ExitCode(code), Err(error)) => {
                error.is_worker_lost() && error.exit_code() == Some(*code)
            }
            _ => false,
        }
    }
}

const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;

type Call = (&'static str, JoinHandle<u32>, Fate);

/// Hands all calls to the pool at once, good and bad in turn.
fn submit(pool: &Pool) -> Vec<Call> {
    use Fate::{Error, ExitCode, Result, Signal};

    let healthy = |below, count| ("primes", pool.submit(primes::task(below)), Result(count));
    vec![
        healthy(10, 4),
        (
            "write_nowhere",
            pool.submit(write_nowhere::task()),
            Signal(&[SIGSEGV]),
        ),
        healthy(100, 25),
        (
            "loop_for_ever",
            pool.submit(loop_for_ever::task()),
            Error(TaskErrorKind::TimedOut),
        ),
        healthy(1_000, 168),
        // Rust's runtime says what happened and aborts.
        (
            "exhaust_the_stack",
            pool.submit(exhaust_the_stack::task(0)),
            Signal(&[SIGABRT, SIGSEGV]),
        ),
        healthy(10_000, 1_229),
        ("exit_0", pool.submit(exit_0::task()), ExitCode(0)),
        healthy(100_000, 9_592),
        (
            "panic",
            pool.submit(panic::task()),
            Error(TaskErrorKind::Panicked),
        ),
        healthy(200_000, 17_984),
        ("abort", pool.submit(abort::task()), Signal(&[SIGABRT])),
        healthy(300_000, 25_997),
    ]
}

#[pool_core::main]
fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let pool = Pool::builder()
        .backend(Backend::Processes)
        .workers(2)
        .grace(Duration::from_millis(100))
        .build()?;
    let begin = Instant::now();
    let me = process::id();
    let workers = pool.workers();
    say(format_args!(
        "Process {me} runs good and bad functions on {workers} worker processes.\n\
         What the workers say as they panic or overflow their stacks is on stderr.\n"
    ));

    let calls = submit(&pool);
    let total = calls.len();
    let mut surprises = 0;
    for (function, handle, expected) in calls {
        let outcome = handle.join();
        let surprise = if expected.is(&outcome) {
            ""
        } else {
            "   <- NOT AS EXPECTED"
        };
        surprises += usize::from(!surprise.is_empty());
        match outcome {
            Ok(result) => say(format_args!("✓ {function:<18} {result}{surprise}")),
            Err(error) => say(format_args!(
                "✗ {function:<18} {}{surprise}",
                ending(&error)
            )),
        }
    }

    // Every lost worker was replaced: the pool is as good as new.
    let after = pool
        .map((0..1_000).map(primes::task))
        .filter(Result::is_ok)
        .count();
    let seconds = begin.elapsed().as_secs_f64();
    say(format_args!(
        "\nProcess {me} is alive after {seconds:.1} s: {} of {total} calls ended as expected,\n\
         and {after} of 1000 calls that came after them have a result.",
        total - surprises
    ));
    Ok(match (surprises, after) {
        (0, 1_000) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The error without the name of the task, which has its own column.
fn ending(error: &TaskError) -> String {
    let text = error.to_string();
    match text.strip_prefix(&format!("task {} ", error.task_name())) {
        Some(ending) => ending.to_owned(),
        None => text,
    }
}

/// A line on stdout; nobody may be listening there.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(io::stdout(), "{line}");
}
