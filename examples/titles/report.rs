//! What came out: for people, or as JSON for programs.

use std::io::{self, Write};

use pool_core::Backend;
use serde::Serialize;

use crate::input::Input;
use crate::{Run, site};

/// Names are padded to this width at most.
const NAME_WIDTH: usize = 32;

/// The maximum number of differences between backends that are shown.
const DIFFERENCES_SHOWN: usize = 10;

/// What several backends found on the same pages.
#[derive(Serialize)]
pub(crate) struct Report<'a> {
    /// Every page has a title, the same on every backend.
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<&'a str>,
    pages: Vec<PageReport<'a>>,
    problems: &'a [String],
    runs: Vec<RunReport>,
    differences: Vec<Difference<'a>>,
}

/// A page has a title or an error: what the first backend found.
#[derive(Serialize)]
struct PageReport<'a> {
    page: String,
    #[serde(flatten)]
    found: Found<'a>,
}

#[derive(Serialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Found<'a> {
    Title(&'a str),
    Error(&'a str),
}

#[derive(Serialize)]
struct RunReport {
    backend: &'static str,
    workers: usize,
    pages: usize,
    start_seconds: f64,
    seconds: f64,
    pages_per_second: f64,
    /// Over inline, if that ran.
    speed_up: Option<f64>,
}

/// A page on which a backend disagrees with the first one.
#[derive(Serialize)]
struct Difference<'a> {
    page: String,
    backend: &'static str,
    #[serde(flatten)]
    found: Found<'a>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(input: &'a Input, runs: &'a [Run]) -> Self {
        let mut report = Self {
            ok: false,
            site: input.site.as_deref(),
            pages: Vec::new(),
            problems: &input.problems,
            runs: Vec::new(),
            differences: Vec::new(),
        };
        let names: Vec<_> = input.pages.iter().map(|page| input.name(page)).collect();
        let inline = runs.iter().find(|run| run.backend == Backend::Inline);
        for run in runs {
            let found = || run.titles.iter().map(Found::from).zip(&names);
            if report.runs.is_empty() {
                report.pages.extend(found().map(|(found, name)| PageReport {
                    page: name.clone(),
                    found,
                }));
            } else {
                let expected = report.pages.iter().map(|page| page.found);
                let differ = found()
                    .zip(expected)
                    .filter(|((found, _), first)| found != first);
                report
                    .differences
                    .extend(differ.map(|((found, name), _)| Difference {
                        page: name.clone(),
                        backend: run.backend.name(),
                        found,
                    }));
            }
            report.runs.push(RunReport::new(run, inline));
        }
        report.ok =
            report.failed() == 0 && report.problems.is_empty() && report.differences.is_empty();
        report
    }

    pub(crate) fn is_good(&self) -> bool {
        self.ok
    }

    /// How many pages gave no title.
    fn failed(&self) -> usize {
        self.pages
            .iter()
            .filter(|page| matches!(page.found, Found::Error(_)))
            .count()
    }

    pub(crate) fn json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }

    pub(crate) fn text(&self, out: &mut impl Write) -> io::Result<()> {
        let widths = self.pages.iter().map(|page| page.page.chars().count());
        let width = widths.max().unwrap_or(0).min(NAME_WIDTH);
        for PageReport { page, found } in &self.pages {
            writeln!(out, "{page:width$}  {}", found.text())?;
        }
        for problem in self.problems {
            writeln!(out, "✗ {problem}")?;
        }
        if self.runs.is_empty() {
            return Ok(());
        }
        self.table(out)?;
        self.verdict(out)
    }

    fn table(&self, out: &mut impl Write) -> io::Result<()> {
        if let Some(address) = self.site {
            let delay = site::DELAY;
            writeln!(
                out,
                "\nserved at {address}, each page after {delay:?} as over a network"
            )?;
        }
        writeln!(
            out,
            "\n{:<10} {:>7} {:>7} {:>8} {:>9} {:>9} {:>9}",
            "backend", "workers", "pages", "start s", "seconds", "pages/s", "speed-up"
        )?;
        for run in &self.runs {
            let speed_up = run
                .speed_up
                .map_or("-".to_owned(), |times| format!("{times:.2}x"));
            writeln!(
                out,
                "{:<10} {:>7} {:>7} {:>8.3} {:>9.3} {:>9.0} {speed_up:>9}",
                run.backend,
                run.workers,
                run.pages,
                run.start_seconds,
                run.seconds,
                run.pages_per_second,
            )?;
        }
        writeln!(out)
    }

    fn verdict(&self, out: &mut impl Write) -> io::Result<()> {
        for Difference {
            page,
            backend,
            found,
        } in self.differences.iter().take(DIFFERENCES_SHOWN)
        {
            writeln!(out, "✗ {backend} differs on {page}: {}", found.text())?;
        }
        match self.differences.len().saturating_sub(DIFFERENCES_SHOWN) {
            0 => {}
            more => writeln!(out, "✗ and {more} more differences")?,
        }
        match self.failed() {
            0 => {}
            failed => writeln!(
                out,
                "✗ {failed} of {} pages gave no title",
                self.pages.len()
            )?,
        }
        if self.differences.is_empty() && self.runs.len() > 1 {
            writeln!(out, "✓ the results are the same on every backend")?;
        }
        Ok(())
    }
}

impl RunReport {
    fn new(run: &Run, inline: Option<&Run>) -> Self {
        let seconds = run.time.as_secs_f64();
        Self {
            backend: run.backend.name(),
            workers: run.workers,
            pages: run.titles.len(),
            start_seconds: run.start.as_secs_f64(),
            seconds,
            pages_per_second: run.titles.len() as f64 / seconds,
            speed_up: inline.map(|inline| inline.time.as_secs_f64() / seconds),
        }
    }
}

impl<'a> Found<'a> {
    fn from(result: &'a Result<String, String>) -> Self {
        match result {
            Ok(title) => Self::Title(title),
            Err(error) => Self::Error(error),
        }
    }

    /// For a terminal, which must not obey what a page's title tells it.
    fn text(self) -> String {
        let (mark, text) = match self {
            Self::Title(title) => ("", title),
            Self::Error(error) => ("✗ ", error),
        };
        let text = text.replace(char::is_control, "\u{fffd}");
        format!("{mark}{text}")
    }
}
