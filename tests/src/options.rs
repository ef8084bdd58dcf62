//! The options of the programs that run by hand.

use std::str::FromStr;

/// What stands behind this name among the arguments of the program.
///
/// # Panics
/// When it is not what it should be: nobody has run the program as meant.
#[must_use]
pub fn option<T: FromStr>(name: &str) -> Option<T> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.next()?;
    let value = arguments.next().and_then(|text| text.parse().ok());
    Some(value.unwrap_or_else(|| panic!("{name} takes a value")))
}

/// The number behind `--seed`, else one by the clock.
#[must_use]
pub fn seed() -> u64 {
    option("--seed").unwrap_or_else(|| {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        u64::from(since.subsec_nanos())
    })
}
