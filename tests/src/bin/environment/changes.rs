//! What changes while a pool lives.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pool_core::{Output, Pool, pool_task};
use pool_tests::tasks::{add, exit};

use crate::builder;

fn touch(path: &Path) {
    assert!(Command::new("touch").arg(path).status().unwrap().success());
}

/// The file of the program gets another time.
pub(crate) fn touched() {
    let exe = env::current_exe().unwrap();
    let pool = builder().workers(1).build().unwrap();
    touch(&exe);
    assert!(
        pool.submit(exit::task(3))
            .join()
            .unwrap_err()
            .is_worker_lost()
    );
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
    println!("works");
}

/// The same while workers are replaced.
pub(crate) fn touched_in_a_map() {
    let exe = env::current_exe().unwrap();
    let pool = builder().workers(2).max_tasks_per_worker(50);
    let pool = pool.stderr(Output::Null).build().unwrap();
    let tasks = (0..300).map(|n| {
        if n == 100 {
            touch(&exe);
        }
        add::task(n, 1)
    });
    for (n, sum) in (0..).zip(pool.map(tasks)) {
        assert_eq!(sum.unwrap(), n + 1);
    }
    println!("works");
}

/// What a worker has of its program.
#[pool_task]
fn surroundings(hold: u64) -> (u32, (PathBuf, Option<String>, Option<String>, u32)) {
    std::thread::sleep(Duration::from_millis(hold));
    let variable = |name: &str| env::var(name).ok();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let mode = fs::metadata(file).unwrap().permissions().mode() & 0o777;
    let of = (
        env::current_dir().unwrap(),
        variable("POOL_TESTS_FIRST"),
        variable("POOL_TESTS_LATER"),
        mode,
    );
    (std::process::id(), of)
}

/// Workers that start later are like the first ones, whatever the program has done to itself.
pub(crate) fn later_workers(how: &str) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().canonicalize().unwrap();
    let [first, second] = ["first", "second"].map(|name| home.join(name));
    for path in [&first, &second] {
        fs::create_dir_all(path.join("sub")).unwrap();
    }
    env::set_current_dir(&first).unwrap();
    set_mask(0o027);
    let mut options = builder().workers(2).env("POOL_TESTS_FIRST", "given");
    let mut expected = first.clone();
    if how == "relative folder" {
        options = options.current_dir("sub");
        expected = first.join("sub");
    }
    options = match how {
        "max_tasks" => options.max_tasks_per_worker(1),
        "idle" => options.idle_timeout(Duration::from_millis(10)),
        _ => options,
    };
    let pool = options.build().unwrap();
    let expected = (expected, Some("given".to_owned()), None, 0o640);
    let (old, of) = pool.submit(surroundings::task(0)).join().unwrap();
    assert_eq!(of, expected);
    // Now the program is another one.
    env::set_current_dir(&second).unwrap();
    crate::raw::set_variable("POOL_TESTS_LATER", "later");
    crate::raw::set_variable("POOL_TESTS_FIRST", "the program's");
    set_mask(0o077);
    match how {
        "max_tasks" => {}
        "idle" => wait_for_the_end_of(old),
        "resize" => pool.resize(4).unwrap(),
        _ => {
            for _ in 0..2 {
                let lost = pool.submit(exit::task(3)).join().unwrap_err();
                assert!(lost.is_worker_lost(), "{lost}");
            }
        }
    }
    all_are(&pool, old, &expected);
    env::set_current_dir("/").unwrap();
    println!("works");
}

fn set_mask(mask: u32) {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
}

fn wait_for_the_end_of(worker: u32) {
    pool_tests::until("an idle worker ends", || {
        !pool_tests::proc::numbers("/proc").contains(&worker)
    });
}

/// Asks the workers until one has answered that was not there before.
#[track_caller]
fn all_are(pool: &Pool, old: u32, expected: &(PathBuf, Option<String>, Option<String>, u32)) {
    pool_tests::until("a worker answers that is new", || {
        let asked: Vec<_> = (0..8).map(|_| pool.submit(surroundings::task(5))).collect();
        let mut new = false;
        for handle in asked {
            let (worker, of) = handle.join().unwrap();
            assert_eq!(&of, expected);
            new |= worker != old;
        }
        new
    });
}

#[pool_task]
fn has_folder() -> bool {
    fs::exists("/proc/self/cwd/.").unwrap_or(false)
}

/// Workers start in a folder that has no name any more.
pub(crate) fn deleted_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inside");
    fs::create_dir(&path).unwrap();
    let pool = builder().workers(1).current_dir(&path).build().unwrap();
    fs::remove_dir(&path).unwrap();
    for _ in 0..2 {
        assert!(
            pool.submit(exit::task(3))
                .join()
                .unwrap_err()
                .is_worker_lost()
        );
        pool.submit(has_folder::task()).join().unwrap();
    }
    let error = builder().current_dir(&path).build().map(drop).unwrap_err();
    let name = path.display().to_string();
    assert!(error.to_string().contains(&name), "{error}");
    println!("works");
}
