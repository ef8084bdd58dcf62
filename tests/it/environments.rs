//! Environments that give less than usual, or that change: what works in them, and what says why it
//! does not. `docs/environments.md` has the table.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

#[cfg(feature = "cluster")]
use crate::harness::program::Ended;
use crate::harness::program::{program, run_program};

const PROGRAM: &str = env!("CARGO_BIN_EXE_environment");

/// A user and a group that own nothing.
const NOBODY: u32 = 65_534;

fn scenario(arguments: &[&str]) -> Command {
    let mut command = program(PROGRAM);
    command.args(arguments);
    command
}

#[track_caller]
fn works(arguments: &[&str]) {
    let ended = run_program(&mut scenario(arguments));
    assert_eq!(ended.out, "works\n", "{arguments:?}: {}", ended.describe());
}

/// A folder that every user can read.
fn public_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// A copy of the program with these rights.
fn copy(folder: &TempDir, name: &str, mode: u32) -> PathBuf {
    let path = folder.path().join(name);
    // By another process: else a child that is started here meanwhile could have it open for
    // writing, and it could not be executed.
    let copied = Command::new("cp").arg(PROGRAM).arg(&path).status();
    assert!(copied.unwrap().success());
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("NOT TESTED: only root can");
    }
    is_root
}

// ---- rights ----

/// What a program says that somebody without rights has started.
#[track_caller]
fn as_nobody(program: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .current_dir("/");
    run_program(command.uid(NOBODY).gid(NOBODY)).out
}

#[test]
fn a_setuid_program_does_not_run_the_tasks_of_whoever_starts_it() {
    if !is_root() {
        return;
    }
    let folder = public_folder();
    let plain = copy(&folder, "plain", 0o755);
    let setuid = copy(&folder, "setuid", 0o4755);
    let setgid = copy(&folder, "setgid", 0o2755);
    // The file system lets them be what they are.
    let ids = [&plain, &setuid, &setgid].map(|path| as_nobody(path, &["identity"]));
    assert_eq!(
        ids,
        ["(65534, 65534)\n", "(65534, 0)\n", "(65534, 65534)\n"]
    );
    let plain_name = plain.to_str().unwrap();
    for (name, program, worker) in [
        ("a setuid worker", &plain, setuid.to_str().unwrap()),
        ("a setgid worker", &plain, setgid.to_str().unwrap()),
        (
            "a worker with the rights of a setuid program",
            &setuid,
            plain_name,
        ),
    ] {
        let said = as_nobody(program, &["worker of", worker]);
        assert!(said.starts_with("error: "), "{name}: {said}");
        assert!(said.contains("setuid"), "{name}: {said}");
    }
    let said = as_nobody(&plain, &["worker of", plain_name]);
    assert_eq!(said, "a task ran as Ok((65534, 65534))\n");
}

#[test]
fn a_program_with_capabilities_does_not_run_the_tasks_of_whoever_starts_it() {
    if !is_root() {
        return;
    }
    let folder = public_folder();
    let plain = copy(&folder, "plain", 0o755);
    let capable = copy(&folder, "capable", 0o755);
    // `struct vfs_cap_data`: version 2, in effect; CAP_NET_RAW is permitted.
    let words = [0x0200_0001_u32, 1 << 13, 0, 0, 0];
    let capabilities: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&capable, "security.capability", &capabilities, flags).unwrap();
    let said = as_nobody(&plain, &["worker of", capable.to_str().unwrap()]);
    assert!(said.starts_with("error: "), "{said}");
    assert!(said.contains("file capabilities"), "{said}");
}

#[cfg(feature = "cluster")]
#[test]
fn a_setuid_program_is_no_agent_of_whoever_starts_it() {
    if !is_root() {
        return;
    }
    let folder = public_folder();
    let setuid = copy(&folder, "setuid", 0o4755);
    let mut command = Command::new(setuid);
    command
        .arg("identity")
        .env("POOL_WORKER", "nats://127.0.0.1:1");
    command.stdin(Stdio::null()).current_dir("/");
    let ended = Ended::of(command.uid(NOBODY).gid(NOBODY));
    assert_eq!(ended.status.and_then(|status| status.code()), Some(64));
    assert!(ended.err.contains("setuid"), "{}", ended.describe());
}

// ---- what the workers are ----

#[test]
fn workers_are_replaced_after_the_file_of_the_program_was_touched() {
    let folder = public_folder();
    for case in ["touched", "touched in a map"] {
        let path = copy(&folder, "program", 0o755);
        let ended = run_program(program(path.to_str().unwrap()).arg(case));
        assert_eq!(ended.out, "works\n", "{case}: {}", ended.describe());
    }
}

#[test]
fn workers_that_start_later_are_like_the_first_ones() {
    for how in ["death", "max_tasks", "idle", "resize", "relative folder"] {
        works(&["later workers", how]);
    }
}

#[test]
fn workers_start_in_a_folder_that_was_deleted() {
    works(&["deleted folder"]);
}

