//! The error of a task that any error turns into: what can be said of it, as data.

mod capture;
mod link;

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display};
use std::iter;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use link::Link;

/// How many causes a chain has at most. One that is longer, or has no end, is cut.
const MAX_CAUSES: usize = 64;

/// An error that travels: what `?` makes of any other error in a task.
///
/// A result may come from another process, so an error with no [`Serialize`] of its own
/// (`std::io::Error`, `anyhow::Error`, a `Box<dyn Error>`) cannot be in it. A `RemoteError` is what
/// there is to say of such an error, as data: its message and those of its causes, each with the
/// name of its type where that is known. It is the same on every backend.
///
/// ```
/// use pool_core::{Pool, RemoteError, pool_task};
///
/// #[pool_task]
/// fn sum(text: &str) -> Result<u32, RemoteError> {
///     let (a, b) = text.split_once('+').ok_or("no plus sign")?;
///     Ok(a.parse::<u32>()? + b.parse::<u32>()?)
/// }
///
/// #[pool_core::main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let pool = Pool::processes()?;
///     assert_eq!(pool.submit(sum::task("1+2")).join()??, 3);
///
///     let error = pool.submit(sum::task("1+x")).join()?.unwrap_err();
///     assert_eq!(error.to_string(), "invalid digit found in string");
///     assert_eq!(error.root_cause().type_name(), Some("core::num::error::ParseIntError"));
///     Ok(())
/// }
/// ```
///
/// # What turns into it
///
/// `?` takes every `std::error::Error + Send + Sync`, and what else turns into a
/// `Box<dyn Error + Send + Sync>`: that box itself, `anyhow::Error`, `eyre::Report`, `String` and
/// `&str`. [`RemoteError::new`] takes errors that are not `Send`, too, [`RemoteError::msg`] anything
/// that can be displayed. (`anyhow`'s `bail!` and `ensure!` return an `anyhow::Error` without a `?`:
/// their place is in a function that the task calls.) To match on an error, return an enum of your
/// own that derives serde's traits instead.
///
/// # What it turns into
///
/// It does not implement `std::error::Error` itself, or `?` could not take every error (as with
/// `anyhow::Error`). In a function that returns a `Result<_, Box<dyn Error>>` or a
/// `Result<_, RemoteError>`, `?` takes it nevertheless. Elsewhere (`anyhow::Result`,
/// `Box<dyn Error + Send + Sync>`) write `.map_err(RemoteError::into_error)?`, or
/// [`flatten`](crate::flatten) the result of the handle: a [`Failure`](crate::Failure) is an error
/// for all of them.
///
/// # How it looks
///
/// `Display` is the whole chain in one line: `cannot load: page 7: invalid digit found in string`.
/// `Debug`, which a `main` that returns the error prints, has the causes below the message; with
/// `{:#?}` also the names of their types.
///
/// # Limits
///
/// A message is cut after 64 KiB, a chain after 64 causes; where that was done it says so.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteError(Box<Chain>);

#[derive(Clone, PartialEq, Eq)]
struct Chain {
    outer: Cause,
    below: Vec<Cause>,
}

/// One error in the chain of a [`RemoteError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    message: String,
    type_name: Option<Cow<'static, str>>,
}

impl RemoteError {
    /// What there is to say of an error that need not be `Send`, such as a `Box<dyn Error>`.
    ///
    /// ```
    /// use pool_core::{RemoteError, pool_task};
    /// use std::error::Error;
    ///
    /// fn parse(text: &str) -> Result<u8, Box<dyn Error>> {
    ///     Ok(text.parse()?)
    /// }
    ///
    /// #[pool_task]
    /// fn double(text: &str) -> Result<u8, RemoteError> {
    ///     Ok(parse(text).map_err(RemoteError::new)? * 2)
    /// }
    ///
    /// assert_eq!(double("x").unwrap_err().to_string(), "invalid digit found in string");
    /// ```
    #[must_use]
    pub fn new<E: Into<Box<dyn Error>>>(error: E) -> Self {
        let error: Box<dyn Error> = error.into();
        capture::all(&*error, capture::name_of::<E>())
    }

    /// An error that is nothing but a message.
    ///
    /// ```
    /// # use pool_core::RemoteError;
    /// let error = RemoteError::msg(format_args!("page {} is empty", 7));
    /// assert_eq!(error.to_string(), "page 7 is empty");
    /// ```
    #[must_use]
    pub fn msg(message: impl Display) -> Self {
        Self::of(Cause::text(message), [])
    }

    /// The same error as the cause of another one, which is this message.
    ///
    /// ```
    /// use pool_core::{RemoteError, pool_task};
    ///
    /// #[pool_task]
    /// fn lines(path: &str) -> Result<usize, RemoteError> {
    ///     let text = std::fs::read_to_string(path)
    ///         .map_err(|error| RemoteError::new(error).context(format_args!("cannot read {path}")))?;
    ///     Ok(text.lines().count())
    /// }
    ///
    /// let error = lines("/no/such/file").unwrap_err();
    /// assert!(error.to_string().starts_with("cannot read /no/such/file: No such file"));
    /// ```
    #[must_use]
    pub fn context(self, message: impl Display) -> Self {
        let Chain { outer, below } = *self.0;
        Self::of(Cause::text(message), iter::once(outer).chain(below))
    }

