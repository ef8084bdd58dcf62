//! The table of the tasks that are linked into this program.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::OnceLock;

use crate::codec::{self, Reply};
use crate::error::pool_error::{Duplicate, Error};
use crate::task::{FNV_OFFSET, Task, TaskId, TaskInfo, fnv1a};

/// One task that is linked into this program.
#[derive(Debug, Clone, Copy)]
pub struct TaskEntry {
    info: TaskInfo,
}

impl TaskEntry {
    /// The task's name: its module path and function name, or what `name = "…"` says.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.info.name
    }

    /// The function's signature.
    #[must_use]
    pub fn signature(&self) -> &'static str {
        self.info.signature
    }

    /// The source file of the function.
    #[must_use]
    pub fn file(&self) -> &'static str {
        self.info.file
    }

    /// The line of the function.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.info.line
    }
}

/// The tasks that are linked into this program, by name.
///
/// ```
/// #[pool_core::pool_task(name = "double")]
/// fn double(x: u32) -> u32 {
///     2 * x
/// }
///
/// let tasks = pool_core::tasks();
/// let double = tasks.iter().find(|task| task.name() == "double").unwrap();
/// assert_eq!(double.signature(), "fn double(x: u32) -> u32");
/// ```
#[must_use]
pub fn tasks() -> Vec<TaskEntry> {
    let mut tasks: Vec<_> = inventory::iter::<Entry>()
        .map(|entry| TaskEntry { info: entry.info })
        .collect();
    let source = |task: &TaskEntry| (task.name(), task.file(), task.line(), task.signature());
    tasks.sort_by_key(source);
    // A source file may be compiled into the program twice.
    tasks.dedup_by_key(|task| source(task));
    tasks
}

/// A task as the macro enters it: its facts, and how to run it from bytes.
#[doc(hidden)]
#[derive(Debug)]
pub struct Entry {
    info: TaskInfo,
    /// The name of the task's type, which tells two functions apart that one macro call has written.
    type_name: fn() -> &'static str,
    run: codec::RunFn,
}

impl Entry {
    /// The entry of a task that the macro made, and how a worker runs it.
    #[must_use]
    pub const fn of<T: Task>(run: codec::RunFn) -> Self {
        Self {
            info: T::INFO,
            type_name: std::any::type_name::<T>,
            run,
        }
    }

    /// The entry of a task implemented by hand.
    #[must_use]
    pub const fn with<T: Task>(info: TaskInfo) -> Self {
        Self {
            info,
            type_name: std::any::type_name::<T>,
            run: codec::run_one::<T>,
        }
    }
}

impl Entry {
    pub(crate) fn name(&self) -> &'static str {
        self.info.name
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn info(&self) -> &TaskInfo {
        &self.info
    }

    /// Whether both are the same function of the same source file, which is compiled twice into this
    /// program: `mod tasks;` in `lib.rs` and in `main.rs`, or a crate whose dev-dependencies depend
    /// on it.
    fn is_same_source(&self, other: &Self) -> bool {
        let source = |entry: &Self| {
            let TaskInfo {
                name,
                signature,
                file,
                line,
                ..
            } = entry.info;
            (name, signature, file, line, (entry.type_name)())
        };
        source(self) == source(other)
    }

    /// Runs the task on its encoded arguments; the reply's payload goes to `out`.
    pub(crate) fn run(&self, args: &[u8], out: &mut Vec<u8>) -> Reply {
        codec::run_encoded(self.run, args, out)
    }
}

inventory::collect!(Entry);

/// Enters a type that implements [`Task`] by hand in the catalog, so that worker processes can
/// run it. `#[pool_task]` does this by itself.
///
/// ```
/// use pool_core::Task;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Square(u32);
///
/// impl Task for Square {
///     type Output = u32;
///     const NAME: &'static str = "square";
///     fn run(self) -> u32 {
///         self.0 * self.0
///     }
/// }
/// pool_core::register_task!(Square);
///
/// assert!(pool_core::tasks().iter().any(|task| task.name() == "square"));
/// ```
#[macro_export]
macro_rules! register_task {
    ($task:ty) => {
        $crate::__private::inventory::submit! {
            $crate::__private::Entry::with::<$task>(
                <$task as $crate::Task>::INFO.at(file!(), line!())
            )
        }
    };
}

/// Links crates for the tasks in them.
///
/// A dependency that no code names is not linked into the program, nor are its tasks. So a program
/// that only runs tasks, for others that submit them, names the crates that define them:
///
/// ```ignore
/// pool_core::use_tasks!(image_tasks, text_tasks);
///
/// #[pool_core::main]
/// fn main() {
///     // …
/// }
/// ```
#[macro_export]
macro_rules! use_tasks {
    ($($dependency:ident),+ $(,)?) => {
        $(extern crate $dependency as _;)+
    };
}

