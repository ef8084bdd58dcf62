//! Whole programs: global pools, streams, how they end, and systems that give little.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use pool_tests::gate::Gate;
use pool_tests::proc::{self, Process};
use rustix::process::Signal;

use crate::harness::program::{Running, assert_no_worker_of, program, run_program};

fn scenario(arguments: &[&str]) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_program"));
    command.args(arguments).env_remove("POOL_BACKEND");
    command
}

#[track_caller]
fn run_well(arguments: &[&str]) {
    let ended = run_program(&mut scenario(arguments));
    assert!(
        ended.out.contains("all as it should be"),
        "{}",
        ended.describe()
    );
}

// ---- which backend ----

#[track_caller]
fn backend_lines(value: Option<&str>) -> [String; 2] {
    let mut command = scenario(&["backend"]);
    command.envs(value.map(|value| ("POOL_BACKEND", value)));
    let ended = run_program(&mut command);
    let lines: Vec<_> = ended.out.lines().collect();
    assert_eq!(lines[2..], ["marked: threads", "named: inline"]);
    [lines[0].to_owned(), lines[1].to_owned()]
}

#[test]
fn pool_backend_chooses_the_backend() {
    for backend in ["inline", "threads", "processes"] {
        let expected = ["new", "spawn"].map(|what| format!("{what}: {backend}"));
        assert_eq!(backend_lines(Some(backend)), expected);
    }
    let default = ["new", "spawn"].map(|what| format!("{what}: threads"));
    assert_eq!(backend_lines(None), default);
    assert_eq!(
        backend_lines(Some("")),
        default,
        "empty is as if it were not there"
    );
}

#[test]
fn an_unknown_pool_backend_is_an_error() {
    for unknown in [
        "process",
        "Threads",
        " threads",
        "threads,processes",
        "\u{fffd}",
    ] {
        for line in backend_lines(Some(unknown)) {
            assert!(line.contains(&format!("{unknown:?}")), "{line}");
            for known in ["inline", "threads", "processes"] {
                assert!(line.contains(known), "{line}");
            }
        }
    }
    for line in backend_lines(Some("cluster")) {
        assert!(
            line.contains("cluster") && line.contains("not available"),
            "{line}"
        );
    }
}

#[test]
fn global_pools_are_made_once() {
    run_well(&["globals"]);
}

fn drained(scenario_name: &str, expected: usize) {
    let folder = tempfile::tempdir().unwrap();
    run_program(&mut scenario(&[
        scenario_name,
        folder.path().to_str().unwrap(),
    ]));
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    assert_eq!(log.lines().count(), expected, "{log}");
}

#[test]
fn the_end_of_main_waits_for_what_was_spawned() {
    drained("drain", 8);
}

#[test]
fn the_end_of_main_waits_for_what_that_spawns() {
    drained("drain chain", 4);
}

// ---- streams ----

#[test]
fn what_tasks_print_arrives() {
    for backend in ["inline", "threads", "processes"] {
        let ended = run_program(&mut scenario(&["streams", backend]));
        for number in 0..5 {
            for (text, stream) in [
                (format!("out of task {number}\n"), &ended.out),
                (format!("<{number}>"), &ended.out),
                (format!("child of {number}\n"), &ended.out),
                (format!("err of task {number}\n"), &ended.err),
            ] {
                assert_eq!(
                    stream.matches(&text).count(),
                    1,
                    "{backend}: {text}{}",
                    ended.describe()
                );
            }
        }
        assert_eq!(
            ended.out.matches("unfinished").count(),
            1,
            "{backend}: {}",
            ended.out
        );
    }
}

#[test]
fn the_programs_input_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    std::fs::write(&path, "five\n").unwrap();
    let mut command = scenario(&["streams", "processes"]);
    let ended = run_program(command.stdin(std::fs::File::open(path).unwrap()));
    assert!(ended.out.contains("task read 0\n"), "{}", ended.out);
    assert!(ended.out.contains("main read 5\n"), "{}", ended.out);
}

#[test]
fn workers_see_the_programs_arguments() {
    let arguments = ["arguments", "", "a b", "--exact", "pool-worker:1:2:3"];
    let ended = run_program(&mut scenario(&arguments));
    assert_eq!(ended.out.trim_end(), format!("{arguments:?}"));
}

/// Whoever started the program may have closed them.
#[test]
fn what_workers_write_goes_where_it_is_told_to() {
    let ended = run_program(&mut scenario(&["relayed"]));
    assert_eq!(
        ended.out,
        "[worker 0] out of task 1\n[worker 0] <1>child of 1\n[worker 0] unfinished\n\
         main is at its end\n"
    );
    assert_eq!(
        ended.err,
        "[worker 0] err of task 2\n[worker 0] last words\n"
    );
}

