//! Numbers by the million: vectors of them travel as one block of bytes, not element by element.
//!
//! Whether a type is one of these vectors is asked by its `TypeId`, which the compiler knows when
//! it makes code for the type: nothing of the question is left in the program. It sees through
//! type aliases and works for the arguments and results of tasks; fields inside a user's own type
//! are serde's business. A format for people (`is_human_readable`) gets ordinary numbers.

use std::any::{Any, TypeId};
use std::fmt;

use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserializer, Serialize, Serializer};

use crate::bytes::{HUGE, copy, expect_writes};

macro_rules! numbers {
    ($($number:ty)*) => {
        #[inline]
        fn is_bulk(id: TypeId) -> bool {
            false $(|| id == TypeId::of::<Vec<$number>>())*
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
    if is_bulk(TypeId::of::<T>())
        && !out.is_human_readable()
        && let Some(bytes) = as_bytes(value)
    {
        return out.serialize_bytes(bytes);
    }
    value.serialize(out)
}

/// `T::deserialize(input)`, in one block where it was serialized so.
#[inline]
pub(crate) fn deserialize<'de, T: DeserializeOwned + Any, D: Deserializer<'de>>(
    input: D,
) -> Result<T, D::Error> {
    if !is_bulk(TypeId::of::<T>()) || input.is_human_readable() {
        return T::deserialize(input);
    }
    let mut value = None::<T>;
    let len = input.deserialize_bytes(Block(&mut value))?;
    value.ok_or_else(|| D::Error::invalid_length(len, &"a block of numbers"))
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
    use crate::codec::{Sent, append, decode};

    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, postcard::Error> {
        let mut bytes = Vec::new();
        append(value, &mut bytes)?;
        Ok(bytes)
    }

    fn round_trip<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug + Any>(
        value: T,
    ) -> usize {
        let bytes = encode(&Sent(&value)).unwrap();
        let back: Sent<T> = decode(&bytes).unwrap();
        assert_eq!(back.0, value);
        bytes.len()
    }

    #[test]
    fn vectors_of_numbers_are_one_block() {
        type Alias = Vec<f64>;
        // The length and eight bytes a number; element by element they would be as many, so look
        // at small integers, which postcard would shorten.
        assert_eq!(round_trip::<Alias>(vec![0.5; 100]), 2 + 800);
        assert_eq!(round_trip(vec![1_u64; 100]), 2 + 800);
        assert_eq!(round_trip(vec![-1_i32; 3]), 1 + 12);
        assert_eq!(round_trip(vec![7_u8; 200]), 2 + 200);
        assert_eq!(round_trip(Vec::<u128>::new()), 1);
    }

    #[test]
    fn other_types_are_left_to_serde() {
        assert_eq!(round_trip(vec![true, false]), 3);
        assert_eq!(round_trip(vec![vec![1_u64]]), 3);
        assert_eq!(round_trip("text".to_owned()), 5);
        assert_eq!(round_trip(300_u64), 2);
    }

    #[test]
    fn a_block_that_does_not_divide_is_refused() {
        let bytes = encode(&Sent(&vec![1_u8; 7])).unwrap();
        assert!(decode::<Sent<Vec<u32>>>(bytes.as_slice()).is_err());
    }
}
