//! The list: every statement, what its test needs, or why it has none.

use super::{Need, Statement, Verdict};

/// Hands the list of the [conformance](crate::conformance) suite to a macro of yours, which can
/// make a test of each statement.
///
/// The macro gets the parts of the list one after the other: the name of the part, its title, and
/// in braces the statements, each with a name, its id, what it needs in brackets, and its sentence.
/// In the place of the needs there is `later "reason"` or `never "reason"` for those without a
/// test, and `all` for those that need nothing.
///
/// ```
/// macro_rules! count {
///     ($($part:ident $title:literal {
///         $($name:ident $id:literal $needs:tt $says:literal;)+
///     })+) => {
///         [$($($id),+),+].len()
///     };
/// }
/// let count = pool_core::conformance_statements!(count);
/// assert_eq!(count, pool_core::conformance::statements().len());
/// ```
#[macro_export]
macro_rules! conformance_statements {
    ($($then:tt)+) => { $($then)+! {

submit "Submitting, and basic results" {
    sub_1 "SUB-1" [all]
        "A task returns what a direct call of its function returns.";
    sub_2 "SUB-2" [all]
        "Arguments of any name arrive, also those named as something of the interface is.";
    sub_3 "SUB-3" [all]
        "No workers, or more than the limit, are a typed error when the pool is built.";
    sub_4 "SUB-4" [queue]
        "A pool has as many workers as the process may use CPUs by its affinity mask, and at least \
         one, unless it is told a number.";
    sub_5 "SUB-5" [all]
        "A pool that was shut down or killed rejects what is submitted, and says why, at once.";
    sub_6 "SUB-6" [worker_exe]
        "A broken pool rejects what is submitted at once, with the cause that broke it.";
    sub_7 "SUB-7" [program]
        "A task that is submitted while its thread or its program ends holds up neither.";
    sub_8 "SUB-8" [all]
        "Ten threads that map, submit and cancel on one pool all get what is theirs.";
    sub_11 "SUB-11" [all]
        "A result that was handed out is not kept by its handle, its map or the pool.";
    sub_12 "SUB-12" [never "a pool asks for no limits; the one number that it asks for, that of \
        the CPUs, counts as one where the system refuses it"]
        "A system that refuses to tell its limits does not keep a pool from being built.";
    sub_13 "SUB-13" [all room]
        "An argument and a result of more than 2 GiB arrive whole, where the machine has room.";
    sub_14 "SUB-14" [queue]
        "With fifteen times as many tasks as workers, as many run as there are workers, and there \
         are no more workers than asked for.";
    sub_16 "SUB-16" [queue]
        "Tasks one after the other are run by the workers that there are; none is added.";
}

future "Handles" {
    fut_1 "FUT-1" [queue]
        "Cancelling says yes for a task without an outcome, queued or running, and no ever after; \
         an outcome that is there stays.";
    fut_2 "FUT-2" [near queue]
        "A handle tells queued, running, finished, failed and cancelled tasks apart.";
    fut_3 "FUT-3" [queue]
        "Asked without waiting, a handle says nothing of a queued or running task, and the outcome \
         of one that is done, failed or cancelled.";
    fut_4 "FUT-4" [queue]
        "Who waits for a task is woken by its result, its failure, and its cancelling.";
    fut_5 "FUT-5" [queue]
        "The first outcome stays: a task that returns after it was cancelled or timed out changes \
         nothing.";
    fut_6 "FUT-6" [all]
        "Callbacks find a result, an error and a cancelled task, and run in the order added.";
    fut_7 "FUT-7" [all]
        "A callback that is added to a task with an outcome runs at once.";
    fut_8 "FUT-8" [all]
        "A callback that panics keeps neither later callbacks nor the pool from going on.";
    fut_9 "FUT-9" [queue]
        "The debug text of a handle names the task and says whether it is queued, running or \
         finished.";
    fut_11 "FUT-11" [all]
        "Handles of different pools and foreign futures are awaited together, by an executor that \
         knows none of them.";
    fut_12 "FUT-12" [all]
        "Callbacks may submit: three chains of 100, 50 and 60 tasks, each submitted by the end of \
         the one before, come to their end in order.";
    fut_14 "FUT-14" [never "handles are not chained: a callback submits what comes next (FUT-12), \
        or an `async` block awaits one handle after the other"]
        "Chained handles pass results, errors and cancelling on, and a cycle is found.";
    fut_15 "FUT-15" [all]
        "A callback may wait for other tasks of its pool, and shut the pool down.";
}

map "Maps" {
    map_1 "MAP-1" [all]
        "A map returns what a loop of calls returns, whatever the size of its chunks.";
    map_2 "MAP-2" [all]
        "An element that fails is an error at its place, after the results before it.";
    map_3 "MAP-3" [never "a map has no deadline of its own: its tasks have theirs (MAP-9, MAP-14), \
        and dropping the map cancels what is left (MAP-10)"]
        "A map whose time is up returns what is done, and cancels the rest.";
    map_4 "MAP-4" [all]
        "A map is lazy: before the first result is asked for it reads and runs nothing.";
    map_5 "MAP-5" [queue]
        "A map with a window of b has b tasks in flight, as far as there are so many, and never \
         one more; a window of 0 counts as 1.";
    map_7 "MAP-7" [all]
        "A map of nothing is empty, one of one has one result, and one of several inputs ends with \
         the shortest.";
    map_8 "MAP-8" [all]
        "A map goes on after an error.";
    map_9 "MAP-9" [queue]
        "A deadline counts for each task of a chunk: with time enough all pass, and with too \
         little each one is late by itself.";
    map_10 "MAP-10" [near queue]
        "A map that is dropped half-way starts nothing of what was queued.";
    map_11 "MAP-11" [later "needs `Map::unordered`"]
        "An unordered map returns the fastest first.";
    map_13 "MAP-13" [queue]
        "A map keeps its order with the slowest task first, with fewer, as many and more workers \
         than tasks, with a consumer that pauses or stops, and beside its input when tasks fail.";
    map_14 "MAP-14" [queue]
        "A task of a map that runs past its deadline is an error beside its own input, and the \
         others go on.";
    map_15 "MAP-15" [all]
        "All tasks of a map run although the first one fails.";
    map_16 "MAP-16" [all]
        "A map does not keep the arguments of tasks that have run.";
    map_17 "MAP-17" [queue]
        "After many short tasks, which go together, a long one holds up none of its neighbours.";
    map_19 "MAP-19" [near all]
        "One worker runs tasks in the order in which they were submitted, also those of a map with \
         chunks of one.";
}

wait "Waiting for several" {
    asc_1 "ASC-1" [later "needs `as_completed`"]
        "Handles come as they are finished, each once, and those that were finished before too.";
    asc_2 "ASC-2" [later "needs `as_completed`"]
        "When the time is up, what is finished was returned, and the rest is counted.";
    asc_3 "ASC-3" [later "needs `as_completed`"]
        "Handles come from any iterator.";
    wait_1 "WAIT-1" [later "needs `wait`"]
        "Waiting for the first returns with one finished, at once if one was.";
    wait_2 "WAIT-2" [later "needs `wait`"]
        "Waiting for the first error returns with it, or with all finished.";
    wait_3 "WAIT-3" [later "needs `wait`"]
        "Waiting for all returns with all finished, or with those that are when the time is up.";
    wait_5 "WAIT-5" [later "needs `wait`"]
        "A race says which of several resolved first, and of none that there is none.";
}

shutdown "The end of a pool" {
    shut_1 "SHUT-1" [all]
        "A shutdown with fifty tasks queued waits until all are done.";
    shut_2 "SHUT-2" [queue]
        "A shutdown that cancels what is queued lets the running tasks finish, and leaves no handle \
         without an outcome.";
    shut_4 "SHUT-4" [all]
        "Dropping a pool ends every worker; a map that is not at its end goes on without the \
         pool's name.";
    shut_5 "SHUT-5" [queue]
        "Dropping a pool with tasks whose handles were dropped runs them all, and then the workers \
         are gone.";
    shut_6 "SHUT-6" [isolation]
        "A worker that dies after its pool was dropped is reported to the handle, and none is left.";
    shut_8 "SHUT-8" [all]
        "A shutdown right after a map of more tasks than a worker's queue holds loses none.";
    shut_9 "SHUT-9" [isolation]
        "A shutdown while a worker dies returns, and the handle gets the death.";
    shut_10 "SHUT-10" [codec]
        "What cannot be sent, submitted just before a shutdown, resolves with that error, and no \
         worker is left.";
    shut_11 "SHUT-11" [program]
        "A program that ends with tasks in its pool runs them all, ends well, and prints nothing of \
         its own.";
    shut_12 "SHUT-12" [queue]
        "A kill ends five busy workers, and every handle without an outcome is cancelled.";
    shut_13 "SHUT-13" [queue]
        "A kill of a pool that did nothing yet, or was killed before, does nothing more; a killed \
         task does not go on, and nothing is taken afterwards.";
    shut_15 "SHUT-15" [stop isolation]
        "A kill reaches what workers have started: pools three deep, and other programs.";
    shut_16 "SHUT-16" [isolation program]
        "No worker survives a program that is killed by SIGKILL.";
    shut_17 "SHUT-17" [never "a pool makes no thread as it ends; one that cannot be made at the \
        start is an error of `build` (`tests/it/programs.rs`)"]
        "A thread that cannot be made while the program ends breaks the pool, and nothing hangs.";
    shut_19 "SHUT-19" [queue]
        "Waiting for a long task for a limited time gives up, and the task goes on; a shutdown whose \
         time is up kills it.";
    shut_20 "SHUT-20" [queue]
        "A shutdown runs what is queued and a kill does not, also when a callback calls it.";
    shut_21 "SHUT-21" [all]
        "A second shutdown does nothing more, and so does a kill after it.";
}

life "Initializers, and the life of workers" {
    life_1 "LIFE-1" [all]
        "The initializer ran in every worker before any task of it.";
    life_2 "LIFE-2" [all]
        "An initializer that fails breaks the pool: what is pending and what comes is rejected with \
         its error, and nothing is left behind.";
    life_3 "LIFE-3" [stop]
        "The initializer has a deadline of its own.";
    life_4 "LIFE-4" [worker_exe]
        "A worker with a limit of three tasks runs three, and the fourth runs in a new one.";
    life_6 "LIFE-6" [worker_exe]
        "With such a limit a shutdown runs all, and no handle is left without an outcome.";
    life_7 "LIFE-7" [worker_exe isolation]
        "A worker that cannot be replaced breaks the pool when no other is left.";
    life_8 "LIFE-8" [worker_exe]
        "A limit of one task, tasks that fail and a shutdown hang together on nothing.";
    life_11 "LIFE-11" [isolation]
        "A worker that is killed right after a resize costs its task only.";
    life_13 "LIFE-13" [worker_exe isolation]
        "What the pool sets in the environment of workers replaces what they inherit, before any \
         code of the user runs.";
    life_14 "LIFE-14" [queue]
        "Options that change while a task runs make a new pool, and the old one can be killed.";
    life_15 "LIFE-15" [local program]
        "The global pool of a backend is made once, whoever asks for it, and never seen shut down.";
    life_16 "LIFE-16" [queue]
        "Workers that start at different speeds lose no task.";
    life_17 "LIFE-17" [worker_exe isolation]
        "Starts that fail in between cost no task; too many in a row are an error.";
    life_18 "LIFE-18" [stop isolation]
        "A deadline ends an initializer that hangs.";
}

crash "Crashes, kills and races" {
    cr_1 "CR-1" [isolation]
        "A worker that is killed from outside is named with its number and the signal.";
    cr_2 "CR-2" [isolation]
        "Every task that a death takes along has an error of its own.";
    cr_3 "CR-3" [isolation]
        "Exits with 0 and 42, a segfault and an abort are told apart.";
    cr_5 "CR-5" [isolation]
        "A worker that is killed while it is idle costs no task.";
    cr_7 "CR-7" [isolation codec]
        "A worker that dies while it reads a task or writes a result costs that task only.";
    cr_8 "CR-8" [isolation]
        "The error of a lost worker has its number and its exit code.";
    cr_10 "CR-10" [queue]
        "Submitting does not wait for a worker that does not look.";
    cr_11 "CR-11" [codec]
        "An error of decoding says which task it is, whether its arguments or its result, and that \
         the type refused them, or how it panicked.";
    cr_12 "CR-12" [codec]
        "An error value that cannot be sent is a readable error of that task only.";
    cr_13 "CR-13" [all]
        "The error of a panic names the file and the line, also under a hook of the program.";
    cr_14 "CR-14" [isolation program]
        "What a worker says as it panics or as its stack overflows arrives on standard error, unless \
         that is switched off.";
    cr_15 "CR-15" [isolation]
        "Dead children that nobody has waited for hold up nothing.";
    cr_16 "CR-16" [stop isolation]
        "A task past its deadline is late, and its worker is another one afterwards; many at once \
         are late together.";
    cr_17 "CR-17" [stop isolation]
        "Cancelling a running task replaces its worker, and cancelling a queued one kills nobody.";
    cr_18 "CR-18" [stop isolation]
        "A task that ignores SIGTERM is killed.";
    cr_20 "CR-20" [isolation]
        "A task that kills its workers fails after three, and the others come to their end.";
    cr_22 "CR-22" [all]
        "A task that runs again knows which attempt it is.";
}

faults "The matrix of faults" {
    fault_args_error "FAULT-ARGS-ERROR" [codec]
        "An error of arguments as they are written is an error of that task only.";
    fault_args_panic "FAULT-ARGS-PANIC" [codec]
        "A panic of arguments as they are written is an error of that task only.";
    fault_args_exit "FAULT-ARGS-EXIT" [codec program]
        "An exit in arguments as they are written ends the program, and leaves no worker.";
    fault_args_read_error "FAULT-ARGS-READ-ERROR" [codec]
        "An error in arguments as a worker reads them is an error of that task only.";
    fault_args_read_panic "FAULT-ARGS-READ-PANIC" [codec]
        "A panic in arguments as a worker reads them is an error of that task, and its worker \
         lives.";
    fault_args_read_second_panic "FAULT-ARGS-READ-SECOND-PANIC" [codec isolation]
        "A panic in a destructor during a panic in arguments as a worker reads them costs that \
         task and its worker, and says how it ended.";
    fault_args_read_exit_0 "FAULT-ARGS-READ-EXIT-0" [codec isolation]
        "An exit with code 0 in arguments as a worker reads them costs that task and its worker, \
         and says how it ended.";
    fault_args_read_exit_42 "FAULT-ARGS-READ-EXIT-42" [codec isolation]
        "An exit with code 42 in arguments as a worker reads them costs that task and its \
         worker, and says how it ended.";
    fault_args_read_exec "FAULT-ARGS-READ-EXEC" [codec isolation]
        "Becoming another program in arguments as a worker reads them costs that task and its \
         worker, and says how it ended.";
    fault_args_read_abort "FAULT-ARGS-READ-ABORT" [codec isolation]
        "An abort in arguments as a worker reads them costs that task and its worker, and says \
         how it ended.";
    fault_args_read_segv "FAULT-ARGS-READ-SEGV" [codec isolation]
        "A segfault in arguments as a worker reads them costs that task and its worker, and says \
         how it ended.";
    fault_args_read_overflow "FAULT-ARGS-READ-OVERFLOW" [codec isolation]
        "A stack overflow in arguments as a worker reads them costs that task and its worker, \
         and says how it ended.";
    fault_args_read_kill "FAULT-ARGS-READ-KILL" [codec isolation]
        "A SIGKILL in arguments as a worker reads them costs that task and its worker, and says \
         how it ended.";
    fault_args_read_hang "FAULT-ARGS-READ-HANG" [codec stop isolation]
        "A hang in arguments as a worker reads them ends at the deadline, with its worker.";
    fault_body_error "FAULT-BODY-ERROR" [all]
        "An error of the function is its result.";
    fault_body_panic "FAULT-BODY-PANIC" [all]
        "A panic in the function is an error of that task, and its worker lives.";
    fault_body_second_panic "FAULT-BODY-SECOND-PANIC" [isolation]
        "A panic in a destructor during a panic in the function costs that task and its worker, \
         and says how it ended.";
    fault_body_exit_0 "FAULT-BODY-EXIT-0" [isolation]
        "An exit with code 0 in the function costs that task and its worker, and says how it \
         ended.";
    fault_body_exit_42 "FAULT-BODY-EXIT-42" [isolation]
        "An exit with code 42 in the function costs that task and its worker, and says how it \
         ended.";
    fault_body_exec "FAULT-BODY-EXEC" [isolation]
        "Becoming another program in the function costs that task and its worker, and says how \
         it ended.";
    fault_body_abort "FAULT-BODY-ABORT" [isolation]
        "An abort in the function costs that task and its worker, and says how it ended.";
    fault_body_segv "FAULT-BODY-SEGV" [isolation]
        "A segfault in the function costs that task and its worker, and says how it ended.";
    fault_body_overflow "FAULT-BODY-OVERFLOW" [isolation]
        "A stack overflow in the function costs that task and its worker, and says how it ended.";
    fault_body_kill "FAULT-BODY-KILL" [isolation]
        "A SIGKILL in the function costs that task and its worker, and says how it ended.";
    fault_body_hang "FAULT-BODY-HANG" [stop isolation]
        "A hang in the function ends at the deadline, with its worker.";
    fault_body_close "FAULT-BODY-CLOSE" [stop isolation]
        "A task that closes all descriptors of its worker costs itself only.";
    fault_body_exec_hang "FAULT-BODY-EXEC-HANG" [isolation]
        "A task that becomes a program that does not end loses its worker.";
    fault_body_noise "FAULT-BODY-NOISE" [isolation]
        "Nonsense on the sockets of a worker costs at most its task.";
    fault_body_scribble "FAULT-BODY-SCRIBBLE" [isolation]
        "Nonsense in the memory that a worker shares harms no other pool, and a kill ends it.";
    fault_body_stop "FAULT-BODY-STOP" [stop isolation]
        "A task that stops its process ends at its deadline, and at a kill of the pool.";
    fault_body_memory "FAULT-BODY-MEMORY" [worker_exe]
        "A task that takes memory without end is stopped at the limit.";
    fault_body_flood "FAULT-BODY-FLOOD" [program]
        "A flood of output arrives whole, and holds up nothing.";
    fault_body_spawn "FAULT-BODY-SPAWN" [isolation]
        "A program that a task leaves behind ends with its worker.";
    fault_body_fork "FAULT-BODY-FORK" [never "a fork takes unsafe code, which is not in this crate's \
        tests: `tests/it/behaviour/crash.rs` has it"]
        "A process that a task forks ends with its worker.";
    fault_drop_panic "FAULT-DROP-PANIC" [all]
        "A panic in the destructor of an argument is an error of that task, and its worker \
         lives.";
    fault_drop_second_panic "FAULT-DROP-SECOND-PANIC" [isolation]
        "A panic in a destructor during a panic in the destructor of an argument costs that task \
         and its worker, and says how it ended.";
    fault_drop_exit_0 "FAULT-DROP-EXIT-0" [isolation]
        "An exit with code 0 in the destructor of an argument costs that task and its worker, \
         and says how it ended.";
    fault_drop_exit_42 "FAULT-DROP-EXIT-42" [isolation]
        "An exit with code 42 in the destructor of an argument costs that task and its worker, \
         and says how it ended.";
    fault_drop_exec "FAULT-DROP-EXEC" [isolation]
        "Becoming another program in the destructor of an argument costs that task and its \
         worker, and says how it ended.";
    fault_drop_abort "FAULT-DROP-ABORT" [isolation]
        "An abort in the destructor of an argument costs that task and its worker, and says how \
         it ended.";
    fault_drop_segv "FAULT-DROP-SEGV" [isolation]
        "A segfault in the destructor of an argument costs that task and its worker, and says \
         how it ended.";
    fault_drop_overflow "FAULT-DROP-OVERFLOW" [isolation]
        "A stack overflow in the destructor of an argument costs that task and its worker, and \
         says how it ended.";
    fault_drop_kill "FAULT-DROP-KILL" [isolation]
        "A SIGKILL in the destructor of an argument costs that task and its worker, and says how \
         it ended.";
    fault_drop_hang "FAULT-DROP-HANG" [stop isolation]
        "A hang in the destructor of an argument ends at the deadline, with its worker.";
    fault_result_error "FAULT-RESULT-ERROR" [codec]
        "An error in a result as a worker writes it is an error of that task only.";
    fault_result_panic "FAULT-RESULT-PANIC" [codec]
        "A panic in a result as a worker writes it is an error of that task, and its worker \
         lives.";
    fault_result_second_panic "FAULT-RESULT-SECOND-PANIC" [codec isolation]
        "A panic in a destructor during a panic in a result as a worker writes it costs that \
         task and its worker, and says how it ended.";
    fault_result_exit_0 "FAULT-RESULT-EXIT-0" [codec isolation]
        "An exit with code 0 in a result as a worker writes it costs that task and its worker, \
         and says how it ended.";
    fault_result_exit_42 "FAULT-RESULT-EXIT-42" [codec isolation]
        "An exit with code 42 in a result as a worker writes it costs that task and its worker, \
         and says how it ended.";
    fault_result_exec "FAULT-RESULT-EXEC" [codec isolation]
        "Becoming another program in a result as a worker writes it costs that task and its \
         worker, and says how it ended.";
    fault_result_abort "FAULT-RESULT-ABORT" [codec isolation]
        "An abort in a result as a worker writes it costs that task and its worker, and says how \
         it ended.";
    fault_result_segv "FAULT-RESULT-SEGV" [codec isolation]
        "A segfault in a result as a worker writes it costs that task and its worker, and says \
         how it ended.";
    fault_result_overflow "FAULT-RESULT-OVERFLOW" [codec isolation]
        "A stack overflow in a result as a worker writes it costs that task and its worker, and \
         says how it ended.";
    fault_result_kill "FAULT-RESULT-KILL" [codec isolation]
        "A SIGKILL in a result as a worker writes it costs that task and its worker, and says \
         how it ended.";
    fault_result_hang "FAULT-RESULT-HANG" [codec stop isolation]
        "A hang in a result as a worker writes it ends at the deadline, with its worker.";
    fault_result_read_error "FAULT-RESULT-READ-ERROR" [codec]
        "An error of a result as it is read is an error of that task only.";
    fault_result_read_panic "FAULT-RESULT-READ-PANIC" [codec]
        "A panic of a result as it is read is an error of that task only.";
    fault_result_read_exit "FAULT-RESULT-READ-EXIT" [codec program]
        "An exit in a result as it is read ends the program, and leaves no worker.";
    fault_init_error "FAULT-INIT-ERROR" [all]
        "An error of the initializer breaks the pool, which says it.";
    fault_init_panic "FAULT-INIT-PANIC" [all]
        "A panic of the initializer breaks the pool, which says it.";
    fault_init_second_panic "FAULT-INIT-SECOND-PANIC" [isolation]
        "A panic in a destructor during a panic in every initializer breaks the pool or keeps it \
         from being built, and the error says it.";
    fault_init_exit_0 "FAULT-INIT-EXIT-0" [isolation]
        "An exit with code 0 in every initializer breaks the pool or keeps it from being built, \
         and the error says it.";
    fault_init_exit_42 "FAULT-INIT-EXIT-42" [isolation]
        "An exit with code 42 in every initializer breaks the pool or keeps it from being built, \
         and the error says it.";
    fault_init_exec "FAULT-INIT-EXEC" [isolation]
        "Becoming another program in every initializer breaks the pool or keeps it from being \
         built, and the error says it.";
    fault_init_abort "FAULT-INIT-ABORT" [isolation]
        "An abort in every initializer breaks the pool or keeps it from being built, and the \
         error says it.";
    fault_init_segv "FAULT-INIT-SEGV" [isolation]
        "A segfault in every initializer breaks the pool or keeps it from being built, and the \
         error says it.";
    fault_init_overflow "FAULT-INIT-OVERFLOW" [isolation]
        "A stack overflow in every initializer breaks the pool or keeps it from being built, and \
         the error says it.";
    fault_init_kill "FAULT-INIT-KILL" [isolation]
        "A SIGKILL in every initializer breaks the pool or keeps it from being built, and the \
         error says it.";
    fault_init_hang "FAULT-INIT-HANG" [stop isolation]
        "An initializer that hangs breaks the pool at its deadline.";
    fault_start_exec "FAULT-START-EXEC" [worker_exe]
        "A worker program that is not there is a typed error.";
    fault_start_exit_0 "FAULT-START-EXIT-0" [worker_exe]
        "A worker program that ends well at once is a typed error, and none is left.";
    fault_start_exit_42 "FAULT-START-EXIT-42" [worker_exe]
        "A worker program that exits is a typed error that has the code, and none is left.";
    fault_start_kill "FAULT-START-KILL" [worker_exe]
        "A worker program that is killed is a typed error that has the signal, and none is left.";
    fault_start_hang "FAULT-START-HANG" [worker_exe]
        "A worker program that says nothing is a typed error, and none is left.";
    fault_start_noise "FAULT-START-NOISE" [worker_exe]
        "A worker program that talks nonsense is a typed error, and none is left.";
    fault_idle_panic "FAULT-IDLE-PANIC" [isolation]
        "A panic of a thread in an idle worker is that thread's.";
    fault_idle_exit_0 "FAULT-IDLE-EXIT-0" [isolation]
        "An exit with code 0 in an idle worker costs no task.";
    fault_idle_exit_42 "FAULT-IDLE-EXIT-42" [isolation]
        "An exit with code 42 in an idle worker costs no task.";
    fault_idle_abort "FAULT-IDLE-ABORT" [isolation]
        "An abort in an idle worker costs no task.";
    fault_idle_segv "FAULT-IDLE-SEGV" [isolation]
        "A segfault in an idle worker costs no task.";
    fault_idle_overflow "FAULT-IDLE-OVERFLOW" [isolation]
        "A stack overflow in an idle worker costs no task.";
    fault_idle_kill "FAULT-IDLE-KILL" [isolation]
        "A SIGKILL in an idle worker costs no task.";
    fault_frame_kill "FAULT-FRAME-KILL" [isolation codec]
        "A worker that is killed while its arguments are written costs no task.";
    fault_shutdown_panic "FAULT-SHUTDOWN-PANIC" [queue]
        "A panic during a shutdown costs that task, and the shutdown returns.";
    fault_shutdown_exit_0 "FAULT-SHUTDOWN-EXIT-0" [isolation]
        "An exit with code 0 during a shutdown costs that task, and the shutdown returns.";
    fault_shutdown_abort "FAULT-SHUTDOWN-ABORT" [isolation]
        "An abort during a shutdown costs that task, and the shutdown returns.";
    fault_shutdown_segv "FAULT-SHUTDOWN-SEGV" [isolation]
        "A segfault during a shutdown costs that task, and the shutdown returns.";
    fault_shutdown_kill "FAULT-SHUTDOWN-KILL" [isolation]
        "A SIGKILL during a shutdown costs that task, and the shutdown returns.";
    fault_shutdown_hang "FAULT-SHUTDOWN-HANG" [stop isolation]
        "A task that hangs during a shutdown costs that task, and the shutdown returns.";
    fault_resize_panic "FAULT-RESIZE-PANIC" [queue]
        "A panic while the number of workers changes costs that task only.";
    fault_resize_exit_0 "FAULT-RESIZE-EXIT-0" [isolation]
        "An exit with code 0 while the number of workers changes costs that task only.";
    fault_resize_abort "FAULT-RESIZE-ABORT" [isolation]
        "An abort while the number of workers changes costs that task only.";
    fault_resize_kill "FAULT-RESIZE-KILL" [isolation]
        "A SIGKILL while the number of workers changes costs that task only.";
    fault_resize_hang "FAULT-RESIZE-HANG" [stop isolation]
        "A task that hangs while the number of workers changes costs that task only.";
    fault_end_panic "FAULT-END-PANIC" [isolation]
        "A panic in the destructors of a worker that ends holds up nobody.";
    fault_end_exit_42 "FAULT-END-EXIT-42" [isolation]
        "An exit with code 42 in the destructors of a worker that ends holds up nobody.";
    fault_end_abort "FAULT-END-ABORT" [isolation]
        "An abort in the destructors of a worker that ends holds up nobody.";
    fault_end_kill "FAULT-END-KILL" [isolation]
        "A SIGKILL in the destructors of a worker that ends holds up nobody.";
    fault_end_hang "FAULT-END-HANG" [isolation]
        "A hang in the destructors of a worker that ends holds up nobody.";
    fault_callback_panic "FAULT-CALLBACK-PANIC" [all]
        "A panic of a callback harms nothing.";
    fault_callback_exit "FAULT-CALLBACK-EXIT" [program]
        "An exit in a callback ends the program, and leaves no worker.";
}

environment "Signals, starts, environments" {
    env_1 "ENV-1" [all]
        "A pool is built from any place of a program, and in tests.";
    env_2 "ENV-2" [worker_exe program]
        "A worker that is started by hand says that it cannot be one, and ends.";
    env_3 "ENV-3" [queue program]
        "An interrupt cancels what is queued, lets the running tasks end, and leaves no worker.";
    env_6 "ENV-6" [all]
        "Threads that the program had before do not make its pools hang.";
    env_7 "ENV-7" [worker_exe]
        "Workers share the CPUs: a pool inside a worker has its part of them, and other libraries \
         are told theirs by the environment.";
    env_8 "ENV-8" [isolation]
        "Process pools nest to their limit, and beyond it is a typed error.";
    env_9 "ENV-9" [shared_memory]
        "A task that waits for a task of its own pool of one worker comes to its end.";
    env_11 "ENV-11" [all]
        "A pool outlives the thread that has made it.";
    env_12 "ENV-12" [queue]
        "The threads of a pool have names.";
    env_13 "ENV-13" [never "there is no tracer that a worker could inherit: a profiler attaches to \
        worker processes by itself"]
        "A tracer of the program is active in its workers.";
}

leaks "Leaks, and shared memory" {
    shm_1 "SHM-1" [isolation program]
        "A pool names no file and no segment: of a program that is killed there is nothing to clean \
         up.";
    shm_2 "SHM-2" [never "segments have no name that could be unlinked: the kernel counts who has \
        them"]
        "A segment that is registered twice stays until it was released twice.";
    shm_3 "SHM-3" [never "nothing has to be cleaned up, so there is no process that does it"]
        "The process that cleans up is started again when it was killed.";
    shm_4 "SHM-4" [never "nothing has to be cleaned up, so nobody keeps account of it"]
        "Workers and their parent keep one account of segments.";
    shm_5 "SHM-5" [all]
        "Arguments and results of every size arrive as values of their own, that outlive the pool \
         and can be changed.";
    shm_7 "SHM-7" [program]
        "Hundreds of calls and some panics leave no temporary file, and the program ends well.";
    shm_8 "SHM-8" [never "shared memory is in no file system whose size could be too small; a \
        system that gives too little memory is an error (`tests/it/programs.rs`)"]
        "With a file system for shared memory that is too small, calls still work.";
    shm_9 "SHM-9" [isolation]
        "No two workers share memory, of one pool or of several.";
}

same "The same on every backend" {
    eq_1 "EQ-1" [all]
        "The same program has the same results, kinds of errors, order and output on every backend.";
    eq_2 "EQ-2" [later "needs seeds"]
        "Random numbers depend on the seed and the task, not on workers, backend or order.";
    eq_4 "EQ-4" [queue]
        "An error is there for the first look after the task failed, whatever other tasks do.";
    dist_1 "DIST-1" [never "it takes machines beside the one of a pool: tests/it/cluster kills and stops \
        agents that are processes of their own"]
        "Tasks of a machine that is lost run elsewhere.";
    dist_2 "DIST-2" [queue]
        "A task that moves to an idle worker runs once.";
}

    } };
}

