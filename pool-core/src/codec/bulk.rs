//! Numbers by the million: vectors of them travel as one block of bytes, not element by element.
//!
//! Whether a type is one of these vectors is asked by its `TypeId`, which the compiler knows when
//! it makes code for the type: nothing of the question is left in the program. It sees through
//! type aliases and works for the arguments and results of tasks; fields inside a user's own type
//! are serde's business. A format for people (`is_human_readable`) gets ordinary numbers.

use std::any::{Any, TypeId};
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeOwned, Error, SeqAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserializer, Serialize, Serializer};

use crate::codec::bytes::{HUGE, copy, expect_writes};
use crate::codec::{BLOCK, path};

macro_rules! numbers {
    ($($number:ty)*) => {
        #[inline]
        fn is_bulk(id: TypeId) -> bool {
            false $(|| id == TypeId::of::<Vec<$number>>())*
        }

        #[inline]
        fn is_number(id: TypeId) -> bool {
            false $(|| id == TypeId::of::<$number>())*
        }

        /// The bytes of a vector of numbers, if that is what it is.
        fn as_bytes(value: &dyn Any) -> Option<&[u8]> {
            let id = value.type_id();
            $(
                if id == TypeId::of::<Vec<$number>>() {
                    let numbers = value.downcast_ref::<Vec<$number>>();
                    return numbers.map(|numbers| bytemuck::cast_slice(numbers));
                }
            )*
            None
        }

        /// Fills an `Option` of a vector of numbers from its bytes, if they fit.
        fn fill(slot: &mut dyn Any, bytes: &[u8]) {
            $(
                if let Some(slot) = slot.downcast_mut::<Option<Vec<$number>>>() {
                    if bytes.len().is_multiple_of(size_of::<$number>()) {
                        *slot = Some(collect(bytes));
                    }
                    return;
                }
            )*
        }
    };
}

fn collect<N: bytemuck::Pod>(bytes: &[u8]) -> Vec<N> {
    if bytes.len() < HUGE {
        return bytemuck::pod_collect_to_vec(bytes);
    }
    // Zeroed by the system: not touched yet.
    let mut numbers = vec![N::zeroed(); bytes.len() / size_of::<N>()];
    expect_writes(&mut numbers);
    copy(bytemuck::cast_slice_mut(&mut numbers), bytes);
    numbers
}

numbers! { u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize f32 f64 }

/// `value.serialize(out)`, in one block where that can be.
#[inline]
pub(crate) fn serialize<T: Serialize + Any, S: Serializer>(
    value: &T,
    out: S,
) -> Result<S::Ok, S::Error> {
    if is_bulk(TypeId::of::<T>()) {
        return out.serialize_newtype_struct(BLOCK, &Numbers(value));
    }
    if path::is_paths(TypeId::of::<T>()) {
        return match path::write(value, out) {
            Some(written) => written,
            None => Err(S::Error::custom("this is no path")),
        };
    }
    value.serialize(out)
}

/// A vector of numbers: one block in the codec, which says there that it is not for people.
struct Numbers<'a, T>(&'a T);

impl<T: Serialize + Any> Serialize for Numbers<'_, T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match as_bytes(self.0) {
            Some(bytes) if !out.is_human_readable() => out.serialize_bytes(bytes),
            _ => self.0.serialize(out),
        }
    }
}

/// `T::deserialize(input)`, in one block where it was serialized so.
#[inline]
pub(crate) fn deserialize<'de, T: DeserializeOwned + Any, D: Deserializer<'de>>(
    input: D,
) -> Result<T, D::Error> {
    if is_bulk(TypeId::of::<T>()) {
        return input.deserialize_newtype_struct(BLOCK, NumbersVisitor(PhantomData));
    }
    if path::is_paths(TypeId::of::<T>()) {
        let mut value = None::<T>;
        path::read(&mut value, input)?;
        return value.ok_or_else(|| D::Error::custom("this is no path"));
    }
    T::deserialize(input)
}

struct NumbersVisitor<T>(PhantomData<fn() -> T>);

impl<'de, T: DeserializeOwned + Any> Visitor<'de> for NumbersVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector of numbers")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, input: D) -> Result<T, D::Error> {
        if input.is_human_readable() {
            return T::deserialize(input);
        }
        let mut value = None::<T>;
        let len = input.deserialize_bytes(Block(&mut value))?;
        value.ok_or_else(|| D::Error::invalid_length(len, &"a block of numbers"))
    }

    // A format that does not know newtype structs.
    fn visit_seq<A: SeqAccess<'de>>(self, input: A) -> Result<T, A::Error> {
        T::deserialize(SeqAccessDeserializer::new(input))
    }
}

/// Whether a type is written without any user code: numbers, texts, and vectors of numbers.
#[inline]
pub(crate) fn is_plain<T: 'static>() -> bool {
    is_number(TypeId::of::<T>()) || is_bulk(TypeId::of::<T>()) || is_text(TypeId::of::<T>())
}

#[inline]
fn is_text(id: TypeId) -> bool {
    [
        TypeId::of::<()>(),
        TypeId::of::<bool>(),
        TypeId::of::<char>(),
        TypeId::of::<String>(),
    ]
    .contains(&id)
}

/// Fills the option, and says how many bytes there were. Not generic: compiled once for all types.
struct Block<'a>(&'a mut dyn Any);

impl Visitor<'_> for Block<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block of numbers")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<usize, E> {
        fill(self.0, bytes);
        Ok(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Sent, append_output, decode};

    fn round_trip<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug + Any>(
        value: T,
    ) -> usize {
        let mut bytes = Vec::new();
        append_output(&value, &mut bytes).unwrap();
        let back: Sent<T> = decode(&bytes).unwrap();
        assert_eq!(back.0, value);
        bytes.len()
    }

    #[test]
    fn vectors_of_numbers_are_one_block() {
        type Alias = Vec<f64>;
        assert_eq!(round_trip::<Alias>(vec![0.5; 100]), 3 + 800);
        assert_eq!(round_trip(vec![1_u64; 100]), 3 + 800);
        assert_eq!(round_trip(vec![-1_i32; 3]), 2 + 12);
        assert_eq!(round_trip(vec![7_u8; 200]), 3 + 200);
        assert_eq!(round_trip(Vec::<u128>::new()), 2);
    }

    #[test]
    fn other_types_are_left_to_serde() {
        assert_eq!(round_trip(vec![true, false]), 3);
        assert_eq!(round_trip(vec![vec![1_u64]]), 3);
        assert_eq!(round_trip("text".to_owned()), 5);
        assert_eq!(round_trip(300_u64), 3);
    }

    #[test]
    fn a_format_for_people_gets_numbers() {
        let text = serde_json::to_string(&Numbers(&vec![1_u8, 2])).unwrap();
        assert_eq!(text, "[1,2]");
        let mut input = serde_json::Deserializer::from_str(&text);
        assert_eq!(deserialize::<Vec<u8>, _>(&mut input).unwrap(), [1, 2]);
    }

    #[test]
    fn a_block_that_does_not_divide_is_refused() {
        let mut bytes = Vec::new();
        append_output(&vec![1_u8; 7], &mut bytes).unwrap();
        assert!(decode::<Sent<Vec<u32>>>(bytes.as_slice()).is_err());
    }
}
