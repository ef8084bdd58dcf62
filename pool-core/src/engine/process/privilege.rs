//! Whether this process has more rights than whoever started it.
//!
//! Whoever starts a setuid or setgid program, or one with file capabilities, chooses its arguments,
//! its environment and its descriptors. If it became a worker or an agent for them, it would run
//! their tasks with its rights. So it refuses to.

use std::fs;
use std::io::ErrorKind;

use rustix::process::{getegid, geteuid, getgid, getuid};

/// What the kernel has told this process at its start.
const AUXV: &str = "/proc/self/auxv";

/// The type of the entry that is not 0 where the execution has raised the rights.
const AT_SECURE: u64 = 23;

/// Refuses to go on in a process whose rights were raised by its execution.
pub(crate) fn check() -> Result<(), String> {
    const RAISED: &str = "its program is setuid or setgid or has file capabilities (AT_SECURE): it \
                          would run the tasks of whoever starts it with rights that they do not \
                          have";
    if getuid() != geteuid() || getgid() != getegid() {
        return Err(RAISED.into());
    }
    match fs::read(AUXV) {
        Ok(auxv) if is_secure(&auxv) => Err(RAISED.into()),
        Ok(_) => Ok(()),
        // The kernel hides the memory of a program with such rights from its user, and that of one
        // that its user must not read.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(format!(
            "{RAISED}; or its user must not read it (open {AUXV}: {error})"
        )),
        Err(error) => Err(format!("open {AUXV}: {error}")),
    }
}

/// Whether an auxiliary vector, pairs of words, marks the execution as one that raised the rights.
/// One without the entry is not trusted.
fn is_secure(auxv: &[u8]) -> bool {
    const WORD: usize = size_of::<usize>();
    let mut pairs = auxv.chunks_exact(2 * WORD).map(|pair| {
        let mut words = pair.chunks_exact(WORD).map(|word| {
            let mut bytes = [0; 8];
            let at = if cfg!(target_endian = "big") {
                8 - WORD
            } else {
                0
            };
            bytes[at..at + WORD].copy_from_slice(word);
            u64::from_ne_bytes(bytes)
        });
        (words.next(), words.next())
    });
    pairs
        .find(|(kind, _)| *kind == Some(AT_SECURE))
        .is_none_or(|(_, value)| value != Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auxv(pairs: &[[usize; 2]]) -> Vec<u8> {
        pairs
            .as_flattened()
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect()
    }

    #[test]
    fn raised_rights_are_seen() {
        let end = [0, 0];
        assert!(!is_secure(&auxv(&[[6, 4096], [23, 0], end])));
        assert!(is_secure(&auxv(&[[6, 4096], [23, 1], end])));
        // A vector without the entry.
        assert!(is_secure(&auxv(&[[6, 23], end])));
        assert!(is_secure(&[]));
    }

    #[test]
    fn an_ordinary_program_is_let_in() {
        assert_eq!(check(), Ok(()));
    }
}
