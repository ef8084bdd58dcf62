//! What the kernel tells of processes: time, memory, children.

use std::collections::HashMap;
use std::fs;

use crate::Fault;

/// The children of this process.
pub(crate) fn children() -> Result<Vec<u32>, Fault> {
    let me = std::process::id();
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may have ended by now.
        if stat(pid).is_some_and(|stat| stat.parent == me && stat.state != "Z") {
            children.push(pid);
        }
    }
    Ok(children)
}

struct Stat {
    state: String,
    parent: u32,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some(Stat {
        state: fields.next()?.into(),
        parent: fields.next()?.parse().ok()?,
    })
}

/// The seconds of processor time that the living threads of a process have used.
///
/// `schedstat` counts nanoseconds where `stat` counts hundredths of a second.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64, Fault> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let used = text.split_whitespace().next().ok_or("empty schedstat")?;
        nanos += used.parse::<u64>()?;
    }
    Ok(nanos as f64 / 1e9)
}

/// Fields of `smaps_rollup`, in bytes.
fn rollup(pid: u32) -> Result<HashMap<String, f64>, Fault> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    Ok(kib_fields(&text))
}

fn kib_fields(text: &str) -> HashMap<String, f64> {
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let kib: f64 = value.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some((name.to_owned(), kib * 1024.0))
    };
    text.lines().filter_map(field).collect()
}

/// The bytes that only this process has mapped.
pub(crate) fn private_bytes(pid: u32) -> Result<f64, Fault> {
    let fields = rollup(pid)?;
    let of = |name| fields.get(name).copied().unwrap_or(0.0);
    Ok(of("Private_Clean") + of("Private_Dirty"))
}

/// The most that was resident of a process so far.
pub(crate) fn peak_bytes(pid: u32) -> Result<f64, Fault> {
    status_field(pid, "VmHWM")
}

/// What is resident of a process now.
pub(crate) fn resident_bytes(pid: u32) -> Result<f64, Fault> {
    status_field(pid, "VmRSS")
}

fn status_field(pid: u32, name: &str) -> Result<f64, Fault> {
    let fields = kib_fields(&fs::read_to_string(format!("/proc/{pid}/status"))?);
    Ok(*fields.get(name).ok_or("a field of status is missing")?)
}

/// What this process and its children occupy of their own and shared memory together; a page
/// that several of them map counts once.
pub(crate) fn family_bytes() -> Result<f64, Fault> {
    let mut pids = children()?;
    pids.push(std::process::id());
    let mut bytes = 0.0;
    for pid in pids {
        // A worker may have been replaced by now.
        let Ok(fields) = rollup(pid) else { continue };
        for share in ["Pss_Anon", "Pss_Shmem"] {
            bytes += fields.get(share).ok_or("smaps_rollup has no such field")?;
        }
    }
    Ok(bytes)
}
