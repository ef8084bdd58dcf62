//! Cases at the edges that were wrong once, one a run: `edges CASE [BACKEND]` says "BUG" where it still is.

// A failed `unwrap` is a failed case.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pool_core::{Backend, Output, Pool, PoolBuilder, TaskExt, pool_task};

const PATIENCE: Duration = Duration::from_secs(8);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[pool_task]
fn nap(n: u64) {
    sleep(Duration::from_millis(n));
}

#[pool_task]
fn fails_until(attempt: u32) -> u32 {
    let now = pool_core::current().attempt();
    assert!(now >= attempt, "attempt {now}");
    now
}

static RUNS: AtomicUsize = AtomicUsize::new(0);

#[pool_task]
fn counted(n: u64) {
    RUNS.fetch_add(1, SeqCst);
    sleep(Duration::from_millis(n));
    panic!("counted");
}

#[pool_task]
fn counted_nap(n: u64) {
    RUNS.fetch_add(1, SeqCst);
    sleep(Duration::from_millis(n));
}

#[pool_task(backend = "threads")]
fn outer(which: String) -> String {
    match which.as_str() {
        "retry" => {
            let inner = fails_until::task(4).retries(5);
            let pool = POOL.lock().unwrap().clone().unwrap();
            format!("{:?}", pool.submit(inner).join())
        }
        "cancelled" => {
            let pool = POOL.lock().unwrap().clone().unwrap();
            let inner = Arc::new(std::sync::Mutex::new(None));
            let kept = pool.submit(counted::task(0).retries(1));
            let seen = inner.clone();
            *seen.lock().unwrap() = Some(());
            // In the first back-off, which is at least 25 ms.
            std::thread::scope(|scope| {
                let kept = &kept;
                scope.spawn(move || {
                    while RUNS.load(SeqCst) == 0 {
                        std::thread::yield_now();
                    }
                    sleep(Duration::from_millis(10));
                    println!("cancelled in the back-off: {}", kept.cancel());
                });
                // Waits without a limit, by reference.
                let _ = kept.join_timeout(Duration::MAX);
            });
            format!("{:?}", kept.is_finished())
        }
        "late" => {
            let pool = POOL.lock().unwrap().clone().unwrap();
            let inner = counted_nap::task(120)
                .timeout(Duration::from_millis(30))
                .retries(3);
            format!("{:?}", pool.submit(inner).join().map_err(|e| e.kind()))
        }
        _ => unreachable!(),
    }
}

static POOL: std::sync::Mutex<Option<Pool>> = std::sync::Mutex::new(None);

#[pool_task]
fn touch(path: String) {
    fs::write(path, "ran").unwrap();
}

#[pool_task]
fn init_ok() {}

#[pool_task]
fn init_fails_until(attempt: u32) {
    let now = pool_core::current().attempt();
    assert!(now >= attempt, "attempt {now}");
}

#[pool_task]
fn init_big(bytes: Vec<u8>) {
    assert!(!bytes.is_empty());
}

#[pool_task]
fn init_err() -> Result<(), String> {
    Err("no licence".into())
}

#[pool_task]
#[allow(clippy::zombie_processes)] // Nobody is to wait for it: that is the case.
fn spawns_a_writer() {
    std::process::Command::new("setsid")
        .args(["timeout", "15", "yes"])
        .spawn()
        .unwrap();
    sleep(Duration::from_millis(300));
}

#[derive(Clone, Debug, serde::Deserialize)]
struct Unwritable;
impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("unwritable"))
    }
}

#[pool_task]
fn takes_unwritable(x: Unwritable) -> u32 {
    let _ = x;
    1
}

static SLOW: AtomicUsize = AtomicUsize::new(0);

struct Count(AtomicUsize);
impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F, count: &Arc<Count>) -> bool {
    let waker = Waker::from(count.clone());
    matches!(
        std::pin::Pin::new(future).poll(&mut Context::from_waker(&waker)),
        Poll::Ready(_)
    )
}

