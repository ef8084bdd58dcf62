//! What generated code may name. Not public API: it changes without notice.

use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserializer, Serialize, Serializer};

pub use std::borrow::{Borrow, ToOwned};
pub use std::vec::Vec;

pub use inventory;
pub use serde;

pub use crate::catalog::Entry;
pub use crate::entry::{finish, test_door};
pub use crate::pool::spawn;
pub use crate::task::{Options, TaskId, TaskInfo};

/// A type that can be an argument of a task. Never implemented by hand.
///
/// It has methods instead of serde's traits above it, and the attribute on its implementation:
/// else the compiler reports each of serde's traits, with their texts, instead of this one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a pool task",
    label = "cannot be sent to a worker",
    note = "arguments are owned data that can be sent: derive `serde::Serialize` and \
            `serde::Deserialize` for the type (and it must be `Send + 'static`)"
)]
pub trait Argument: Sized {
    /// Writes the next argument.
    fn encode<S: SerializeTuple>(&self, out: &mut S) -> Result<(), S::Error>;

    /// Reads the next argument.
    fn decode<'de, A: SeqAccess<'de>>(input: &mut A) -> Result<Self, A::Error>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Argument for T {
    fn encode<S: SerializeTuple>(&self, out: &mut S) -> Result<(), S::Error> {
        out.serialize_element(self)
    }

    fn decode<'de, A: SeqAccess<'de>>(input: &mut A) -> Result<Self, A::Error> {
        input
            .next_element()?
            .ok_or_else(|| A::Error::custom("an argument of the task is missing"))
    }
}

/// A type that a task can return. Never implemented by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a pool task",
    label = "cannot be sent back by a worker",
    note = "results are owned data that can be sent: derive `serde::Serialize` and \
            `serde::Deserialize` for the type (and it must be `Send + 'static`)"
)]
pub trait Return {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Return for T {}

/// The arguments of a task, which travel as a tuple of any length.
pub trait Arguments: Sized {
    /// Their names.
    const NAMES: &'static [&'static str];

    /// Writes them in order.
    fn encode<S: SerializeTuple>(&self, out: &mut S) -> Result<(), S::Error>;

    /// Reads them in order.
    fn decode<'de, A: SeqAccess<'de>>(input: &mut A) -> Result<Self, A::Error>;
}

/// `Serialize` of every task that the macro writes.
pub fn serialize<T: Arguments, S: Serializer>(task: &T, out: S) -> Result<S::Ok, S::Error> {
    let mut out = out.serialize_tuple(T::NAMES.len())?;
    task.encode(&mut out)?;
    out.end()
}

/// `Deserialize` of every task that the macro writes.
pub fn deserialize<'de, T: Arguments, D: Deserializer<'de>>(input: D) -> Result<T, D::Error> {
    struct Tuple<T>(PhantomData<T>);

    impl<'de, T: Arguments> Visitor<'de> for Tuple<T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "the arguments {:?} of a task", T::NAMES)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<T, A::Error> {
            T::decode(&mut input)
        }
    }

    input.deserialize_tuple(T::NAMES.len(), Tuple(PhantomData))
}
