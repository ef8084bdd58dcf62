//! Tasks that wait for tasks: the Fibonacci numbers without a cut-off.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Instant;

use pool_core::{Backend, Pool, pool_task};

use crate::Fault;
use crate::group::{Context, Effort, Group, Row, Sample, Unit};
use crate::peers::{self, Own};
use crate::subject::{Limit, Subject};

pub(crate) static FIB: Group = Group {
    name: "fib",
    rows: &[Row {
        name: "fib",
        title: "fib by submit and join inside tasks, no cut-off: time of one call",
        unit: Unit::Seconds,
        reference: Subject::Rayon,
    }],
    subjects: &[
        Subject::Threads(2),
        Subject::Threads(1),
        Subject::Rayon,
        Subject::Limit(Limit::Call),
    ],
    rounds: Effort::new(3, 9),
    budget: Effort::secs(3, 10),
    sample,
};

/// The pool that the tasks use.
static POOL: OnceLock<Pool> = OnceLock::new();

/// `None` when a task inside was lost.
#[pool_task]
fn fib(n: u32) -> Option<u64> {
    if n < 2 {
        return Some(n.into());
    }
    let left = POOL.get()?.submit(fib::task(n - 1));
    let right = fib(n - 2)?;
    Some(left.join().ok()?? + right)
}

fn rayon_fib(n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let (left, right) = rayon::join(|| rayon_fib(n - 1), || rayon_fib(n - 2));
    left + right
}

fn plain_fib(n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    black_box(plain_fib as fn(u32) -> u64)(n - 1) + plain_fib(n - 2)
}

fn sample(subject: Subject, context: Context) -> Result<Sample, Fault> {
    let n = context.pick(20, 25);
    let run: Box<dyn Fn() -> Result<u64, Fault>> = match subject {
        Subject::Threads(workers) => {
            let pool = Own::start(Backend::Threads, workers)?.0;
            let pool = POOL.get_or_init(|| pool);
            Box::new(move || Ok(pool.submit(fib::task(n)).join()?.ok_or("a task was lost")?))
        }
        Subject::Rayon => {
            let pool = peers::rayon::pool(2)?;
            Box::new(move || Ok(pool.install(|| rayon_fib(n))))
        }
        _ => Box::new(move || Ok(plain_fib(black_box(n)))),
    };
    let expected = plain_fib(n);
    // A call of fib(n) makes 2 fib(n + 1) - 1 calls in all.
    let calls = 2 * plain_fib(n + 1) - 1;
    run()?;
    let begin = Instant::now();
    let answer = run()?;
    let seconds = begin.elapsed().as_secs_f64();
    if answer != expected {
        return Err(format!("fib({n}) came back as {answer}").into());
    }
    Ok(vec![("fib", seconds / calls as f64)])
}
