//! The program that is built: the same functions with and without the attribute.

use std::fmt::Write;
use std::path::Path;

/// How many functions there are; a multiple of [`SHAPES`]' number.
pub(super) const FUNCTIONS: usize = 500;

/// How many stand in one module, which has its own types.
const IN_MODULE: usize = 50;

/// Functions as programs have them, each of which gets a number for its `#`: short, so that what
/// the attribute adds is compared with little.
const SHAPES: [&str; 10] = [
    "fn square_#(x: u64) -> u64 {
        x.wrapping_mul(x) ^ #
    }",
    "fn repeat_#(text: &str, times: usize) -> String {
        let mut out = text.repeat(times.min(#));
        out.push_str(\"-#\");
        out
    }",
    "fn unpack_#(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        match bytes.first() {
            Some(&kind) if usize::from(kind) > # % 7 => Ok(bytes[1..].to_vec()),
            Some(kind) => Err(format!(\"#: kind {kind}\")),
            None => Err(\"#: empty\".into()),
        }
    }",
    "fn report_#(job: Job, scale: f64) -> Report {
        let total = job.weights.iter().map(|weight| weight * scale).sum::<f64>() + # as f64;
        let label = job.label.unwrap_or_else(|| format!(\"job {} of #\", job.id));
        Report { id: job.id, label, state: State::Done { total } }
    }",
    "fn norm_#(values: &[f64]) -> f64 {
        (values.iter().map(|value| value * value).sum::<f64>() + # as f64).sqrt()
    }",
    "fn size_#(path: &Path) -> Option<u64> {
        let size = std::fs::metadata(path.join(\"#\")).ok()?.len();
        (size > #).then_some(size)
    }",
    "fn wait_#() {
        std::thread::sleep(std::time::Duration::from_nanos(#));
    }",
    "fn merge_#(counts: HashMap<String, u32>, more: Vec<(String, u32)>) -> HashMap<String, u32> {
        let mut counts = counts;
        for (word, count) in more {
            *counts.entry(word).or_insert(#) += count;
        }
        counts
    }",
    "fn blend_#(from: &[u8], to: &[u8], width: u32, height: u32, part: f32, wrap: bool) -> Vec<u8> {
        let len = if wrap { from.len() } else { width as usize * height as usize + # };
        let blend = |(a, b): (&u8, &u8)| (f32::from(*a) * (1.0 - part) + f32::from(*b) * part) as u8;
        from.iter().zip(to).take(len).map(blend).collect()
    }",
    "fn judge_#(report: &Report, limits: (f64, f64)) -> Result<State, String> {
        match report.state {
            State::Done { total } if total < limits.0 + # as f64 => Ok(State::Waiting),
            State::Done { total } if total > limits.1 => Err(format!(\"{} of #\", report.label)),
            ref state => Ok(state.clone()),
        }
    }",
];

/// The types of a module.
const TYPES: &str = "
    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    pub struct Job {
        pub id: u64,
        pub label: Option<String>,
        pub weights: Vec<f64>,
    }

    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    pub struct Report {
        pub id: u64,
        pub label: String,
        pub state: State,
    }

    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    pub enum State {
        Waiting,
        Done { total: f64 },
    }
";

/// The source of the program, which has a pool; with `keeps` it has every function, called or not.
pub(super) fn source(attribute: &str, keeps: bool) -> String {
    let mut text = String::from("#![allow(dead_code)]\n");
    let mut keep = String::new();
    for (module, first) in (0..FUNCTIONS).step_by(IN_MODULE).enumerate() {
        let mut names = String::new();
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(
            text,
            "\nmod m{module} {{\n    use std::collections::HashMap;\n    use std::path::Path;\n{TYPES}"
        );
        for number in first..first + IN_MODULE {
            let function = SHAPES[number % SHAPES.len()].replace('#', &number.to_string());
            let _ = writeln!(text, "    {attribute}\n    pub {function}\n");
            let name = function["fn ".len()..]
                .split('(')
                .next()
                .unwrap_or_default();
            if keeps {
                let _ = write!(names, "{name} as *const (), ");
            }
        }
        let _ = writeln!(
            text,
            "    pub fn keep() {{\n        std::hint::black_box::<&[*const ()]>(&[{names}]);\n    }}\n}}"
        );
        let _ = writeln!(keep, "    m{module}::keep();");
    }
    let _ = write!(
        text,
        "
#[pool_core::pool_task]
fn one(x: u64) -> u64 {{
    x
}}

fn main() {{
    pool_core::init();
{keep}    let pool = pool_core::Pool::processes().unwrap();
    pool.submit(one::task(1)).join().unwrap();
}}
"
    );
    text
}

/// The manifest of the workspace with both programs.
pub(super) fn workspace(members: &[&str]) -> String {
    format!(
        "[workspace]
resolver = \"3\"
members = {members:?}

# As a continuous integration builds.
[profile.dev]
incremental = false
"
    )
}

pub(super) fn manifest(name: &str, pool_core: &Path) -> String {
    format!(
        "[package]
name = {name:?}
version = \"0.0.0\"
edition = \"2024\"

[dependencies]
pool-core = {{ path = {pool_core:?} }}
serde = {{ version = \"1\", features = [\"derive\"] }}
"
    )
}
