//! Three maps at once that show how far they are, with log lines in between: `progress BACKEND
//! TASKS MILLISECONDS [panics]`, where each task of the longest takes so long. With `locked` instead
//! of `panics`, one map while the main thread has the lock of standard error.

use std::env;
use std::thread;
use std::time::Duration;

use pool_core::progress::suspend;
use pool_core::{Output, Pool, TaskExt, pool_task};

#[pool_task]
fn crawl(i: u64, ms: u64, panics: bool) -> u64 {
    thread::sleep(Duration::from_millis(ms));
    assert!(!panics || !is_broken(i), "page {i} is broken");
    i
}

fn is_broken(i: u64) -> bool {
    i % 50 == 7
}

/// A task that maps: nothing is to be seen of that.
#[pool_task]
fn parse(ms: u64) {
    let naps = (0..ms).map(|_| nap::task());
    let map = Pool::inline().map(naps);
    map.title("nested").progress().for_each(drop);
}

#[pool_task]
fn nap() {
    thread::sleep(Duration::from_millis(1));
}

#[pool_core::main]
fn main() {
    let arguments: Vec<_> = env::args().collect();
    let number = |at: usize| -> u64 { arguments[at].parse().expect("a number") };
    let (tasks, ms) = (number(2), number(3));
    let panics = arguments.get(4).is_some_and(|what| what == "panics");
    let is_locked = arguments.get(4).is_some_and(|what| what == "locked");
    let pool = Pool::builder()
        .backend(arguments[1].parse().expect("a backend"))
        .workers(4)
        .stderr(Output::Prefix)
        .build()
        .expect("a pool");
    if is_locked {
        let _locked = std::io::stderr().lock();
        let pages = (0..tasks).map(|i| crawl::task(i, ms, false));
        let done = pool.map(pages).progress().filter(Result::is_ok).count();
        assert_eq!(done as u64, tasks);
        return;
    }
    let hour = Duration::from_secs(3_600);
    thread::scope(|scope| {
        scope.spawn(|| {
            let pages = (0..tasks).map(|i| {
                // Those that do not panic are too late, which nobody prints.
                let is_late = is_broken(i) && !panics;
                let limit = if is_late { Duration::ZERO } else { hour };
                // Long enough to be found late on a busy machine.
                let ms = if is_late { 30 * ms } else { ms };
                crawl::task(i, ms, panics).timeout(limit)
            });
            pool.map(pages).progress().for_each(drop);
        });
        scope.spawn(|| {
            // How many there are is not known before.
            let pages = (0..tasks).filter(|i| i % 3 > 0).map(|_| parse::task(ms));
            pool.map(pages).progress().for_each(drop);
        });
        scope.spawn(|| {
            let naps = (0..tasks * ms).map(|_| nap::task());
            let map = pool.map(naps).title("the half of it").progress();
            map.take((tasks * ms / 2) as usize).for_each(drop);
        });
        scope.spawn(|| {
            for line in 1..=5 {
                thread::sleep(Duration::from_millis(tasks * ms / 20));
                suspend(|| eprintln!("log line {line}"));
            }
        });
    });
    suspend(|| eprintln!("log line 6"));
}
