//! Taking an error apart: the messages of its chain, and the names of their types.

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display, Write};

use super::link::Link;
use super::{Cause, MAX_CAUSES, RemoteError};
use crate::error::flatten::Failure;
use crate::error::task_error::TaskError;

/// How long a message may be, in bytes.
const MAX_MESSAGE: usize = 64 << 10;

/// An error with its sources. `given` is the name of the outermost type, if it has one.
pub(super) fn all(error: &(dyn Error + 'static), given: Option<&'static str>) -> RemoteError {
    let (outer, mut below) = one(error, given);
    let mut next = error.source();
    while let Some(error) = next
        && below.len() < MAX_CAUSES
    {
        let (cause, more) = one(error, None);
        below.push(cause);
        below.extend(more);
        next = error.source();
    }
    RemoteError::of(outer, below)
}

/// What one error says, and the causes that it knows of without having them as its source.
fn one(error: &(dyn Error + 'static), given: Option<&'static str>) -> (Cause, Vec<Cause>) {
    if let Some(link) = error.downcast_ref::<Link>() {
        return (link.cause.clone(), Vec::new());
    }
    match error.downcast_ref::<Failure<RemoteError>>() {
        Some(Failure::Returned(error)) => return (error.0.outer.clone(), error.0.below.clone()),
        Some(Failure::Task(error)) => return one(error, None),
        None => {}
    }
    let cause = Cause {
        message: message(error),
        type_name: known(error).or(given).map(Cow::Borrowed),
    };
    (cause, Vec::new())
}

/// The name of the type that was given to `?`, unless it tells nothing: text has no type, and a box
/// of any error is not the error.
pub(super) fn name_of<E>() -> Option<&'static str> {
    let nameless = [
        type_name::<&str>(),
        type_name::<String>(),
        type_name::<Cow<'_, str>>(),
        type_name::<Box<dyn Error>>(),
        type_name::<Box<dyn Error + Send + Sync>>(),
    ];
    Some(type_name::<E>()).filter(|name| !nameless.contains(name))
}

macro_rules! names {
    ($($error:ty)*) => {
        /// The name of the error's type, if it is one of these: an error does not tell by itself.
        fn known(error: &(dyn Error + 'static)) -> Option<&'static str> {
            $(
                if error.is::<$error>() {
                    return Some(type_name::<$error>());
                }
            )*
            None
        }
    };
}

names! {
    std::io::Error
    std::fmt::Error
    std::num::ParseIntError std::num::ParseFloatError std::num::TryFromIntError
    std::str::Utf8Error std::str::ParseBoolError
    std::string::FromUtf8Error std::string::FromUtf16Error
    std::char::CharTryFromError std::char::DecodeUtf16Error std::char::ParseCharError
    std::char::TryFromCharError
    std::array::TryFromSliceError std::collections::TryReserveError
    std::cell::BorrowError std::cell::BorrowMutError
    std::env::VarError std::env::JoinPathsError std::path::StripPrefixError
    std::ffi::NulError std::ffi::IntoStringError std::ffi::FromVecWithNulError
    std::ffi::FromBytesWithNulError std::ffi::FromBytesUntilNulError
    std::net::AddrParseError
    std::sync::mpsc::RecvError std::sync::mpsc::RecvTimeoutError std::sync::mpsc::TryRecvError
    std::time::SystemTimeError std::time::TryFromFloatSecsError
    crate::error::pool_error::Error TaskError
}

/// The text of an error, of which no more is kept than a message may have.
pub(super) fn message(of: &dyn Display) -> String {
    let mut text = Bounded {
        text: String::new(),
        is_cut: false,
    };
    // A `Display` that gives up keeps what it has written until then.
    let _ = write!(text, "{of}");
    text.text
}

struct Bounded {
    text: String,
    is_cut: bool,
}

impl Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = MAX_MESSAGE - self.text.len().min(MAX_MESSAGE);
        if self.is_cut {
            // Not an error: not every `Display` expects one.
        } else if more.len() <= room {
            self.text.push_str(more);
        } else {
            let end = (0..=room).rev().find(|end| more.is_char_boundary(*end));
            self.text.push_str(&more[..end.unwrap_or(0)]);
            self.text.push_str(" … (the message is longer)");
            self.is_cut = true;
        }
        Ok(())
    }
}
