//! A worker as a child of this process: how its end is noticed, how it is killed, and how it is
//! reaped.
//!
//! A number names a process only until somebody has waited for it. That may be somebody else: the
//! kernel, where SIGCHLD is ignored, or another part of the program that waits for every child.
//! Then the number may be a stranger's. So the worker is named by a pidfd, which never means another
//! process, wherever the kernel has one; and its process group, for which there is only a number, is
//! killed only where that number is still the worker's.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::Child;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, kill_process_group,
    pidfd_send_signal, test_kill_process, waitid,
};

use super::descriptors;
use crate::error::task_error::Exit;

/// A process that this one has started and that nobody here has waited for.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    pid: Pid,
    hold: Hold,
}

/// What stands for the process.
#[derive(Debug)]
enum Hold {
    Pidfd(OwnedFd),
    /// The kernel does not give one: a thread waits for the end of the process, and then writes to
    /// the pipe of which this is the other end.
    Pipe(OwnedFd),
}

/// Whose the number of a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    /// The worker's: it runs, or nobody has waited for it.
    Ours,
    /// Somebody has waited for the worker.
    Given,
}

impl Worker {
    /// Takes hold of a process that was just started. Kills it if there is no way to learn of its
    /// end.
    pub(super) fn hold(mut child: Child) -> io::Result<Self> {
        let pid = Pid::from_child(&child);
        match hold(pid) {
            Ok(hold) => Ok(Self { child, pid, hold }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Can be read when the process has ended.
    pub(super) fn end(&self) -> BorrowedFd<'_> {
        match &self.hold {
            Hold::Pidfd(pidfd) => pidfd.as_fd(),
            Hold::Pipe(pipe) => pipe.as_fd(),
        }
    }

    /// The number of the process, which may be a stranger's once somebody has waited for it.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Kills the process and its process group; an error where this program may not.
    pub(super) fn kill(&self) -> Result<(), Errno> {
        let may_name_a_group = match self.number() {
            Number::Ours => true,
            // As long as the group has members no other process gets its number. If there is a
            // process of that number, it is a stranger, and so is its group.
            Number::Given => test_kill_process(self.pid) == Err(Errno::SRCH),
        };
        if may_name_a_group {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        // It may have left its group.
        let killed = match &self.hold {
            Hold::Pidfd(pidfd) => pidfd_send_signal(pidfd, Signal::KILL),
            Hold::Pipe(_) => Err(Errno::NOSYS),
        };
        match killed {
            Err(_) if self.number() == Number::Ours => kill_process(self.pid, Signal::KILL),
            // It is dead, or nothing names it any more.
            _ => Ok(()),
        }
    }

    fn number(&self) -> Number {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(self.wait_id(), options) {
            Err(Errno::CHILD) => Number::Given,
            _ => Number::Ours,
        }
    }

    fn wait_id(&self) -> WaitId<'_> {
        match &self.hold {
            Hold::Pidfd(pidfd) => WaitId::PidFd(pidfd.as_fd()),
            Hold::Pipe(_) => WaitId::Pid(self.pid),
        }
    }

    /// How the process ended, which is dead or dying.
    pub(super) fn reap(mut self) -> Exit {
        loop {
            return match waitid(self.wait_id(), WaitIdOptions::EXITED) {
                Ok(Some(status)) => exit(&status),
                Err(Errno::INTR) => continue,
                // Somebody else in this program has waited for it.
                Ok(None) | Err(Errno::CHILD) => Exit {
                    signal: None,
                    code: None,
                },
                // A kernel that does not wait for a pidfd.
                Err(_) => match self.child.wait() {
                    Ok(status) => Exit {
                        signal: status.signal(),
                        code: status.code(),
                    },
                    Err(_) => Exit {
                        signal: None,
                        code: None,
                    },
                },
            };
        }
    }
}

fn exit(status: &WaitIdStatus) -> Exit {
    Exit {
        signal: status.terminating_signal(),
        code: status.exit_status(),
    }
}

fn hold(pid: Pid) -> io::Result<Hold> {
    match descriptors::process(pid) {
        Ok(pidfd) => Ok(Hold::Pidfd(pidfd)),
        Err(error @ (Errno::SRCH | Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => {
            Err(descriptors::refused("pidfd_open", error))
        }
        // An old kernel, an emulator, or a seccomp profile.
        Err(_) => watch_in_a_thread(pid),
    }
}

fn watch_in_a_thread(pid: Pid) -> io::Result<Hold> {
    let [read, write] = descriptors::pipe()?;
    std::thread::Builder::new()
        .name("pool-wait".into())
        .spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
            // Not by the end of the pipe: a fork of this process has a copy of it.
            let _ = rustix::io::write(&write, &[1]);
        })?;
    Ok(Hold::Pipe(read))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    fn sleep() -> Child {
        let mut command = Command::new("sleep");
        command.arg("1000").process_group(0).spawn().expect("sleep")
    }

    fn wait_until_it_has_ended(worker: &Worker) {
        let mut end = [rustix::event::PollFd::from_borrowed_fd(
            worker.end(),
            rustix::event::PollFlags::IN,
        )];
        while rustix::event::poll(&mut end, None) == Err(Errno::INTR) {}
    }

    /// A worker without a pidfd, as where the kernel refuses them.
    fn without_pidfd() -> Worker {
        let child = sleep();
        let pid = Pid::from_child(&child);
        let hold = watch_in_a_thread(pid).expect("a thread");
        Worker { child, pid, hold }
    }

    #[test]
    fn the_end_of_a_worker_is_seen_with_and_without_a_pidfd() {
        for worker in [Worker::hold(sleep()).expect("held"), without_pidfd()] {
            worker.kill().unwrap();
            wait_until_it_has_ended(&worker);
            assert_eq!(worker.number(), Number::Ours);
            let exit = worker.reap();
            assert_eq!((exit.signal, exit.code), (Some(9), None));
        }
    }

    #[test]
    fn a_worker_that_somebody_else_has_reaped_has_no_exit_and_is_not_waited_for() {
        for worker in [Worker::hold(sleep()).expect("held"), without_pidfd()] {
            worker.kill().unwrap();
            wait_until_it_has_ended(&worker);
            let reaped = waitid(WaitId::Pid(worker.pid), WaitIdOptions::EXITED);
            assert!(reaped.expect("a zombie").is_some());
            assert_eq!(worker.number(), Number::Given);
            worker.kill().unwrap();
            let exit = worker.reap();
            assert_eq!((exit.signal, exit.code), (None, None));
        }
    }

    /// What a worker has started goes with it, also when somebody else has waited for the worker.
    #[test]
    fn the_group_of_a_reaped_worker_is_killed() {
        let worker = Worker::hold(sleep()).expect("held");
        let mut member = Command::new("sleep");
        let group = worker.id().try_into().expect("a number");
        let mut member = member
            .arg("1000")
            .process_group(group)
            .spawn()
            .expect("sleep");
        let _ = kill_process(worker.pid, Signal::KILL);
        wait_until_it_has_ended(&worker);
        assert!(waitid(WaitId::Pid(worker.pid), WaitIdOptions::EXITED).is_ok());
        worker.kill().unwrap();
        let status = member.wait().expect("a child");
        assert_eq!(status.signal(), Some(9));
        worker.reap();
    }

    /// In a namespace of its own, where the next number can be chosen.
    #[test]
    fn a_stranger_that_gets_the_number_of_a_worker_lives() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("NOT TESTED: only root can");
            return;
        }
        if std::process::id() == 1 {
            inside_of_a_namespace();
            return;
        }
        let inner =
            "engine::process::child::tests::a_stranger_that_gets_the_number_of_a_worker_lives";
        let mut command = Command::new("unshare");
        command.args(["-p", "-f", "--mount-proc"]);
        command.arg(std::env::current_exe().expect("this program"));
        let ended = command.args(["--exact", inner]).output();
        let ended = ended.expect("unshare");
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && said.contains("1 passed"),
            "{ended:?}"
        );
    }

    fn inside_of_a_namespace() {
        let worker = Worker::hold(sleep()).expect("held");
        let _ = kill_process(worker.pid, Signal::KILL);
        wait_until_it_has_ended(&worker);
        assert!(waitid(WaitId::Pid(worker.pid), WaitIdOptions::EXITED).is_ok());
        // The next process gets the number after this one.
        let before = (worker.id() - 1).to_string();
        std::fs::write("/proc/sys/kernel/ns_last_pid", before).expect("written");
        let mut stranger = sleep();
        assert_eq!(stranger.id(), worker.id());
        worker.kill().unwrap();
        let exit = worker.reap();
        assert_eq!((exit.signal, exit.code), (None, None));
        // It is neither killed nor reaped.
        assert_eq!(stranger.try_wait().expect("a child"), None);
        stranger.kill().expect("killed");
        let status = stranger.wait().expect("a child");
        assert_eq!(status.signal(), Some(9));
    }
}
