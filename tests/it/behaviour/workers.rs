//! Worker programs that are none, and workers that break the rules: typed errors, and nothing
//! left behind.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pool_core::{Error, Pool, PoolBuilder, StartFailure, TaskError, TaskErrorKind};
use pool_tests::proc::Process;
use pool_tests::sealed::{Sealed, seal};
use pool_tests::tasks::{add, echo};
use pool_tests::until;
use tempfile::TempDir;

use crate::harness::On;

/// A worker program that behaves like this.
struct Rogue {
    folder: TempDir,
}

impl Rogue {
    fn new(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_rogue");
        let script = format!("#!/bin/sh\nexec '{program}' '{mode}'\n");
        let path = folder.path().join("worker");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("worker")
    }

    fn pool(&self, builder: PoolBuilder) -> Result<Pool, Error> {
        builder.worker_exe(self.path()).build()
    }
}

/// A worker program of which the first worker of a pool leads bad lives, one after the other, and
/// the others are honest.
struct BadLives {
    folder: TempDir,
}

impl BadLives {
    fn new(kind: &str) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_rogue"));
        // Beside the program, so that it can be the same file.
        let folder = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
        fs::hard_link(program, folder.path().join("rogue")).unwrap();
        fs::write(folder.path().join("lives"), kind).unwrap();
        Self { folder }
    }

    /// The processes that were bad.
    fn pids(&self) -> Vec<u32> {
        let bad = fs::read_to_string(self.folder.path().join("bad")).unwrap();
        bad.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// From now on they are.
    fn begin(&self) {
        fs::write(self.folder.path().join("go"), "").unwrap();
    }

    /// A task has its result, unless one of them had it.
    #[track_caller]
    fn check(&self, expected: (u64, usize), outcome: Result<Sealed, TaskError>) {
        let (pid, what) = match outcome {
            Ok(sealed) if (sealed.id, sealed.load.len()) == expected => return,
            Ok(sealed) => (Some(sealed.pid), format!("{} is its result", sealed.id)),
            Err(error) => {
                assert_is_of_garbage(&error);
                (error.worker_pid(), error.to_string())
            }
        };
        let bad = self.pids();
        let is_of_bad = pid.is_some_and(|pid| bad.contains(&pid));
        assert!(
            is_of_bad,
            "{expected:?} of {pid:?}, bad are {bad:?}: {what}"
        );
    }
}

/// What a worker that does not behave can make of a task.
#[track_caller]
fn assert_is_of_garbage(error: &TaskError) {
    assert!(
        matches!(
            error.kind(),
            TaskErrorKind::WorkerLost
                | TaskErrorKind::Decode
                | TaskErrorKind::Encode
                | TaskErrorKind::Panicked
                | TaskErrorKind::UnknownTask
        ),
        "{error}"
    );
    // It can be printed, whatever the worker wrote.
    assert!(!format!("{error} {error:?}").is_empty());
}

/// Time for the program to start, on a busy machine too.
const AMPLE: Duration = Duration::from_secs(60);

const SHORT: Duration = Duration::from_millis(200);

#[track_caller]
fn start_failure(on: &On, mode: &str, start_timeout: Duration) -> StartFailure {
    let rogue = Rogue::new(mode);
    let built = rogue.pool(on.builder().start_timeout(start_timeout));
    match built.expect_err(mode) {
        Error::WorkerStart { reason, pid } => {
            assert_ne!(pid, 0);
            reason
        }
        other => panic!("{mode}: {other}"),
    }
}

pub(crate) fn that_say_nothing_are_an_error(on: &On) {
    for mode in ["silent", "deaf", "empty"] {
        assert_eq!(
            start_failure(on, mode, SHORT),
            StartFailure::Silent(SHORT),
            "{mode}"
        );
    }
}

pub(crate) fn that_end_at_once_are_an_error(on: &On) {
    for (mode, expected) in [("exit", "exit code 3"), ("abort", "SIGABRT")] {
        let reason = start_failure(on, mode, AMPLE);
        let StartFailure::Ended { how } = reason else {
            panic!("{mode}: {reason}");
        };
        assert!(how.contains(expected), "{how}");
    }
}

pub(crate) fn that_talk_nonsense_are_an_error(on: &On) {
    for mode in ["garbage", "prefix", "longer", "huge"] {
        assert_eq!(
            start_failure(on, mode, AMPLE),
            StartFailure::Garbage,
            "{mode}"
        );
    }
}

