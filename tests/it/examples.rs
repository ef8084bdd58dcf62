//! The examples, end to end, as `cargo test --workspace` has built them.

#[cfg(feature = "cluster")]
mod cluster;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::program::{Ended, Running, assert_no_worker_of};

/// An example of the workspace, beside the programs of this package.
fn path(name: &str) -> PathBuf {
    let programs = Path::new(env!("CARGO_BIN_EXE_program")).parent().unwrap();
    let path: PathBuf = programs.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is not built: run `cargo test --workspace`, or `cargo build --examples` first",
        path.display()
    );
    path
}

fn example(name: &str) -> Command {
    let mut command = Command::new(path(name));
    command.env_remove("POOL_BACKEND");
    command
}

#[track_caller]
fn run(command: &mut Command, code: i32) -> Ended {
    let running = Running::start(command);
    let pid = running.child.id();
    let ended = running.end();
    assert_eq!(
        ended.status.and_then(|status| status.code()),
        Some(code),
        "{command:?}: {}",
        ended.describe()
    );
    assert_no_worker_of(pid);
    ended
}

#[test]
fn titles_of_the_bundled_site_are_the_same_on_every_backend() {
    // It fails by itself where the backends differ. Some pages of the site have no title.
    let ended = Running::start(&mut example("titles")).end();
    let code = ended.status.and_then(|status| status.code());
    assert!(matches!(code, Some(0 | 1)), "{}", ended.describe());
    for backend in ["inline", "threads", "processes"] {
        assert!(ended.out.contains(backend), "{}", ended.describe());
    }
}

#[test]
fn titles_takes_files_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..30 {
        let page = format!("<title>Page {number}</title><p>text");
        std::fs::write(folder.path().join(format!("{number}.html")), page).unwrap();
    }
    for backend in ["inline", "threads", "processes"] {
        let mut command = example("titles");
        let ended = run(
            command
                .args(["--backend", backend, "--workers", "2"])
                .arg(folder.path()),
            0,
        );
        for number in 0..30 {
            assert!(
                ended.out.contains(&format!("Page {number}")),
                "{}",
                ended.describe()
            );
        }
    }
    // A page without a title is an error at the end, not a stop.
    std::fs::write(folder.path().join("none.html"), "<p>text").unwrap();
    let ended = run(example("titles").arg(folder.path()), 1);
    assert!(ended.out.contains("Page 29"), "{}", ended.describe());
}

#[test]
fn titles_names_what_makes_no_sense() {
    let ended = run(example("titles").args(["--backend", "fibres"]), 2);
    assert!(ended.err.contains("fibres"), "{}", ended.describe());
}

#[test]
fn isolate_ends_well() {
    run(&mut example("isolate"), 0);
}

const BACKENDS: [&str; 3] = ["inline", "threads", "processes"];

#[test]
fn wordcount_counts_the_same_on_every_backend() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(folder.path().join("a.txt"), "frog newt frog").unwrap();
    fs::write(inner.join("b.html"), "<p title='newt'>Frog</p>").unwrap();
    fs::write(inner.join("c.rs"), "frog").unwrap();
    for backend in BACKENDS {
        let mut command = example("wordcount");
        let ended = run(command.env("POOL_BACKEND", backend).arg(folder.path()), 0);
        let lines: Vec<_> = ended.out.lines().map(str::trim).collect();
        assert_eq!(
            lines[..3],
            ["3  frog", "1  newt", ""],
            "{}",
            ended.describe()
        );
        assert!(lines[3].contains("4 words"), "{}", ended.describe());
        assert!(lines[4].contains(backend), "{}", ended.describe());
    }
    // What cannot be read is named at the end.
    let missing = folder.path().join("missing.txt");
    let ended = run(example("wordcount").arg(folder.path()).arg(&missing), 1);
    assert!(ended.out.contains("3  frog"), "{}", ended.describe());
    assert!(ended.out.contains("missing.txt"), "{}", ended.describe());
    let ended = run(example("wordcount").arg("/dev/null"), 1);
    assert!(
        ended.out.contains("/dev/null: no text"),
        "{}",
        ended.describe()
    );
    run(example("wordcount").args(["--top", "few"]), 2);
}

fn read_png(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "{path:?}");
    bytes
}

