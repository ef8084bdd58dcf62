//! Tasks that are an `async fn`.

use std::future::{self, Future};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use pool_core::{Backend, JoinHandle, Pool, TaskErrorKind, TaskExt, pool_task};
use pool_tests::tasks::add;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::On;

#[pool_task]
async fn repeated(text: &str, times: usize) -> String {
    let mut out = String::new();
    for _ in 0..times {
        Woken::default().await;
        out.push_str(text);
    }
    out
}

/// Ready at the second look, after another thread has woken the first.
#[derive(Default)]
struct Woken(bool);

impl Future for Woken {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        let waker = context.waker().clone();
        thread::spawn(move || waker.wake());
        Poll::Pending
    }
}

pub(crate) fn functions_run_to_their_end(on: &On) {
    let pool = on.pool();
    assert_eq!(
        pool.submit(repeated::task("ab", 3)).join().unwrap(),
        "ababab"
    );
    let handles: Vec<_> = (0..20)
        .map(|n| pool.submit(repeated::task("x", n)))
        .collect();
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.join().unwrap().len(), n);
    }
}

#[pool_task]
async fn failing(how: &str) -> Result<u8, String> {
    Woken::default().await;
    match how {
        "panic" => panic!("after a while"),
        how => Err(how.to_owned()),
    }
}

pub(crate) fn panics_and_errors_are_those_of_the_task(on: &On) {
    let pool = on.pool();
    assert_eq!(
        pool.submit(failing::task("no")).join().unwrap(),
        Err("no".to_owned())
    );
    let error = pool.submit(failing::task("panic")).join().unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::Panicked);
    assert_eq!(error.message(), Some("after a while"));
    assert!(
        error.location().unwrap().contains("asynchronous.rs"),
        "{error:?}"
    );
}

/// Says in a file that it was dropped.
struct Witness(PathBuf);

impl Drop for Witness {
    fn drop(&mut self) {
        std::fs::write(&self.0, "dropped").unwrap();
    }
}

#[pool_task]
async fn endless(begun: &Path, dropped: &Path) {
    let _witness = Witness(dropped.to_owned());
    std::fs::write(begun, "begun").unwrap();
    future::pending().await
}

#[pool_task(runtime = "tokio")]
async fn endless_in_tokio(begun: &Path, dropped: &Path) {
    let _witness = Witness(dropped.to_owned());
    std::fs::write(begun, "begun").unwrap();
    loop {
        tokio::time::sleep(Duration::from_secs(1000)).await;
    }
}

/// A worker process that does not stop by itself is not killed as long as the test runs.
fn with_one_worker(on: &On) -> Pool {
    let builder = on.builder().workers(1).grace(Duration::from_secs(600));
    builder.build().unwrap()
}

pub(crate) fn a_cancelled_one_is_dropped(on: &On) {
    let pool = with_one_worker(on);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let start = |round: usize| -> (JoinHandle<()>, PathBuf) {
        let (begun, dropped) = (
            file(&format!("begun {round}")),
            file(&format!("dropped {round}")),
        );
        let handle = match round % 2 {
            0 => pool.submit(endless::task(&begun, &dropped)),
            _ => pool.submit(endless_in_tokio::task(&begun, &dropped)),
        };
        pool_tests::until("it has begun", || begun.exists());
        (handle, dropped)
    };
    for round in 0..10 {
        let (handle, dropped) = start(round);
        // Before it sleeps, and after.
        thread::sleep(Duration::from_millis(round as u64 / 2));
        assert!(handle.cancel());
        pool_tests::until("it is dropped", || dropped.exists());
        assert!(handle.join().unwrap_err().is_cancelled());
        // The worker is free, and the same.
        assert_eq!(pool.submit(add::task(1, 2)).join().unwrap(), 3);
    }
    assert_eq!(pool.stats().workers_lost, 0);
}

