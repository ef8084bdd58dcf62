//! An input as numbers: when it has ended, every number is zero.

pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    /// A byte as a number for counts and places.
    pub(super) fn number(&mut self) -> usize {
        self.byte().into()
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(super) fn long(&mut self) -> u64 {
        let mut bytes = [0; 8];
        let taken = self.bytes(8);
        bytes[..taken.len()].copy_from_slice(taken);
        u64::from_le_bytes(bytes)
    }

    /// Three bytes make a 64-bit number with few bits, the kind that is near a limit or is two
    /// small numbers in one word.
    pub(super) fn word(&mut self) -> u64 {
        let [high, shift, low] = [self.byte(), self.byte(), self.byte()];
        let high = u64::from(high) << (shift % 64);
        match shift & 64 {
            0 => high.wrapping_add(low.into()),
            _ => high.wrapping_sub(low.into()),
        }
    }

    /// The next bytes, at most so many.
    pub(super) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }
}
