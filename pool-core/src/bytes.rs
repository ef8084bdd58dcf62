//! Encoded arguments and results: bytes that live in place while they are few.

/// How many bytes live in place. Chosen so that [`Bytes`] is 48 bytes.
const INLINE: usize = 46;

/// A byte string without an allocation while it is short.
#[derive(Debug)]
pub(crate) enum Bytes {
    /// The first `len` bytes of `data`.
    Inline { len: u8, data: [u8; INLINE] },
    /// More than fit in place.
    Heap(Vec<u8>),
}

const _: () = assert!(size_of::<Bytes>() == 48);

impl Bytes {
    pub(crate) const fn new() -> Self {
        Self::Inline {
            len: 0,
            data: [0; INLINE],
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline { len, data } => &data[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }

    /// Room for exactly `len` bytes, to be filled by the caller.
    pub(crate) fn zeroed(len: usize) -> Self {
        match u8::try_from(len) {
            Ok(short) if len <= INLINE => Self::Inline {
                len: short,
                data: [0; INLINE],
            },
            _ => Self::Heap(vec![0; len]),
        }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        match self {
            Self::Inline { len, data } => &mut data[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }

    pub(crate) fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    pub(crate) fn extend(&mut self, more: &[u8]) {
        match self {
            Self::Heap(bytes) => bytes.extend_from_slice(more),
            Self::Inline { len, data } => {
                let used = usize::from(*len);
                let end = used + more.len();
                if let Some(room) = data.get_mut(used..end) {
                    room.copy_from_slice(more);
                    // `end` is at most INLINE, which fits.
                    *len = end as u8;
                } else {
                    let mut bytes = Vec::with_capacity(end.max(2 * INLINE));
                    bytes.extend_from_slice(&data[..used]);
                    bytes.extend_from_slice(more);
                    *self = Self::Heap(bytes);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_from_inline_to_heap_and_keeps_every_byte() {
        let mut bytes = Bytes::new();
        let mut model = Vec::new();
        for i in 0..200u8 {
            if i % 3 == 0 {
                bytes.push(i);
                model.push(i);
            } else {
                bytes.extend(&[i, i ^ 0xff]);
                model.extend([i, i ^ 0xff]);
            }
            assert_eq!(bytes.as_slice(), model);
            assert_eq!(
                matches!(bytes, Bytes::Inline { .. }),
                model.len() <= INLINE,
                "at {} bytes",
                model.len()
            );
        }
    }

    #[test]
    fn zeroed_has_the_length_asked_for() {
        for len in [0, 1, INLINE, INLINE + 1, 10_000] {
            let mut bytes = Bytes::zeroed(len);
            assert_eq!(bytes.as_slice(), vec![0; len]);
            assert_eq!(bytes.as_mut_slice().len(), len);
        }
    }
}