pub(crate) fn of_another_version_are_an_error(on: &On) {
    let reason = start_failure(on, "version", AMPLE);
    let StartFailure::Version { ours, theirs } = reason else {
        panic!("{reason}");
    };
    assert_eq!(theirs, ours + 41);
    let text = reason.to_string();
    assert!(text.contains(&theirs.to_string()), "{text}");
}

#[track_caller]
fn spawn_error(on: &On, path: &Path) -> (ErrorKind, String) {
    let error = on.builder().worker_exe(path).build().unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()), "{text}");
    match error {
        Error::Spawn { kind, .. } => (kind, text),
        other => panic!("{other}"),
    }
}

pub(crate) fn that_cannot_be_started_are_an_error(on: &On) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("not there");
    assert_eq!(spawn_error(on, &path).0, ErrorKind::NotFound);
    fs::write(&path, "not a program").unwrap();
    assert_eq!(spawn_error(on, &path).0, ErrorKind::PermissionDenied);
    assert_eq!(
        spawn_error(on, folder.path()).0,
        ErrorKind::PermissionDenied
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let (_, text) = spawn_error(on, &path);
    assert!(text.contains("format"), "{text}");
    let script = folder.path().join("script");
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(spawn_error(on, &script).0, ErrorKind::NotFound);
}

/// Programs that know nothing of pools.
pub(crate) fn that_are_other_programs_are_an_error(on: &On) {
    for program in ["true", "cat", "sleep"] {
        let path = ["/bin", "/usr/bin"].map(|bin| Path::new(bin).join(program));
        let path = path.into_iter().find(|path| path.exists()).unwrap();
        let builder = on.builder().worker_exe(&path).start_timeout(SHORT);
        let error = builder.build().unwrap_err();
        assert!(
            matches!(error, Error::WorkerStart { .. }),
            "{program}: {error}"
        );
    }
}

/// No task of theirs ever starts; the pool must not hang, nor start workers for ever.
pub(crate) fn that_end_after_their_hello_break_the_pool(on: &On) {
    let rogue = Rogue::new("hello then exit");
    let pool = match rogue.pool(on.builder().workers(1)) {
        Ok(pool) => pool,
        // Noticed at once.
        Err(error) => {
            assert!(matches!(error, Error::WorkerStart { .. }), "{error}");
            return;
        }
    };
    let handles: Vec<_> = (0..10).map(|i| pool.submit(add::task(i, 0))).collect();
    for handle in handles {
        let error = handle.join().unwrap_err();
        assert!(error.is_rejected() || error.is_worker_lost(), "{error}");
    }
}

pub(crate) fn that_never_serve_can_be_given_up(on: &On) {
    let rogue = Rogue::new("hello then nothing");
    let pool = rogue.pool(on.builder()).unwrap();
    let handles: Vec<_> = (0..10).map(|i| pool.submit(add::task(i, 0))).collect();
    let large = pool.submit(echo::task(vec![0; 100_000]));
    assert!(handles[0].join_timeout(SHORT).is_none());
    for handle in &handles[..5] {
        // On a cluster, a task counts as running when an agent may start it.
        assert!(!handle.is_running() || on.cluster());
        assert!(handle.cancel());
    }
    pool.kill();
    assert!(large.join().unwrap_err().is_cancelled());
    for handle in handles {
        assert!(handle.join().unwrap_err().is_cancelled());
    }
}

pub(crate) fn that_write_nonsense_fail_their_tasks_only(on: &On) {
    let rogue = Rogue::new("nonsense");
    let pool = rogue.pool(on.builder()).unwrap();
    let small: Vec<_> = (0..100).map(|i| pool.submit(add::task(i, 0))).collect();
    let large: Vec<_> = (0..20)
        .map(|i| pool.submit(echo::task(vec![i; 30_000])))
        .collect();
    let errors = small.into_iter().map(|handle| handle.join().map(drop));
    let errors = errors.chain(large.into_iter().map(|handle| handle.join().map(drop)));
    for error in errors {
        assert_is_of_garbage(&error.expect_err("no answer of it makes sense"));
    }
}

/// The most memory that this process has used so far.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.unwrap().parse::<u64>().unwrap() << 10
}

