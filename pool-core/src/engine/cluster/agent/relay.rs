//! A task of somebody else, as bytes, in the agent's own pool: it passes through unread.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::api::handle::JoinHandle;
use crate::api::pool::Pool;
use crate::codec::args::Args;
use crate::codec::bytes::Bytes;
use crate::codec::{Answer, UNKNOWN_TASK};
use crate::engine::Entry;
use crate::error::task_error::{TaskError, TaskErrorKind};
use crate::job::cell::{Handle, Job, JobCell, Vtable};
use crate::job::registry::Catalog;
use crate::job::work::{ChunkFacts, Work};
use crate::task::{Options, TaskId, TaskInfo};

/// One task, or with `MANY` a chunk of them.
struct Relay<const MANY: bool> {
    args: Bytes,
    options: Options,
}

/// What a worker has answered, still encoded.
pub(super) struct Relayed {
    pub(super) answer: Answer,
    /// Of a chunk.
    pub(super) chunk: Option<ChunkFacts>,
}

impl<const MANY: bool> Work for Relay<MANY> {
    type Output = Relayed;
    const INFO: TaskInfo = TaskInfo::new("", "", 0, "", 0);
    const MANY: bool = MANY;

    fn options(&self) -> Options {
        self.options
    }

    fn run(self) -> Result<Relayed, TaskError> {
        Err(TaskError::rejected("", "an agent's pool has processes"))
    }

    fn encode(self) -> Result<Args, String> {
        Ok(self.args.into())
    }

    fn open(answer: Answer, chunk: Option<ChunkFacts>) -> Result<Relayed, TaskError> {
        Ok(Relayed { answer, chunk })
    }
}

/// Submits a task by its id; `None` where there is no such task.
pub(super) fn submit(
    pool: &Pool,
    task: u64,
    args: Bytes,
    options: Options,
) -> Option<JoinHandle<Relayed>> {
    let entry = Entry::default();
    Some(match options.chunk {
        0 => {
            let vtable = vtable::<false>(task)?;
            let relay = Relay::<false> { args, options };
            pool.enter(JobCell::new_as(relay, vtable), entry)
        }
        _ => {
            let vtable = vtable::<true>(task)?;
            let relay = Relay::<true> { args, options };
            pool.enter(JobCell::new_as(relay, vtable), entry)
        }
    })
}

/// The handle of a part of a chunk.
pub(super) fn part(pool: &Pool, job: Job) -> Option<JoinHandle<Relayed>> {
    Some(pool.handle(Handle::of::<Relay<true>>(job)?))
}

/// The table of a task, made once and for good: there are as many as tasks in the catalog.
fn vtable<const MANY: bool>(task: u64) -> Option<&'static Vtable> {
    static TABLES: Mutex<Option<HashMap<(u64, bool), &'static Vtable>>> = Mutex::new(None);
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    let tables = tables.get_or_insert_default();
    if let Some(known) = tables.get(&(task, MANY)) {
        return Some(known);
    }
    let info = Catalog::get().ok()?.get_task(TaskId(task))?.info();
    let vtable: &'static Vtable = Box::leak(Box::new(JobCell::<Relay<MANY>>::vtable_of(info)));
    tables.insert((task, MANY), vtable);
    Some(vtable)
}

/// Why a task cannot be run that is not linked in: its submitter has the same catalog, but submits
/// what is not in it too.
pub(super) fn unknown() -> TaskError {
    TaskError::new(TaskErrorKind::UnknownTask, "").message_is(UNKNOWN_TASK)
}