fn within(what: &str, patience: Duration, check: impl Fn() -> bool) -> bool {
    let end = Instant::now() + patience;
    while !check() {
        if Instant::now() > end {
            println!("BUG: {what}: not within {patience:?}");
            return false;
        }
        sleep(ms(5));
    }
    println!("fine: {what}");
    true
}

fn shuts_down(pool: &Pool, patience: Duration) {
    let (done, ended) = std::sync::mpsc::channel();
    let waiting = pool.clone();
    std::thread::spawn(move || {
        waiting.shutdown();
        let _ = done.send(());
        std::mem::forget(waiting);
    });
    let begin = Instant::now();
    match ended.recv_timeout(patience) {
        Ok(()) => println!("shutdown took {:?}", begin.elapsed()),
        Err(_) => println!("BUG: shutdown has not ended within {patience:?}"),
    }
}

fn on(backend: Backend) -> PoolBuilder {
    Pool::builder().backend(backend).workers(1)
}

#[pool_core::main]
fn main() {
    let case = std::env::args().nth(1).unwrap();
    let kind: Backend = std::env::args()
        .nth(2)
        .map_or(Backend::Threads, |k| k.parse().unwrap());
    match case.as_str() {
        "joined-retry" => {
            let pool = on(Backend::Threads).queue(10).build().unwrap();
            *POOL.lock().unwrap() = Some(pool.clone());
            println!("{:?}", pool.submit(outer::task("retry".to_owned())).join());
            println!("{:?}", pool.stats());
            match pool.try_submit(nap::task(0)) {
                Ok(_) => println!("fine: there is room"),
                Err(_) => println!("BUG: an empty pool has no room"),
            }
        }
        "init-retry-bound" => {
            let pool = on(Backend::Threads)
                .queue(10)
                .initializer(init_fails_until::task(3).retries(4))
                .build();
            let pool = pool.unwrap();
            sleep(ms(500));
            println!("{:?}", pool.stats());
            println!(
                "{}",
                if pool.try_submit(nap::task(0)).is_ok() {
                    "fine"
                } else {
                    "BUG: no room"
                }
            );
        }
        "unencodable" => {
            let pool = on(Backend::Threads).queue(2).build().unwrap();
            for _ in 0..2 {
                println!(
                    "{:?}",
                    pool.submit(takes_unwritable::task(Unwritable).retries(1))
                        .join()
                        .map_err(|e| e.kind())
                );
            }
            println!("{:?}", pool.stats());
            println!(
                "{}",
                if pool.try_submit(nap::task(0)).is_ok() {
                    "fine"
                } else {
                    "BUG: an empty pool has no room"
                }
            );
        }
        "late-joined" => {
            let pool = on(Backend::Threads).build().unwrap();
            *POOL.lock().unwrap() = Some(pool.clone());
            println!("{:?}", pool.submit(outer::task("late".to_owned())).join());
            println!(
                "runs {} (documented: a passed deadline is final)",
                RUNS.load(SeqCst)
            );
        }
        "late-own" => {
            let pool = on(Backend::Threads).build().unwrap();
            let h = pool.submit(counted_nap::task(120).timeout(ms(30)).retries(3));
            println!("{:?}", h.join().map_err(|e| e.kind()));
            sleep(ms(500));
            println!("runs {} {:?}", RUNS.load(SeqCst), pool.stats());
        }
        "cancel-backoff" => {
            let pool = on(kind).build().unwrap();
            let h = pool.submit(fails_until::task(99).retries(20));
            sleep(ms(8000));
            println!("cancel {}", h.cancel());
            shuts_down(&pool, ms(20000));
        }
        "init-max" => {
            let pool = on(Backend::Processes)
                .initializer(init_ok::task())
                .max_tasks_per_worker(1)
                .build()
                .unwrap();
            let h = pool.submit(nap::task(0));
            within(
                "a task runs in a pool with an initializer and max_tasks 1",
                PATIENCE,
                || h.is_finished(),
            );
            println!("{:?}", pool.stats());
            pool.kill();
        }
        "init-retries" => {
            let pool = on(Backend::Processes)
                .initializer(init_fails_until::task(2).retries(3))
                .build()
                .unwrap();
            let h = pool.submit(nap::task(0));
            within(
                "a task runs when the initializer works the second time",
                PATIENCE,
                || h.is_finished(),
            );
            println!("{:?}", pool.stats());
            pool.kill();
        }
        "init-big" => {
            let pool = on(Backend::Processes)
                .initializer(init_big::task(vec![1; 100_000]))
                .build();
            match pool {
                Ok(pool) => {
                    println!("{:?}", pool.submit(nap::task(0)).join());
                    shuts_down(&pool, PATIENCE);
                }
                Err(error) => println!("BUG: {error}"),
            }
        }
        "init-err-build" => {
            let mut odd = 0;
            for _ in 0..10 {
                match on(Backend::Processes)
                    .workers(4)
                    .initializer(init_err::task())
                    .build()
                {
                    Ok(pool) => println!(
                        "{:?}",
                        pool.submit(nap::task(0)).join().unwrap_err().to_string()
                    ),
                    Err(error) => {
                        odd += 1;
                        println!("build: {error}");
                    }
                }
            }
            println!("{odd} of 10 builds without the text");
        }
        "kill-async" | "break-async" => {
            let pool = on(kind).queue(1).build().unwrap();
            let _a = pool.submit(nap::task(60_000));
            sleep(ms(200));
            let _b = pool.submit(nap::task(60_000));
            let count = Arc::new(Count(AtomicUsize::new(0)));
            let mut f = pool.submit_async(nap::task(0));
            println!("pending: {}", !poll_once(&mut f, &count));
            let killed = pool.clone();
            std::thread::spawn(move || killed.kill());
            within("a waiting submit_async is woken by kill", PATIENCE, || {
                count.0.load(SeqCst) > 0
            });
            println!("ready if polled: {}", poll_once(&mut f, &count));
            std::process::exit(0);
        }
        "expire-async" => {
            let pool = on(kind).queue(2).build().unwrap();
            let _a = pool.submit(nap::task(20_000));
            sleep(ms(200));
            let _b = pool.submit(nap::task(0));
            let c = pool.submit(nap::task(0).queue_timeout(ms(300)));
            let count = Arc::new(Count(AtomicUsize::new(0)));
            let mut f = pool.submit_async(nap::task(0));
            println!("pending: {}", !poll_once(&mut f, &count));
            println!("{:?}", c.join().map_err(|e| e.kind()));
            within(
                "a waiting submit_async is woken by an expiry",
                PATIENCE,
                || count.0.load(SeqCst) > 0,
            );
            println!("ready if polled: {}", poll_once(&mut f, &count));
            std::process::exit(0);
        }
        "reserved-async" => {
            // A reservation that comes to nothing.
            let pool = on(kind).queue(1).build().unwrap();
            let other = pool.clone();
            let t = std::thread::spawn(move || {
                let h = other.try_submit(takes_slow::task(SlowArg(0), true));
                println!("try_submit: {}", h.is_ok());
                h.ok().map(|h| h.join().map_err(|e| e.kind()))
            });
            while SLOW.load(SeqCst) == 0 {
                sleep(ms(1));
            }
            let count = Arc::new(Count(AtomicUsize::new(0)));
            let mut f = pool.submit_async(nap::task(0));
            println!("pending: {}", !poll_once(&mut f, &count));
            SLOW.store(2, SeqCst);
            println!("{:?}", t.join().unwrap());
            println!("{:?}", pool.stats());
            within(
                "a waiting submit_async is woken when a reservation is given up",
                PATIENCE,
                || count.0.load(SeqCst) > 0,
            );
            println!("ready if polled: {}", poll_once(&mut f, &count));
            std::process::exit(0);
        }
        "expired-blocked" => {
            let path = std::env::temp_dir().join(format!("review-{}", std::process::id()));
            let pool = on(kind).queue(1).build().unwrap();
            let _a = pool.submit(nap::task(1000));
            sleep(ms(200));
            let _b = pool.submit(nap::task(10));
            let c =
                pool.submit(touch::task(path.to_str().unwrap().to_owned()).queue_timeout(ms(100)));
            println!("{:?}", c.join().map_err(|e| e.kind()));
            sleep(ms(1500));
            println!(
                "{}",
                if path.exists() {
                    "BUG: what expired has run"
                } else {
                    "fine: it never ran"
                }
            );
            let _ = fs::remove_file(path);
        }
        "timed-out-count" => {
            let pool = on(kind).build().unwrap();
            for _ in 0..10 {
                pool.submit(nap::task(0).queue_timeout(ms(100)))
                    .join()
                    .unwrap();
            }
            sleep(ms(500));
            println!(
                "all ten came in time; timed_out = {}",
                pool.stats().timed_out
            );
        }
        "retry-expired" => {
            let pool = on(kind).build().unwrap();
            let a = pool.submit(fails_until::task(2).retries(3).queue_timeout(ms(300)));
            sleep(ms(10));
            let _b = pool.submit(nap::task(1000));
            println!("{:?}", a.join().map_err(|e| e.to_string()));
        }
        "shrink" => {
            let pool = on(kind).workers(2).build().unwrap();
            let a = pool.submit(nap::task(4000));
            let b = pool.submit(nap::task(4000));
            sleep(ms(200));
            pool.resize(1).unwrap();
            if std::env::args().nth(3).is_some() {
                a.join().unwrap();
                b.join().unwrap();
            }
            within("one process is left", ms(12000), || processes() == 1);
        }
        "relay" => {
            let pool = on(Backend::Processes)
                .stdout(Output::Prefix)
                .build()
                .unwrap();
            pool.submit(spawns_a_writer::task()).join().unwrap();
            let begin = Instant::now();
            pool.kill();
            eprintln!("kill took {:?}", begin.elapsed());
        }
        "try-default" => {
            let pool = on(Backend::Threads).build().unwrap();
            let _a = pool.submit(nap::task(8_000));
            sleep(ms(100));
            let begin = Instant::now();
            let mut n = 0_u64;
            while begin.elapsed() < ms(7000) {
                let t = Instant::now();
                let ok = pool.try_submit(nap::task(0)).is_ok();
                n += 1;
                if !ok {
                    println!("fine: handed back after {n}");
                    break;
                }
                if t.elapsed() > ms(1000) {
                    println!("BUG: try_submit number {n} blocked for {:?}", t.elapsed());
                    break;
                }
            }
            println!("{n}");
            std::process::exit(0);
        }
        "drop-lock" => {
            let pool = on(Backend::Threads).build().unwrap();
            *POOL.lock().unwrap() = Some(pool.clone());
            for n in 0..3000 {
                if n == 1000 {
                    sleep(ms(1000));
                }
                drop(pool.submit(gives_dropper::task().queue_timeout(Duration::from_secs(600))));
            }
            println!("fine: no dead-lock");
            std::process::exit(0);
        }
        "init-text" => {
            for kind in [Backend::Inline, Backend::Threads] {
                let pool = on(kind)
                    .initializer(init_fails_until::task(2).retries(3))
                    .build()
                    .unwrap();
                sleep(ms(300));
                println!(
                    "{:?}",
                    pool.submit(nap::task(0)).join().map_err(|e| e.to_string())
                );
            }
        }
        "init-shutdown" => {
            let mut bad = 0;
            for n in 0..15 {
                let pool = on(Backend::Processes)
                    .workers(3)
                    .initializer(init_ok::task())
                    .max_tasks_per_worker(2)
                    .build()
                    .unwrap();
                let long = pool.submit(nap::task(1000));
                let _short: Vec<_> = (0..2000).map(|_| pool.submit(nap::task(0))).collect();
                sleep(ms(200 + n * 7));
                pool.shutdown_timeout(Duration::from_secs(10));
                if let Err(error) = long.join() {
                    bad += 1;
                    println!("the running task: {error}");
                }
            }
            println!("{bad} of 15 shutdowns ended a running task before its grace");
        }
        "cancel-race" => {
            let pool = on(Backend::Threads).workers(2).queue(1000).build().unwrap();
            for _ in 0..10 {
                let handles: Vec<_> = (0..300)
                    .map(|_| pool.submit(fails_until::task(99).retries(1)))
                    .collect();
                let begin = Instant::now();
                for h in handles.iter().cycle() {
                    if begin.elapsed() > ms(60) {
                        break;
                    }
                    let _ = h.is_finished();
                    if begin.elapsed() > ms(25) {
                        h.cancel();
                        sleep(Duration::from_micros(20));
                    }
                }
                drop(handles);
            }
            sleep(ms(1500));
            println!("idle pool: {:?}", pool.stats());
        }
        "joined-cancel" => {
            let pool = on(Backend::Threads).build().unwrap();
            *POOL.lock().unwrap() = Some(pool.clone());
            let h = pool.submit(outer::task("cancelled".to_owned()));
            println!("{:?}", h.join());
            println!("runs {}", RUNS.load(SeqCst));
        }
        "memory-churn" => {
            let pool = on(Backend::Processes)
                .memory_limit(100_000)
                .build()
                .unwrap();
            sleep(ms(3000));
            println!(
                "nothing was submitted: {} workers started in 3 s",
                pool.stats().workers_started
            );
            println!(
                "{:?}",
                pool.submit(nap::task(100))
                    .join_timeout(PATIENCE)
                    .map(|r| r.map_err(|e| e.to_string()))
            );
            println!("{:?}", pool.stats());
            pool.kill();
        }
        "resize-race" => {
            let mut bad = 0;
            for n in 0..60_u64 {
                let pool = on(Backend::Processes).build().unwrap();
                pool.resize(2).unwrap();
                sleep(Duration::from_micros(500 * n));
                pool.resize(1).unwrap();
                sleep(ms(1000));
                if pool.stats().workers != 1 {
                    bad += 1;
                }
                pool.kill();
            }
            println!("{bad} of 60 pools keep a worker that is one too many");
        }
        _ => println!("no such case"),
    }
}

