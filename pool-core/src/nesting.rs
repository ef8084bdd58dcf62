//! How deep a worker's result may be nested, and how much of nothing may be in it.
//!
//! A few bytes can say that a value has a million levels, each of which takes a piece of the stack
//! of whoever reads it, or that a vector has 2^64 elements without a byte. A worker that is asked
//! for a tree could end its parent with that, on purpose or not. So the parent reads results
//! through this deserializer, which counts the levels on the way down. It only stands where a value
//! contains others.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};

/// How many values may stand in one another. A level takes some hundred bytes of a stack of,
/// usually, two megabytes.
const MAX_NESTING: u32 = 2_048;

/// How many elements without a byte a sequence may have.
const MAX_EMPTY: usize = 1 << 20;

/// Anything of a format, and how many levels there may be in it.
pub(crate) struct Nested<T> {
    inner: T,
    levels: u32,
    /// How many elements there may be where the bytes do not say it.
    elements: usize,
}

impl<T> Nested<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self::with(inner, MAX_NESTING)
    }

    fn with(inner: T, levels: u32) -> Self {
        let elements = usize::MAX;
        Self {
            inner,
            levels,
            elements,
        }
    }

    fn same<U>(&self, inner: U) -> Nested<U> {
        Nested::with(inner, self.levels)
    }

    fn enter<U, E: Error>(&self, inner: U) -> Result<Nested<U>, E> {
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Nested::with(inner, levels)),
            None => Err(E::custom("nested too deep")),
        }
    }
}

macro_rules! plain {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        }
    )*};
}

macro_rules! nested {
    ($($method:ident($($arg:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            let visitor = self.enter(visitor)?;
            self.inner.$method($($arg,)* visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Nested<D> {
    type Error = D::Error;

    plain! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit
        deserialize_identifier
    }

    nested! {
        deserialize_any()
        deserialize_ignored_any()
        deserialize_option()
        deserialize_newtype_struct(name: &'static str)
        deserialize_seq()
        deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_map()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Nested<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<V::Value, D::Error> {
        let input = self.same(input);
        self.inner.visit_some(input)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, input: D) -> Result<V::Value, D::Error> {
        let input = self.same(input);
        self.inner.visit_newtype_struct(input)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, input: A) -> Result<V::Value, A::Error> {
        let mut input = self.same(input);
        if input.inner.size_hint().is_none() {
            // More elements than there are bytes: of a type that has none, or there is an error to
            // come.
            input.elements = MAX_EMPTY;
        }
        self.inner.visit_seq(input)
    }

    fn visit_map<A: MapAccess<'de>>(self, input: A) -> Result<V::Value, A::Error> {
        let mut input = self.same(input);
        if input.inner.size_hint().is_none() {
            input.elements = MAX_EMPTY;
        }
        self.inner.visit_map(input)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, input: A) -> Result<V::Value, A::Error> {
        let input = self.same(input);
        self.inner.visit_enum(input)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Nested<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<S::Value, D::Error> {
        let input = self.same(input);
        self.inner.deserialize(input)
    }
}

impl<T> Nested<T> {
    fn count<E: Error>(&mut self) -> Result<(), E> {
        self.elements -= 1;
        match self.elements {
            0 => Err(E::custom("too many elements without a byte")),
            _ => Ok(()),
        }
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Nested<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.count()?;
        let seed = self.same(seed);
        self.inner.next_element_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Nested<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.count()?;
        let seed = self.same(seed);
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.same(seed);
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Nested<A> {
    type Error = A::Error;
    type Variant = Nested<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let levels = self.levels;
        let (value, variant) = self.inner.variant_seed(seed)?;
        Ok((value, Nested::with(variant, levels)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Nested<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.same(seed);
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.same(visitor);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.same(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::codec::{Sent, decode};

    #[derive(Debug)]
    struct Tower(Option<Box<Self>>);

    impl<'de> Deserialize<'de> for Tower {
        fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
            Option::deserialize(input).map(Self)
        }
    }

    /// This many levels in few bytes.
    fn tower(levels: usize) -> Vec<u8> {
        let mut bytes = vec![1; levels];
        bytes.push(0);
        bytes
    }

    #[test]
    fn depth_has_a_limit() {
        let limit = MAX_NESTING as usize;
        let highest = decode::<Tower>(&tower(limit - 1)).unwrap();
        let below = std::iter::successors(Some(&highest), |tower| tower.0.as_deref());
        assert_eq!(below.count(), limit);
        for levels in [limit, limit + 1, 1 << 24] {
            let text = decode::<Tower>(&tower(levels)).unwrap_err();
            assert!(!text.is_empty());
        }
    }

    #[test]
    fn nothing_is_counted() {
        let write = |len: u64| crate::codec::to_vec(&len).unwrap();
        assert_eq!(decode::<Vec<()>>(&write(70_000)).unwrap().len(), 70_000);
        for len in [1 << 20, u64::MAX] {
            assert!(decode::<Vec<()>>(&write(len)).is_err(), "{len}");
        }
    }

    #[test]
    fn width_has_none() {
        let wide: Vec<Option<(u8, String)>> = vec![Some((1, "a".into())); 100_000];
        let bytes = crate::codec::to_vec(&wide).unwrap();
        assert_eq!(decode::<Vec<Option<(u8, String)>>>(&bytes), Ok(wide));
        assert_eq!(
            decode::<Sent<Vec<u64>>>(&[0]).map(|Sent(numbers)| numbers.len()),
            Ok(0)
        );
    }
}
