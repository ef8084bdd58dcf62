//! Access to thread-local values that also works while the thread ends.
//!
//! A destructor of a thread-local value is the user's code and may use a pool. Ours may be destroyed
//! by then, in an order that nobody controls, and the methods of [`LocalKey`] panic there, which
//! aborts the program. So they are in the list of disallowed methods (`clippy.toml`), and this is
//! what stands in their place.

use std::cell::{Cell, RefCell};
use std::thread::LocalKey;

/// A cell in a thread-local variable.
pub(crate) trait Slot {
    type Value;

    /// Stores a value and returns the one before.
    fn exchange(&self, value: Self::Value) -> Self::Value;
}

impl<T> Slot for Cell<T> {
    type Value = T;

    #[inline]
    fn exchange(&self, value: T) -> T {
        self.replace(value)
    }
}

impl<T> Slot for RefCell<T> {
    type Value = T;

    #[inline]
    fn exchange(&self, value: T) -> T {
        self.replace(value)
    }
}

/// A thread-local variable. Where the thread has destroyed it, it reads as the default value, and
/// what is stored is dropped.
pub(crate) trait Local<S: Slot> {
    /// Stores a value and returns the one before.
    fn swap(&'static self, value: S::Value) -> S::Value
    where
        S::Value: Default;

    /// Stores a value.
    fn store(&'static self, value: S::Value);

    /// Calls `code` with the cell; `None` where the thread has destroyed it.
    fn access<R>(&'static self, code: impl FnOnce(&S) -> R) -> Option<R>;

    /// Returns the value and leaves the default one.
    #[inline]
    fn take_out(&'static self) -> S::Value
    where
        S::Value: Default,
    {
        self.swap(S::Value::default())
    }
}

impl<S: Slot> Local<S> for LocalKey<S> {
    #[inline]
    fn swap(&'static self, value: S::Value) -> S::Value
    where
        S::Value: Default,
    {
        self.access(|slot| slot.exchange(value)).unwrap_or_default()
    }

    #[inline]
    fn store(&'static self, value: S::Value) {
        let before = self.access(|slot| slot.exchange(value));
        drop(before);
    }

    #[inline]
    fn access<R>(&'static self, code: impl FnOnce(&S) -> R) -> Option<R> {
        self.try_with(code).ok()
    }
}

/// The value of a thread-local variable, or the default one where the thread has destroyed it.
#[inline]
pub(crate) fn read<T: Copy + Default>(local: &'static LocalKey<Cell<T>>) -> T {
    local.access(Cell::get).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has a destructor, so the thread destroys it.
    #[derive(Default, PartialEq, Eq, Debug)]
    struct Value(Option<Box<u32>>);

    thread_local! {
        static VALUE: RefCell<Value> = const { RefCell::new(Value(None)) };
        static AT_THE_END: Cell<Option<AtTheEnd>> = const { Cell::new(None) };
    }

    struct AtTheEnd(std::sync::mpsc::Sender<bool>);

    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            let is_gone = VALUE.access(|_| ()).is_none();
            VALUE.store(Value(Some(Box::new(2))));
            let read = [VALUE.take_out(), VALUE.swap(Value(Some(Box::new(3))))];
            let _ = self.0.send(is_gone && read == [Value(None), Value(None)]);
        }
    }

    #[test]
    fn a_destroyed_variable_reads_as_the_default() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            // Destroyed last, since it is registered first.
            AT_THE_END.store(Some(AtTheEnd(sender)));
            VALUE.store(Value(Some(Box::new(1))));
            assert_eq!(VALUE.take_out(), Value(Some(Box::new(1))));
        });
        thread.join().unwrap();
        assert_eq!(receiver.recv(), Ok(true));
    }
}