/// How many children this process has.
fn processes() -> usize {
    let me = std::process::id();
    let list = fs::read_to_string(format!("/proc/{me}/task/{me}/children")).unwrap_or_default();
    let mut n = list.split_whitespace().count();
    for task in fs::read_dir(format!("/proc/{me}/task")).unwrap().flatten() {
        if task.file_name().to_str() != Some(&me.to_string()) {
            let l = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            n += l.split_whitespace().count();
        }
    }
    n
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Dropper;
impl Drop for Dropper {
    fn drop(&mut self) {
        let pool = POOL.lock().unwrap().clone();
        if let Some(pool) = pool {
            drop(pool.submit(nap::task(0).queue_timeout(Duration::from_secs(1))));
        }
    }
}

#[pool_task]
fn gives_dropper() -> Dropper {
    Dropper
}

#[derive(Clone, serde::Deserialize)]
struct SlowArg(u64);
impl serde::Serialize for SlowArg {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        SLOW.store(1, SeqCst);
        while SLOW.load(SeqCst) != 2 {
            sleep(ms(1));
        }
        if self.0 == 0 {
            return Err(serde::ser::Error::custom("unwritable"));
        }
        s.serialize_u64(self.0)
    }
}

#[pool_task]
fn takes_slow(x: SlowArg, y: bool) -> u64 {
    let _ = y;
    x.0
}
