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

impl<'de> Deserializer<'de> for One {
    type Error = CodecError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let bits = self.bits;
        match self.kind {
            Number::U8 => visitor.visit_u8(bits as u8),
            Number::U16 => visitor.visit_u16(bits as u16),
            Number::U32 => visitor.visit_u32(bits as u32),
            Number::U64 => visitor.visit_u64(bits),
            Number::I8 => visitor.visit_i8(bits as i8),
            Number::I16 => visitor.visit_i16(bits as i16),
            Number::I32 => visitor.visit_i32(bits as i32),
            Number::I64 => visitor.visit_i64(bits as i64),
            Number::F32 => visitor.visit_f32(f32::from_bits(bits as u32)),
            Number::F64 => visitor.visit_f64(f64::from_bits(bits)),
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
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
