//! What only the C library can do.

use std::io;

/// Closes the standard streams.
pub(crate) fn close_streams() {
    for fd in 0..3 {
        // SAFETY: the standard streams belong to nobody, and this program's main thread is the only
        // one that uses them.
        unsafe { libc::close(fd) };
    }
}

/// Sets a variable in the environment of this program.
pub(crate) fn set_variable(name: &str, value: &str) {
    // SAFETY: no other thread of this program reads the environment by the C library.
    unsafe { std::env::set_var(name, value) };
}

/// Whether this holds in a fork of this process.
pub(crate) fn holds_in_a_fork(holds: impl FnOnce() -> bool) -> bool {
    // SAFETY: what the child does with memory and locks is what the test is about. The C library
    // keeps its allocator usable.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", io::Error::last_os_error());
    if pid == 0 {
        let code = i32::from(!holds());
        // SAFETY: ends the process.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is there for as long as the call.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid);
    status == 0
}

/// A system call, and which value of which argument is meant, if not all are.
pub(crate) struct Call {
    pub(crate) number: libc::c_long,
    pub(crate) argument: Option<(u32, u32)>,
}

/// From now on the kernel refuses a system call to every thread of this process and to whatever
/// they start, with this error.
pub(crate) fn refuse(call: &Call, errno: i32) -> io::Result<()> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IF: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, otherwise, k| libc::sock_filter {
        code,
        jt: 0,
        jf: otherwise,
        k,
    };
    let number = u32::try_from(call.number).unwrap();
    let mut steps = Vec::new();
    if let Some((index, value)) = call.argument {
        // `seccomp_data`: the number, the architecture, the instruction, the arguments.
        steps.push(step(LOAD, 0, 0));
        steps.push(step(IF, 3, number));
        steps.push(step(LOAD, 0, 16 + 8 * index));
        steps.push(step(IF, 1, value));
    } else {
        steps.push(step(LOAD, 0, 0));
        steps.push(step(IF, 1, number));
    }
    steps.push(step(RETURN, 0, libc::SECCOMP_RET_ERRNO | errno as u32));
    steps.push(step(RETURN, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: it only takes rights away.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the program lives until the call returns, and the kernel checks it.
    let set = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
            &raw const program,
        )
    };
    match set {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