macro_rules! as_table {
    ($($part:ident $title:literal {
        $($name:ident $id:literal $verdict:tt $says:literal;)+
    })+) => {
        /// Every statement, in the order of the list.
        #[must_use]
        pub fn statements() -> &'static [Statement] {
            const ALL: &[Statement] = &[$($(
                Statement {
                    id: $id,
                    part: stringify!($part),
                    topic: $title,
                    says: $says,
                    verdict: verdict!($part::$name $verdict),
                },
            )+)+];
            ALL
        }
    };
}

macro_rules! verdict {
    ($part:ident::$name:ident [later $reason:literal]) => {
        Verdict::Later($reason)
    };
    ($part:ident::$name:ident [never $reason:literal]) => {
        Verdict::Never($reason)
    };
    ($part:ident::$name:ident [all $($need:ident)*]) => {
        verdict!($part::$name [$($need)*])
    };
    ($part:ident::$name:ident [near all]) => {
        verdict!($part::$name [near])
    };
    ($part:ident::$name:ident [$($need:ident)*]) => {
        Verdict::Tested {
            needs: &[$(need!($need)),*],
            body: super::$part::$name,
        }
    };
}

macro_rules! need {
    (queue) => {
        Need::Queue
    };
    (shared_memory) => {
        Need::SharedMemory
    };
    (isolation) => {
        Need::Isolation
    };
    (stop) => {
        Need::Stop
    };
    (codec) => {
        Need::Codec
    };
    (worker_exe) => {
        Need::WorkerExe
    };
    (near) => {
        Need::Near
    };
    (local) => {
        Need::Local
    };
    (program) => {
        Need::Program
    };
    (room) => {
        Need::Room
    };
}

conformance_statements!(as_table);