    /// The message of the outermost error alone; [`chain`](Self::chain) has the others.
    #[must_use]
    pub fn message(&self) -> &str {
        self.0.outer.message()
    }

    /// The errors from the outermost to the root cause; there is at least one.
    ///
    /// ```
    /// # use pool_core::RemoteError;
    /// let error = RemoteError::from(std::fmt::Error).context("cannot print");
    /// let messages: Vec<_> = error.chain().map(|cause| cause.message()).collect();
    /// assert_eq!(messages[0], "cannot print");
    /// assert_eq!(messages[1], std::fmt::Error.to_string());
    /// ```
    pub fn chain(&self) -> impl DoubleEndedIterator<Item = &Cause> + Clone {
        iter::once(&self.0.outer).chain(&self.0.below)
    }

    /// The last error of the chain.
    #[must_use]
    pub fn root_cause(&self) -> &Cause {
        self.0.below.last().unwrap_or(&self.0.outer)
    }

    /// The same as an error that `?` takes everywhere, with its chain.
    ///
    /// ```
    /// # use pool_core::RemoteError;
    /// fn fails() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    ///     Err(RemoteError::msg("the root").context("the top")).map_err(RemoteError::into_error)?
    /// }
    ///
    /// let error = fails().unwrap_err();
    /// assert_eq!(error.to_string(), "the top");
    /// assert_eq!(error.source().unwrap().to_string(), "the root");
    /// ```
    #[must_use]
    pub fn into_error(self) -> impl Error + Send + Sync + 'static {
        Link::from(self)
    }

    /// Cuts a chain that is too long.
    fn of(outer: Cause, below: impl IntoIterator<Item = Cause>) -> Self {
        let mut below: Vec<_> = below.into_iter().take(MAX_CAUSES).collect();
        if below.len() == MAX_CAUSES {
            below.truncate(MAX_CAUSES - 2);
            below.push(Cause::text("(further causes are left out)"));
        }
        Self(Box::new(Chain { outer, below }))
    }
}

impl Cause {
    /// What the error says of itself, without its causes.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The error's type, as [`std::any::type_name`] has it, where it is known.
    ///
    /// It is known of what was given to `?` or [`RemoteError::new`] and, in the chain below, of the
    /// errors of the standard library and of this one. Text has none. A box of any error has that of
    /// what is in it, if that is one of these; `anyhow::Error` can only say its own name. It is there
    /// to be read: a new version of a library or a compiler may write it differently.
    #[must_use]
    pub fn type_name(&self) -> Option<&str> {
        self.type_name.as_deref()
    }

    fn text(message: impl Display) -> Self {
        let (message, type_name) = (capture::message(&message), None);
        Self { message, type_name }
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for RemoteError {
    fn from(error: E) -> Self {
        let error: Box<dyn Error + Send + Sync> = error.into();
        capture::all(&*error, capture::name_of::<E>())
    }
}

impl From<RemoteError> for Box<dyn Error> {
    fn from(error: RemoteError) -> Self {
        Box::new(Link::from(error))
    }
}

impl Display for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())?;
        self.0
            .below
            .iter()
            .try_for_each(|cause| write!(f, ": {}", cause.message))
    }
}

impl fmt::Debug for RemoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return f.debug_list().entries(self.chain()).finish();
        }
        report(f, &self.0.outer, self.0.below.iter())
    }
}

/// The message, and its causes below it: what a person reads when `main` returns the error.
fn report<'a>(
    f: &mut fmt::Formatter<'_>,
    outer: &Cause,
    below: impl Iterator<Item = &'a Cause> + Clone,
) -> fmt::Result {
    f.write_str(&outer.message)?;
    let several = below.clone().nth(1).is_some();
    for (number, cause) in below.enumerate() {
        if number == 0 {
            f.write_str("\n\nCaused by:")?;
        }
        let head = match several {
            true => format!("{number:>5}: "),
            false => " ".repeat(4),
        };
        for (line, text) in cause.message.split('\n').enumerate() {
            let indent = head.len();
            let head = if line == 0 { &*head } else { "" };
            write!(f, "\n{head:indent$}{text}")?;
        }
    }
    Ok(())
}

// A list of pairs: messages and names.

impl Serialize for RemoteError {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(
            self.chain()
                .map(|cause| (cause.message(), cause.type_name())),
        )
    }
}

impl<'de> Deserialize<'de> for RemoteError {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let causes = Vec::<(String, Option<String>)>::deserialize(input)?;
        let mut causes = causes.into_iter().map(|(message, type_name)| Cause {
            message,
            type_name: type_name.map(Cow::Owned),
        });
        match causes.next() {
            Some(outer) => Ok(Self::of(outer, causes)),
            None => Err(D::Error::custom("an error without a message")),
        }
    }
}

#[cfg(test)]
mod tests;
