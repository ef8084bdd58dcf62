//! What the machine can do at best: the yardsticks beside the rows.

mod copies;
// Two processes write to one mapping.
#[allow(unsafe_code)]
mod shared;
mod trips;

use std::io::{Read, Write};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

pub(crate) use self::copies::{copy_cost, small_copy_cost};
pub(crate) use self::trips::{Bulk, Words};
use crate::Fault;

/// The roles of a process on the other side of a limit.
const SPIN: &str = "spin";
const FUTEX: &str = "futex";
const SOCKET: &str = "socket";
const PIPE: &str = "pipe";
const BULK_SOCKET: &str = "bulk-socket";
const BULK_PIPE: &str = "bulk-pipe";

/// The other side of a limit: answers until its input ends or its parent dies.
pub(crate) fn serve(role: &str) -> Result<(), Fault> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    pin(|cores| cores.last())?;
    match role {
        SPIN => shared::serve(shared::spin),
        FUTEX => shared::serve(shared::sleep),
        SOCKET => trips::serve_words(rustix::stdio::stdin(), rustix::stdio::stdin()),
        PIPE => trips::serve_words(rustix::stdio::stdin(), rustix::stdio::stdout()),
        BULK_SOCKET => {
            let input = rustix::io::dup(rustix::stdio::stdin())?;
            let socket = std::os::unix::net::UnixStream::from(input);
            answer_bulk(&socket, &socket)
        }
        BULK_PIPE => answer_bulk(std::io::stdin().lock(), std::fs::File::from(own_stdout()?)),
        _ => Err("no such role".into()),
    }
}

/// Keeps this thread on one of the cores that it may use. The two sides of a limit run on two
/// cores: left alone, the kernel puts them on one as often as not, where a wake-up costs a tenth.
fn pin(choose: fn(&[usize]) -> Option<&usize>) -> Result<(), Fault> {
    let allowed = sched_getaffinity(None)?;
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|core| allowed.is_set(*core))
        .collect();
    let mut one = CpuSet::new();
    one.set(*choose(&cores).ok_or("no core is allowed")?);
    Ok(sched_setaffinity(None, &one)?)
}

/// The standard output without the buffer that `std` puts before it.
fn own_stdout() -> Result<std::os::fd::OwnedFd, Fault> {
    Ok(rustix::io::dup(rustix::stdio::stdout())?)
}

fn answer_bulk(mut from: impl Read, mut to: impl Write) -> Result<(), Fault> {
    let mut block = vec![0; trips::BULK_BYTES];
    while from.read_exact(&mut block).is_ok() {
        to.write_all(&block)?;
    }
    Ok(())
}
