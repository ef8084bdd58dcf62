//! What went wrong with a value, and where in it.

use std::fmt;

/// Why a value could not be written or read. A pointer: most results that hold one are `Ok`.
#[derive(Debug)]
pub struct CodecError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    text: String,
    /// From the innermost value outwards.
    path: Vec<String>,
}

/// More places than this help nobody.
const MAX_PATH: usize = 8;

impl CodecError {
    #[cold]
    pub(super) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let path = Vec::new();
        Self(Box::new(Inner { text, path }))
    }

    pub(super) fn left_over(bytes: usize) -> Self {
        Self::new(format!("{bytes} bytes are left over"))
    }

    /// A field that the type writes and does not read, whose value would be lost.
    #[cold]
    pub(super) fn never_read(name: &str, field: &str) -> Self {
        Self::new(format!(
            "`{field}` is written and not read: it has `#[serde(skip_deserializing)]`, or another \
             `rename` for each direction"
        ))
        .within(name, field)
    }

    pub(super) fn too_large() -> Self {
        Self::new("too large to travel with others")
    }

    /// Adds the field or variant in which it happened.
    #[cold]
    pub(super) fn within(mut self, container: &str, part: &str) -> Self {
        if self.0.path.len() < MAX_PATH {
            self.0.path.push(match container {
                "" => part.to_owned(),
                _ => format!("{container}.{part}"),
            });
        }
        self
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = self.0.path.iter();
        if let Some(innermost) = path.next() {
            write!(f, "`{innermost}`")?;
            for outer in path {
                write!(f, " in `{outer}`")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.0.text)
    }
}

impl std::error::Error for CodecError {}

impl serde::ser::Error for CodecError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(text.to_string())
    }
}

/// A list of names for a person.
fn list(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        _ => format!("`{}`", names.join("`, `")),
    }
}

impl serde::de::Error for CodecError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(text.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!(
            "missing field `{field}`: a field with `#[serde(skip_serializing)]` or \
             `#[serde(skip_serializing_if)]` also needs `#[serde(default)]`, and `rename` has to \
             be the same for both directions"
        ))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!(
            "unknown field `{field}`, expected one of {}: it has `#[serde(skip_deserializing)]`, or \
             another `rename` for each direction, while the type has \
             `#[serde(deny_unknown_fields)]`",
            list(expected)
        ))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!(
            "unknown variant `{variant}`, expected one of {}: it has \
             `#[serde(skip_deserializing)]`, or another `rename` for each direction",
            list(expected)
        ))
    }
}
