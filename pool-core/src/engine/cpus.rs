//! The default number of workers: one per CPU that this process may use.
//!
//! The affinity mask selects the CPUs, and the quotas of the control groups (version 1 or 2, and of all
//! their parents) bound their number. A quota is rounded up: without a worker for the last half CPU
//! that half is lost, while one worker more than the quota costs next to nothing. (The standard
//! library rounds down.) A file that cannot be read limits nothing.
//!
//! The worker processes of a pool share the CPUs of their parent, so that pools inside of tasks do not
//! multiply the load: the parent tells each worker the number of sharers, and the worker divides by it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::error::pool_error::{Error, MAX_WORKERS};

/// The environment variable that overrides the number of CPUs.
const POOL_WORKERS: &str = "POOL_WORKERS";

/// How many processes share the program's CPUs: in a worker the workers of its pool, times those
/// that its parent shares with.
static SHARERS: AtomicU32 = AtomicU32::new(1);

/// The default number of workers.
///
/// # Errors
/// If `POOL_WORKERS` is not a valid number of workers.
pub(crate) fn default_workers() -> Result<usize, Error> {
    let all = match env::var_os(POOL_WORKERS) {
        Some(text) if !text.is_empty() => parse(&text.to_string_lossy())?,
        _ => of_this_machine(),
    };
    Ok((all / SHARERS.load(Relaxed) as usize).max(1))
}

/// The number of processes with which each of `workers` workers of this process shares its CPUs.
pub(crate) fn sharers_of(workers: usize) -> u32 {
    let workers = u32::try_from(workers).unwrap_or(u32::MAX);
    SHARERS.load(Relaxed).saturating_mul(workers)
}

/// Sets the number of processes that share the CPUs, this worker included.
pub(crate) fn share_with(sharers: u32) {
    SHARERS.store(sharers.max(1), Relaxed);
}

fn parse(text: &str) -> Result<usize, Error> {
    text.parse()
        .ok()
        .filter(|workers| (1..=MAX_WORKERS).contains(workers))
        .ok_or_else(|| Error::InvalidWorkers(text.to_owned()))
}

fn of_this_machine() -> usize {
    let by_std = std::thread::available_parallelism().map_or(1, usize::from);
    usable(&|path| fs::read_to_string(path).ok(), by_std)
}

/// What the system says: the text of a file.
type Files<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// How many CPUs this process may use; `otherwise` where its affinity mask cannot be read.
fn usable(files: Files<'_>, otherwise: usize) -> usize {
    let allowed = allowed(files).unwrap_or(otherwise);
    let quota = quota(files).unwrap_or(allowed);
    allowed.min(quota).clamp(1, MAX_WORKERS)
}

// ---- the affinity mask ----

/// How many CPUs are both there and in the calling thread's mask. The mask alone may have CPUs that
/// the machine could have.
fn allowed(files: Files<'_>) -> Option<usize> {
    let status = files(Path::new("/proc/thread-self/status"))?;
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed:"))?;
    let online = files(Path::new("/sys/devices/system/cpu/online"))?;
    let mut count = 0;
    for range in online.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse().ok()?, last.parse::<usize>().ok()?);
        count += (first..=last).filter(|cpu| has(mask.trim(), *cpu)).count();
    }
    Some(count).filter(|count| *count > 0)
}

/// Whether a mask has a CPU: hexadecimal, 32 bits between commas, the last digit is of CPU 0 to 3.
fn has(mask: &str, cpu: usize) -> bool {
    let mut digits = mask.chars().rev().filter(|digit| *digit != ',');
    let digit = digits.nth(cpu / 4).and_then(|digit| digit.to_digit(16));
    digit.is_some_and(|digit| digit >> (cpu % 4) & 1 == 1)
}

// ---- quotas ----

/// The least quota of the control groups that this process is in, rounded up.
fn quota(files: Files<'_>) -> Option<usize> {
    let groups = files(Path::new("/proc/self/cgroup"))?;
    let mounts = files(Path::new("/proc/self/mountinfo"))?;
    let quotas = groups.lines().filter_map(Group::parse).flat_map(|group| {
        let folders: Vec<_> = mounts
            .lines()
            .flat_map(|line| group.folders(line))
            .collect();
        folders
            .into_iter()
            .filter_map(move |folder| group.quota(files, &folder))
    });
    quotas.min()
}

/// A control group that a process is in, where it concerns CPUs.
struct Group<'a> {
    /// Version 2, where one tree is for everything.
    unified: bool,
    path: &'a Path,
}

