//! Encoded arguments and results: bytes that live in place while they are few.

#[cfg(feature = "processes")]
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// How many bytes live in place. Chosen so that [`Bytes`] is three words.
const INLINE: usize = 22;

/// A byte string without an allocation while it is short.
#[derive(Debug)]
pub(crate) enum Bytes {
    /// The first `len` bytes of `data`.
    Inline { len: u8, data: [u8; INLINE] },
    /// More than fit in place.
    Heap(Box<[u8]>),
}

const _: () = assert!(size_of::<Bytes>() == 24);

impl Bytes {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self::Inline {
            len: 0,
            data: [0; INLINE],
        }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline { len, data } => &data[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }

    /// Room for exactly `len` bytes, to be filled by the caller.
    #[inline]
    pub(crate) fn zeroed(len: usize) -> Self {
        match u8::try_from(len) {
            Ok(short) if len <= INLINE => Self::Inline {
                len: short,
                data: [0; INLINE],
            },
            _ => Self::Heap(vec![0; len].into_boxed_slice()),
        }
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        match self {
            Self::Inline { len, data } => &mut data[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Self::new()
    }
}

impl From<&[u8]> for Bytes {
    #[inline]
    fn from(bytes: &[u8]) -> Self {
        if bytes.len() <= INLINE {
            let mut data = [0; INLINE];
            data[..bytes.len()].copy_from_slice(bytes);
            Self::Inline {
                // At most INLINE, which fits.
                len: bytes.len() as u8,
                data,
            }
        } else {
            Self::Heap(bytes.into())
        }
    }
}

impl From<Vec<u8>> for Bytes {
    #[inline]
    fn from(bytes: Vec<u8>) -> Self {
        Self::Heap(bytes.into_boxed_slice())
    }
}

/// From how many bytes on memory is asked for in large pages, and copied by several threads.
pub(crate) const HUGE: usize = 16 << 20;

/// How many threads copy at most.
const MAX_COPIERS: usize = 4;

/// `len` zero bytes; `None` where there is no memory for them.
pub(crate) fn zeroed_vec(len: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).ok()?;
    expect_writes(bytes.spare_capacity_mut());
    bytes.resize(len, 0);
    Some(bytes)
}

/// Asks the system for large pages, from the first pool of the program on.
#[cfg(feature = "processes")]
pub(crate) static LARGE_PAGES: std::sync::OnceLock<fn(&Range<*const u8>)> =
    std::sync::OnceLock::new();

/// This memory is about to be written for the first time: it is asked for in large pages, of which
/// the system has five hundred times fewer to provide.
pub(crate) fn expect_writes<T>(memory: &mut [T]) {
    #[cfg(feature = "processes")]
    if size_of_val(memory) >= HUGE {
        let Range { start, end } = memory.as_ptr_range();
        if let Some(use_large_pages) = LARGE_PAGES.get() {
            use_large_pages(&(start.cast()..end.cast()));
        }
    }
    #[cfg(not(feature = "processes"))]
    let _ = memory;
}

/// `to.copy_from_slice(from)`, by several threads where that is worth it: memory that is touched
/// for the first time takes the system much longer than the copy, on each processor by itself.
#[inline]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    if from.len() < HUGE || to.len() != from.len() {
        to.copy_from_slice(from);
    } else {
        copy_in_parts(to, from);
    }
}

#[cold]
fn copy_in_parts(to: &mut [u8], from: &[u8]) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let len = from.len().div_ceil(threads.min(MAX_COPIERS));
    let parts: Vec<_> = to
        .chunks_mut(len)
        .zip(from.chunks(len))
        .map(|part| Mutex::new(Some(part)))
        .collect();
    let copy = |part: &Mutex<Option<(&mut [u8], &[u8])>>| {
        let part = part.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((to, from)) = part {
            to.copy_from_slice(from);
        }
    };
    std::thread::scope(|scope| {
        for part in &parts[1..] {
            // Where there is no thread to be had, it is copied below.
            let _ = std::thread::Builder::new().spawn_scoped(scope, move || copy(part));
        }
        parts.iter().for_each(copy);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroed_has_the_length_asked_for() {
        for len in [0, 1, INLINE, INLINE + 1, 10_000] {
            let mut bytes = Bytes::zeroed(len);
            assert_eq!(bytes.as_slice(), vec![0; len]);
            assert_eq!(bytes.as_mut_slice().len(), len);
        }
    }
}
