//! What generated code may name. Not public API: it changes without notice.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec;
use crate::codec::bulk;
use crate::task::Task;

pub use std::borrow::{Borrow, ToOwned};
pub use std::marker::PhantomData;
pub use std::vec::Vec;

pub use inventory;
pub use serde;

pub use crate::api::entry::finish;
pub use crate::api::pool::spawn;
pub use crate::codec::{CodecError, Run, RunFn};
pub use crate::engine::asynchronous::block_on;
#[cfg(feature = "tokio")]
pub use crate::engine::asynchronous::tokio;
pub use crate::engine::door::{TestDoor, test_door};
pub use crate::job::registry::Entry;
pub use crate::task::{Options, TaskId, TaskInfo};

/// The call of a generic function, for every instance.
pub trait Instance {
    type Output;

    fn call(self) -> Self::Output;
}

// `Argument` and `Return` have methods instead of serde's traits above them, and their impls ask
// not to be recommended: so a type that cannot be sent is one error, in these words. With serde's
// traits above it would be one error for each of them, in serde's words.

/// A type that can be an argument of a task. Never implemented by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a pool task",
    label = "cannot be sent to a worker",
    note = "arguments are owned data that can be sent: derive `serde::Serialize` and \
            `serde::Deserialize` for the type (and it must be `Send + 'static`)"
)]
pub trait Argument: Sized {
    /// `Serialize::serialize`.
    fn encode<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error>;

    /// `Deserialize::deserialize`.
    fn decode<'de, D: Deserializer<'de>>(input: D) -> Result<Self, D::Error>;

    /// Whether no user code writes it.
    fn is_plain() -> bool;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Argument for T {
    fn encode<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        bulk::serialize(self, out)
    }

    fn decode<'de, D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        bulk::deserialize(input)
    }

    #[inline]
    fn is_plain() -> bool {
        bulk::is_plain::<T>()
    }
}

/// A type that a task can return. Never implemented by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a pool task",
    label = "cannot come from a worker",
    note = "a result is owned data that can be sent: derive `serde::Serialize` and \
            `serde::Deserialize` for the type (and it must be `Send + 'static`)",
    note = "for an error that cannot be sent, such as `std::io::Error` or `anyhow::Error`, return \
            `Result<…, pool_core::RemoteError>`: `?` makes one of any error"
)]
pub trait Return {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Return for T {}

/// Says of an instance's result what [`Return`] says.
pub trait Returns {
    type Output: Return;
}

/// An argument as serde sees it.
struct Sent<T>(T);

impl<T: Argument> Serialize for Sent<&T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.0.encode(out)
    }
}

impl<'de, T: Argument> Deserialize<'de> for Sent<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        T::decode(input).map(Self)
    }
}

/// The arguments of a task as a tuple: one trait for each number of arguments. The macro binds
/// the types to `A0`, `A1`, …, which is where one that cannot be sent is reported.
macro_rules! arguments {
    ($name:ident $($slot:ident $arg:ident)*) => {
        #[allow(clippy::too_many_arguments, clippy::unused_unit)]
        pub trait $name: Sized {
            type Output: Return;
            $(type $slot: Argument;)*

            fn new($($arg: Self::$slot),*) -> Self;

            fn encode<S: Serializer>(
                ($($arg,)*): ($(&Self::$slot,)*),
                out: S,
            ) -> Result<S::Ok, S::Error> {
                ($(Sent($arg),)*).serialize(out)
            }

            fn decode<'de, D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                let ($(Sent($arg),)*): ($(Sent<Self::$slot>,)*) = Deserialize::deserialize(input)?;
                Ok(Self::new($($arg),*))
            }

            fn is_plain() -> bool {
                true $(&& Self::$slot::is_plain())*
            }

            /// Runs the task in a worker. The only code that is compiled for every task: it decides
            /// how long a crate with many tasks takes to build. What it calls is compiled for each
            /// list of types.
            fn run(call: &mut Run<'_>) -> Result<(), CodecError>
            where
                Self: Task,
            {
                match call.decode() {
                    Ok(($(Sent::<Self::$slot>($arg),)*)) => call.encode(Self::new($($arg),*).run()),
                    Err(error) => Err(error),
                }
            }
        }
    };
}

arguments!(Arguments0);
arguments!(Arguments1 A0 a0);
arguments!(Arguments2 A0 a0 A1 a1);
arguments!(Arguments3 A0 a0 A1 a1 A2 a2);
arguments!(Arguments4 A0 a0 A1 a1 A2 a2 A3 a3);
arguments!(Arguments5 A0 a0 A1 a1 A2 a2 A3 a3 A4 a4);
arguments!(Arguments6 A0 a0 A1 a1 A2 a2 A3 a3 A4 a4 A5 a5);
arguments!(Arguments7 A0 a0 A1 a1 A2 a2 A3 a3 A4 a4 A5 a5 A6 a6);
arguments!(Arguments8 A0 a0 A1 a1 A2 a2 A3 a3 A4 a4 A5 a5 A6 a6 A7 a7);
arguments!(Arguments9 A0 a0 A1 a1 A2 a2 A3 a3 A4 a4 A5 a5 A6 a6 A7 a7 A8 a8);
arguments!(Arguments10 A0 a0 A1 a1 A2 a2 A3 a3 A4 a4 A5 a5 A6 a6 A7 a7 A8 a8 A9 a9);
arguments!(Arguments11 A0 a0 A1 a1 A2 a2 A3 a3 A4 a4 A5 a5 A6 a6 A7 a7 A8 a8 A9 a9 A10 a10);
arguments!(Arguments12 A0 a0 A1 a1 A2 a2 A3 a3 A4 a4 A5 a5 A6 a6 A7 a7 A8 a8 A9 a9 A10 a10 A11 a11);
arguments!(Arguments13 A0 a0 A1 a1 A2 a2 A3 a3 A4 a4 A5 a5 A6 a6 A7 a7 A8 a8 A9 a9 A10 a10 A11 a11 A12 a12);
arguments!(Arguments14 A0 a0 A1 a1 A2 a2 A3 a3 A4 a4 A5 a5 A6 a6 A7 a7 A8 a8 A9 a9 A10 a10 A11 a11 A12 a12 A13 a13);
arguments!(Arguments15 A0 a0 A1 a1 A2 a2 A3 a3 A4 a4 A5 a5 A6 a6 A7 a7 A8 a8 A9 a9 A10 a10 A11 a11 A12 a12 A13 a13 A14 a14);
arguments!(Arguments16 A0 a0 A1 a1 A2 a2 A3 a3 A4 a4 A5 a5 A6 a6 A7 a7 A8 a8 A9 a9 A10 a10 A11 a11 A12 a12 A13 a13 A14 a14 A15 a15);

/// Appends a result as a worker does: for the benchmark of the codec.
pub fn encode_output<R: Serialize + DeserializeOwned + 'static>(
    output: &R,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    codec::append_output(output, out)
}

/// Reads a result as the parent of a worker does: for the benchmark of the codec.
pub fn decode_output<R: DeserializeOwned + 'static>(bytes: &[u8]) -> Result<R, String> {
    codec::output_from(bytes)
}
