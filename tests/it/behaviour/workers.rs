//! Worker programs that are none, and workers that break the rules: typed errors, and nothing
//! left behind.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pool_core::{Error, Pool, PoolBuilder, StartFailure, TaskErrorKind};
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
        assert!(!handle.is_running());
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
        let error = error.expect_err("no answer of it makes sense");
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
