//! A behaviour runs alone in a process of its own, so that what it leaves behind is its own: the
//! test starts its binary once more for just this test.

use std::env;
use std::process::{Command, Stdio};
use std::time::Duration;

use pool_tests::held::Held;
use pool_tests::watchdog::Watchdog;

use super::On;
use super::program::Ended;

/// Set in the process that a behaviour has for itself.
const ALONE: &str = "POOL_TESTS_ALONE";

/// After how long the process prints its stacks and aborts.
const STUCK: Duration = Duration::from_secs(60);

/// Runs a behaviour on a backend: the body of a test `module::backend`.
pub(crate) fn run(module: &str, backend: &str, behaviour: fn(&On)) {
    alone(module, backend, STUCK, || {
        if module.contains("asynchronous") {
            // The runtime is the process's, from the first task that needs it.
            crate::behaviour::asynchronous::start_tokio();
        }
        let on = On::new(backend.parse().unwrap());
        let before = Held::now();
        behaviour(&on);
        before.assert_nothing_more();
    });
}

/// Whether this is the process that a test has for itself.
pub(super) fn is_alone() -> bool {
    env::var_os(ALONE).is_some()
}

/// Runs the body of a test `module::name` in a process of its own, which aborts when that takes so
/// long.
pub(crate) fn alone(module: &str, name: &str, stuck: Duration, body: impl FnOnce()) {
    if !is_alone() {
        return run_alone(&format!("{module}::{name}"), &[]);
    }
    let watchdog = Watchdog::start(stuck);
    body();
    drop(watchdog);
}

/// Runs the test of this path in a process of its own, with this in its environment.
pub(super) fn run_alone(path: &str, variables: &[(&str, &str)]) {
    let (_, name) = path.split_once("::").unwrap();
    let ended = Ended::of(
        Command::new(env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture", "--include-ignored"])
            .env(ALONE, "1")
            .envs(variables.iter().copied())
            .stdin(Stdio::null()),
    );
    // A path that is no test's would pass, having run nothing.
    let passed = ended.status.is_some_and(|status| status.success());
    assert!(
        passed && ended.out.contains("1 passed"),
        "{name}: {}",
        ended.describe()
    );
    // What it has measured; seen with `--show-output`.
    for line in ended.out.lines().filter(|line| line.starts_with("time ")) {
        println!("{name}: {line}");
    }
}
