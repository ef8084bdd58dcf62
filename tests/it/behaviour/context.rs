//! What a task knows of itself, and of the program it runs in.

use std::collections::BTreeSet;
use std::env;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pool_core::{Backend, Task, current, pool_task};
use pool_tests::proc;
use pool_tests::tasks::{add, exit};
use rustix::process::Signal;

use crate::harness::On;

#[pool_task]
fn looks() -> (String, String, u32, usize, bool) {
    let current = current();
    (
        current.task_name().to_owned(),
        current.backend().to_string(),
        current.attempt(),
        current.worker(),
        current.is_cancelled(),
    )
}

pub(crate) fn a_task_knows_itself(on: &On) {
    let pool = on.pool_of(3);
    for _ in 0..50 {
        let (name, backend, attempt, worker, cancelled) =
            pool.submit(looks::task()).join().unwrap();
        assert_eq!(name, looks::NAME);
        assert_eq!(backend, on.backend().name());
        assert_eq!(attempt, 1);
        assert!(worker < pool.workers());
        assert!(!cancelled);
    }
}

#[pool_task]
fn holds_and_looks(folder: &std::path::Path, number: u32) -> usize {
    pool_tests::gate::hold(folder, number);
    current().worker()
}

pub(crate) fn workers_are_numbered(on: &On) {
    let gate = pool_tests::gate::Gate::new();
    let pool = on.pool_of(3);
    let handles: Vec<_> = (0..3)
        .map(|n| pool.submit(holds_and_looks::task(gate.folder(), n)))
        .collect();
    for number in 0..3 {
        let _ = gate.wait_for(number);
    }
    gate.open();
    let numbers: BTreeSet<_> = handles
        .into_iter()
        .map(|handle| handle.join().unwrap())
        .collect();
    assert_eq!(numbers, BTreeSet::from([0, 1, 2]));
}

#[pool_task]
fn calls_another_directly() -> (String, String) {
    let before = current().task_name().to_owned();
    let inner = looks();
    assert_eq!(inner.0, before);
    (before, current().task_name().to_owned())
}

pub(crate) fn a_direct_call_stays_in_its_task(on: &On) {
    let pool = on.pool();
    let (before, after) = pool.submit(calls_another_directly::task()).join().unwrap();
    assert_eq!(before, calls_another_directly::NAME);
    assert_eq!(after, before);
    // Outside of any pool.
    let (name, backend, attempt, worker, cancelled) = looks();
    assert_eq!(
        (&*name, backend.parse(), attempt, worker, cancelled),
        ("", Ok(Backend::Inline), 1, 0, false)
    );
}

#[pool_task]
fn submits_inside() -> (String, String, String) {
    let before = current().task_name().to_owned();
    let (inner, ..) = pool_core::Pool::inline()
        .submit(looks::task())
        .join()
        .unwrap();
    (before, inner, current().task_name().to_owned())
}

pub(crate) fn tasks_inside_tasks_know_their_own_names(on: &On) {
    let pool = on.pool();
    let (before, inner, after) = pool.submit(submits_inside::task()).join().unwrap();
    assert_eq!(before, submits_inside::NAME);
    assert_eq!(inner, looks::NAME);
    assert_eq!(after, before);
}

#[pool_task]
fn surroundings() -> (Vec<(String, String)>, Vec<String>, PathBuf) {
    let mut variables: Vec<_> = env::vars().collect();
    // What runs for an agent becomes none itself: there it is set to nothing.
    variables.retain(|(name, _)| name != "POOL_WORKER");
    (
        variables,
        env::args().skip(1).collect(),
        env::current_dir().unwrap(),
    )
}

pub(crate) fn a_task_sees_the_programs_environment_and_folder(on: &On) {
    let pool = on.pool();
    let (variables, arguments, folder) = pool.submit(surroundings::task()).join().unwrap();
    let (own_variables, own_arguments, own_folder) = surroundings();
    assert_eq!(variables, own_variables);
    assert_eq!(folder, own_folder);
    if !on.processes() {
        assert_eq!(arguments, own_arguments);
    }
}

#[pool_task]
fn reads_stdin() -> usize {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).unwrap()
}

#[pool_task]
fn cats_stdin() -> (bool, usize) {
    let output = Command::new("cat")
        .stdin(Stdio::inherit())
        .output()
        .unwrap();
    (output.status.success(), output.stdout.len())
}

/// In a worker process it is empty; in the other backends it is the program's own, which is
/// empty in these tests.
pub(crate) fn standard_input_is_at_its_end(on: &On) {
    let pool = on.pool();
    for _ in 0..2 {
        assert_eq!(pool.submit(reads_stdin::task()).join().unwrap(), 0);
        assert_eq!(pool.submit(cats_stdin::task()).join().unwrap(), (true, 0));
    }
}

