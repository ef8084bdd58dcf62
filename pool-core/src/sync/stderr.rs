//! Standard error without the lock of the standard library, which the program may hold for as long
//! as it likes: what the library says there waits for no thread.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::time::Duration;

/// How often a descriptor that does not block is tried again, when it takes nothing.
const MAX_TRIES: u32 = 1_000;
const TRY_EVERY: Duration = Duration::from_millis(1);

/// Writes all bytes, if possible with one call.
pub(crate) fn write(bytes: &[u8]) -> io::Result<()> {
    let descriptor = io::stderr().as_fd().try_clone_to_owned()?;
    write_all(&File::from(descriptor), bytes)
}

/// Writes a line that begins with the name of the library.
pub(crate) fn say(what: impl std::fmt::Display) {
    // Standard error may be closed.
    let _ = write(format!("pool-core: {what}\n").as_bytes());
}

fn write_all(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    let (mut rest, mut tries) = (bytes, 0);
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(len) => (rest, tries) = (&rest[len..], 0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && tries < MAX_TRIES => {
                tries += 1;
                std::thread::sleep(TRY_EVERY);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
