//! Taking one sample in a process of its own: values, or the text of what went wrong.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, wait};

use crate::Fault;
use crate::group::{Effort, MARK};

/// How long a sample may take: several times what the slowest needs.
pub(crate) const PATIENCE: Effort<Duration> = Effort::secs(15, 40);

/// How long what a sample has left behind may take to end.
const AFTERMATH: Duration = Duration::from_millis(500);

/// Values by row, or why there are none.
pub(crate) type Outcome = Result<Vec<(String, f64)>, Failure>;

#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) text: String,
    /// Another try would end the same way.
    pub(crate) is_final: bool,
}

/// Runs the command of a sample to its end.
pub(crate) fn run(mut command: Command, patience: Duration) -> Outcome {
    let failure = |text: String, is_final| Err(Failure { text, is_final });
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // With its workers, so that all can be ended.
        .process_group(0)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return failure(format!("cannot be started: {error}"), true),
    };
    let group = Pid::from_child(&child);
    let stdout = read_all(child.stdout.take());
    let stderr = read_all(child.stderr.take());

    let begin = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if begin.elapsed() < patience => thread::sleep(Duration::from_millis(2)),
            Ok(None) => break None,
            Err(error) => return failure(error.to_string(), true),
        }
    };
    // What it left behind, and itself if it hangs; fails when nothing is left.
    let _ = kill_process_group(group, Signal::KILL);
    if status.is_none() {
        // Killed just now.
        let _ = child.wait();
    }
    bury_orphans();
    let stdout = stdout.join().unwrap_or_default();
    let stderr = stderr.join().unwrap_or_default();
    match status {
        Some(status) if status.success() => Ok(values(&stdout)),
        Some(status) => match complaint(&stderr) {
            Some(text) => failure(text, false),
            None => failure(format!("ended with {status}"), false),
        },
        None => {
            let hung = format!("no end after {} s", patience.as_secs());
            match complaint(&stderr) {
                Some(text) => failure(format!("{hung}: {text}"), true),
                None => failure(hung, true),
            }
        }
    }
}

/// Waits for what the sample did not wait for: it would disturb the next one. The driver is the
/// parent of orphans ([`adopt_orphans`]).
fn bury_orphans() {
    let begin = Instant::now();
    while begin.elapsed() < AFTERMATH {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => thread::sleep(Duration::from_millis(1)),
            // There is none.
            Err(_) => return,
        }
    }
}

/// What samples leave behind becomes a child of this process, to be waited for and accounted.
pub(crate) fn adopt_orphans() -> Result<(), Fault> {
    let own = rustix::process::getpid();
    Ok(rustix::process::set_child_subreaper(Some(own))?)
}

/// Reads to the end in a thread, so that no pipe fills up.
fn read_all(from: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            // What came before an error counts.
            let _ = from.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn values(output: &str) -> Vec<(String, f64)> {
    let value = |line: &str| {
        let (row, value) = line.strip_prefix(MARK)?.split_once(' ')?;
        Some((row.to_owned(), value.parse().ok()?))
    };
    output.lines().filter_map(value).collect()
}

/// What a program says of its end: the message of its first panic, or its last line.
fn complaint(stderr: &str) -> Option<String> {
    let lines = || {
        stderr
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    };
    let panic = lines()
        .skip_while(|line| !(line.starts_with("thread '") && line.contains("panicked at")))
        .nth(1);
    let text = panic.or_else(|| lines().next_back())?;
    let text = text.strip_prefix("error: ").unwrap_or(text);
    Some(text.chars().take(160).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_among_other_output() {
        let output = "hello\n@value trip.p50 1.4e-7\n@value broken\n";
        assert_eq!(values(output), [("trip.p50".to_owned(), 1.4e-7)]);
    }

    #[test]
    fn a_panic_explains_more_than_what_comes_after_it() {
        let panic = "note\nthread 'main' (7) panicked at src/x.rs:1:2:\ntoo many\nerror: lost\n";
        assert_eq!(complaint(panic).as_deref(), Some("too many"));
        assert_eq!(complaint("a\nerror: lost\n\n").as_deref(), Some("lost"));
        assert_eq!(complaint("\n"), None);
    }

    #[test]
    fn a_sample_that_does_not_end_is_ended_with_what_it_started() {
        let mut hangs = Command::new("sh");
        hangs.args(["-c", "echo started >&2; sleep 100 & sleep 100"]);
        let begin = Instant::now();
        let outcome = run(hangs, Duration::from_millis(100));
        let failure = outcome.expect_err("it hangs");
        assert!(
            failure.is_final && failure.text.ends_with("started"),
            "{failure:?}"
        );
        assert!(begin.elapsed() < Duration::from_secs(50));
    }
}
