//! What `#[pool_task]` adds to a build: `pool-benches macro-cost` builds one program with 500
//! functions with the attribute and without it, in turn, and prints how long the compiler takes and
//! how large the code is.
//!
//! Both programs link all of `pool-core`, which is built before, and start a pool. What is built is
//! one crate from its source and its executable, not incrementally.

mod elf;
mod program;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{env, fs};

use crate::Fault;
use crate::group::Unit;
use crate::machine::{Machine, NOISE, Watch, family_seconds};
use crate::report::show;
use crate::stats::median;
use elf::Sizes;
use program::FUNCTIONS;

/// How often each program is built in each profile.
const ROUNDS: usize = 5;

/// What was asked for.
const MAX_SECONDS: f64 = 2.5;
const MAX_SHARE: f64 = 0.25;

/// The programs that are timed: their names, and what stands above their functions. They keep every
/// function, as if they called it.
const PROGRAMS: [(&str, &str); 2] = [("plain", ""), ("tasks", ATTRIBUTE)];

/// The program whose functions are called by workers alone.
const ALONE: &str = "alone";

const ATTRIBUTE: &str = "#[pool_core::pool_task]";

const PROFILES: [(&str, &[&str]); 2] = [("debug", &[]), ("release", &["--release"])];

/// What was measured of one program in one profile.
#[derive(Default)]
struct Builds {
    seconds: Vec<f64>,
    /// Processor time of the compiler and the linker, which wait for nobody.
    work: Vec<f64>,
    sizes: Sizes,
    /// Of each executable.
    hashes: Vec<u64>,
}

pub(crate) fn run() -> Result<(), Fault> {
    let folder = env::temp_dir().join(format!("pool-macro-cost-{}", std::process::id()));
    let result = in_folder(&folder);
    // A leftover in the folder for temporary files.
    let _ = fs::remove_dir_all(&folder);
    print!("{}", result?);
    Ok(())
}

fn in_folder(folder: &Path) -> Result<String, Fault> {
    let mut machine = Machine::look(None);
    let begin = Instant::now();
    let project = Project::write(folder)?;
    let mut text = String::new();
    for (profile, options) in PROFILES {
        // The dependencies, and everything into the page cache.
        project.build("target", options, &[])?;
        let watch = Watch::start();
        let mut builds = [Builds::default(), Builds::default()];
        for round in 0..ROUNDS {
            for ((name, _), builds) in PROGRAMS.iter().zip(&mut builds) {
                project.sample(name, profile, options, builds)?;
            }
            eprintln!(
                "{:6.1} s  {profile} {}",
                begin.elapsed().as_secs_f64(),
                round + 1
            );
        }
        let others = watch.others();
        project.build("target", options, &["-p", ALONE])?;
        let alone = fs::read(project.executable("target", profile, ALONE))?;
        text += &table(profile, &builds, &elf::sizes(&alone)?, others);
        text += &project.same(profile, options, &builds)?;
    }
    machine.look_again(begin.elapsed());
    Ok(format!("{}\n{text}", machine.text()))
}

/// The temporary workspace with both programs.
struct Project {
    folder: PathBuf,
}

