//! From the arguments to the pages.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use walkdir::WalkDir;

use crate::page::{self, Page};
use crate::site;

/// The pages to look at.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) pages: Vec<Page>,
    /// What of the arguments gave no page, and why.
    pub(crate) problems: Vec<String>,
    /// Where the bundled site is, if that is what there is to look at.
    pub(crate) site: Option<String>,
}

impl Input {
    /// The pages that the arguments mean, in their order, each folder's sorted by name. Without
    /// arguments it serves the bundled site until the program ends; `pages` of it, or each once.
    pub(crate) fn find(args: &[OsString], pages: Option<usize>) -> io::Result<Self> {
        let mut input = Self::default();
        if args.is_empty() {
            let address = site::serve()?;
            let pages = pages.unwrap_or(site::names().count());
            input.pages = site::names()
                .cycle()
                .take(pages)
                .map(|name| Page::Url(format!("{address}{name}")))
                .collect();
            input.site = Some(address);
        }
        for arg in args {
            if let Some(url) = arg.to_str().filter(|arg| is_url(arg)) {
                input.pages.push(Page::Url(url.to_owned()));
            } else if Path::new(arg).is_dir() {
                input.search(Path::new(arg));
            } else {
                // If it cannot be read, the task will say so.
                input.pages.push(Page::File(arg.clone()));
            }
        }
        Ok(input)
    }

    fn search(&mut self, folder: &Path) {
        let before = self.pages.len();
        // Links to folders are not followed, so there are no loops; links to files are read.
        for entry in WalkDir::new(folder).sort_by_file_name() {
            match entry {
                Ok(entry) if is_html(entry.path()) && !entry.file_type().is_dir() => {
                    self.pages.push(Page::File(entry.into_path().into()));
                }
                Ok(_) => {}
                Err(error) => self.problems.push(error.to_string()),
            }
        }
        if self.pages.len() == before {
            let folder = folder.display();
            self.problems
                .push(format!("{folder}: no file named *.html is in this folder"));
        }
    }

    /// Reads every file once.
    pub(crate) fn warm_file_cache(&self) {
        for page in &self.pages {
            if let Page::File(path) = page {
                // A file that cannot be read is a matter for the task.
                let _ = page::read(path.as_ref());
            }
        }
    }

    /// The name of a page in the output.
    pub(crate) fn name(&self, page: &Page) -> String {
        let name = page.to_string();
        match self
            .site
            .as_deref()
            .and_then(|site| name.strip_prefix(site))
        {
            Some(short) => short.to_owned(),
            None => name,
        }
    }
}

fn is_url(arg: &str) -> bool {
    arg.split_once("://").is_some_and(|(scheme, _)| {
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    })
}

fn is_html(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("html"))
}
