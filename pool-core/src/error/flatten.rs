//! One error for a task that did not end and for a task that ended with an error.

use std::error::Error;
use std::fmt;

use crate::error::task_error::TaskError;

/// Why there is no value: the task has no result, or its result is an `Err`. Made by [`flatten`].
///
/// `Display` and `Debug` are those of the error inside. It is a `std::error::Error` whatever `E`
/// is, as long as that can be displayed, so `?` takes it in every kind of function.
#[derive(Clone, PartialEq, Eq)]
pub enum Failure<E> {
    /// The task did not run to its end.
    Task(TaskError),
    /// The task returned this error.
    Returned(E),
}

/// Makes one result of two: that of the handle, and that of the function.
///
/// ```
/// use pool_core::{Failure, Pool, flatten, pool_task};
///
/// #[pool_task]
/// fn parse(text: &str) -> Result<u8, String> {
///     assert!(!text.is_empty(), "nothing to parse");
///     text.parse().map_err(|_| format!("{text:?} is no number"))
/// }
///
/// let pool = Pool::threads()?;
/// assert_eq!(flatten(pool.submit(parse::task("7")).join())?, 7);
///
/// let tasks = ["x", ""].map(parse::task);
/// for result in pool.map(tasks).map(flatten) {
///     match result {
///         Ok(number) => println!("{number}"),
///         Err(Failure::Returned(text)) => assert_eq!(text, "\"x\" is no number"),
///         Err(Failure::Task(error)) => assert!(error.is_panic()),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
///
/// # Errors
///
/// [`Failure::Task`] if the task did not run to its end, [`Failure::Returned`] with its own error.
pub fn flatten<T, E>(result: Result<Result<T, E>, TaskError>) -> Result<T, Failure<E>> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::Returned(error)),
        Err(error) => Err(Failure::Task(error)),
    }
}

impl<E> Failure<E> {
    /// Why the task did not run to its end, if it did not.
    #[must_use]
    pub fn task_error(&self) -> Option<&TaskError> {
        match self {
            Self::Task(error) => Some(error),
            Self::Returned(_) => None,
        }
    }

    /// The error that the task returned, if it ran to its end.
    #[must_use]
    pub fn returned(&self) -> Option<&E> {
        match self {
            Self::Task(_) => None,
            Self::Returned(error) => Some(error),
        }
    }

    /// The same by value.
    #[must_use]
    pub fn into_returned(self) -> Option<E> {
        match self {
            Self::Task(_) => None,
            Self::Returned(error) => Some(error),
        }
    }
}

impl<E> From<TaskError> for Failure<E> {
    fn from(error: TaskError) -> Self {
        Self::Task(error)
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(error) => error.fmt(f),
            Self::Returned(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(error) => error.fmt(f),
            Self::Returned(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> Error for Failure<E> {
    /// The text of the error inside is that of the failure already, so what comes next is the
    /// source of that error. An own `E` has one only if it is an error, which is not asked of it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Task(error) => error.source(),
            Self::Returned(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::remote::RemoteError;
    use crate::error::task_error::TaskErrorKind;

    fn panicked() -> TaskError {
        TaskError::new(TaskErrorKind::Panicked, "f").message_is("why")
    }

    #[test]
    fn each_of_the_three_ends() {
        let flat = |result| flatten::<u8, String>(result);
        assert_eq!(flat(Ok(Ok(1))), Ok(1));
        assert_eq!(
            flat(Ok(Err("no".into()))),
            Err(Failure::Returned("no".into()))
        );
        assert_eq!(flat(Err(panicked())), Err(Failure::Task(panicked())));
    }

    #[test]
    fn it_looks_like_what_is_inside() {
        let task: Failure<String> = panicked().into();
        assert_eq!(task.to_string(), panicked().to_string());
        assert_eq!(format!("{task:?}"), format!("{:?}", panicked()));
        assert_eq!(task.task_error(), Some(&panicked()));
        assert_eq!(task.returned(), None);
        assert!(task.source().is_none());

        let returned = Failure::Returned(RemoteError::msg("root").context("top"));
        assert_eq!(returned.to_string(), "top: root");
        assert_eq!(format!("{returned:?}"), "top\n\nCaused by:\n    root");
        assert!(returned.task_error().is_none() && returned.source().is_none());
        assert_eq!(returned.into_returned().unwrap().message(), "top");
    }

    /// It is an error wherever one is asked for, and says everything in one place.
    #[test]
    fn it_goes_into_any_box() {
        fn fails() -> Result<(), Box<dyn Error + Send + Sync>> {
            Ok(flatten(Ok(Err(RemoteError::msg("no"))))?)
        }
        assert_eq!(fails().unwrap_err().to_string(), "no");
    }
}
