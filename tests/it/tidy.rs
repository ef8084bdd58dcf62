//! The rules of the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// A file is about one thing, however many lines that takes; more than these are several things.
const MAX_LINES: usize = 1_300;

/// Where `unsafe` may stand: the file, and the item that is marked in it.
const UNSAFE: &[(&str, &str)] = &[
    // Shared memory without an engine around it, to be measured.
    ("benches/src/limits/mod.rs", "mod shared"),
    // A crash, to be shown.
    ("examples/isolate.rs", "fn write_nowhere"),
    // Shared memory.
    ("pool-core/src/engine/process/lane/mod.rs", "mod memory"),
    // The contents of a cell change hands without a lock.
    ("pool-core/src/job/mod.rs", "mod cell"),
    // What crashes, on purpose.
    ("tests/it/behaviour/crash.rs", "mod faults"),
    // System calls that fail, and descriptors that are closed.
    ("tests/src/bin/environment/main.rs", "mod raw"),
    // Signals, and mounts of its own.
    ("tests/src/bin/program/main.rs", "mod limits"),
    // Handlers, and forks.
    ("tests/src/bin/program/main.rs", "mod raw"),
    // The memory of a lane, to write what must not be there.
    ("tests/src/bin/rogue.rs", "mod lane"),
    // Signals every thread to print its stack.
    ("tests/src/lib.rs", "mod watchdog"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files of the repository with one of these endings: path and text.
fn files(endings: &[&str]) -> Vec<(String, String)> {
    fn walk(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    walk(&path, endings, found);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    let root = root();
    let mut found = Vec::new();
    walk(&root, endings, &mut found);
    found.sort();
    assert!(!found.is_empty());
    let text = |path: PathBuf| {
        let name = path
            .strip_prefix(&root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    found.into_iter().map(text).collect()
}

/// The Rust files of the repository: path and text.
pub(crate) fn rust_files() -> Vec<(String, String)> {
    let is_ours = |(path, _): &(String, String)| !path.starts_with("tests/ui/");
    files(&[".rs"]).into_iter().filter(is_ours).collect()
}

/// The text of a file before its unit tests, which are its end.
pub(crate) fn without_unit_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap()
}

#[test]
fn unsafe_code_stands_where_it_is_announced() {
    // Written in two parts, so that this file is not one of them.
    let allow = concat!("allow(unsafe", "_code)");
    let mut found = Vec::new();
    for (path, text) in rust_files() {
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for at in 0..lines.len() {
            if !lines[at].starts_with("#") || !lines[at].contains(allow) {
                continue;
            }
            let item = lines[at..]
                .iter()
                .find(|line| !line.starts_with(['#', '/']));
            let item = item.map_or("", |line| line.trim_start_matches("pub(crate) "));
            let item = item.trim_start_matches("pub ");
            let end = item.find(['(', ';', '{']).unwrap_or(item.len());
            let item = item[..end].trim();
            found.push((path.clone(), item.to_owned()));
        }
    }
    let found: Vec<_> = found
        .iter()
        .map(|(path, item)| (&**path, &**item))
        .collect();
    assert_eq!(found, UNSAFE);
}

#[test]
fn every_crate_inherits_what_the_workspace_says() {
    let manifests = files(&["Cargo.toml"]);
    let members = manifests
        .iter()
        .filter(|(path, _)| path != "Cargo.toml" && !path.starts_with("fuzz/"));
    let mut count = 0;
    for (path, text) in members {
        count += 1;
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{path}: the lints"
        );
        for key in ["version", "edition", "rust-version", "license"] {
            assert!(
                text.contains(&format!("\n{key}.workspace = true\n")),
                "{path}: {key}"
            );
        }
    }
    assert!(count >= 4);
}

#[test]
fn the_changelog_has_an_entry_for_the_version() {
    let manifest = read("Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    let entry = format!("\n## {} ", version.unwrap());
    assert!(read("CHANGELOG.md").contains(&entry), "no entry {entry:?}");
}

/// A time of the user's may be `Duration::MAX`, and adding that to an `Instant` panics. So what is added
/// with `+` is a constant, and anything else is added with `checked_add`.
#[test]
fn only_constants_are_added_to_points_in_time() {
    const POINTS: &[&str] = &["now()", "now", "since", "until", "deadline"];
    let is_library = |path: &str| {
        let others = ["conformance", "fuzzing", "simulation", "tests", "model"];
        path.starts_with("pool-core/src/") && !others.iter().any(|other| path.contains(other))
    };
    let mut sums = 0;
    for (path, text) in rust_files() {
        let code = without_unit_tests(&text);
        for (number, line) in (1..).zip(code.lines()).filter(|_| is_library(&path)) {
            for (at, _) in line.match_indices(" + ") {
                let (point, added) = (&line[..at], &line[at + 3..]);
                let point = point
                    .rsplit([' ', '.', '(', ':'])
                    .find(|part| !part.is_empty());
                let is_point = line[..at].ends_with("now()")
                    || point.is_some_and(|point| POINTS.contains(&point));
                let is_constant = added.starts_with(|first: char| first.is_ascii_uppercase())
                    || added.starts_with("if ");
                sums += usize::from(is_point);
                assert!(!is_point || is_constant, "{path}:{number}: {}", line.trim());
            }
        }
    }
    assert!(sums > 10, "{sums} are not all");
}

#[test]
fn no_file_is_too_long() {
    for (path, text) in rust_files() {
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{path}: {lines} lines");
    }
}

#[test]
fn every_file_says_what_it_is() {
    for (path, text) in rust_files() {
        assert!(
            text.starts_with("//! "),
            "{path} begins without a line of documentation"
        );
    }
}

#[test]
fn nothing_is_left_to_do() {
    let words = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("db", "g!("),
        concat!("FIX", "ME"),
    ];
    for (path, text) in rust_files() {
        for word in words {
            assert!(!text.contains(word), "{path}: {word}");
        }
    }
}

#[test]
fn no_file_names_a_path_of_somebodys_machine() {
    let folders = [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/wo", "rk/"),
    ];
    for (path, text) in files(&[".rs", ".md", ".toml", ".stderr", "run"]) {
        for folder in folders {
            assert!(!text.contains(folder), "{path}: {folder}");
        }
    }
}

#[test]
fn the_readme_names_every_example() {
    let readme = read("README.md");
    for (path, text) in files(&["Cargo.toml"]) {
        let examples = text.split("[[example]]\nname = \"").skip(1);
        for name in examples.map(|rest| rest.split('"').next().unwrap()) {
            assert!(
                readme.contains(&format!("`{name}`")),
                "{path}: {name} is not in README.md"
            );
        }
    }
}

/// What a person is told to type is what is checked.
#[test]
fn the_commands_of_the_readme_are_run_by_ci() {
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    let mut commands = 0;
    for block in readme.split("```sh\n").skip(1) {
        let (block, _) = block.split_once("```").unwrap();
        for line in block.lines() {
            let command = line.split('#').next().unwrap().trim();
            commands += 1;
            assert!(ci.contains(command), "{command} is not in .ci/run");
        }
    }
    assert!(commands >= 2);
}
