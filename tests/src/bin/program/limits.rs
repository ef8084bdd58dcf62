//! A system that gives less than usual.

use std::sync::mpsc;
use std::time::Duration;

use pool_core::{Backend, Error, Pool, pool_task};
use pool_tests::gate::{Gate, never};
use pool_tests::proc;
use pool_tests::tasks::{add, echo, exit, pid};
use pool_tests::watchdog::Watchdog;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, setrlimit};

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

fn processes(workers: usize) -> Result<Pool, Error> {
    Pool::builder()
        .backend(Backend::Processes)
        .workers(workers)
        .start_timeout(Duration::from_secs(60))
        .build()
}

/// Builds and uses a pool under a limit; prints `ok`, or the error.
pub(crate) fn limits(resource: &str, limit: &str) {
    let _watchdog = Watchdog::start(Duration::from_secs(60));
    let limit: u64 = limit.parse().unwrap();
    let resource = match resource {
        "descriptors" => Resource::Nofile,
        "processes" => Resource::Nproc,
        "memory" => Resource::As,
        "file size" => Resource::Fsize,
        other => panic!("{other}"),
    };
    if resource == Resource::Nproc && rustix::process::getuid().is_root() {
        // Root has no such limit.
        let nobody = rustix::process::Uid::from_raw(NOBODY);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        // Without it, `/proc/self` belongs to root.
        rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable).unwrap();
    }
    let before = getrlimit(resource);
    let maximum = before.maximum;
    setrlimit(
        resource,
        Rlimit {
            current: Some(limit),
            maximum,
        },
    )
    .unwrap();
    let said = use_pool();
    // What is printed may go to a file.
    setrlimit(resource, before).unwrap();
    println!("{said}");
    assert!(
        proc::children_of(std::process::id()).is_empty(),
        "a child is left"
    );
}

fn use_pool() -> String {
    let pool = match processes(3) {
        Ok(pool) => pool,
        Err(error @ (Error::Spawn { .. } | Error::WorkerStart { .. })) => {
            return format!("error: {error}");
        }
        Err(other) => panic!("{other}"),
    };
    let small: Vec<_> = (0..50).map(|i| pool.submit(add::task(i, 1))).collect();
    let large: Vec<_> = [100, 20_000, 300_000, 3_000_000]
        .map(|len| pool.submit(echo::task(vec![7; len])))
        .into();
    let lost = pool.submit(exit::task(5));
    let mut refused = 0;
    for (i, handle) in (0..).zip(small) {
        match handle.join() {
            Ok(sum) => assert_eq!(sum, i + 1),
            Err(error) => {
                assert!(error.is_rejected(), "{error}");
                refused += 1;
            }
        }
    }
    for handle in large {
        match handle.join() {
            Ok(bytes) => assert!(bytes.iter().all(|byte| *byte == 7)),
            // Larger than what the system gives.
            Err(error) => {
                assert!(
                    error.is_codec() || error.is_rejected() || error.is_worker_lost(),
                    "{error}"
                );
                refused += 1;
            }
        }
    }
    let error = lost.join().unwrap_err();
    assert!(error.is_worker_lost() || error.is_rejected(), "{error}");
    drop(pool);
    if refused == 0 {
        "ok".into()
    } else {
        format!("ok but for {refused}")
    }
}

/// What a pool takes of a limited address space, the program does not have.
pub(crate) fn address_space() {
    let _watchdog = Watchdog::start(Duration::from_secs(60));
    let limit = Rlimit {
        current: Some(1 << 30),
        maximum: Some(1 << 30),
    };
    setrlimit(Resource::As, limit).unwrap();
    let pool = processes(3).unwrap();
    let mut own: Vec<u8> = Vec::new();
    if let Err(error) = own.try_reserve_exact(256 << 20) {
        println!("a quarter of the limit is not left: {error}");
        return;
    }
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
    println!("all as it should be");
}

#[pool_task]
fn zeros(len: usize) -> Vec<u8> {
    vec![0; len]
}

/// A result that no arena of this size can hold.
pub(crate) fn oversized_result() {
    let _watchdog = Watchdog::start(Duration::from_secs(20));
    let before = getrlimit(Resource::Fsize);
    let limit = Rlimit {
        current: Some(1 << 20),
        maximum: before.maximum,
    };
    setrlimit(Resource::Fsize, limit).unwrap();
    let pool = processes(1).unwrap();
    let worker = pool.submit(pid::task()).join().unwrap();
    let error = pool.submit(zeros::task(3_000_000)).join().unwrap_err();
    assert!(error.is_codec(), "{error}");
    // The same in a map, between others.
    let lens = [0, 10, 3_000_000, 20, 300_000, 30];
    for (len, outcome) in lens.iter().zip(pool.map(lens.map(zeros::task))) {
        match outcome {
            Ok(zeros) => assert_eq!(zeros.len(), *len),
            Err(error) => assert!(*len == 3_000_000 && error.is_codec(), "{len}: {error}"),
        }
    }
    assert_eq!(
        pool.submit(zeros::task(300_000)).join().unwrap().len(),
        300_000
    );
    assert_eq!(pool.submit(pid::task()).join().unwrap(), worker);
    setrlimit(Resource::Fsize, before).unwrap();
    println!("{error}: all as it should be");
}