pub(crate) fn one_that_is_too_late_is_dropped(on: &On) {
    let pool = with_one_worker(on);
    let folder = tempfile::tempdir().unwrap();
    let (begun, dropped) = (folder.path().join("begun"), folder.path().join("dropped"));
    let task = endless::task(&begun, &dropped).timeout(Duration::from_millis(20));
    assert!(pool.submit(task).join().unwrap_err().is_timeout());
    pool_tests::until("it is dropped", || dropped.exists());
    assert_eq!(pool.submit(add::task(1, 2)).join().unwrap(), 3);
    assert_eq!(pool.stats().workers_lost, 0);
}

static ONLY_WORKER: Mutex<Option<Pool>> = Mutex::new(None);

/// A pool of one worker, which every task of the process shares.
fn only_worker() -> Pool {
    let build = || {
        Pool::builder()
            .backend(Backend::Threads)
            .workers(1)
            .build()
            .unwrap()
    };
    ONLY_WORKER
        .lock()
        .unwrap()
        .get_or_insert_with(build)
        .clone()
}

#[pool_task]
async fn depth(n: u32) -> u32 {
    match n {
        0 => 0,
        n => 1 + only_worker().submit(depth::task(n - 1)).await.unwrap(),
    }
}

#[pool_task(runtime = "tokio")]
async fn depth_in_tokio(n: u32, joins: bool) -> u32 {
    if n == 0 {
        return 0;
    }
    let next = only_worker().submit(depth_in_tokio::task(n - 1, joins));
    1 + if joins { next.join() } else { next.await }.unwrap()
}

#[pool_task]
async fn two_at_once(n: u32) -> u32 {
    let [first, second] = [0, 1].map(|i| only_worker().submit(depth::task(n + i)));
    first.await.unwrap() + second.await.unwrap()
}

/// Polls it once.
async fn peek<F: Future + Unpin>(future: &mut F) {
    let mut polled = false;
    future::poll_fn(|context| {
        polled = polled || Pin::new(&mut *future).poll(context).is_pending();
        Poll::Ready(())
    })
    .await;
    assert!(polled);
}

/// Polls each of them once, and then only what it waits for.
#[pool_task]
async fn in_any_order(n: i64) -> i64 {
    let mut handles: Vec<_> = (0..n)
        .map(|i| only_worker().submit(add::task(i, 0)))
        .collect();
    for handle in &mut handles {
        peek(handle).await;
    }
    let mut sum = 0;
    for handle in handles.into_iter().rev() {
        sum += handle.await.unwrap();
    }
    sum
}

static OTHER: Mutex<Option<Pool>> = Mutex::new(None);

/// On one of two pools of one worker each, it awaits a task of the other.
#[pool_task]
async fn crossing(here: bool) -> i64 {
    let pool = if here { only_worker() } else { other() };
    pool.submit(add::task(1, 1)).await.unwrap()
}

fn other() -> Pool {
    let build = || {
        Pool::builder()
            .backend(Backend::Threads)
            .workers(1)
            .build()
            .unwrap()
    };
    OTHER.lock().unwrap().get_or_insert_with(build).clone()
}

#[pool_task]
fn cross(rounds: u32) {
    for _ in 0..rounds {
        let tasks = [
            only_worker().submit(crossing::task(false)),
            other().submit(crossing::task(true)),
        ];
        for task in tasks {
            assert_eq!(task.join().unwrap(), 2);
        }
    }
}

static SENT: Mutex<Option<std::sync::mpsc::Receiver<u32>>> = Mutex::new(None);

#[pool_task]
fn received() -> u32 {
    let receiver = SENT.lock().unwrap().take().unwrap();
    receiver.recv().unwrap()
}

/// The one task waits for what the other sends while it awaits it: there is a worker for each.
#[pool_task]
fn sends_meanwhile() -> u32 {
    let pool = Pool::builder()
        .backend(Backend::Threads)
        .workers(2)
        .build()
        .unwrap();
    *POOL_OF_SENDS.lock().unwrap() = Some(pool.clone());
    let sum = pool.submit(sends::task()).join().unwrap();
    *POOL_OF_SENDS.lock().unwrap() = None;
    sum
}

static POOL_OF_SENDS: Mutex<Option<Pool>> = Mutex::new(None);