#[test]
fn mandelbrot_writes_the_same_picture_on_every_backend() {
    let folder = tempfile::tempdir().unwrap();
    let draw = |name: &str, args: &[&str]| {
        let path = folder.path().join(name);
        let ended = run(
            example("mandelbrot")
                .args(["--size", "60x40"])
                .args(args)
                .arg(&path),
            0,
        );
        (read_png(&path), ended)
    };
    // It fails by itself where the pictures differ.
    let (all, ended) = draw("all.png", &[]);
    for backend in BACKENDS {
        assert!(ended.out.contains(backend), "{}", ended.describe());
        let last = format!("{backend}: 100 % (40 of 40)");
        assert!(ended.err.contains(&last), "{}", ended.describe());
        assert_eq!(draw("one.png", &["--backend", backend]).0, all, "{backend}");
    }
    assert_eq!(draw("quiet.png", &["--quiet"]).1.err, "");
    assert_ne!(draw("other.png", &["--at", "0,0,4"]).0, all);
    run(example("mandelbrot").args(["--size", "60"]), 2);
    run(
        example("mandelbrot")
            .args(["--size", "1x1"])
            .arg(folder.path()),
        1,
    );
}

#[test]
fn thumbnails_survives_a_bomb_and_a_corrupt_image() {
    let folder = tempfile::tempdir().unwrap();
    let sheet = folder.path().join("sheet.png");
    // The memory limit is what ends the bomb, however long that takes.
    let limits = ["--memory", "64", "--seconds", "100"];
    let ended = run(
        example("thumbnails").args(limits).arg("--out").arg(&sheet),
        0,
    );
    read_png(&sheet);
    let line = |name: &str| {
        let line = ended.out.lines().find(|line| line.contains(name));
        line.unwrap_or_else(|| panic!("{name}: {}", ended.describe()))
    };
    assert!(
        line("bomb.png").contains("too much memory"),
        "{}",
        ended.describe()
    );
    assert!(line("corrupt.png").starts_with('✗'), "{}", ended.describe());
    assert!(
        line("moon.png").contains("450 x 450"),
        "{}",
        ended.describe()
    );
    assert!(
        ended.out.contains("12 images, 2 of them failed"),
        "{}",
        ended.describe()
    );
}

#[test]
fn thumbnails_reads_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let sheet = folder.path().join("sheet.PNG");
    let ended = run(example("thumbnails").arg(folder.path()), 1);
    assert!(ended.err.contains("no image"), "{}", ended.describe());
    fs::write(folder.path().join("none.JPG"), "no image").unwrap();
    let ended = run(
        example("thumbnails")
            .arg(folder.path())
            .arg("--out")
            .arg(&sheet),
        0,
    );
    assert!(ended.out.contains("✗ none.JPG"), "{}", ended.describe());
    read_png(&sheet);
    run(example("thumbnails").args(["--memory", "0"]), 2);
}

#[test]
fn async_server_serves_under_load_from_another_process() {
    let ended = run(example("async_server").args(["--seconds", "0.2"]), 0);
    for path in ["- ", "/julia", "/direct"] {
        let is_row = |line: &str| line.starts_with(path);
        assert!(ended.out.lines().any(is_row), "{}", ended.describe());
    }
    let ended = run(
        example("async_server").args(["--load", "http://127.0.0.1:1"]),
        1,
    );
    assert!(
        ended.err.contains("http://127.0.0.1:1/ping"),
        "{}",
        ended.describe()
    );
    run(example("async_server").arg("8080"), 2);
}

#[test]
fn async_server_answers_until_it_is_told_to_end() {
    let server = Running::start(example("async_server").args(["--listen", "127.0.0.1:0"]));
    let pid = server.child.id();
    pool_tests::until("the server listens", || server.said("out").ends_with('\n'));
    let said = server.said("out");
    let address = said.trim().strip_prefix("http://").expect("an address");
    let get = |path: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    assert!(get("/ping").starts_with("HTTP/1.1 200 "));
    // On a busy machine a picture may come too late, which is a 504.
    pool_tests::until("a picture is drawn", || {
        let drawn = get("/julia/123");
        drawn.starts_with("HTTP/1.1 200 ") && drawn.contains("PNG\r\n")
    });
    assert!(get("/julia/frog").starts_with("HTTP/1.1 400 "));
    assert!(get("/").starts_with("HTTP/1.1 404 "));

    kill_process(Pid::from_child(&server.child), Signal::TERM).unwrap();
    let ended = server.end();
    assert!(
        ended.status.is_some_and(|status| status.success()),
        "{}",
        ended.describe()
    );
    assert_no_worker_of(pid);
}

#[test]
fn montecarlo_has_one_answer_for_each_seed() {
    let answer = |seed: &str| {
        let ended = run(
            example("montecarlo").args(["--darts", "2500001", "--seed", seed]),
            0,
        );
        let rows = ended.out.lines().filter(|line| line.contains(" 3.1"));
        let answers: Vec<_> = rows
            .filter_map(|row| row.split_whitespace().last())
            .collect();
        assert_eq!(answers.len(), 7, "{}", ended.describe());
        assert_eq!(answers, [answers[0]; 7]);
        answers[0].to_owned()
    };
    assert_eq!(answer("1"), answer("1"));
    assert_ne!(answer("1"), answer("2"));
    run(example("montecarlo").args(["--darts", "0"]), 2);
}