impl Project {
    fn write(folder: &Path) -> Result<Self, Fault> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let write = |path: &str, text: &str| -> Result<(), Fault> {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            Ok(fs::write(path, text)?)
        };
        write(
            "Cargo.toml",
            &program::workspace(&[PROGRAMS[0].0, PROGRAMS[1].0, ALONE]),
        )?;
        write(
            "Cargo.lock",
            &fs::read_to_string(repository.join("Cargo.lock"))?,
        )?;
        let alone = (ALONE, ATTRIBUTE, false);
        let programs = PROGRAMS.map(|(name, attribute)| (name, attribute, true));
        for (name, attribute, keeps) in programs.into_iter().chain([alone]) {
            let manifest = program::manifest(name, &repository.join("pool-core"));
            write(&format!("{name}/Cargo.toml"), &manifest)?;
            write(
                &format!("{name}/src/main.rs"),
                &program::source(attribute, keeps),
            )?;
        }
        Ok(Self {
            folder: folder.into(),
        })
    }

    fn build(&self, target: &str, options: &[&str], more: &[&str]) -> Result<(), Fault> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["build", "--offline", "--quiet", "--target-dir", target])
            .args(options)
            .args(more)
            .current_dir(&self.folder)
            .env_remove("RUSTFLAGS")
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into())
    }

    /// Builds one program anew.
    fn sample(
        &self,
        name: &str,
        profile: &str,
        options: &[&str],
        builds: &mut Builds,
    ) -> Result<(), Fault> {
        let source = self.folder.join(name).join("src/main.rs");
        fs::File::options()
            .append(true)
            .open(source)?
            .set_modified(std::time::SystemTime::now())?;
        let work = family_seconds().unwrap_or(f64::NAN);
        let begin = Instant::now();
        self.build("target", options, &["-p", name])?;
        builds.seconds.push(begin.elapsed().as_secs_f64());
        builds
            .work
            .push(family_seconds().unwrap_or(f64::NAN) - work);
        let file = fs::read(self.executable("target", profile, name))?;
        builds.sizes = elf::sizes(&file)?;
        builds.hashes.push(hash(&file));
        Ok(())
    }

    /// Whether the executable was the same each time, and is in a build of everything elsewhere.
    fn same(&self, profile: &str, options: &[&str], builds: &[Builds]) -> Result<String, Fault> {
        let (name, _) = PROGRAMS[1];
        self.build("elsewhere", options, &["-p", name])?;
        let elsewhere = hash(&fs::read(self.executable("elsewhere", profile, name))?);
        let hashes = &builds[1].hashes;
        let same = hashes.iter().all(|hash| *hash == elsewhere);
        Ok(format!(
            "the executable with the tasks after {} builds and a clean one in another folder: {}\n",
            hashes.len(),
            if same { "the same" } else { "NOT THE SAME" },
        ))
    }

    fn executable(&self, target: &str, profile: &str, name: &str) -> PathBuf {
        self.folder.join(target).join(profile).join(name)
    }
}

fn hash(file: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    file.hash(&mut hasher);
    hasher.finish()
}

fn table(profile: &str, builds: &[Builds; 2], alone: &Sizes, others: Option<f64>) -> String {
    let noisy = others.is_some_and(|others| others > NOISE);
    let noise = if noisy { ", NOISY" } else { "" };
    let mut text = format!(
        "\n{FUNCTIONS} functions, {profile} build, median of {ROUNDS}{noise}\n\
         | | plain | tasks | added | of plain | asked |\n|---|---|---|---|---|---|\n"
    );
    let mut row = |title: &str, unit, [plain, tasks]: [f64; 2], asked: &str| {
        let (plain_text, tasks_text) = (show(plain, unit), show(tasks, unit));
        let (added, share) = (
            show(tasks - plain, unit),
            show(tasks / plain - 1.0, Unit::Share),
        );
        text +=
            &format!("| {title} | {plain_text} | {tasks_text} | {added} | {share} | {asked} |\n");
    };
    let (seconds, share) = match profile {
        "debug" => (
            format!("≤ {}", show(MAX_SECONDS, Unit::Seconds)),
            String::new(),
        ),
        _ => (String::new(), format!("≤ {}", show(MAX_SHARE, Unit::Share))),
    };
    let times = builds
        .each_ref()
        .map(|builds| median(builds.seconds.clone()));
    let works = builds.each_ref().map(|builds| median(builds.work.clone()));
    row("time", Unit::Seconds, times, &seconds);
    row("processor time", Unit::Seconds, works, "");
    let [plain, tasks] = builds.each_ref().map(|builds| &builds.sizes);
    let code = |tasks: &Sizes| [plain.code as f64, tasks.code as f64];
    let read_only = |tasks: &Sizes| [plain.read_only as f64, tasks.read_only as f64];
    row("code", Unit::Bytes, code(alone), &share);
    row("code and constants", Unit::Bytes, read_only(alone), "");
    row("code, functions also called", Unit::Bytes, code(tasks), "");
    let title = "code and constants, functions also called";
    row(title, Unit::Bytes, read_only(tasks), "");
    text
}
