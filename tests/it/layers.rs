//! Each folder of the library uses only the folders below it, and no large group of its files imports
//! each other in a circle.
//!
//! The tests read the `use` lines and the paths that begin with `crate::`. They do not follow paths that
//! begin with `self` or with the name of a child module, so a circle by way of a `mod.rs` and its
//! children is not counted. Unit tests and models are not part of the library.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::{rust_files, without_unit_tests};

/// The folders, each above those behind it.
const LAYERS: [&str; 9] = [
    "api", "progress", "engine", "job", "codec", "metrics", "task", "error", "sync",
];

/// The arrows that go up: the file or folder, and the layer that it uses.
const EXCEPTIONS: &[(&str, &str)] = &[
    // An agent runs its tasks in a pool of its own, as any program does.
    ("engine/cluster/agent/", "api"),
    // The body of a fuzz target holds handles, as a user does.
    ("engine/process/fuzzing/", "api"),
];

/// The most files of one circle.
const MAX_CIRCLE: usize = 8;
/// The scheduler of the process engine is one struct in several files, which import each other.
const MAX_PROCESS_CIRCLE: usize = 13;

/// The files of the library by their module, without unit tests: their text.
fn library() -> BTreeMap<Vec<String>, String> {
    let module = |(path, text): (String, String)| {
        let path = path.strip_prefix("pool-core/src/")?.strip_suffix(".rs")?;
        let parts: Vec<_> = path.split('/').map(str::to_owned).collect();
        let is_left_out = |part: &String| {
            ["tests", "model", "simulation", "conformance"].contains(&part.as_str())
                || part.ends_with("_tests")
        };
        if parts.iter().any(is_left_out) {
            return None;
        }
        let module = parts.into_iter().filter(|part| part != "mod").collect();
        Some((module, text))
    };
    let found: BTreeMap<_, _> = rust_files().into_iter().filter_map(module).collect();
    assert!(found.len() > 100, "{} files", found.len());
    found
}

/// The code of a file: without comments and unit tests.
fn code(text: &str) -> String {
    let lines = without_unit_tests(text).lines();
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

/// The paths in a tree of imports: `a::{b, c::d}` has `a::b` and `a::c::d`.
fn paths(tree: &str, prefix: &[String], found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let (path, group) = match tree.split_once('{') {
        Some((path, group)) => (path, group.strip_suffix('}')),
        None => (tree.split(" as ").next().unwrap(), None),
    };
    let parts = path.split("::").map(str::trim);
    let parts = parts.filter(|part| !part.is_empty() && *part != "self" || *part == tree);
    let mut whole = prefix.to_vec();
    whole.extend(parts.map(str::to_owned));
    let Some(group) = group else {
        return found.push(whole);
    };
    let mut depth = 0;
    let is_end = |c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    };
    for part in group.split(is_end).filter(|part| !part.trim().is_empty()) {
        paths(part, &whole, found);
    }
}

/// The paths of a file's imports, and the other paths in it that begin with `crate`.
fn uses(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let is_item = rest[..at]
            .rsplit('\n')
            .next()
            .is_some_and(|before| before.trim().is_empty() || before.trim().starts_with("pub"));
        rest = &rest[at + 4..];
        if is_item && let Some(end) = rest.find(';') {
            paths(&rest[..end], &[], &mut found);
            rest = &rest[end..];
        }
    }
    for (at, _) in code.match_indices("crate::") {
        let is_macro = code[..at].ends_with('$');
        let path = code[at..].split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
        if !is_macro && let Some(path) = path.into_iter().next() {
            paths(path.trim_end_matches(':'), &[], &mut found);
        }
    }
    found
}

/// The module whose file a path of `module` names.
fn target(
    module: &[String],
    path: &[String],
    files: &BTreeMap<Vec<String>, String>,
) -> Option<Vec<String>> {
    let mut whole = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => return None,
    };
    for part in path {
        match part.as_str() {
            "crate" | "self" => {}
            "super" => drop(whole.pop()),
            name => whole.push(name.to_owned()),
        }
    }
    while !whole.is_empty() {
        if files.contains_key(&whole) {
            return Some(whole);
        }
        whole.pop();
    }
    None
}

/// For each file those that it uses.
fn arrows() -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let files = library();
    let of_file = |(module, text): (&Vec<String>, &String)| {
        let used = uses(&code(text))
            .iter()
            .filter_map(|path| target(module, path, &files))
            .filter(|used| used != module && used != &["lib"])
            .collect();
        (module.clone(), used)
    };
    files.iter().map(of_file).collect()
}

#[test]
fn no_folder_uses_one_above_it() {
    let layer = |module: &[String]| LAYERS.iter().position(|layer| module[0] == *layer);
    let mut seen = BTreeSet::new();
    let mut arrows_down = 0;
    for (module, used) in arrows() {
        let Some(from) = layer(&module) else {
            assert!(
                module == ["lib"] || module == ["private"],
                "{module:?} is in no layer"
            );
            continue;
        };
        for used in used {
            let to = layer(&used).unwrap();
            arrows_down += usize::from(from < to);
            if from <= to {
                continue;
            }
            let (name, layer) = (format!("{}/", module.join("/")), LAYERS[to]);
            let exception = EXCEPTIONS
                .iter()
                .find(|(folder, above)| name.starts_with(folder) && *above == layer);
            let Some(exception) = exception else {
                panic!("{name} uses {}, which is above it", used.join("/"));
            };
            seen.insert(exception);
        }
    }
    assert!(arrows_down > 100, "{arrows_down} arrows are not all");
    assert_eq!(
        seen.len(),
        EXCEPTIONS.len(),
        "an exception is not needed: {seen:?}"
    );
}

#[test]
fn no_path_inside_the_library_hides_its_layer() {
    // `crate::Task` works everywhere, and does not tell where it is.
    for (module, text) in library() {
        for path in uses(&code(&text)) {
            let [root, first, ..] = &path[..] else {
                continue;
            };
            let names_a_folder = LAYERS.contains(&first.as_str()) || first == "__private";
            assert!(
                root != "crate" || names_a_folder || module == ["private"] || module == ["lib"],
                "{module:?}: {path:?}"
            );
        }
    }
}

/// The groups of files of which each uses every other one, by way of others.
fn circles(arrows: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>) -> Vec<BTreeSet<Vec<String>>> {
    let reached = |from: &Vec<String>| {
        let mut reached = BTreeSet::new();
        let mut open = vec![from.clone()];
        while let Some(next) = open.pop() {
            for used in &arrows[&next] {
                if reached.insert(used.clone()) {
                    open.push(used.clone());
                }
            }
        }
        reached
    };
    let reached: BTreeMap<_, _> = arrows.keys().map(|file| (file, reached(file))).collect();
    let mut circles = BTreeSet::new();
    for (file, others) in &reached {
        let both = |other: &&Vec<String>| reached[*other].contains(*file);
        let circle: BTreeSet<_> = others.iter().filter(both).cloned().collect();
        circles.insert(circle);
    }
    circles.into_iter().collect()
}

#[test]
fn no_circle_of_imports_is_large() {
    let circles = circles(&arrows());
    assert!(circles.iter().any(|circle| circle.len() > 1));
    for circle in circles {
        let names = || circle.iter().map(|module| module.join("/"));
        let limit = match names().all(|name| name.starts_with("engine/process")) {
            true => MAX_PROCESS_CIRCLE,
            false => MAX_CIRCLE,
        };
        assert!(
            circle.len() <= limit,
            "{} files use each other: {:#?}",
            circle.len(),
            names().collect::<Vec<_>>()
        );
    }
}
