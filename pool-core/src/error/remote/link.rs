//! A chain of causes as errors that have each other as their sources.

use std::error::Error;
use std::{fmt, iter};

use super::{Cause, Chain, RemoteError, report};

/// One of them. There are never more than a chain may have, so dropping them needs little stack.
pub(super) struct Link {
    pub(super) cause: Cause,
    next: Option<Box<Link>>,
}

impl From<RemoteError> for Link {
    fn from(error: RemoteError) -> Self {
        let Chain { outer, below } = *error.0;
        let above = |next, cause| Some(Box::new(Self { cause, next }));
        Self {
            cause: outer,
            next: below.into_iter().rev().fold(None, above),
        }
    }
}

impl Error for Link {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.next.as_deref().map(|next| next as _)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause.message())
    }
}

/// What a `main` that returns a `Box<dyn Error>` prints.
impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = iter::successors(self.next.as_deref(), |link| link.next.as_deref());
        report(f, &self.cause, below.map(|link| &link.cause))
    }
}