#[pool_task]
fn goes_through_the_door_again() -> u32 {
    pool_core::init();
    pool_core::init();
    std::process::id()
}

pub(crate) fn a_task_may_call_init(on: &On) {
    let pool = on.pool_of(1);
    let pid = pool
        .submit(goes_through_the_door_again::task())
        .join()
        .unwrap();
    assert_eq!(
        pool.submit(goes_through_the_door_again::task())
            .join()
            .unwrap(),
        pid
    );
    assert_eq!(pool.submit(add::task(1, 1)).join().unwrap(), 2);
}

#[pool_task]
fn open_descriptors() -> Vec<String> {
    let names = proc::numbers("/proc/self/fd").into_iter();
    names
        .filter_map(|fd| std::fs::read_link(format!("/proc/self/fd/{fd}")).ok())
        .map(|target| target.display().to_string())
        .collect()
}

/// Beyond its standard streams a worker has its lane's socket and two that watch its parent: nothing of
/// the program or of those who started it, of the pools, or of its neighbours.
pub(crate) fn a_worker_has_no_descriptors_of_others(on: &On) {
    let file = tempfile::tempfile().unwrap();
    // Without the mark that they are to be closed.
    let _handed_on: Vec<_> = (0..100).map(|_| rustix::io::dup(&file).unwrap()).collect();
    let pools: Vec<_> = (0..3).map(|_| on.pool()).collect();
    for pool in &pools {
        let open = pool.submit(open_descriptors::task()).join().unwrap();
        // A dead one.
        assert!(open[0].starts_with("socket:"), "{open:?}");
        let mut others: Vec<_> = open[3..].iter().collect();
        others.sort();
        // What wakes the thread that watches the parent, a hold of the parent, the lane's socket.
        let [event, hold, socket] = others[..] else {
            panic!("{open:?}");
        };
        assert!(event.contains("eventfd"), "{open:?}");
        assert!(hold.contains("pidfd"), "{open:?}");
        assert!(socket.starts_with("socket:"), "{open:?}");
    }
}

/// Who reads from a pipe sees its end when the program has closed it, workers or not: those of the
/// start, and those that came later.
pub(crate) fn a_worker_keeps_no_pipe_open(on: &On) {
    let (mut read, write) = std::io::pipe().unwrap();
    let handed_on = rustix::io::dup(&write).unwrap();
    drop(write);
    let pool = on.pool_of(1);
    assert!(pool.submit(exit::task(1)).join().is_err());
    pool.submit(add::task(1, 1)).join().unwrap();
    drop(handed_on);
    assert_eq!(read.read(&mut [0]).unwrap(), 0);
    drop(pool);
}

#[pool_task]
fn output_of_a_child() -> String {
    let output = Command::new("echo").arg("hello").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn a_task_starts_programs_of_its_own(on: &On) {
    let pool = on.pool();
    for result in pool.map((0..10).map(|_| output_of_a_child::task())) {
        assert_eq!(result.unwrap(), "hello\n");
    }
}

/// While it runs a task, and while it waits for one.
pub(crate) fn an_interrupt_is_nothing_to_a_worker(on: &On) {
    let gate = pool_tests::gate::Gate::new();
    let pool = on.pool_of(1);
    let handle = pool.submit(gate.hold(1));
    let worker = gate.wait_for(1);
    proc::signal(worker, Signal::INT);
    gate.open();
    assert_eq!(handle.join().unwrap(), 1);
    proc::signal(worker, Signal::INT);
    let alive = pool.submit(pool_tests::tasks::pid::task());
    assert_eq!(alive.join().unwrap(), worker);
}

#[pool_task]
fn interrupts_a_program() -> Option<i32> {
    let mut sleep = Command::new("sleep").arg("600").spawn().unwrap();
    proc::signal(sleep.id(), Signal::INT);
    sleep.wait().unwrap().signal()
}

/// A worker has a handler, which is not inherited.
pub(crate) fn what_a_task_starts_can_be_interrupted(on: &On) {
    let pool = on.pool_of(1);
    let signal = pool.submit(interrupts_a_program::task()).join().unwrap();
    assert_eq!(signal, Some(Signal::INT.as_raw()));
}

/// More clones than a task's cell has bits for.
#[pool_task]
fn keeps(clones: usize) -> usize {
    let current = pool_core::current();
    let kept: Vec<_> = (0..clones).map(|_| current.clone()).collect();
    let asked: Vec<_> = (0..clones).map(|_| pool_core::current()).collect();
    kept.iter()
        .chain(&asked)
        .filter(|current| !current.is_cancelled())
        .count()
}

pub(crate) fn any_number_of_clones_may_be_kept(on: &On) {
    let clones = (1 << 21) + 1;
    let kept = on.pool().submit(keeps::task(clones)).join();
    assert_eq!(kept.unwrap(), 2 * clones);
}
