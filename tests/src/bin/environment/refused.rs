//! System calls that the kernel refuses.

use pool_core::Pool;
use pool_tests::proc;
use pool_tests::tasks::{add, echo, exit};

use crate::builder;
use crate::raw::{Call, holds_in_a_fork, refuse};

/// `MADV_WIPEONFORK`.
const WIPE_ON_FORK: u32 = 18;

fn call(name: &str) -> Call {
    let (number, argument) = match name {
        "clone3" => (libc::SYS_clone3, None),
        "close_range" => (libc::SYS_close_range, None),
        "epoll_create1" => (libc::SYS_epoll_create1, None),
        "epoll_ctl" => (libc::SYS_epoll_ctl, None),
        "epoll_pwait2" => (libc::SYS_epoll_pwait2, None),
        "eventfd2" => (libc::SYS_eventfd2, None),
        "F_ADD_SEALS" => (libc::SYS_fcntl, Some((1, libc::F_ADD_SEALS as u32))),
        "ftruncate" => (libc::SYS_ftruncate, None),
        "getrandom" => (libc::SYS_getrandom, None),
        "madvise" => (libc::SYS_madvise, None),
        "MADV_WIPEONFORK" => (libc::SYS_madvise, Some((2, WIPE_ON_FORK))),
        "memfd_create" => (libc::SYS_memfd_create, None),
        "pidfd_open" => (libc::SYS_pidfd_open, None),
        "pidfd_send_signal" => (libc::SYS_pidfd_send_signal, None),
        "prctl" => (libc::SYS_prctl, None),
        "sched_getaffinity" => (libc::SYS_sched_getaffinity, None),
        "sendmsg" => (libc::SYS_sendmsg, None),
        "shutdown" => (libc::SYS_shutdown, None),
        "socket" => (libc::SYS_socket, None),
        "socketpair" => (libc::SYS_socketpair, None),
        "statx" => (libc::SYS_statx, None),
        "umask" => (libc::SYS_umask, None),
        "waitid" => (libc::SYS_waitid, None),
        other => panic!("{other}"),
    };
    Call { number, argument }
}

/// Refuses a call before or after a pool is built, and says what comes of it.
pub(crate) fn refused(name: &str, errno: &str, when: &str) {
    let errno = match errno {
        "EPERM" => libc::EPERM,
        "ENOSYS" => libc::ENOSYS,
        other => panic!("{other}"),
    };
    let refuse = || refuse(&call(name), errno).unwrap();
    if when == "before" {
        refuse();
    }
    let pool = builder().workers(2).build();
    if when == "after" {
        refuse();
    }
    let said = match pool {
        Ok(pool) => use_it(pool),
        Err(error) => format!("error: {error}"),
    };
    println!("{said}");
    assert!(
        proc::children_of(std::process::id()).is_empty(),
        "a child is left"
    );
}

fn use_it(pool: Pool) -> String {
    for round in 0..10 {
        let error = pool.submit(exit::task(3)).join().unwrap_err();
        if error.is_rejected() {
            return error.to_string();
        }
        assert!(error.is_worker_lost(), "{error}");
        assert_eq!(error.exit_code(), Some(3), "{error}");
        match pool.submit(add::task(round, 1)).join() {
            Ok(sum) => assert_eq!(sum, round + 1),
            Err(error) => {
                assert!(error.is_rejected(), "{error}");
                return error.to_string();
            }
        }
    }
    let large = pool.submit(echo::task(vec![7; 1 << 20])).join().unwrap();
    assert_eq!(large.len(), 1 << 20);
    let late = pool_tests::tasks::nap::task(60_000);
    let late = pool_core::TaskExt::timeout(late, std::time::Duration::from_millis(20));
    assert!(pool.submit(late).join().unwrap_err().is_timeout());
    let is_rejected = holds_in_a_fork(|| {
        let submitted = pool.submit(add::task(1, 1)).join();
        submitted.is_err_and(|error| error.is_rejected())
    });
    assert!(is_rejected, "a fork uses the pool");
    drop(pool);
    "works".into()
}
