//! Counts the words of text files: the workers count, each a few megabytes at a time, and the
//! program adds up what they found.
//!
//! `cargo run --release --example wordcount -- --help`

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::ensure;
use lexopt::prelude::*;
use pool_core::{Pool, pool_task};
use pool_examples::say;
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

const HELP: &str = "\
Counts the words of text files and prints the most frequent ones.

usage: wordcount [--top N] [FILE | FOLDER]...

  FILE      is read whatever its name is
  FOLDER    is searched, folders in it too, for files named *.txt, *.md, *.rst, *.htm or *.html;
            without any of these: the documentation that came with the Rust compiler
  --top N   how many words to print; without it, 10
  --help    print this

A word is a run of letters and digits that begins with a letter. Its case does not matter, and the
tags of *.htm and *.html are none.

Threads count, or what the environment variable POOL_BACKEND names (inline, threads, processes,
cluster). The servers of a cluster are those in POOL_NATS; its agents have to see the same files.

Exit code: 0 if every file could be read, 1 if not, 2 for arguments that make no sense.
";

/// About how much of the files is one task.
const SHARE_BYTES: u64 = 4 << 20;

/// A part ends at white space, which is looked for so far behind where it was cut.
const MAX_WORD_BYTES: u64 = 4096;

/// From where to where to read a file, in bytes. A word belongs to the part that it begins in.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    path: OsString,
    begin: u64,
    end: u64,
}

/// What one task found.
#[derive(Default, Serialize, Deserialize)]
struct Count {
    words: HashMap<String, u64>,
    bytes: u64,
    unreadable: Vec<String>,
}

/// The map: counts the words of some parts.
#[pool_task(idempotent)]
fn count(parts: &[Part]) -> Count {
    let mut count = Count::default();
    for part in parts {
        match part.read() {
            Ok(text) if is_html(part.path.as_ref()) => count.add(&without_markup(&text)),
            Ok(text) => count.add(&text),
            Err(error) => {
                let file = part.path.display();
                count.unreadable.push(format!("{file}: {error}"));
            }
        }
        count.bytes += part.end - part.begin;
    }
    count
}

impl Part {
    fn read(&self) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.begin))?;
        let len = self.end - self.begin;
        let mut bytes = Vec::new();
        file.take(len + MAX_WORD_BYTES).read_to_end(&mut bytes)?;

        // Both ends move to the next white space, here as in the parts before and behind.
        let space_from = |at: usize| {
            let rest = &bytes[at..bytes.len().min(at + MAX_WORD_BYTES as usize)];
            at + rest
                .iter()
                .position(u8::is_ascii_whitespace)
                .unwrap_or(rest.len())
        };
        let begin = if self.begin == 0 { 0 } else { space_from(0) };
        let end = space_from(bytes.len().min(len as usize));
        Ok(String::from_utf8_lossy(&bytes[begin..end]).into_owned())
    }
}

impl Count {
    fn add(&mut self, text: &str) {
        for word in text.split(|c: char| !c.is_alphanumeric()) {
            if word.starts_with(char::is_alphabetic) {
                *self.words.entry(word.to_lowercase()).or_default() += 1;
            }
        }
    }

    /// The reduction: what both found.
    fn merge(mut self, other: Self) -> Self {
        if self.words.len() < other.words.len() {
            return other.merge(self);
        }
        for (word, times) in other.words {
            *self.words.entry(word).or_default() += times;
        }
        self.bytes += other.bytes;
        self.unreadable.extend(other.unreadable);
        self
    }
}

/// The text of HTML: tags and references to characters become spaces.
fn without_markup(html: &str) -> String {
    // A part may begin inside of a tag.
    let mut until = match html.find(['<', '>']) {
        Some(at) if html[at..].starts_with('>') => Some('>'),
        _ => None,
    };
    let plain = |c: char| match (until, c) {
        (Some(end), _) => {
            if c == end || (end == ';' && c.is_whitespace()) {
                until = None;
            }
            ' '
        }
        (None, '<') => {
            until = Some('>');
            ' '
        }
        (None, '&') => {
            until = Some(';');
            ' '
        }
        (None, _) => c,
    };
    html.chars().map(plain).collect()
}

