//! The bytes of a value: each begins with a *token* that says what it is.
//!
//! The format keeps the whole of serde's data model: a value can be read without knowing its type
//! (`deserialize_any`), an integer keeps its width, and `Some(None)` is not `None`.
//!
//! ```text
//! 00–7F  a small integer: the kind of integer in the upper four bits, 0 to 15 in the lower ones
//! 80–9F  a string of 0 to 31 bytes
//! A0–AF  other scalars, see the constants
//! B0–B7  a sequence or tuple of 0 to 7 elements; longer: SEQUENCE, length
//! C0–CF  numbers of one kind without tokens: the kind in the lower four bits; length, numbers
//! D0–DF  a struct of 0 to 14 fields without its names; 15: the number of fields follows
//! E0–EF  the same, and some values have their names in front of them
//! F0–FF  struct with names, enum variants, field names, see the constants
//! ```
//!
//! Lengths are [LEB128](https://en.wikipedia.org/wiki/LEB128), as are integers of 16 to 64 bits,
//! signed ones zigzag-encoded. Everything else is little-endian.
//!
//! **Names.** A field's value may have its name in front of it: `NAME`, length, UTF-8. Without one,
//! the name is the *predicted* one. For a struct that was written without names, the prediction is
//! the list of fields with which the reader asks for the struct. `NAMED` is followed by a prediction,
//! by number, and by the number of fields: 0 predicts nothing, `n` predicts the names of the `n`th
//! struct of this message that had to write one. A prediction that failed goes on behind the name
//! that was found instead.
//!
//! A writer leaves a name out only where it has seen that the reader asks for this struct with
//! these fields (`names.rs`), so readers of another kind, which need the names, get them.

/// Kinds of numbers, in the lower or upper four bits of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Number {
    U8 = 0,
    U16 = 1,
    U32 = 2,
    U64 = 3,
    I8 = 4,
    I16 = 5,
    I32 = 6,
    I64 = 7,
    F32 = 8,
    F64 = 9,
}

impl Number {
    /// The kind with this number.
    #[inline]
    pub(super) fn from_code(code: u8) -> Option<Self> {
        use Number::*;
        const ALL: [Number; 10] = [U8, U16, U32, U64, I8, I16, I32, I64, F32, F64];
        ALL.get(usize::from(code)).copied()
    }

    /// How many bytes such a number takes in a packed sequence.
    #[inline]
    pub(super) const fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// A prediction that failed goes on behind the name that was found only in lists up to this length: a
/// search in longer ones would take the reader of hostile bytes too long.
pub(super) const MAX_SEARCHED: usize = 256;

/// Integers below this are part of their token.
pub(super) const SMALL: u64 = 16;
/// Tokens below this are small integers.
pub(super) const SMALL_END: u8 = 0x80;

/// An integer of the kind in the lower three bits.
pub(super) const INTEGER: u8 = 0xA0;
pub(super) const INTEGER_LAST: u8 = 0xA7;

pub(super) const SHORT_STRING: u8 = 0x80;
/// Strings below this length have it in their token.
pub(super) const SHORT_STRING_LEN: usize = 32;
pub(super) const SHORT_STRING_LAST: u8 = 0x9F;

pub(super) const U128: u8 = 0xA8;
pub(super) const I128: u8 = 0xA9;
pub(super) const F32: u8 = 0xAA;
pub(super) const F64: u8 = 0xAB;
pub(super) const FALSE: u8 = 0xAC;
pub(super) const TRUE: u8 = 0xAD;
pub(super) const CHAR: u8 = 0xAE;
pub(super) const UNIT: u8 = 0xAF;

pub(super) const SHORT_SEQUENCE: u8 = 0xB0;
/// Sequences below this length have it in their token.
pub(super) const SHORT_SEQUENCE_LEN: usize = 8;
pub(super) const SHORT_SEQUENCE_LAST: u8 = 0xB7;
pub(super) const SEQUENCE: u8 = 0xB8;
pub(super) const MAP: u8 = 0xB9;
pub(super) const STRING: u8 = 0xBA;
pub(super) const BYTES: u8 = 0xBB;
pub(super) const NONE: u8 = 0xBC;
pub(super) const SOME: u8 = 0xBD;

/// Numbers of the kind in the lower four bits.
pub(super) const PACKED: u8 = 0xC0;
pub(super) const PACKED_LAST: u8 = 0xCF;

/// A struct of which every name is the predicted one.
pub(super) const STRUCT: u8 = 0xD0;
pub(super) const STRUCT_LAST: u8 = 0xDF;
/// What is added to [`STRUCT`] where a name differs from the prediction.
pub(super) const DIFFERS: u8 = 0x10;
pub(super) const STRUCT_DIFFERS: u8 = STRUCT + DIFFERS;
pub(super) const STRUCT_DIFFERS_LAST: u8 = STRUCT_LAST + DIFFERS;
/// Structs from this number of fields on have it behind the token.
pub(super) const MANY_FIELDS: usize = 15;

/// A field's name.
pub(super) const NAME: u8 = 0xF0;
/// A struct with names: the prediction, the number of fields.
pub(super) const NAMED: u8 = 0xF1;
/// Enum variants by their place in the list with which the reader asks for the enum, and their
/// content: nothing, a value, a sequence, a struct.
pub(super) const UNIT_VARIANT: u8 = 0xF2;
pub(super) const VARIANT: u8 = 0xF3;
/// The same with the variant's name: a string.
pub(super) const NAMED_UNIT_VARIANT: u8 = 0xF4;
pub(super) const NAMED_VARIANT: u8 = 0xF5;
/// Short for [`UNIT_VARIANT`] 0 to 4 and [`VARIANT`] 0 to 4.
pub(super) const SHORT_UNIT_VARIANT: u8 = 0xF6;
pub(super) const SHORT_UNIT_VARIANT_LAST: u8 = 0xFA;
pub(super) const SHORT_VARIANT: u8 = 0xFB;
pub(super) const SHORT_VARIANT_LAST: u8 = 0xFF;
/// Variants below this place have it in their token.
pub(super) const SHORT_VARIANTS: usize = 5;

/// The longest LEB128 of 64 bits.
pub(super) const MAX_VARINT: usize = 10;

/// Appends a number as LEB128.
#[inline]
pub(super) fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    if value < 0x80 {
        return out.push(value as u8);
    }
    let mut bytes = [0; MAX_VARINT];
    let mut len = 0;
    while value >= 0x80 {
        bytes[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    bytes[len] = value as u8;
    out.extend_from_slice(&bytes[..=len]);
}

#[inline]
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
