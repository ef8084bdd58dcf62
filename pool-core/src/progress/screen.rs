//! Standard error as a terminal to draw on, without the lock of the standard library.

use std::io;
use std::sync::Mutex;

use console::Term;
use indicatif::TermLike;

use super::watch::lock;
use crate::sync::stderr;

/// What is drawn goes out when it is complete.
#[derive(Debug)]
pub(super) struct RawTerm {
    /// To be asked for its size.
    term: Term,
    drawn: Mutex<String>,
}

impl RawTerm {
    /// `None`: standard error is no terminal, or one that can only write.
    pub(super) fn stderr() -> Option<Self> {
        let term = Term::buffered_stderr();
        term.features().is_attended().then(|| Self {
            term,
            drawn: Mutex::default(),
        })
    }

    fn push(&self, text: &str) -> io::Result<()> {
        lock(&self.drawn).push_str(text);
        Ok(())
    }

    /// Moves the cursor in a direction that ends the escape sequence.
    fn go(&self, by: usize, direction: char) -> io::Result<()> {
        match by {
            0 => Ok(()),
            _ => self.push(&format!("\x1b[{by}{direction}")),
        }
    }
}

impl TermLike for RawTerm {
    fn width(&self) -> u16 {
        self.term.size().1
    }

    fn height(&self) -> u16 {
        self.term.size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.go(n, 'D')
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.push(s)?;
        self.push("\n")
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.push(s)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.push("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let drawn = std::mem::take(&mut *lock(&self.drawn));
        match drawn.is_empty() {
            true => Ok(()),
            false => stderr::write(drawn.as_bytes()),
        }
    }
}