#[test]
fn a_program_without_standard_streams_has_pools() {
    let program = env!("CARGO_BIN_EXE_program");
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let mut shell = Command::new("/bin/sh");
        let ended = Running::start(shell.args(["-c", &format!("'{program}' calm {closed}")])).end();
        assert!(
            ended.status.is_some_and(|status| status.success()),
            "{closed}: {}",
            ended.describe()
        );
    }
}

// ---- the end of the parent ----

/// Starts the program whose workers and their workers are busy; says which processes these are.
fn busy_parent(scenario_name: &str, folder: &Path, end: &str) -> (Running, Vec<Process>) {
    let folder = folder.to_str().unwrap();
    let running = Running::start(&mut scenario(&[scenario_name, folder, end]));
    let mut out = String::new();
    pool_tests::until("the parent is ready", || {
        out = running.said("out");
        out.contains("ready\n")
    });
    let process = |line: &str| {
        let (pid, start) = line.strip_prefix("process ")?.split_once(' ')?;
        Some(Process {
            pid: pid.parse().ok()?,
            start: start.parse().ok()?,
        })
    };
    let processes: Vec<_> = out.lines().filter_map(process).collect();
    assert!(processes.len() >= 4, "{out}");
    (running, processes)
}

#[track_caller]
fn assert_all_gone(processes: &[Process]) {
    let left = || -> Vec<_> { processes.iter().filter(|p| p.lives()).collect() };
    let end = Instant::now() + Duration::from_secs(10);
    while !left().is_empty() {
        if Instant::now() > end {
            let left = left();
            let text: String = left.iter().map(|process| process.describe()).collect();
            left.iter().for_each(|process| proc::kill(process.pid));
            panic!("left behind:\n{text}");
        }
        sleep(Duration::from_millis(2));
    }
}

#[track_caller]
fn parent_is_sent(signal: Signal, scenario_name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (running, processes) = busy_parent(scenario_name, folder.path(), "wait");
    let pid = running.child.id();
    assert!(processes.iter().all(Process::lives));
    proc::signal(pid, signal);
    let ended = running.end();
    assert_eq!(
        ended.status.and_then(|status| status.signal()),
        Some(signal.as_raw())
    );
    assert_all_gone(&processes);
    assert_no_worker_of(pid);
}

#[test]
fn a_parent_that_is_killed_leaves_no_worker() {
    parent_is_sent(Signal::KILL, "parent");
}

#[test]
fn a_parent_that_is_asked_to_end_leaves_no_worker() {
    parent_is_sent(Signal::TERM, "parent");
}

#[test]
fn a_parent_that_is_killed_leaves_nothing_that_its_workers_started() {
    for _ in 0..5 {
        parent_is_sent(Signal::KILL, "parent with programs");
    }
}

#[test]
fn a_parent_that_is_killed_while_its_workers_are_stopped_leaves_no_worker() {
    let folder = tempfile::tempdir().unwrap();
    let (running, processes) = busy_parent("parent", folder.path(), "wait");
    for process in &processes {
        proc::signal(process.pid, Signal::STOP);
    }
    proc::kill(running.child.id());
    running.end();
    assert_all_gone(&processes);
}

#[track_caller]
fn parent_ends_by(end: &str, code: Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    let (running, processes) = busy_parent("parent", folder.path(), end);
    let ended = running.end();
    assert_eq!(
        ended.status.and_then(|status| status.code()),
        code,
        "{}",
        ended.describe()
    );
    assert_all_gone(&processes);
}

#[test]
fn a_parent_that_exits_leaves_no_worker() {
    parent_ends_by("exit", Some(0));
}

#[test]
fn a_parent_that_leaks_its_pool_leaves_no_worker() {
    parent_ends_by("leak", Some(0));
}

#[test]
fn a_parent_that_panics_leaves_no_worker() {
    parent_ends_by("panic", Some(101));
}

#[test]
fn a_parent_that_aborts_leaves_no_worker() {
    parent_ends_by("abort", None);
}

#[test]
fn a_parent_that_becomes_another_program_leaves_no_worker() {
    parent_ends_by("exec", Some(0));
}

#[test]
fn a_parent_that_kills_its_pool_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (running, processes) = busy_parent("parent with programs", folder.path(), "kill");
    let ended = running.end();
    assert!(ended.status.unwrap().success(), "{}", ended.describe());
    assert_all_gone(&processes);
}

// ---- systems that give little, or are used in unusual ways ----

#[test]
fn a_program_whose_file_was_replaced_starts_workers_of_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    // Copied by another process: else a child that is started here meanwhile could have it open
    // for writing, and it could not be executed.
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_program"))
        .arg(&path)
        .status();
    assert!(copied.unwrap().success());
    let mut command = Command::new(&path);
    let ended = run_program(command.arg("deleted").arg(&path));
    assert!(
        ended.out.contains("all as it should be"),
        "{}",
        ended.describe()
    );
}

