//! One page: where it is, its text, its title.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use scraper::{Html, Selector};
use serde::{Deserialize, Serialize};

use crate::charset;

/// A longer page is an error: whoever serves it must not fill the memory.
const MAX_BYTES: u64 = 64 << 20;

/// A page that takes longer to download is an error.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(30);

/// Where a page is. It is the argument of the task, so it can be sent to a worker process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Page {
    Url(String),
    /// Not a `PathBuf`, which serde refuses to write if it is not UTF-8.
    File(OsString),
}

impl Page {
    /// Downloads or reads the page.
    pub(crate) fn html(&self) -> Result<String, String> {
        let (bytes, declared) = match self {
            Self::Url(url) => download(url).map_err(|error| format!("cannot download: {error}"))?,
            Self::File(path) => (read(path.as_ref())?, None),
        };
        Ok(charset::decode(&bytes, declared.as_deref()))
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// The bytes at the URL, and the charset that the header gives them.
fn download(url: &str) -> Result<(Vec<u8>, Option<String>), ureq::Error> {
    /// One for each process, so that connections are used again.
    static AGENT: LazyLock<ureq::Agent> = LazyLock::new(|| {
        ureq::Agent::config_builder()
            .timeout_global(Some(DOWNLOAD_LIMIT))
            .build()
            .into()
    });
    let mut request = AGENT.get(url);
    if url.starts_with(crate::site::LOOPBACK) {
        // Its server has few threads, and each stays with a connection that is kept: another one could
        // wait for as long.
        request = request.header("Connection", "close");
        request = request.config().proxy(None).build();
    }
    let mut body = request.call()?.into_body();
    let charset = body.charset().map(str::to_owned);
    let bytes = body.with_config().limit(MAX_BYTES).read_to_vec()?;
    Ok((bytes, charset))
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error| format!("cannot read: {error}");
    let meta = fs::metadata(path).map_err(cannot)?;
    if !meta.is_file() {
        return Err("cannot read: not a file".to_owned());
    }
    let mut bytes = Vec::with_capacity(meta.len().min(MAX_BYTES) as usize);
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(cannot)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("cannot read: longer than {} MiB", MAX_BYTES >> 20));
    }
    Ok(bytes)
}

/// The title as a browser's tab shows it: of the first title element of HTML (a drawing inside
/// the page may have its own), with white space collapsed. `None` for an empty one too.
pub(crate) fn title_of(html: &str) -> Option<String> {
    const HTML: &str = "http://www.w3.org/1999/xhtml";
    static TITLE: LazyLock<Selector> =
        LazyLock::new(|| Selector::parse("title").expect("a valid selector"));
    let document = Html::parse_document(html);
    let title = document
        .select(&TITLE)
        .find(|element| &*element.value().name.ns == HTML)?
        .text()
        .collect::<String>();
    let words: Vec<_> = title.split_ascii_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}