/// The catalog in the form a worker needs it.
#[derive(Debug)]
pub(crate) struct Catalog {
    by_id: HashMap<TaskId, &'static Entry, BuildHasherDefault<IdHasher>>,
    digest: u64,
}

impl Catalog {
    /// The catalog of this program.
    ///
    /// # Errors
    /// [`Error::DuplicateTask`] when two tasks share a name.
    pub(crate) fn get() -> Result<&'static Self, Error> {
        static CATALOG: OnceLock<Result<Catalog, Error>> = OnceLock::new();
        CATALOG
            .get_or_init(|| Self::build(inventory::iter::<Entry>()))
            .as_ref()
            .map_err(Clone::clone)
    }

    fn build(entries: impl IntoIterator<Item = &'static Entry>) -> Result<Self, Error> {
        let mut by_id: HashMap<_, &'static Entry, _> = HashMap::default();
        for entry in entries {
            // The first of those from one source stays: parent and worker are one executable, so it
            // is the same in both.
            let first = *by_id.entry(entry.info.id).or_insert(entry);
            if !std::ptr::eq(first, entry) && !first.is_same_source(entry) {
                return Err(Error::DuplicateTask(duplicate(&first.info, &entry.info)));
            }
        }
        let mut ids: Vec<_> = by_id.keys().map(|id| id.0).collect();
        ids.sort_unstable();
        let digest = ids
            .iter()
            .fold(FNV_OFFSET, |hash, id| fnv1a(hash, &id.to_le_bytes()));
        Ok(Self { by_id, digest })
    }

    /// The task with this id.
    pub(crate) fn get_task(&self, id: TaskId) -> Option<&'static Entry> {
        self.by_id.get(&id).copied()
    }

    /// How many tasks there are.
    #[cfg(feature = "processes")]
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// A number that is equal for programs with the same tasks.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }
}

/// A task's id is a hash already.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = fnv1a(self.0, bytes);
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

/// The error of two tasks under one name.
fn duplicate(first: &TaskInfo, second: &TaskInfo) -> Duplicate {
    Duplicate::new([first, second].map(|info| (info.name, info.file, info.line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn entry(hash: u64, file: &'static str) -> Entry {
        let info = TaskInfo::new("dependency::work", "", hash, file, 3);
        let run = |_: &mut codec::Run<'_>| Ok(());
        Entry {
            info,
            type_name: || "dependency::work",
            run,
        }
    }

    static OLD: Entry = entry(8, "dependency-1.0.0/src/lib.rs");
    static NEW: Entry = entry(8, "dependency-2.0.0/src/lib.rs");
    static AGAIN: Entry = entry(8, "dependency-1.0.0/src/lib.rs");
    static BESIDE: Entry = Entry {
        type_name: || "dependency::other::work",
        ..entry(8, "dependency-1.0.0/src/lib.rs")
    };
    static CHANGED: Entry = entry(16, "dependency-3.0.0/src/lib.rs");

    #[test]
    fn the_same_task_of_two_versions_of_a_crate_is_reported() {
        let Err(Error::DuplicateTask(duplicate)) = Catalog::build([&NEW, &CHANGED, &OLD]) else {
            panic!("two tasks of one name and signature");
        };
        assert_eq!(duplicate.name(), "dependency::work");
        assert_eq!(
            duplicate.places(),
            [
                ("dependency-1.0.0/src/lib.rs", 3),
                ("dependency-2.0.0/src/lib.rs", 3)
            ]
        );
    }

    #[test]
    fn of_one_source_that_is_compiled_twice_the_first_is_taken() {
        let catalog = Catalog::build([&OLD, &AGAIN, &CHANGED]).unwrap();
        let found = catalog.get_task(OLD.info.id).unwrap();
        assert!(std::ptr::eq(found, &OLD));
        let once = Catalog::build([&CHANGED, &OLD]).unwrap();
        assert_eq!(catalog.digest(), once.digest());
    }

    #[test]
    fn two_functions_that_one_macro_call_has_written_are_reported() {
        assert!(Catalog::build([&OLD, &BESIDE]).is_err());
    }

    #[test]
    fn tasks_of_two_versions_that_differ_in_their_arguments_are_two() {
        let catalog = Catalog::build([&NEW, &CHANGED]).unwrap();
        for entry in [&NEW, &CHANGED] {
            let found = catalog.get_task(entry.info.id).unwrap();
            assert_eq!(found.info.file, entry.info.file);
        }
    }
}