/// The loader that the kernel starts for programs of this system.
fn loader() -> PathBuf {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let paths = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    let mut loaders = paths.filter(|path| path.contains("/ld-"));
    loaders.next().unwrap().into()
}

#[test]
fn a_program_that_was_started_by_the_loader_has_pools() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    let mut command = program(loader().to_str().unwrap());
    // Executed again with these arguments the loader would start the first of them.
    command
        .args([PROGRAM, "/usr/bin/touch", "use a pool"])
        .arg(&made);
    let ended = run_program(&mut command);
    assert_eq!(ended.out, "works\n", "{}", ended.describe());
    assert!(!made.exists());
}

#[test]
fn a_program_under_valgrind_has_pools() {
    let Ok(found) = Command::new("valgrind").arg("--version").output() else {
        eprintln!("NOT TESTED: there is no valgrind");
        return;
    };
    assert!(found.status.success());
    let mut command = program("valgrind");
    let ended = run_program(command.args(["--error-exitcode=9", PROGRAM, "use a pool"]));
    assert_eq!(ended.out, "works\n", "{}", ended.describe());
}

// ---- streams ----

#[test]
fn the_input_of_the_program_is_no_empty_file_in_a_worker() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    fs::write(&path, "one two three").unwrap();
    let mut command = scenario(&["input"]);
    let ended = run_program(command.stdin(fs::File::open(path).unwrap()));
    assert_eq!(ended.out, "the program reads \"one two three\"\n");
}

#[test]
fn a_pool_takes_no_descriptor_of_a_standard_stream() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let ended = run_program(&mut scenario(&["closed streams", log.to_str().unwrap()]));
    let said = fs::read_to_string(&log).unwrap();
    assert_eq!(said, "printed: true, 30 rounds\n", "{}", ended.describe());
}

#[test]
fn a_pool_needs_no_null_device_or_names_it() {
    if !is_root() {
        return;
    }
    let mut command = program("unshare");
    let script = "mount -t tmpfs none /dev && exec \"$0\" 'no null'";
    let ended = run_program(command.args(["-m", "sh", "-c", script, PROGRAM]));
    let lines: Vec<_> = ended.out.lines().collect();
    assert_eq!(
        lines[..2],
        ["Inherit works", "Prefix works"],
        "{}",
        ended.describe()
    );
    assert!(lines[2].contains("open /dev/null: "), "{}", lines[2]);
}

// ---- what the kernel refuses ----

/// Calls without which pools work.
const DISPENSABLE: &[&str] = &[
    "close_range",
    "epoll_pwait2",
    "getrandom",
    "madvise",
    "MADV_WIPEONFORK",
    "pidfd_open",
    "pidfd_send_signal",
    "prctl",
    "sched_getaffinity",
    "shutdown",
    "socket",
    "statx",
    "umask",
    "waitid",
];

/// Calls without which there is no pool: each is named.
const NECESSARY: &[&str] = &[
    "F_ADD_SEALS",
    "epoll_create1",
    "epoll_ctl",
    "eventfd2",
    "ftruncate",
    "memfd_create",
    "sendmsg",
    "socketpair",
];

/// Of these only new pools have need.
const AT_BUILD: &[&str] = &["epoll_create1", "eventfd2"];

#[track_caller]
fn refused(call: &str, errno: &str, when: &str) -> String {
    let ended = run_program(&mut scenario(&["refused", call, errno, when]));
    assert_eq!(ended.out.lines().count(), 1, "{}", ended.describe());
    ended.out.trim_end().to_owned()
}

#[test]
fn what_is_only_a_refinement_is_done_without() {
    for call in DISPENSABLE {
        for errno in ["EPERM", "ENOSYS"] {
            for when in ["before", "after"] {
                assert_eq!(refused(call, errno, when), "works", "{call} {errno} {when}");
            }
        }
    }
}

#[test]
fn what_is_necessary_is_named() {
    for call in NECESSARY {
        for errno in ["EPERM", "ENOSYS"] {
            let said = refused(call, errno, "before");
            assert!(said.starts_with("error: "), "{call} {errno}: {said}");
            assert!(said.contains(call) && said.contains("seccomp"), "{said}");
            let said = refused(call, errno, "after");
            if AT_BUILD.contains(call) {
                assert_eq!(said, "works", "{call} {errno}");
            } else {
                assert!(
                    said.contains("the pool is broken"),
                    "{call} {errno}: {said}"
                );
                assert!(said.contains(call) && said.contains("seccomp"), "{said}");
            }
        }
    }
}

/// The C library does without it only where it does not exist.
#[test]
fn without_clone3_there_are_pools_where_it_does_not_exist() {
    assert_eq!(refused("clone3", "ENOSYS", "before"), "works");
    let said = refused("clone3", "EPERM", "before");
    assert!(
        said.starts_with("error: ") && said.contains("clone"),
        "{said}"
    );
}

/// The page has each of them.
#[test]
fn the_page_names_every_call() {
    let page = include_str!("../../docs/environments.md");
    for call in DISPENSABLE.iter().chain(NECESSARY).chain(&["clone3"]) {
        assert!(page.contains(&format!("`{call}`")), "{call}");
    }
}
