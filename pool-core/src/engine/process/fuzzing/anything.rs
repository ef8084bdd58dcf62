//! A type that asks for whatever is there, as an untagged enum of a user does.

use std::fmt;

use serde::de::{EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value of any shape. Floating-point numbers are kept as their bits, so that values can be compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Anything {
    Unit,
    None,
    Some(Box<Anything>),
    Bool(bool),
    Unsigned(u128),
    Signed(i128),
    Double(u64),
    Char(char),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Anything>),
    Map(Vec<(Anything, Anything)>),
}

impl Serialize for Anything {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unit => out.serialize_unit(),
            Self::None => out.serialize_none(),
            Self::Some(inner) => out.serialize_some(&**inner),
            Self::Bool(value) => out.serialize_bool(*value),
            Self::Unsigned(value) => out.serialize_u128(*value),
            Self::Signed(value) => out.serialize_i128(*value),
            Self::Double(bits) => out.serialize_f64(f64::from_bits(*bits)),
            Self::Char(value) => out.serialize_char(*value),
            Self::Text(text) => out.serialize_str(text),
            Self::Bytes(bytes) => out.serialize_bytes(bytes),
            Self::List(values) => {
                // The length is not announced, as where values are filtered.
                let mut list = out.serialize_seq(None)?;
                values
                    .iter()
                    .try_for_each(|value| list.serialize_element(value))?;
                list.end()
            }
            Self::Map(entries) => {
                let mut map = out.serialize_map(None)?;
                let mut entries = entries.iter();
                entries.try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Reads)
    }
}

struct Reads;

impl<'de> Visitor<'de> for Reads {
    type Value = Anything;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E: Error>(self) -> Result<Anything, E> {
        Ok(Anything::Unit)
    }

    fn visit_none<E: Error>(self) -> Result<Anything, E> {
        Ok(Anything::None)
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Anything, D::Error> {
        Anything::deserialize(input).map(|inner| Anything::Some(Box::new(inner)))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Anything, E> {
        Ok(Anything::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Anything, E> {
        Ok(Anything::Unsigned(value.into()))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Anything, E> {
        Ok(Anything::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Anything, E> {
        Ok(Anything::Signed(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Anything, E> {
        Ok(Anything::Signed(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Anything, E> {
        Ok(Anything::Double(value.to_bits()))
    }

    fn visit_char<E: Error>(self, value: char) -> Result<Anything, E> {
        Ok(Anything::Char(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Anything, E> {
        Ok(Anything::Text(text.to_owned()))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Anything, E> {
        Ok(Anything::Bytes(bytes.to_vec()))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, input: D) -> Result<Anything, D::Error> {
        Anything::deserialize(input)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Anything, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = input.next_element()? {
            values.push(value);
        }
        Ok(Anything::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Anything, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = input.next_entry()? {
            entries.push(entry);
        }
        Ok(Anything::Map(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Anything, A::Error> {
        Err(A::Error::custom(
            "an enum is no answer to a question for anything",
        ))
    }
}