/// Mounts of its own for this process, which has one thread still.
fn own_mounts() -> Result<(), String> {
    use rustix::mount::{MountPropagationFlags, mount_change};
    // SAFETY: the mount namespace alone changes, which no code here relies on.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }
        .map_err(|error| format!("no mount namespace: {error}"))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(|error| format!("not private: {error}"))
}

/// An empty folder over `/proc`.
fn hide_proc() -> Result<(), String> {
    use rustix::mount::{MountFlags, mount};
    mount("none", "/proc", "tmpfs", MountFlags::empty(), None)
        .map_err(|error| format!("nothing over /proc: {error}"))
}

/// A pool where `/proc` is not mounted.
pub(crate) fn no_proc() {
    let _watchdog = Watchdog::start(Duration::from_secs(60));
    if let Err(error) = own_mounts().and_then(|()| hide_proc()) {
        println!("cannot hide /proc: {error}");
        return;
    }
    let error = processes(2).unwrap_err();
    assert!(matches!(error, Error::Spawn { .. }), "{error}");
    println!("{error}");
    let threads = Pool::threads().unwrap();
    assert_eq!(threads.submit(add::task(1, 1)).join().unwrap(), 2);
}

/// `/proc` goes while the pool lives: it cannot replace a worker any more.
pub(crate) fn no_proc_later() {
    if let Err(error) = own_mounts() {
        println!("cannot hide /proc: {error}");
        return;
    }
    let _watchdog = Watchdog::start(Duration::from_secs(60));
    let pool = processes(1).unwrap();
    if let Err(error) = hide_proc() {
        println!("cannot hide /proc: {error}");
        return;
    }
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
    let lost = pool.submit(exit::task(1));
    let behind: Vec<_> = (0..200).map(|i| pool.submit(add::task(i, 1))).collect();
    assert!(lost.join().unwrap_err().is_worker_lost());
    let mut said = String::new();
    for handle in behind {
        let error = handle.join().unwrap_err();
        assert!(error.is_rejected(), "{error}");
        said = error.to_string();
    }
    assert_eq!(
        pool.submit(add::task(1, 1)).join().unwrap_err().to_string(),
        said
    );
    println!("{said}");
}

/// The system reaps children by itself where SIGCHLD is ignored, as a shell or a daemon may have
/// left it.
pub(crate) fn children_are_not_waited_for() {
    let _watchdog = Watchdog::start(Duration::from_secs(60));
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    crash_some();
}

/// Another part of the program waits for every child there is.
pub(crate) fn somebody_else_waits() {
    let _watchdog = Watchdog::start(Duration::from_secs(60));
    let (stop, stopped) = mpsc::channel::<()>();
    let thief = std::thread::spawn(move || {
        let mut caught = 0;
        while stopped.try_recv().is_err() {
            let options = rustix::process::WaitOptions::NOHANG;
            match rustix::process::wait(options) {
                Ok(Some(_)) => caught += 1,
                _ => std::thread::sleep(Duration::from_micros(100)),
            }
        }
        caught
    });
    crash_some();
    stop.send(()).unwrap();
    println!("{} were caught", thief.join().unwrap());
}

fn crash_some() {
    let gate = Gate::new();
    let pool = processes(2).unwrap();
    for round in 0..20 {
        let error = pool.submit(exit::task(3)).join().unwrap_err();
        assert!(error.is_worker_lost(), "{error}");
        assert!(matches!(error.exit_code(), None | Some(3)), "{error}");
        assert_eq!(pool.submit(add::task(round, 1)).join().unwrap(), round + 1);
    }
    let handle = pool.submit(gate.never(1));
    proc::kill(gate.wait_for(1));
    let error = handle.join().unwrap_err();
    assert!(error.is_worker_lost(), "{error}");
    drop(pool);
    assert!(proc::children_of(std::process::id()).is_empty());
    println!("all as it should be");
}

#[pool_task]
fn descriptors() -> usize {
    proc::numbers("/proc/self/fd").len()
}

/// A hundred thousand handles at once: no descriptor for any of them.
pub(crate) fn many_handles() {
    let _watchdog = Watchdog::start(Duration::from_secs(100));
    let pool = processes(2).unwrap();
    let worker = pool.submit(descriptors::task()).join().unwrap();
    let before = descriptors();
    let handles: Vec<_> = (0..100_000).map(|i| pool.submit(add::task(i, 1))).collect();
    assert_eq!(descriptors(), before);
    assert!(pool.submit(descriptors::task()).join().unwrap() <= worker);
    for (i, handle) in (0..).zip(handles) {
        assert_eq!(handle.join().unwrap(), i + 1);
    }
    assert_eq!(descriptors(), before);
    assert_ne!(pool.submit(pid::task()).join().unwrap(), std::process::id());
    println!("all as it should be");
}

/// The program gives up its privileges after its pool was built, and the workers have theirs.
pub(crate) fn privileges() {
    // SAFETY: no memory is involved.
    let is_root = unsafe { libc::getuid() } == 0;
    if !is_root {
        println!("not privileged");
        return;
    }
    let builder = Pool::builder().backend(Backend::Processes).workers(1);
    let pool = builder.warn_after(None).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let never = pool.submit(never::task(folder.path(), 1));
    pool_tests::until("it runs", || folder.path().join("log").exists());
    // SAFETY: as above; the C library does it in every thread.
    assert_eq!(unsafe { libc::setuid(NOBODY) }, 0);
    assert!(never.cancel());
    pool.kill();
    drop(pool);
    // Only who has made it can remove it.
    std::mem::forget(folder);
    println!("all as it should be");
}