#[test]
fn a_program_that_ignores_its_childrens_end_has_pools() {
    run_well(&["children are not waited for"]);
}

#[test]
fn a_program_that_waits_for_every_child_has_pools() {
    run_well(&["somebody else waits"]);
}

#[test]
fn a_program_that_gives_up_its_privileges_ends_its_workers() {
    let ended = run_program(&mut scenario(&["privileges"]));
    let said = ended.out.trim_end();
    assert!(
        ["all as it should be", "not privileged"].contains(&said),
        "{}",
        ended.describe()
    );
}

#[test]
fn a_join_leaves_the_token_of_park_to_the_program() {
    for backend in ["inline", "threads", "processes"] {
        run_well(&["unparked", backend]);
    }
}

#[test]
fn a_hundred_thousand_handles_need_no_descriptors() {
    run_well(&["many handles"]);
}

/// From so little that nothing can be had to so much that all can: a typed error or a working
/// pool, never anything else.
#[track_caller]
fn limited(resource: &str, limits: &[u64]) -> Vec<String> {
    let said = limits.iter().map(|limit| {
        let ended = run_program(&mut scenario(&["limits", resource, &limit.to_string()]));
        let said = ended.out.trim_end().to_owned();
        assert!(
            said.starts_with("ok") || said.starts_with("error: "),
            "{resource} {limit}: {}",
            ended.describe()
        );
        said
    });
    said.collect()
}

#[track_caller]
fn assert_some_failed_and_the_last_did_not(said: &[String]) {
    assert!(
        said.iter().any(|line| line.starts_with("error: ")),
        "{said:#?}"
    );
    assert_eq!(said.last().unwrap(), "ok", "{said:#?}");
}

#[test]
fn few_descriptors_are_an_error() {
    let said = limited(
        "descriptors",
        &[
            3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 25, 100,
        ],
    );
    assert_some_failed_and_the_last_did_not(&said);
    assert!(
        said.iter().any(|line| line.contains("open files")),
        "{said:#?}"
    );
}

#[test]
fn few_processes_are_an_error() {
    let said = limited("processes", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 50]);
    assert_some_failed_and_the_last_did_not(&said);
}

#[test]
fn little_memory_is_an_error() {
    let mib = [8, 16, 32, 64, 512, 1_024, 4_096].map(|mib| mib << 20);
    let said = limited("memory", &mib);
    assert_some_failed_and_the_last_did_not(&said);
}

#[test]
fn a_pool_leaves_address_space_to_the_program() {
    run_well(&["address space"]);
}

#[test]
fn small_files_are_an_error() {
    let said = limited("file size", &[20_000, 100_000, 1 << 20, 4 << 20, 1 << 30]);
    assert_eq!(said.last().unwrap(), "ok");
}

#[test]
fn no_files_are_an_error() {
    let said = limited("file size", &[0, 4_096]);
    assert!(
        said.iter().all(|said| said.starts_with("error: ")),
        "{said:#?}"
    );
}

#[test]
fn a_result_that_is_larger_than_the_arena_is_an_error() {
    run_well(&["oversized result"]);
}

#[test]
fn a_system_without_proc_is_an_error() {
    let ended = run_program(&mut scenario(&["no proc"]));
    assert!(
        ended.out.contains("is /proc mounted?") || could_not_hide(&ended.out),
        "{}",
        ended.out
    );
}

#[test]
fn a_system_whose_proc_goes_breaks_the_pool() {
    let ended = run_program(&mut scenario(&["no proc later"]));
    assert!(
        ended.out.contains("the pool is broken") || could_not_hide(&ended.out),
        "{}",
        ended.out
    );
}

/// Without the right to mount, what can be tested of it is in the unit tests of `spawn.rs`.
fn could_not_hide(out: &str) -> bool {
    let could_not = out.contains("cannot hide /proc");
    if could_not {
        eprintln!("NOT TESTED: {out}");
    }
    could_not
}

// ---- stacks ----

/// Runs a task that uses so much of its stack, with this set before: the program's output.
fn with_stack(set: &str, backend: &str, mib: &str) -> String {
    let mut command = program("/bin/sh");
    let line = format!("{set} || exit 77; exec \"$@\"");
    command.args(["-c", &line, "sh", env!("CARGO_BIN_EXE_program")]);
    let ended = Running::start(command.args(["stack", backend, mib])).end();
    match ended.status.and_then(|status| status.code()) {
        Some(0) => ended.out,
        // A hard limit that is lower.
        Some(77) => "not allowed".to_owned(),
        _ => panic!("{set} {backend}: {}", ended.describe()),
    }
}