#[pool_task]
async fn sends() -> u32 {
    let (sender, receiver) = std::sync::mpsc::channel();
    *SENT.lock().unwrap() = Some(receiver);
    let pool = POOL_OF_SENDS.lock().unwrap().clone().unwrap();
    let mut handle = pool.submit(received::task());
    drop(pool);
    peek(&mut handle).await;
    Woken::default().await;
    sender.send(7).unwrap();
    handle.await.unwrap()
}

pub(crate) fn tasks_that_await_tasks_of_their_pool_end(on: &On) {
    let pool = on.pool();
    assert_eq!(pool.submit(depth::task(20)).join().unwrap(), 20);
    assert_eq!(
        pool.submit(depth_in_tokio::task(20, false)).join().unwrap(),
        20
    );
    assert_eq!(
        pool.submit(depth_in_tokio::task(20, true)).join().unwrap(),
        20
    );
    assert_eq!(pool.submit(two_at_once::task(3)).join().unwrap(), 7);
    assert_eq!(
        only_worker().submit(in_any_order::task(40)).join().unwrap(),
        780
    );
    pool.submit(cross::task(200)).join().unwrap();
    drop(OTHER.lock().unwrap().take());
    for _ in 0..10 {
        assert_eq!(pool.submit(sends_meanwhile::task()).join().unwrap(), 7);
    }
    drop(ONLY_WORKER.lock().unwrap().take());
}

static HELD: Mutex<u32> = Mutex::new(0);

/// Holds a lock where it waits for ever, and panics when it is dropped.
#[pool_task]
#[expect(clippy::await_holding_lock, reason = "what a user may do")]
async fn holds_a_lock(begun: &Path) {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let _bomb = Bomb;
    let _held = HELD.lock().unwrap();
    std::fs::write(begun, "begun").unwrap();
    future::pending().await
}

#[pool_task]
fn is_poisoned() -> bool {
    HELD.lock().is_err()
}

pub(crate) fn a_cancelled_one_is_not_dropped_by_a_panic(on: &On) {
    let pool = with_one_worker(on);
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun");
    let handle = pool.submit(holds_a_lock::task(&begun));
    pool_tests::until("it has begun", || begun.exists());
    assert!(handle.cancel());
    assert!(!pool.submit(is_poisoned::task()).join().unwrap());
    assert_eq!(pool.stats().workers_lost, 0);
}

/// What can be read inside of tokio's runtime only.
#[derive(Serialize)]
struct Inside(u64);

impl<'de> Deserialize<'de> for Inside {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let _ = tokio::runtime::Handle::current();
        u64::deserialize(input).map(Self)
    }
}

#[pool_task(runtime = "tokio")]
async fn slept(ms: Inside) -> u64 {
    tokio::time::sleep(Duration::from_millis(ms.0)).await;
    ms.0
}

#[pool_task(runtime = "tokio")]
async fn echoed(text: &str) -> std::result::Result<String, String> {
    let echo = async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await?;
            let mut bytes = Vec::new();
            socket.read_to_end(&mut bytes).await?;
            socket.write_all(&bytes).await
        });
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(text.as_bytes()).await?;
        socket.shutdown().await?;
        let mut back = String::new();
        socket.read_to_string(&mut back).await?;
        server.await.map_err(std::io::Error::other)??;
        Ok(back)
    };
    echo.await
        .map_err(|error: std::io::Error| error.to_string())
}

pub(crate) fn start_tokio() {
    assert_eq!(
        Pool::inline()
            .submit(slept::task(Inside(0)))
            .join()
            .unwrap(),
        0
    );
}

pub(crate) fn tokio_drives_sockets_and_timers(on: &On) {
    let pool = on.pool();
    assert_eq!(pool.submit(slept::task(Inside(3))).join().unwrap(), 3);
    assert_eq!(
        pool.submit(echoed::task("back")).join().unwrap(),
        Ok("back".to_owned())
    );
}

/// Tasks start also where the program has a runtime of its own, which cannot be entered twice.
pub(crate) fn run_inside_of_a_runtime_of_the_program(on: &On) {
    let pool = on.pool();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let sum = runtime.block_on(async {
        let first = pool.submit(slept::task(Inside(2))).await.unwrap();
        first + pool.submit(slept::task(Inside(3))).await.unwrap()
    });
    assert_eq!(sum, 5);
}
