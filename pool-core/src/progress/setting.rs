//! What the environment says: `POOL_PROGRESS`.

const POOL_PROGRESS: &str = "POOL_PROGRESS";

/// How much a map that has a progress display shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Nothing,
    /// A bar on a terminal, else lines.
    Default,
    /// Lines on a terminal too.
    Lines,
}

pub(super) fn setting() -> Setting {
    let text = std::env::var_os(POOL_PROGRESS).unwrap_or_default();
    parse(&text.to_string_lossy())
}

/// A word that means nothing here is no reason to show less, nor to fail.
fn parse(text: &str) -> Setting {
    match &*text.trim().to_ascii_lowercase() {
        "0" | "off" | "false" | "no" | "none" => Setting::Nothing,
        "lines" => Setting::Lines,
        _ => Setting::Default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_no_is_no() {
        for no in ["0", "off", "OFF", " false ", "No", "none"] {
            assert_eq!(parse(no), Setting::Nothing, "{no:?}");
        }
        for yes in ["", "1", "on", "true", "yes", "auto", "bar", "2", "?"] {
            assert_eq!(parse(yes), Setting::Default, "{yes:?}");
        }
        assert_eq!(parse("Lines"), Setting::Lines);
    }
}
