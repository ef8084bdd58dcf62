//! What a server sends, piece by piece: a line, and what comes behind it.

use std::io::{self, BufRead};

/// More than any server lets through.
const MAX_BODY: usize = 64 << 20;

/// One piece, as it came.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// With its line end.
    pub(super) line: Vec<u8>,
    /// Headers, payload and line end of a message; else nothing.
    pub(super) body: Vec<u8>,
    /// How much of the body is headers.
    pub(super) headers: usize,
}

impl Piece {
    /// The next one, or `None` at the end.
    pub(super) fn read(input: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut piece = Self::default();
        if input.read_until(b'\n', &mut piece.line)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&piece.line);
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let size = match words[..] {
            ["MSG", .., size] => Some((size, "0")),
            ["HMSG", .., headers, size] => Some((size, headers)),
            _ => None,
        };
        if let Some((size, headers)) = size {
            let number = |word: &str| {
                let number = word.parse().ok().filter(|number| *number <= MAX_BODY);
                number.ok_or_else(|| invalid(&line))
            };
            let size: usize = number(size)?;
            piece.headers = number(headers)?.min(size);
            piece.body = vec![0; size + 2];
            input.read_exact(&mut piece.body)?;
        }
        Ok(Some(piece))
    }

    /// The words of its line.
    pub(super) fn words(&self) -> Vec<String> {
        let line = String::from_utf8_lossy(&self.line);
        line.split_ascii_whitespace().map(Into::into).collect()
    }

    /// What a message says, without headers and line end.
    pub(super) fn payload(&self) -> &[u8] {
        let end = self.body.len().saturating_sub(2);
        self.body.get(self.headers..end).unwrap_or_default()
    }

    /// Whether the payload of this message has the text in it.
    pub(super) fn contains(&self, text: &[u8]) -> bool {
        let payload = self.payload();
        !self.body.is_empty() && payload.windows(text.len().max(1)).any(|part| part == text)
    }
}

fn invalid(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a message of {line}"))
}
