//! How many workers a pool has by itself.

use pool_core::{Backend, Pool, pool_task};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

fn processes(workers: usize) -> Pool {
    Pool::builder()
        .backend(Backend::Processes)
        .workers(workers)
        .build()
        .unwrap()
}

/// How many workers a pool on threads has here, and how many one in a worker of a pool here.
#[pool_task]
fn default_workers(pools: &[usize]) -> Vec<usize> {
    let mut all = vec![Pool::threads().unwrap().workers()];
    if let [workers, inner @ ..] = pools {
        let inside = processes(*workers).submit(default_workers::task(inner));
        all.extend(inside.join().unwrap());
    }
    all
}

/// Says how many workers pools have by themselves: here, in a worker of a pool of four, and in a
/// worker of a pool of two in that.
pub(crate) fn workers() {
    match Pool::processes() {
        Ok(pool) => println!("{} {:?}", pool.workers(), default_workers(&[4, 2])),
        Err(error) => println!("{error}"),
    }
}

/// Says the same for each number of CPUs that it is allowed, and where its only worker is.
pub(crate) fn affinity() {
    let all = sched_getaffinity(None).unwrap();
    let mut some = CpuSet::new();
    for cpu in (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)) {
        some.set(cpu);
        sched_setaffinity(None, &some).unwrap();
        println!(
            "{} {} {:?}",
            some.count(),
            Pool::threads().unwrap().workers(),
            default_workers(&[1])
        );
    }
}