/// A result of a gibibyte in memory that nobody has written: the parent does not believe it.
pub(crate) fn that_claim_large_results_take_no_memory_of_the_parent(on: &On) {
    let rogue = Rogue::new("claim");
    let pool = rogue.pool(on.builder().workers(1)).unwrap();
    let before = peak_bytes();
    let error = pool.submit(add::task(1, 1)).join().unwrap_err();
    assert!(error.is_codec() || error.is_worker_lost(), "{error}");
    let grown = peak_bytes() - before;
    assert!(grown < 256 << 20, "{grown} bytes for nothing");
}

pub(crate) fn that_scribble_over_their_lane_harm_only_themselves(on: &On) {
    let rogue = Rogue::new("scribble");
    for _ in 0..3 {
        let pool = rogue.pool(on.builder()).unwrap();
        let honest = on.pool();
        let handles: Vec<_> = (0..60)
            .map(|i| pool.submit(echo::task(vec![i; 200])))
            .collect();
        let results: Vec<_> = honest
            .map((0..60).map(|i| add::task(i, 1)))
            .map(Result::unwrap)
            .collect();
        assert_eq!(results, (1..=60).collect::<Vec<_>>());
        // Each gets an outcome, or the pool is given up; what it is, is up to the noise.
        for handle in handles {
            let _ = handle.join_timeout(Duration::from_millis(20));
        }
        pool.kill();
        assert!(
            pool.submit(add::task(1, 1))
                .join()
                .unwrap_err()
                .is_rejected()
        );
    }
}

pub(crate) fn that_flood_their_socket_hold_up_nobody_else(on: &On) {
    let rogue = Rogue::new("flood");
    let pool = rogue.pool(on.builder().workers(1)).unwrap();
    let handle = pool.submit(add::task(1, 1));
    assert!(handle.join_timeout(SHORT).is_none());
    assert!(handle.cancel());
    until("it is finished", || handle.is_finished());
    pool.kill();
}

/// Small and large tasks in all ways, again and again, until the bad worker has led so many lives.
fn among_honest_workers(on: &On, kind: &str, lives: usize) {
    let bad = BadLives::new(kind);
    let program = bad.folder.path().join("rogue");
    let builder = on.builder().workers(3).worker_exe(program);
    let pool = builder.start_timeout(AMPLE).build().unwrap();
    bad.begin();
    let task = |id: u64, load: usize, wanted: usize| seal::task(id, vec![id as u8; load], wanted);
    while bad.pids().len() <= lives {
        let sizes = [
            (0, 0),
            (10, 60),
            (200, 100),
            (20_000, 20_000),
            (10, 300_000),
            (400_000, 1),
        ];
        let handles: Vec<_> = (0..60)
            .map(|id| {
                let (load, wanted) = sizes[id as usize % sizes.len()];
                ((id, wanted), pool.submit(task(id, load, wanted)))
            })
            .collect();
        for (id, outcome) in pool.map((0..500).map(|id| task(id, 3, 9))).enumerate() {
            bad.check((id as u64, 9), outcome);
        }
        for (expected, handle) in handles {
            bad.check(expected, handle.join());
        }
    }
    // It is bad to the end: when it is told to stop, too.
    let last: Vec<_> = (0..50).map(|id| pool.submit(task(id, 9, 9))).collect();
    drop(pool);
    for (id, handle) in last.into_iter().enumerate() {
        bad.check((id as u64, 9), handle.join());
    }
}

pub(crate) fn whose_memory_runs_wild_harm_their_own_tasks_only(on: &On) {
    among_honest_workers(on, "memory", 15);
}

pub(crate) fn that_talk_nonsense_later_harm_their_own_tasks_only(on: &On) {
    among_honest_workers(on, "socket", 9);
}

pub(crate) fn that_go_wrong_at_their_start_harm_nobody(on: &On) {
    among_honest_workers(on, "start", 8);
}

/// The descriptors that come with messages of a worker do not stay here.
pub(crate) fn that_send_descriptors_leave_none_here(on: &On) {
    let bad = BadLives::new("descriptors");
    let program = bad.folder.path().join("rogue");
    let pool = on.builder().workers(2).worker_exe(program).build().unwrap();
    let count = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = count();
    bad.begin();
    // A ding that brings sixteen of them wakes the supervisor: it is heard as soon as another one
    // is, which came later.
    until("the bad worker has led three lives", || {
        bad.pids().len() > 3
    });
    bad.check((1, 0), pool.submit(seal::task(1, vec![], 0)).join());
    until("there are no more descriptors than before", || {
        count() <= before
    });
}