impl<'a> Group<'a> {
    /// A line of `/proc/PID/cgroup`: number, controllers, path.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        let unified = controllers.is_empty();
        (unified || controllers.split(',').any(|name| name == "cpu")).then_some(Self {
            unified,
            path: Path::new(fields.next()?),
        })
    }

    /// Its folder and those above it, if this line of `/proc/PID/mountinfo` is where they are
    /// mounted. In a container that is often a part of the tree only: its root is in the fourth
    /// field, the place in the fifth.
    fn folders(&self, line: &str) -> Vec<PathBuf> {
        let found = || {
            let (mount, kind) = line.split_once(" - ")?;
            let mut kind = kind.split(' ');
            let is_mine = match kind.next()? {
                "cgroup2" => self.unified,
                "cgroup" => !self.unified && kind.nth(1)?.split(',').any(|name| name == "cpu"),
                _ => false,
            };
            let mut mount = mount.split(' ').skip(3).map(Path::new);
            let inside = self.path.strip_prefix(mount.next()?).ok()?;
            let place = mount.next()?;
            is_mine.then(|| inside.ancestors().map(|part| place.join(part)).collect())
        };
        found().unwrap_or_default()
    }

    /// The quota in one folder.
    fn quota(&self, files: Files<'_>, folder: &Path) -> Option<usize> {
        let file = |name| files(&folder.join(name));
        let (quota, period) = if self.unified {
            let text = file("cpu.max")?;
            let (quota, period) = text.trim().split_once(' ')?;
            (quota.to_owned(), period.to_owned())
        } else {
            (file("cpu.cfs_quota_us")?, file("cpu.cfs_period_us")?)
        };
        // No quota is `max` or -1.
        let quota: u64 = quota.trim().parse().ok()?;
        let period: u64 = period.trim().parse().ok().filter(|period| *period > 0)?;
        usize::try_from(quota.div_ceil(period)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERWISE: usize = 7;

    /// What is found with these files and no others.
    fn with(texts: &[(&str, &str)]) -> usize {
        let files = |path: &Path| {
            let found = texts.iter().find(|(name, _)| Path::new(name) == path)?;
            Some(found.1.to_owned())
        };
        usable(&files, OTHERWISE)
    }

    const STATUS: &str = "/proc/thread-self/status";
    const ONLINE: &str = "/sys/devices/system/cpu/online";
    const CGROUP: &str = "/proc/self/cgroup";
    const MOUNTS: &str = "/proc/self/mountinfo";

    const V2: [(&str, &str); 2] = [
        (CGROUP, "0::/user/job\n"),
        (
            MOUNTS,
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
        ),
    ];

    const V1: [(&str, &str); 2] = [
        (CGROUP, "4:memory:/a\n3:cpu,cpuacct:/docker/abc\n0::/\n"),
        (
            MOUNTS,
            "31 24 0:27 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
             32 24 0:28 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
        ),
    ];

    #[test]
    fn the_mask_counts_where_there_are_cpus() {
        for (mask, online, count) in [
            ("3", "0-1", 2),
            ("ffffffff,ffffffff", "0-1", 2),
            ("a", "0-3", 2),
            ("00000001,00000000", "0-63", 1),
            ("ff", "0,2-3,6", 4),
            ("ffff", "0-15", 16),
        ] {
            let status = format!("Name:\tx\nCpus_allowed:\t{mask}\nCpus_allowed_list:\t0\n");
            assert_eq!(
                with(&[(STATUS, &status), (ONLINE, online)]),
                count,
                "{mask}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_limits_nothing() {
        assert_eq!(with(&[]), OTHERWISE);
        let status = "Cpus_allowed:\t3\n";
        for texts in [
            [(STATUS, status), (ONLINE, "?")],
            [(STATUS, ""), (ONLINE, "0-1")],
            [(STATUS, status), (ONLINE, "4-5")],
            [(CGROUP, "0::/\n"), (MOUNTS, "")],
            [(CGROUP, "?\n"), (MOUNTS, "?\n")],
        ] {
            assert_eq!(with(&texts), OTHERWISE, "{texts:?}");
        }
    }

    #[test]
    fn a_quota_is_rounded_up() {
        for (text, count) in [
            ("100000 100000\n", 1),
            ("1000 100000\n", 1),
            ("250000 100000\n", 3),
            ("300000 100000\n", 3),
            ("30000 20000\n", 2),
            ("9900000 100000\n", OTHERWISE),
            ("max 100000\n", OTHERWISE),
            ("100000 0\n", OTHERWISE),
            ("100000\n", OTHERWISE),
            ("", OTHERWISE),
        ] {
            let file = ("/sys/fs/cgroup/user/job/cpu.max", text);
            assert_eq!(with(&[V2[0], V2[1], file]), count, "{text}");
        }
    }

    #[test]
    fn the_least_of_the_groups_above_counts() {
        let own = ("/sys/fs/cgroup/user/job/cpu.max", "400000 100000\n");
        let above = ("/sys/fs/cgroup/user/cpu.max", "max 100000\n");
        let top = ("/sys/fs/cgroup/cpu.max", "150000 100000\n");
        let other = ("/sys/fs/cgroup/other/cpu.max", "100000 100000\n");
        assert_eq!(with(&[V2[0], V2[1], own, above, other]), 4);
        assert_eq!(with(&[V2[0], V2[1], own, above, other, top]), 2);
    }

    #[test]
    fn the_first_version_has_two_files_and_a_tree_for_cpus() {
        let quota = |text| ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", text);
        let period = ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
        for (text, count) in [("350000\n", 4), ("-1\n", OTHERWISE), ("50000\n", 1)] {
            assert_eq!(with(&[V1[0], V1[1], quota(text), period]), count, "{text}");
        }
        let elsewhere = ("/sys/fs/cgroup/memory/cpu.cfs_quota_us", "100000\n");
        assert_eq!(with(&[V1[0], V1[1], elsewhere, period]), OTHERWISE);
    }

    #[test]
    fn the_variable_is_a_number_of_workers() {
        assert_eq!(parse("1"), Ok(1));
        assert_eq!(parse("1024"), Ok(MAX_WORKERS));
        for text in ["0", "1025", "-1", "4 ", "four", "99999999999999999999"] {
            assert_eq!(parse(text), Err(Error::InvalidWorkers(text.to_owned())));
        }
    }
}
