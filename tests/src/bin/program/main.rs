//! A program with a door, for tests that need a `main` of their own. What it does is its first
//! argument.

#![allow(clippy::unwrap_used)] // A failed `unwrap` is a failed test.

mod busy_forks;
mod cpus;
mod ends;
mod forks;
mod globals;
mod interrupts;
mod jobs;
// Signals, and hiding `/proc`.
#[allow(unsafe_code)]
mod limits;
mod outputs;
// Handlers, and forks.
#[allow(unsafe_code)]
mod raw;
mod slow;
mod stacks;
mod streams;
mod stuck;

#[pool_core::main]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["backend"] => globals::backend(),
        ["globals"] => globals::globals(),
        ["drain", folder] => globals::drain(folder),
        ["drain chain", folder] => globals::drain_chain(folder),
        ["streams", backend] => streams::streams(backend),
        ["relayed"] => streams::relayed(),
        ["arguments", ..] => streams::arguments(),
        ["parent", folder, end] => ends::parent(folder, end, false),
        ["parent with programs", folder, end] => ends::parent(folder, end, true),
        ["limits", resource, limit] => limits::limits(resource, limit),
        ["address space"] => limits::address_space(),
        ["oversized result"] => limits::oversized_result(),
        ["no proc"] => limits::no_proc(),
        ["no proc later"] => limits::no_proc_later(),
        ["children are not waited for"] => limits::children_are_not_waited_for(),
        ["somebody else waits"] => limits::somebody_else_waits(),
        ["deleted", path] => ends::deleted(path),
        ["slow drop", backend, folder] => slow::drop_slowly(backend, true, folder),
        ["slow quiet drop", backend, folder] => slow::drop_slowly(backend, false, folder),
        ["stack", backend, mib] => stacks::uses(backend, mib),
        ["stuck"] => stuck::stuck(),
        ["calm"] => stuck::calm(),
        ["many handles"] => limits::many_handles(),
        ["interrupted", backend, grace, folder] => {
            interrupts::interrupted(backend, grace, false, folder);
        }
        ["interrupted for ever", backend, grace, folder] => {
            interrupts::interrupted(backend, grace, true, folder);
        }
        ["interrupted map", backend] => interrupts::endless(backend),
        ["interrupted and goes on", backend] => interrupts::goes_on(backend),
        ["interrupt guard dropped"] => interrupts::guard_dropped(),
        ["interrupted without its pool"] => interrupts::pool_dropped(),
        ["interrupted with a handler"] => interrupts::own_handler(),
        ["interrupts ignored"] => interrupts::ignored(),
        ["workers"] => cpus::workers(),
        ["affinity"] => cpus::affinity(),
        ["forks", backend, what, folder] => forks::forks(backend, what, folder),
        ["forks of a busy pool", backend, rounds] => {
            busy_forks::of_a_busy_pool(backend, false, rounds);
        }
        ["forks of a busy bounded pool", backend, rounds] => {
            busy_forks::of_a_busy_pool(backend, true, rounds);
        }
        ["forks of a quiet pool", backend] => busy_forks::of_a_quiet_pool(backend),
        ["forks of a task", backend] => busy_forks::of_a_task(backend),
        ["busy with forks", folder] => forks::busy_with_forks(folder),
        ["output unread", end] => outputs::unread(end),
        ["output while locked", lines] => outputs::locked(lines),
        ["output that does not block"] => outputs::nonblocking(),
        ["output unreadable"] => outputs::unreadable(),
        ["terminal", path] => jobs::terminal(path),
        ["replaced", tasks] => jobs::replaced(tasks),
        ["stopped", folder] => jobs::stopped(folder),
        ["limited", backend] => jobs::limited(backend),
        ["unparked", backend] => jobs::unparked(backend),
        ["privileges"] => limits::privileges(),
        _ => panic!("{arguments:?}"),
    }
}
