//! As much of an executable as it takes to see how large its code is.

use crate::Fault;

const ALLOC: u64 = 2;
const WRITE: u64 = 1;
const EXEC: u64 = 4;

/// Bytes of the sections that are loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sizes {
    /// Code: `.text` and the few bytes around it.
    pub(super) code: u64,
    /// All that is loaded and not written to, which is what `size` calls `text`: code, constants,
    /// unwind tables.
    pub(super) read_only: u64,
}

/// Adds up the sections of a 64-bit little-endian ELF file.
pub(super) fn sizes(file: &[u8]) -> Result<Sizes, Fault> {
    let number = |place: usize, len: usize| -> Result<u64, Fault> {
        let bytes = file
            .get(place..place + len)
            .ok_or("the file ends too soon")?;
        let mut number = [0; 8];
        number[..len].copy_from_slice(bytes);
        Ok(u64::from_le_bytes(number))
    };
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return Err("not a 64-bit little-endian ELF file".into());
    }
    let (table, each, count) = (number(0x28, 8)?, number(0x3a, 2)?, number(0x3c, 2)?);
    let mut sizes = Sizes::default();
    for index in 0..count {
        let section = usize::try_from(table + index * each)?;
        let (flags, size) = (number(section + 8, 8)?, number(section + 0x20, 8)?);
        if flags & EXEC != 0 {
            sizes.code += size;
        }
        if flags & ALLOC != 0 && flags & WRITE == 0 {
            sizes.read_only += size;
        }
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_has_code_and_more() {
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let Sizes { code, read_only } = sizes(&file).unwrap();
        assert!(100_000 < code && code < read_only && read_only < file.len() as u64);
    }

    #[test]
    fn other_files_are_refused() {
        assert!(sizes(b"#!/bin/sh").is_err());
        assert!(sizes(b"\x7fELF\x02\x01").is_err());
    }
}
