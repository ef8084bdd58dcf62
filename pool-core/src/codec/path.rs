//! Paths of every name in types of one's own: `#[serde(with = "pool_core::path")]`.
//!
//! On Unix a path is a string of bytes, and need not be UTF-8; serde refuses to serialize one that
//! is not. An argument or result of a task that is a `PathBuf`, `&Path`, `Option<PathBuf>` or
//! `Vec<PathBuf>` arrives whatever it contains. A field of another type does with this module:
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use std::path::PathBuf;
//!
//! #[derive(Serialize, Deserialize)]
//! struct Job {
//!     #[serde(with = "pool_core::path")]
//!     input: PathBuf,
//!     #[serde(with = "pool_core::path")]
//!     others: Vec<PathBuf>,
//! }
//! ```
//!
//! Other formats, such as JSON, get a text where the path is one, else a list of bytes.

use std::any::{Any, TypeId};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Serializes a path, an optional one, or a list of them.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<T: Paths, S: Serializer>(paths: &T, out: S) -> Result<S::Ok, S::Error> {
    paths.write(out)
}

/// Deserializes what [`serialize`] has written.
///
/// # Errors
/// Those of the deserializer, and one where the value is no path.
pub fn deserialize<'de, T: Paths, D: Deserializer<'de>>(input: D) -> Result<T, D::Error> {
    T::read(input)
}

/// What this module serializes: `PathBuf`, `Option<PathBuf>`, `Vec<PathBuf>`.
pub trait Paths: sealed::Sealed + Sized {
    #[doc(hidden)]
    fn write<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error>;

    #[doc(hidden)]
    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Self, D::Error>;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for std::path::PathBuf {}
    impl Sealed for Option<std::path::PathBuf> {}
    impl Sealed for Vec<std::path::PathBuf> {}
}

impl Paths for PathBuf {
    fn write<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        One(self).serialize(out)
    }

    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Owned::deserialize(input).map(|Owned(path)| path)
    }
}

impl Paths for Option<PathBuf> {
    fn write<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        self.as_deref().map(One).serialize(out)
    }

    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let path = Option::<Owned>::deserialize(input)?;
        Ok(path.map(|Owned(path)| path))
    }
}

impl Paths for Vec<PathBuf> {
    fn write<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.iter().map(|path| One(path)))
    }

    fn read<'de, D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let paths = Vec::<Owned>::deserialize(input)?;
        Ok(paths.into_iter().map(|Owned(path)| path).collect())
    }
}

struct One<'a>(&'a Path);

impl Serialize for One<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => out.serialize_str(text),
            None => out.serialize_bytes(bytes_of(self.0.as_os_str())),
        }
    }
}

struct Owned(PathBuf);

impl<'de> Deserialize<'de> for Owned {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_byte_buf(PathVisitor)
    }
}

struct PathVisitor;

impl<'de> Visitor<'de> for PathVisitor {
    type Value = Owned;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Owned, E> {
        Ok(Owned(text.into()))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Owned, E> {
        match from_bytes(bytes.to_vec()) {
            Some(path) => Ok(Owned(path.into())),
            None => Err(E::custom("the path is not UTF-8")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut input: A) -> Result<Owned, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = input.next_element()? {
            bytes.push(byte);
        }
        self.visit_bytes(&bytes)
    }
}

#[cfg(unix)]
fn bytes_of(text: &OsStr) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(text)
}

#[cfg(unix)]
fn from_bytes(bytes: Vec<u8>) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn bytes_of(text: &OsStr) -> &[u8] {
    text.as_encoded_bytes()
}

#[cfg(not(unix))]
fn from_bytes(bytes: Vec<u8>) -> Option<OsString> {
    String::from_utf8(bytes).ok().map(OsString::from)
}

/// Whether an argument or result of this type is written by this module.
#[inline]
pub(crate) fn is_paths(id: TypeId) -> bool {
    id == TypeId::of::<PathBuf>()
        || id == TypeId::of::<Option<PathBuf>>()
        || id == TypeId::of::<Vec<PathBuf>>()
}

/// Serializes a value of which [`is_paths`] is true.
pub(crate) fn write<S: Serializer>(value: &dyn Any, out: S) -> Option<Result<S::Ok, S::Error>> {
    if let Some(path) = value.downcast_ref::<PathBuf>() {
        return Some(path.write(out));
    }
    if let Some(path) = value.downcast_ref::<Option<PathBuf>>() {
        return Some(path.write(out));
    }
    Some(value.downcast_ref::<Vec<PathBuf>>()?.write(out))
}

/// Fills an `Option` of a type of which [`is_paths`] is true.
pub(crate) fn read<'de, D: Deserializer<'de>>(
    slot: &mut dyn Any,
    input: D,
) -> Result<(), D::Error> {
    if let Some(slot) = slot.downcast_mut::<Option<PathBuf>>() {
        *slot = Some(Paths::read(input)?);
    } else if let Some(slot) = slot.downcast_mut::<Option<Option<PathBuf>>>() {
        *slot = Some(Paths::read(input)?);
    } else if let Some(slot) = slot.downcast_mut::<Option<Vec<PathBuf>>>() {
        *slot = Some(Paths::read(input)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_formats_get_texts_or_bytes() {
        let paths = vec![
            PathBuf::from("a/b"),
            from_bytes(b"\xe9".to_vec()).unwrap().into(),
        ];
        let mut json = Vec::new();
        serialize(&paths, &mut serde_json::Serializer::new(&mut json)).unwrap();
        assert_eq!(json, br#"["a/b",[233]]"#);
        let mut input = serde_json::Deserializer::from_slice(&json);
        assert_eq!(deserialize::<Vec<PathBuf>, _>(&mut input).unwrap(), paths);
    }
}
