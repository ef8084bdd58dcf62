//! What a program shows of its maps: on terminals, in files, and when it is told to be quiet.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::harness::program::{program, run_program};

const ROWS: u16 = 30;

/// The titles of the program's maps.
const TITLES: [&str; 3] = ["crawl", "parse", "the half of it"];

fn progress(arguments: &[&str]) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_progress"));
    command
        .args(arguments)
        .env("TERM", "xterm")
        .env_remove("POOL_PROGRESS")
        .env("RUST_BACKTRACE", "0");
    command
}

/// Runs it on a terminal of this width; looks at the screen after each piece that it writes.
/// Returns what stands there at the end.
fn on_terminal(width: u16, mut command: Command, mut look: impl FnMut(&[String])) -> Vec<String> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = openpt(flags).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let size = Winsize {
        ws_row: ROWS,
        ws_col: width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&terminal, size).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let there = File::options()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    command.stdout(Stdio::null()).stderr(there);
    let mut child = command.spawn().unwrap();
    // With it goes the program's side that is open here.
    drop(command);
    let mut here = File::from(terminal);
    let mut screen = vt100::Parser::new(ROWS, width, 0);
    let mut buffer = [0; 4_096];
    // An error: nobody has the other side any more.
    while let Ok(len @ 1..) = here.read(&mut buffer) {
        screen.process(&buffer[..len]);
        look(&rows(&screen, width));
    }
    assert!(child.wait().unwrap().success());
    rows(&screen, width)
}

fn rows(screen: &vt100::Parser, width: u16) -> Vec<String> {
    let rows = screen.screen().rows(0, width);
    let mut rows: Vec<_> = rows.map(|row| row.trim_end().to_owned()).collect();
    rows.truncate(
        rows.iter()
            .rposition(|row| !row.is_empty())
            .map_or(0, |at| at + 1),
    );
    rows
}

/// The log lines are there as they were written, and each map has a line that stays.
fn assert_said_all(lines: &[String], width: u16) {
    let logged: Vec<_> = lines.iter().filter(|line| line.contains("log")).collect();
    let expected: Vec<_> = (1..=6).map(|line| format!("log line {line}")).collect();
    assert_eq!(logged, expected.iter().collect::<Vec<_>>(), "{lines:#?}");
    for title in TITLES {
        // On a narrow terminal it is cut.
        let begin = &title[..title.len().min(usize::from(width) / 20 + 2)];
        let count = lines.iter().filter(|line| line.starts_with(begin)).count();
        assert_eq!(count, 1, "{title}: {lines:#?}");
    }
    let crawl = lines.iter().find(|line| line.starts_with("crawl"));
    let crawl = crawl.unwrap();
    assert!(
        crawl.contains(": 100 %") && crawl.contains("2 failed"),
        "{crawl}"
    );
}

#[test]
fn bars_fit_every_terminal() {
    for (width, backend) in [
        (40, "threads"),
        (80, "processes"),
        (200, "threads"),
        (40, "processes"),
    ] {
        let mut bars = [0; 3];
        let look = |lines: &[String]| {
            for line in lines {
                // It may be half written. What is wrapped begins otherwise.
                let mut begins = TITLES.iter().map(|title| &title[..3]).chain(["log line"]);
                assert!(
                    line.is_empty()
                        || begins.any(|begin| line.starts_with(begin) || begin.starts_with(line)),
                    "{width} columns: {lines:#?}"
                );
            }
            for (bars, title) in bars.iter_mut().zip(TITLES) {
                let is_bar = |line: &&String| line.starts_with(&title[..3]) && !line.contains(": ");
                *bars += lines.iter().filter(is_bar).count();
            }
        };
        let lines = on_terminal(width, progress(&[backend, "100", "8"]), look);
        assert_said_all(&lines, width);
        assert_eq!(lines.len(), 9, "{lines:#?}");
        // The maps take far longer than a look.
        assert!(bars.iter().sum::<usize>() > 0);
    }
}

#[test]
fn panics_do_not_land_in_a_bar() {
    for backend in ["threads", "processes"] {
        let lines = on_terminal(200, progress(&[backend, "100", "4", "panics"]), |_| {});
        assert_said_all(&lines, 200);
        for i in [7, 57] {
            let page = format!("page {i} is broken");
            let count = |begin: &str| {
                lines
                    .iter()
                    .filter(|line| **line == format!("{begin}{page}"))
                    .count()
            };
            let found = count("")
                + (0..4)
                    .map(|worker| count(&format!("[worker {worker}] ")))
                    .sum::<usize>();
            assert_eq!(found, 1, "{lines:#?}");
        }
    }
}

#[test]
fn a_file_gets_lines() {
    let ended = run_program(&mut progress(&["threads", "100", "4"]));
    let lines: Vec<_> = ended.err.lines().map(str::to_owned).collect();
    let of = |title: &str| -> Vec<&str> {
        let begin = format!("{title}: ");
        lines
            .iter()
            .filter_map(|line| line.strip_prefix(&begin))
            .collect()
    };
    let crawl = of("crawl");
    assert!((1..=10).contains(&crawl.len()), "{lines:#?}");
    let tenth = |line: &&str| line.split(' ').next().unwrap().parse::<u32>().unwrap() / 10;
    let tenths: Vec<_> = crawl.iter().map(tenth).collect();
    assert!(tenths.is_sorted_by(|a, b| a < b), "{lines:#?}");
    let last = crawl.last().unwrap();
    assert!(last.starts_with("100 % (100 of 100), "), "{last}");
    assert!(last.contains(", 2 failed, in "), "{last}");
    assert!(
        of("parse").last().unwrap().starts_with("66 done, "),
        "{lines:#?}"
    );
    let half = of("the half of it");
    assert!(
        half.last().unwrap().starts_with("50 % (200 of 400), "),
        "{lines:#?}"
    );
    assert!(
        half.last().unwrap().contains(", stopped after "),
        "{lines:#?}"
    );
    assert!(
        of("nested").is_empty() && !ended.err.contains('\x1b'),
        "{lines:#?}"
    );
}

#[test]
fn the_environment_has_the_last_word() {
    let progress = |value: &str| {
        let mut command = progress(&["threads", "20", "2"]);
        command.env("POOL_PROGRESS", value);
        command
    };
    let quiet = run_program(&mut progress("0")).err;
    let log: Vec<_> = (1..=6).map(|line| format!("log line {line}")).collect();
    assert!(quiet.lines().eq(&log), "{quiet}");
    assert_eq!(on_terminal(80, progress("off"), |_| {}), log);
    let default = run_program(&mut progress("1")).err;
    assert!(default.contains("crawl: 100 % (20 of 20)"), "{default}");
    let no_bar = |lines: &[String]| assert!(lines.iter().all(|line| !line.contains('[')));
    let lines = on_terminal(80, progress("lines"), no_bar);
    let last = |line: &String| line.starts_with("crawl: 100 % (20 of 20)");
    assert!(lines.iter().any(last), "{lines:#?}");
}

#[test]
fn a_map_ends_while_the_program_has_the_lock_of_standard_error() {
    for backend in ["inline", "threads", "processes"] {
        let lines = on_terminal(80, progress(&[backend, "100", "5", "locked"]), |_| {});
        assert!(lines[0].starts_with("crawl: 100 %"), "{lines:#?}");
        let ended = run_program(&mut progress(&[backend, "100", "5", "locked"]));
        assert!(ended.err.contains("crawl: 100 %"), "{}", ended.describe());
    }
}