#[test]
fn what_is_set_for_stacks_counts_on_threads_and_in_worker_processes() {
    for backend in ["threads", "processes"] {
        assert_eq!(
            with_stack("export RUST_MIN_STACK=67108864", backend, "60"),
            "done\n"
        );
        // Less than what there is anyway.
        assert_eq!(
            with_stack("export RUST_MIN_STACK=10000", backend, "7"),
            "done\n"
        );
        assert_eq!(with_stack("ulimit -S -s 1024", backend, "7"), "done\n");
        let larger = with_stack("ulimit -s 65536", backend, "60");
        assert!(["done\n", "not allowed"].contains(&&*larger), "{larger}");
    }
}

#[test]
fn a_stack_overflow_costs_the_task_where_the_stack_of_main_has_no_limit() {
    assert_eq!(with_stack("true", "processes", "4096"), "lost\ndone\n");
    // It ends long before the memory does.
    let unlimited = with_stack("ulimit -s unlimited", "processes", "256");
    assert!(
        ["lost\ndone\n", "not allowed"].contains(&&*unlimited),
        "{unlimited}"
    );
}

#[test]
fn a_panic_that_takes_its_worker_along_is_in_the_error() {
    let ended = run_program(&mut program(env!("CARGO_BIN_EXE_aborts")));
    assert_eq!(ended.out, "all as it should be\n", "{}", ended.describe());
}

// ---- for a long time ----

/// For minutes: `cargo run --release -p pool-tests --bin stress -- --seconds 300`.
#[test]
fn no_task_is_lost_while_workers_are_stopped_and_killed() {
    let mut command = program(env!("CARGO_BIN_EXE_stress"));
    let ended = run_program(command.args(["--seconds", "3"]));
    assert!(ended.out.ends_with(" wrong: 0\n"), "{}", ended.describe());
}

// ---- the watchdog of the tests ----

#[test]
fn the_watchdog_shows_where_a_program_is_stuck() {
    let ended = Running::start(&mut scenario(&["stuck"])).end();
    assert_eq!(
        ended.status.and_then(|status| status.signal()),
        Some(6),
        "{}",
        ended.describe()
    );
    let worker = ended.out.trim_end().strip_prefix("worker ").unwrap();
    for shown in [
        "STUCK for 500ms",
        // The main thread, another one, and the engine's.
        "stuck::stuck",
        "locked-out",
        "waits_for_a_lock",
        "pool-supervisor",
        // What the worker is and does.
        &format!("process {worker}: pool-worker:"),
        "wchan",
    ] {
        assert!(ended.err.contains(shown), "{shown}: {}", ended.err);
    }
}

#[test]
fn the_watchdog_lets_a_program_that_is_done_go() {
    let ended = run_program(&mut scenario(&["calm"]));
    assert_eq!((&*ended.out, &*ended.err), ("done\n", ""));
}

// ---- what a drop waits for ----

#[test]
fn a_drop_that_waits_long_says_once_what_for() {
    for backend in ["threads", "processes"] {
        let gate = Gate::new();
        let folder = gate.folder().to_str().unwrap();
        let running = Running::start(&mut scenario(&["slow drop", backend, folder]));
        pool_tests::until("it says what it waits for", || {
            running.said("err").contains("pool_tests::gate::hold")
        });
        assert_eq!(running.said("out"), "");
        gate.open();
        let ended = running.end();
        assert!(ended.status.is_some_and(|status| status.success()));
        let expected = format!("pool-core: a {backend} pool that is dropped waits for ");
        assert!(ended.err.starts_with(&expected), "{}", ended.err);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert_eq!(ended.out, "dropped\n");
    }
}

#[test]
fn a_drop_that_waits_long_can_be_told_to_say_nothing() {
    let gate = Gate::new();
    let folder = gate.folder().to_str().unwrap();
    let running = Running::start(&mut scenario(&["slow quiet drop", "threads", folder]));
    let _ = gate.wait_for(7);
    sleep(Duration::from_millis(100));
    gate.open();
    let ended = running.end();
    assert!(ended.status.is_some_and(|status| status.success()));
    assert_eq!((&*ended.out, &*ended.err), ("dropped\n", ""));
}

// ---- which tasks a program has ----

#[test]
fn a_crate_that_is_named_for_its_tasks_is_linked() {
    let run = |path: &str| run_program(&mut program(path)).out;
    let linked = run(env!("CARGO_BIN_EXE_tasks_linked"));
    assert!(
        linked.lines().any(|name| name == "pool_tests::tasks::add"),
        "{linked}"
    );
    assert_eq!(run(env!("CARGO_BIN_EXE_tasks_not_linked")), "0 tasks\n");
}