/// Pools in which every worker is like this: each task has an outcome, an error.
#[track_caller]
fn fails_its_tasks(on: &On, mode: &str) {
    let rogue = Rogue::new(mode);
    let pool = rogue.pool(on.builder()).unwrap();
    let small: Vec<_> = (0..20).map(|i| pool.submit(add::task(i, 0))).collect();
    let large: Vec<_> = (0..3)
        .map(|i| pool.submit(echo::task(vec![i; 3_000_000])))
        .collect();
    let small = small.into_iter().map(|handle| handle.join().map(drop));
    let large = large.into_iter().map(|handle| handle.join().map(drop));
    for outcome in small.chain(large) {
        assert_is_of_garbage(&outcome.expect_err(mode));
    }
}

/// Whoever joins such a task does not look at it for ever.
pub(crate) fn that_skip_tasks_unasked_fail_them(on: &On) {
    fails_its_tasks(on, "skip");
}

/// Before it could have been given them: their arguments are still being copied.
pub(crate) fn that_have_done_what_they_were_not_given_fail_it(on: &On) {
    fails_its_tasks(on, "done before");
}

/// The first task runs for ever; that those behind it are done cannot be.
pub(crate) fn that_work_out_of_order_fail_their_tasks(on: &On) {
    let rogue = Rogue::new("out of order");
    let pool = rogue.pool(on.builder().workers(1)).unwrap();
    let mut handles: Vec<_> = (0..20).map(|i| pool.submit(add::task(i, 0))).collect();
    // Not all: the last one alone would run for ever, as a task may.
    for handle in handles.drain(..10) {
        assert_is_of_garbage(&handle.join().unwrap_err());
    }
    pool.kill();
}

/// Nobody who submits or joins is kept by it.
pub(crate) fn that_never_say_that_they_sleep_hold_up_nobody(on: &On) {
    let rogue = Rogue::new("sleepless");
    let pool = rogue.pool(on.builder().workers(1)).unwrap();
    let handles: Vec<_> = (0..300).map(|i| pool.submit(add::task(i, 0))).collect();
    assert!(handles[0].join_timeout(SHORT).is_none());
    assert!(handles[299].cancel());
    pool.kill();
    for handle in handles {
        assert!(handle.join().unwrap_err().is_cancelled());
    }
}

pub(crate) fn that_run_wild_when_told_to_stop_are_killed(on: &On) {
    let rogue = Rogue::new("told");
    let pool = rogue.pool(on.builder().workers(1)).unwrap();
    for _ in 0..3 {
        let handle = pool.submit(add::task(1, 1));
        until("it runs", || handle.is_running());
        assert!(handle.cancel());
        let error = handle.join().unwrap_err();
        assert!(error.is_cancelled(), "{error}");
        if on.cluster() {
            // Who cancels a task does not know the process that has it; that none is left is counted
            // at the end.
            continue;
        }
        let pid = error.worker_pid().unwrap();
        until("it is gone", || {
            !Process::of(pid).is_some_and(|it| it.lives())
        });
    }
}

/// Another program with a door of its own; it links other tasks.
pub(crate) fn of_another_program_serve_what_they_know(on: &On) {
    let pool = on
        .builder()
        .worker_exe(env!("CARGO_BIN_EXE_program"))
        .build()
        .unwrap();
    assert_eq!(pool.submit(add::task(20, 22)).join().unwrap(), 42);
    let error = pool
        .submit(crate::behaviour::submit::unknown_elsewhere())
        .join()
        .unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::UnknownTask);
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
}

pub(crate) fn are_counted_before_any_is_started(on: &On) {
    assert_eq!(
        on.builder().workers(0).build().unwrap_err(),
        Error::ZeroWorkers
    );
    let asked = pool_core::MAX_WORKERS + 1;
    let error = on.builder().workers(asked).build().unwrap_err();
    assert_eq!(error, Error::TooManyWorkers { asked });
    assert!(error.to_string().contains(&asked.to_string()), "{error}");
    assert!(on.builder().workers(usize::MAX).build().is_err());
}
