//! Reads a sequence of numbers that have no tokens.

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::error::CodecError;
use super::format::Number;

type Result<T> = std::result::Result<T, CodecError>;

/// Numbers of one kind without tokens.
pub(super) struct Packed<'de> {
    kind: Number,
    bytes: &'de [u8],
}

impl<'de> Packed<'de> {
    /// The numbers in these bytes, which are a whole number of them.
    #[inline]
    pub(super) fn new(kind: Number, bytes: &'de [u8]) -> Self {
        Self { kind, bytes }
    }

    /// Whether all were read.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl<'de> SeqAccess<'de> for Packed<'de> {
    type Error = CodecError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some((number, rest)) = self.bytes.split_at_checked(self.kind.size()) else {
            return Ok(None);
        };
        if self.bytes.is_empty() {
            return Ok(None);
        }
        self.bytes = rest;
        let mut bits = [0; 8];
        bits[..number.len()].copy_from_slice(number);
        let number = One {
            kind: self.kind,
            bits: u64::from_le_bytes(bits),
        };
        seed.deserialize(number).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.bytes.len() / self.kind.size())
    }
}

/// One number.
struct One {
    kind: Number,
    bits: u64,
}

/// Gives an integer to the visitor, in its kind.
#[inline]
pub(super) fn visit_integer<'de, V: Visitor<'de>>(
    kind: Number,
    value: i128,
    visitor: V,
) -> Result<V::Value> {
    /// Calls the method of the kind, if the value is one: a hostile writer decides.
    macro_rules! visit {
        ($visit:ident) => {
            match value.try_into() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(CodecError::new("an integer exceeds its kind")),
            }
        };
    }
    match kind {
        Number::U8 => visit!(visit_u8),
        Number::U16 => visit!(visit_u16),
        Number::U32 => visit!(visit_u32),
        Number::U64 => visit!(visit_u64),
        Number::I8 => visit!(visit_i8),
        Number::I16 => visit!(visit_i16),
        Number::I32 => visit!(visit_i32),
        _ => visit!(visit_i64),
    }
}

/// Gives an integer of the kind that is asked for where it is one, else of the kind that is there.
macro_rules! integers {
    ($($method:ident $visit:ident $number:ty;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match self.integer().and_then(|value| <$number>::try_from(value).ok()) {
                Some(value) => visitor.$visit(value),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl One {
    /// Its value, if it is an integer.
    #[inline]
    fn integer(&self) -> Option<i128> {
        let bits = self.bits;
        Some(match self.kind {
            Number::U8 | Number::U16 | Number::U32 | Number::U64 => i128::from(bits),
            Number::I8 => i128::from(bits as i8),
            Number::I16 => i128::from(bits as i16),
            Number::I32 => i128::from(bits as i32),
            Number::I64 => i128::from(bits as i64),
            Number::F32 | Number::F64 => return None,
        })
    }
}

impl<'de> Deserializer<'de> for One {
    type Error = CodecError;

    integers! {
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match (self.integer(), self.kind) {
            (Some(value), kind) => visit_integer(kind, value, visitor),
            (None, Number::F32) => visitor.visit_f32(f32::from_bits(self.bits as u32)),
            (None, _) => visitor.visit_f64(f64::from_bits(self.bits)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
