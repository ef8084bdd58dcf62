//! What the example programs share: how they read their arguments and how they speak.

use std::fmt::Display;
use std::io::{self, Write};
use std::process;

use lexopt::Parser;

/// The options of the program, from its arguments. Arguments that make no sense end it with exit
/// code 2.
pub fn options<O>(parse: impl FnOnce(Parser) -> Result<O, lexopt::Error>) -> O {
    parse(Parser::from_env()).unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "Error: {error}\nTry --help.");
        process::exit(2)
    })
}

/// Prints what `--help` asks for and ends the program.
pub fn help(text: &str) -> ! {
    let _ = write!(io::stdout(), "{text}");
    process::exit(0)
}

/// A line on stdout, where nobody may be listening. A terminal must not obey what a file is called.
pub fn say(line: impl Display) {
    let line = line.to_string();
    let line = line.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}");
    let _ = writeln!(io::stdout(), "{line}");
}