/// The files that the arguments mean, with their lengths, and what is wrong with the others.
#[derive(Default)]
struct Input {
    files: Vec<(PathBuf, u64)>,
    problems: Vec<String>,
}

impl Input {
    fn find(args: &[PathBuf]) -> Self {
        let mut input = Self::default();
        for arg in args {
            let before = input.files.len() + input.problems.len();
            for entry in WalkDir::new(arg).sort_by_file_name() {
                match entry {
                    // What is named itself is read whatever its name is.
                    Ok(entry) if entry.depth() == 0 || is_text(entry.path()) => {
                        input.add(entry.into_path());
                    }
                    Ok(_) => {}
                    Err(error) => input.problems.push(error.to_string()),
                }
            }
            if input.files.len() + input.problems.len() == before {
                let arg = arg.display();
                input.problems.push(format!("{arg}: no text file is there"));
            }
        }
        input
    }

    /// Adds a file, or what a link to one leads to.
    fn add(&mut self, path: PathBuf) {
        match fs::metadata(&path) {
            Ok(meta) if meta.is_file() => self.files.push((path, meta.len())),
            Ok(_) => {}
            Err(error) => self.problems.push(format!("{}: {error}", path.display())),
        }
    }

    /// The files in shares of equal size: many small files together, a large one cut.
    fn shares(&self) -> Vec<Vec<Part>> {
        let mut shares = Vec::new();
        let mut share = Vec::new();
        let mut room = SHARE_BYTES;
        for (path, len) in &self.files {
            let mut begin = 0;
            while begin < *len {
                let end = (begin + room).min(*len);
                let path = path.clone().into();
                share.push(Part { path, begin, end });
                room -= end - begin;
                begin = end;
                if room == 0 {
                    shares.push(std::mem::take(&mut share));
                    room = SHARE_BYTES;
                }
            }
        }
        shares.push(share);
        shares
    }
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().is_some_and(|ending| {
        endings
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

fn is_html(path: &Path) -> bool {
    has_ending(path, &["htm", "html"])
}

fn is_text(path: &Path) -> bool {
    is_html(path) || has_ending(path, &["txt", "md", "rst"])
}

/// Where the documentation of the installed Rust compiler is, if there is any.
fn rust_documentation() -> Option<PathBuf> {
    let asked = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = String::from_utf8(asked.ok()?.stdout).ok()?;
    let folder = Path::new(sysroot.trim_end()).join("share/doc");
    folder.is_dir().then_some(folder)
}

#[pool_core::main]
fn main() -> anyhow::Result<ExitCode> {
    let mut options = pool_examples::options(parse);
    if options.inputs.is_empty() {
        options.inputs.extend(rust_documentation());
    }
    ensure!(
        !options.inputs.is_empty(),
        "there is no Rust documentation here to read: name files or folders, or run \
         `rustup component add rust-docs`"
    );
    let input = Input::find(&options.inputs);

    let pool = Pool::new()?;
    let begin = Instant::now();
    let mut total = Count::default();
    let shares = input.shares();
    // In which order the counts come does not matter to their sum.
    for count in pool
        .map(shares.iter().map(|share| count::task(share)))
        .unordered()
    {
        total = total.merge(count?);
    }
    let seconds = begin.elapsed().as_secs_f64();

    let mut words: Vec<_> = total.words.iter().collect();
    words.sort_by_key(|&(word, &times)| (Reverse(times), word));
    for (word, times) in words.iter().take(options.top) {
        say(format_args!("{times:>12}  {word}"));
    }
    let problems = [input.problems, total.unreadable].concat();
    for problem in &problems {
        say(format_args!("✗ {problem}"));
    }
    let megabytes = total.bytes as f64 / 1e6;
    say(format_args!(
        "\n{} files, {megabytes:.1} MB, {} words, {} different ones\n\
         {}, workers: {}, {seconds:.3} s, {:.1} MB/s",
        input.files.len(),
        total.words.values().sum::<u64>(),
        words.len(),
        pool.backend(),
        pool.workers(),
        megabytes / seconds,
    ));
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[derive(Debug, PartialEq)]
struct Options {
    top: usize,
    inputs: Vec<PathBuf>,
}

fn parse(mut parser: lexopt::Parser) -> Result<Options, lexopt::Error> {
    let mut options = Options {
        top: 10,
        inputs: Vec::new(),
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("top") => options.top = parser.value()?.parse()?,
            Long("help") | Short('h') => pool_examples::help(HELP),
            Value(path) => options.inputs.push(path.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(String, u64)> {
        let mut count = Count::default();
        count.add(text);
        let mut words: Vec<_> = count.words.into_iter().collect();
        words.sort();
        words
    }

    fn listed(words: &[(&str, u64)]) -> Vec<(String, u64)> {
        let owned = words.iter().map(|&(word, times)| (word.to_owned(), times));
        owned.collect()
    }

    #[test]
    fn words_begin_with_a_letter_and_are_of_any_case() {
        let found = words("Frog, frog; 2 FRÖSCHE\u{a0}frösche-frog i32 2x");
        assert_eq!(found, listed(&[("frog", 3), ("frösche", 2), ("i32", 1)]));
        assert_eq!(words(" 12 … "), []);
    }

    #[test]
    fn tags_and_references_are_no_words() {
        let found = words(&without_markup(
            "<p class='x'>one&nbsp;two &lt;i&gt; <b\nid=y>three</b>",
        ));
        assert_eq!(
            found,
            listed(&[("i", 1), ("one", 1), ("three", 1), ("two", 1)])
        );
        assert_eq!(
            words(&without_markup("class='x'>in a <b")),
            listed(&[("a", 1), ("in", 1)])
        );
        assert_eq!(
            words(&without_markup("x & y")),
            listed(&[("x", 1), ("y", 1)])
        );
    }

    /// However a file is cut, each word is counted once.
    #[test]
    fn parts_make_up_the_whole() {
        let text =
            "Einzelne Wörter, über mehrere Zeilen\n und ein längeres am Ende: Frühjahrsmüdigkeit";
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("written");
        let part = |begin, end| Part {
            path: file.path().into(),
            begin,
            end,
        };
        let len = text.len() as u64;
        for cut in 1..len {
            for second in cut + 1..len {
                let parts = [part(0, cut), part(cut, second), part(second, len)];
                let parts = parts.map(|part| part.read().expect("readable"));
                assert_eq!(parts.concat(), text, "cut at {cut} and {second}");
                assert!(
                    parts[1..]
                        .iter()
                        .all(|part| { part.is_empty() || part.starts_with(char::is_whitespace) })
                );
            }
        }
    }

    #[test]
    fn shares_hold_all_files_in_equal_amounts() {
        let input = Input {
            files: vec![
                ("small".into(), 10),
                ("large".into(), 2 * SHARE_BYTES),
                ("empty".into(), 0),
                ("end".into(), 5),
            ],
            problems: Vec::new(),
        };
        let shares = input.shares();
        let bytes = |share: &Vec<Part>| share.iter().map(|part| part.end - part.begin).sum();
        let bytes: Vec<u64> = shares.iter().map(bytes).collect();
        assert_eq!(bytes, [SHARE_BYTES, SHARE_BYTES, 15]);
        let large: Vec<_> = shares
            .iter()
            .flatten()
            .filter(|part| part.path == "large")
            .collect();
        assert!(large.is_sorted_by(|a, b| a.end == b.begin));
        assert_eq!((large[0].begin, large[2].end), (0, 2 * SHARE_BYTES));
    }

    #[test]
    fn options_are_read() {
        let parsed = |args: &[&str]| {
            parse(lexopt::Parser::from_args(args)).map_err(|error| error.to_string())
        };
        let options = parsed(&["--top=3", "a", "b"]).expect("valid");
        assert_eq!((options.top, options.inputs.len()), (3, 2));
        for (args, named) in [(&["--top", "few"][..], "few"), (&["--tip"], "--tip")] {
            let error = parsed(args).expect_err("nonsense");
            assert!(error.contains(named), "{args:?}: {error}");
        }
    }
}
