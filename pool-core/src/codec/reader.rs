//! Reads a value: tokens to serde's data model.
//!
//! Bytes of a worker are not believed: every length is checked against the bytes that are there, and
//! values may stand in one another to a limited depth, since each level takes a piece of the stack
//! of whoever reads it.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::error::CodecError;
use super::format::{self, Number};
use super::names::{List, Names, Part, Place};
use super::packed::{Packed, visit_integer};
use super::writer::BLOCK;

type Result<T> = std::result::Result<T, CodecError>;

/// How many values of a worker may stand in one another. A level takes some hundred bytes of a
/// stack of, usually, two megabytes.
pub(super) const MAX_DEPTH: u32 = 2_048;

/// How many levels a value takes whose type asks for anything: the buffers of serde through which such
/// a type reads take several stack frames a level.
const ANY_LEVELS: u32 = 8;

/// A rehearsal ends below this many levels: it runs in the thread that submits.
const MAX_REHEARSED_DEPTH: u32 = 128;

/// A rehearsal ends behind this many bytes: it has seen enough of the type.
const MAX_REHEARSED: usize = 64 << 10;

/// Reads one value from the front of its bytes.
pub(super) struct Reader<'de> {
    /// What was not read yet.
    bytes: &'de [u8],
    /// How many more levels there may be.
    depth: u32,
    /// The names of structs that were read so far.
    shapes: Vec<Box<[&'de str]>>,
    /// Where a rehearsal notes the names with which the type asks, and where it is.
    rehearsal: Option<&'static Names>,
    container: Place,
    part: Part,
    in_block: bool,
    /// The bytes that a rehearsal does not need to read.
    enough: &'de [u8],
    /// The value before was asked for as an identifier: what follows may be of a type that it names.
    asked_for_identifier: bool,
    /// A rehearsal failed, and what it failed at is noted.
    has_failed: bool,
}

impl<'de> Reader<'de> {
    #[inline]
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self {
            bytes,
            depth: u32::MAX,
            shapes: Vec::new(),
            rehearsal: None,
            container: Place::ROOT,
            part: Part::VALUE,
            in_block: false,
            enough: &[],
            asked_for_identifier: false,
            has_failed: false,
        }
    }

    /// Reads what a worker wrote.
    #[inline]
    pub(super) fn of_worker(bytes: &'de [u8]) -> Self {
        Self {
            depth: MAX_DEPTH,
            ..Self::new(bytes)
        }
    }

    /// Notes with which names the type asks for its parts.
    pub(super) fn rehearsing(bytes: &'de [u8], names: &'static Names) -> Self {
        Self {
            rehearsal: Some(names),
            depth: MAX_REHEARSED_DEPTH,
            enough: bytes.get(MAX_REHEARSED..).unwrap_or_default(),
            ..Self::new(bytes)
        }
    }

    /// How many bytes were not read.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    fn peek(&self) -> Result<u8> {
        match self.bytes.first() {
            Some(token) => Ok(*token),
            None => Err(too_short()),
        }
    }

    #[inline]
    fn token(&mut self) -> Result<u8> {
        let (token, rest) = self.bytes.split_first().ok_or_else(too_short)?;
        self.bytes = rest;
        Ok(*token)
    }

    /// Takes the token that was looked at.
    #[inline]
    fn skip(&mut self) {
        self.bytes = self.bytes.get(1..).unwrap_or_default();
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'de [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or_else(too_short)?;
        self.bytes = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (array, rest) = self.bytes.split_first_chunk().ok_or_else(too_short)?;
        self.bytes = rest;
        Ok(*array)
    }

    #[inline]
    fn varint(&mut self) -> Result<u64> {
        match self.token()? {
            short if short < 0x80 => Ok(u64::from(short)),
            first => self.long_varint(first),
        }
    }

    fn long_varint(&mut self, first: u8) -> Result<u64> {
        let mut value = u64::from(first & 0x7F);
        for shift in (7..64).step_by(7) {
            let byte = self.token()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(CodecError::new("a number has more than 64 bits"))
    }

    /// The length of what follows and takes at least `size` bytes an element.
    #[inline]
    fn len(&mut self, size: usize) -> Result<usize> {
        let len = self.varint()?;
        match usize::try_from(len) {
            Ok(len)
                if len
                    .checked_mul(size)
                    .is_some_and(|bytes| bytes <= self.left()) =>
            {
                Ok(len)
            }
            _ => Err(too_short()),
        }
    }

    #[inline]
    fn text(&mut self, len: usize) -> Result<&'de str> {
        let bytes = self.take(len)?;
        std::str::from_utf8(bytes).map_err(|_| CodecError::new("a text is not UTF-8"))
    }

    /// A string, if that is what follows.
    #[inline]
    fn string(&mut self) -> Result<Option<&'de str>> {
        match self.peek()? {
            token @ format::SHORT_STRING..=format::SHORT_STRING_LAST => {
                self.skip();
                self.text(usize::from(token - format::SHORT_STRING))
                    .map(Some)
            }
            format::STRING => {
                self.skip();
                let len = self.len(1)?;
                self.text(len).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The length of a sequence with tokens, if that is what follows.
    #[inline]
    fn sequence(&mut self) -> Result<Option<usize>> {
        match self.peek()? {
            token @ format::SHORT_SEQUENCE..=format::SHORT_SEQUENCE_LAST => {
                self.skip();
                Ok(Some(usize::from(token - format::SHORT_SEQUENCE)))
            }
            format::SEQUENCE => {
                self.skip();
                self.len(1).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The integer that has this token, as its kind and bits; `None` for what is no integer.
    #[inline]
    fn integer(&mut self) -> Result<Option<(Number, i128)>> {
        let token = self.peek()?;
        if token < format::SMALL_END {
            self.skip();
            // Tokens below the end have seven kinds at most.
            let kind = Number::from_code(token >> 4).unwrap_or(Number::U8);
            return Ok(Some((kind, i128::from(token & 0x0F))));
        }
        if !(format::INTEGER..=format::INTEGER_LAST).contains(&token) {
            return Ok(None);
        }
        self.skip();
        let kind = Number::from_code(token - format::INTEGER).unwrap_or(Number::U8);
        let value = match kind {
            Number::U8 => i128::from(self.token()?),
            Number::I8 => i128::from(self.token()? as i8),
            Number::I16 | Number::I32 | Number::I64 => i128::from(format::unzigzag(self.varint()?)),
            _ => i128::from(self.varint()?),
        };
        Ok(Some((kind, value)))
    }

    /// Goes one level down.
    #[inline]
    fn enter(&mut self) -> Result<()> {
        self.enter_levels(1)
    }

    #[inline]
    fn enter_levels(&mut self, levels: u32) -> Result<()> {
        match self.depth.checked_sub(levels) {
            Some(depth) => {
                self.depth = depth;
                Ok(())
            }
            None => {
                // In a rehearsal that says nothing of the type.
                self.has_failed = true;
                Err(CodecError::new("nested too deep"))
            }
        }
    }

    /// The place of what follows, which only a rehearsal needs.
    #[inline]
    fn here(&self) -> Place {
        match self.rehearsal {
            None => Place::ROOT,
            Some(_) => self.container.part(self.part),
        }
    }

    /// The same of a struct or enum of this name.
    #[inline]
    fn here_of(&self, name: &str) -> Place {
        match self.rehearsal {
            None => Place::ROOT,
            Some(_) => self.here().of_type(name),
        }
    }

    /// Says that the part of the value at `place` follows.
    #[inline]
    fn part_follows(&mut self, place: Place, part: Part) -> Result<()> {
        if self.rehearsal.is_some() {
            self.container = place;
            self.part = part;
            if self.enough.len() > self.bytes.len() {
                self.has_failed = true;
                return Err(CodecError::new("the rehearsal is long enough"));
            }
        }
        Ok(())
    }

    /// Notes in a rehearsal that the type asks for what is at `place` with this list.
    #[inline]
    fn learn(&self, place: Place, list: List) {
        if let Some(names) = self.rehearsal {
            names.learn(place, list);
        }
    }

    fn elements<V: Visitor<'de>>(
        &mut self,
        len: usize,
        place: Place,
        is_tuple: bool,
        visitor: V,
    ) -> Result<V::Value> {
        self.enter()?;
        let mut elements = Elements {
            reader: self,
            place,
            index: 0,
            len,
            is_tuple,
        };
        let value = visitor.visit_seq(&mut elements)?;
        let unread = elements.len - elements.index;
        self.depth += 1;
        match unread {
            0 => Ok(value),
            _ => Err(CodecError::invalid_length(len, &"fewer elements")),
        }
    }

    fn packed<V: Visitor<'de>>(&mut self, token: u8, visitor: V) -> Result<V::Value> {
        let kind = Number::from_code(token - format::PACKED);
        let kind = kind.ok_or_else(|| unknown_token(token))?;
        let len = self.len(kind.size())?;
        let bytes = self.take(len * kind.size())?;
        let mut numbers = Packed::new(kind, bytes);
        let value = visitor.visit_seq(&mut numbers)?;
        match numbers.is_empty() {
            true => Ok(value),
            false => Err(CodecError::invalid_length(len, &"fewer numbers")),
        }
    }

    fn map<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let len = self.len(2)?;
        self.enter()?;
        let mut entries = Entries {
            reader: self,
            left: len,
        };
        let value = visitor.visit_map(&mut entries)?;
        let unread = entries.left;
        self.depth += 1;
        match unread {
            0 => Ok(value),
            _ => Err(CodecError::invalid_length(len, &"fewer entries")),
        }
    }

    /// The struct that has this token, which was taken; `asked`: with which names the reader asks
    /// for which struct.
    fn fields<V: Visitor<'de>>(
        &mut self,
        token: u8,
        asked: Option<(&'static str, List)>,
        place: Place,
        visitor: V,
    ) -> Result<V::Value> {
        let (prediction, len, differs) = match token {
            format::NAMED => {
                let like = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                let len = self.len(1)?;
                (Prediction::Shape(like.checked_sub(1)), len, true)
            }
            _ => {
                let short = usize::from((token - format::STRUCT) & 0x0F);
                let len = match short {
                    format::MANY_FIELDS => self.len(1)?,
                    few => few,
                };
                (Prediction::Asked, len, token >= format::STRUCT_DIFFERS)
            }
        };
        self.enter()?;
        let (name, list) = asked.unwrap_or(("", &[]));
        let value = if asked.is_some() && !differs && len == list.len() {
            let mut fields = InOrder {
                reader: self,
                place,
                name,
                list,
                next: 0,
            };
            let value = visitor.visit_seq(&mut fields)?;
            if fields.next != list.len() {
                return Err(CodecError::invalid_length(len, &"fewer fields"));
            }
            value
        } else {
            self.named_fields(prediction, len, (name, list), place, visitor)?
        };
        self.depth += 1;
        Ok(value)
    }

    #[inline(never)]
    fn named_fields<V: Visitor<'de>>(
        &mut self,
        prediction: Prediction,
        len: usize,
        (name, list): (&'static str, List),
        place: Place,
        visitor: V,
    ) -> Result<V::Value> {
        let in_order = self
            .rehearsal
            .filter(|names| len == list.len() && len > 0 && !names.is_contradicted(place));
        let mut fields = Named {
            reader: self,
            place,
            name,
            list,
            prediction,
            next: 0,
            left: len,
            keys: Vec::new(),
            differs: false,
            last: "",
        };
        let value = match in_order {
            // Does the type take its fields in this order without their names?
            Some(names) => {
                let value = visitor.visit_seq(&mut fields);
                if value.is_ok() && fields.left == 0 {
                    names.learn(place, list);
                } else if !fields.reader.has_failed {
                    fields.reader.has_failed = true;
                    names.contradict(place);
                }
                value?
            }
            None => visitor.visit_map(&mut fields)?,
        };
        if fields.left > 0 {
            return Err(CodecError::invalid_length(len, &"fewer fields"));
        }
        let Named { keys, differs, .. } = fields;
        if differs && matches!(prediction, Prediction::Shape(_)) {
            self.shapes.push(keys.into_boxed_slice());
        }
        Ok(value)
    }

    /// The fields of a struct with names as a tuple, for a type that reads itself so.
    #[cold]
    fn values<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let like = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        let prediction = Prediction::Shape(like.checked_sub(1));
        let left = self.len(1)?;
        self.enter()?;
        let mut values = Values(Named {
            reader: self,
            place: Place::UNKNOWN,
            name: "",
            list: &[],
            prediction,
            next: 0,
            left,
            keys: Vec::new(),
            differs: false,
            last: "",
        });
        let value = visitor.visit_seq(&mut values)?;
        let Named {
            left,
            keys,
            differs,
            ..
        } = values.0;
        if left > 0 {
            return Err(CodecError::invalid_length(
                keys.len() + left,
                &"fewer fields",
            ));
        }
        if differs {
            self.shapes.push(keys.into_boxed_slice());
        }
        self.depth += 1;
        Ok(value)
    }

    /// A variant of an enum, whose token follows: its name, and whether it has a content.
    fn variant(&mut self, asked: Option<List>) -> Result<Option<(&'de str, bool)>> {
        let token = self.peek()?;
        let (at, has_content) = match token {
            format::SHORT_UNIT_VARIANT..=format::SHORT_UNIT_VARIANT_LAST => {
                self.skip();
                (usize::from(token - format::SHORT_UNIT_VARIANT), false)
            }
            format::SHORT_VARIANT..=format::SHORT_VARIANT_LAST => {
                self.skip();
                (usize::from(token - format::SHORT_VARIANT), true)
            }
            format::UNIT_VARIANT | format::VARIANT => {
                self.skip();
                let at = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                (at, token == format::VARIANT)
            }
            format::NAMED_UNIT_VARIANT | format::NAMED_VARIANT => {
                self.skip();
                let name = self.string()?.ok_or_else(|| unknown_token(token))?;
                return Ok(Some((name, token == format::NAMED_VARIANT)));
            }
            _ => return Ok(None),
        };
        match asked.and_then(|list| list.get(at)) {
            Some(name) => Ok(Some((name, has_content))),
            None => Err(left_out("variant")),
        }
    }

    /// Whatever follows.
    #[inline(never)]
    fn any<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.enter_levels(ANY_LEVELS)?;
        let value = self.any_within(visitor)?;
        self.depth += ANY_LEVELS;
        Ok(value)
    }

    fn any_within<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        // Nothing is learned below: its parts are asked for through buffers of serde.
        if self.rehearsal.is_some() {
            self.container = Place::UNKNOWN;
        }
        if let Some((kind, value)) = self.integer()? {
            return visit_integer(kind, value, visitor);
        }
        if let Some(text) = self.string()? {
            return visitor.visit_borrowed_str(text);
        }
        if let Some(len) = self.sequence()? {
            let place = self.here();
            return self.elements(len, place, false, visitor);
        }
        if let Some((name, has_content)) = self.variant(None)? {
            return match has_content {
                false => visitor.visit_borrowed_str(name),
                true => {
                    self.enter()?;
                    let value = visitor.visit_map(Single {
                        reader: self,
                        name: Some(name),
                    })?;
                    self.depth += 1;
                    Ok(value)
                }
            };
        }
        match self.token()? {
            format::U128 => visitor.visit_u128(u128::from_le_bytes(self.array()?)),
            format::I128 => visitor.visit_i128(i128::from_le_bytes(self.array()?)),
            format::F32 => visitor.visit_f32(f32::from_le_bytes(self.array()?)),
            format::F64 => visitor.visit_f64(f64::from_le_bytes(self.array()?)),
            format::FALSE => visitor.visit_bool(false),
            format::TRUE => visitor.visit_bool(true),
            format::CHAR => {
                let code = u32::try_from(self.varint()?).ok().and_then(char::from_u32);
                visitor.visit_char(code.ok_or_else(|| CodecError::new("this is no character"))?)
            }
            format::UNIT => visitor.visit_unit(),
            format::NONE => visitor.visit_none(),
            format::SOME => {
                self.enter()?;
                let value = visitor.visit_some(&mut *self)?;
                self.depth += 1;
                Ok(value)
            }
            format::MAP => self.map(visitor),
            format::BYTES => {
                let len = self.len(1)?;
                visitor.visit_borrowed_bytes(self.take(len)?)
            }
            token @ format::PACKED..=format::PACKED_LAST => self.packed(token, visitor),
            token @ (format::STRUCT..=format::STRUCT_DIFFERS_LAST | format::NAMED) => {
                let place = self.here();
                self.fields(token, None, place, visitor)
            }
            token => Err(unknown_token(token)),
        }
    }
}

#[cold]
fn too_short() -> CodecError {
    CodecError::new("the bytes end before the value does")
}

#[cold]
fn unknown_token(token: u8) -> CodecError {
    CodecError::new(format!("no value begins with the byte {token:#04x}"))
}

#[cold]
fn left_out(what: &str) -> CodecError {
    CodecError::new(format!(
        "a {what} has no name, and the type's Deserialize asked for one that it did not ask for \
         before"
    ))
}

/// Reads an integer of the kind that is asked for where it is one, else of the kind that is there.
macro_rules! integers {
    ($($method:ident $visit:ident $number:ty, $kind:ident;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            const SMALL: u8 = (Number::$kind as u8) << 4;
            let token = self.peek()?;
            if token & 0xF0 == SMALL {
                self.skip();
                return visitor.$visit((token & 0x0F) as $number);
            }
            match self.integer()? {
                Some((kind, value)) => match <$number>::try_from(value) {
                    Ok(value) => visitor.$visit(value),
                    Err(_) => visit_integer(kind, value, visitor),
                },
                None => self.any(visitor),
            }
        }
    )*};
}

macro_rules! anything {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.any(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = CodecError;

    #[inline]
    fn is_human_readable(&self) -> bool {
        !self.in_block
    }

    integers! {
        deserialize_u8 visit_u8 u8, U8;
        deserialize_u16 visit_u16 u16, U16;
        deserialize_u32 visit_u32 u32, U32;
        deserialize_u64 visit_u64 u64, U64;
        deserialize_i8 visit_i8 i8, I8;
        deserialize_i16 visit_i16 i16, I16;
        deserialize_i32 visit_i32 i32, I32;
        deserialize_i64 visit_i64 i64, I64;
    }

    anything! {
        deserialize_any deserialize_u128 deserialize_i128 deserialize_f32
        deserialize_char deserialize_unit
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek()? {
            format::MAP => {
                self.skip();
                self.map(visitor)
            }
            _ => self.any(visitor),
        }
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.bytes {
            [format::F64, a, b, c, d, e, f, g, h, rest @ ..] => {
                self.bytes = rest;
                visitor.visit_f64(f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))
            }
            _ => self.any(visitor),
        }
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek()? {
            token @ (format::FALSE | format::TRUE) => {
                self.skip();
                visitor.visit_bool(token == format::TRUE)
            }
            _ => self.any(visitor),
        }
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.string()? {
            Some(text) => visitor.visit_borrowed_str(text),
            None => self.any(visitor),
        }
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.asked_for_identifier = true;
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek()? {
            format::BYTES => {
                self.skip();
                let len = self.len(1)?;
                visitor.visit_borrowed_bytes(self.take(len)?)
            }
            _ => self.any(visitor),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek()? {
            format::NONE | format::UNIT => {
                self.skip();
                visitor.visit_none()
            }
            token => {
                // A value that was written by itself is there.
                if token == format::SOME {
                    self.skip();
                }
                self.enter()?;
                let value = visitor.visit_some(&mut *self)?;
                self.depth += 1;
                Ok(value)
            }
        }
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.any(visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.enter()?;
        self.in_block = name == BLOCK;
        let value = visitor.visit_newtype_struct(&mut *self);
        self.in_block = false;
        self.depth += 1;
        value
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.sequence()? {
            Some(len) => {
                let place = self.here();
                self.elements(len, place, false, visitor)
            }
            None => self.any(visitor),
        }
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        match self.sequence()? {
            Some(len) => {
                let place = self.here();
                self.elements(len, place, true, visitor)
            }
            None if self.peek()? == format::NAMED => {
                self.skip();
                self.values(visitor)
            }
            None => self.any(visitor),
        }
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_tuple(len, visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        list: List,
        visitor: V,
    ) -> Result<V::Value> {
        match self.peek()? {
            token @ (format::STRUCT..=format::STRUCT_DIFFERS_LAST | format::NAMED) => {
                self.skip();
                let place = self.here_of(name);
                self.fields(token, Some((name, list)), place, visitor)
            }
            _ => self.any(visitor),
        }
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        list: List,
        visitor: V,
    ) -> Result<V::Value> {
        let place = self.here_of(name);
        if let Some((variant, has_content)) = self.variant(Some(list))? {
            self.learn(place, list);
            self.enter()?;
            let value = visitor.visit_enum(Variant {
                reader: self,
                place,
                name,
                list,
                variant,
                has_content,
            })?;
            self.depth += 1;
            return Ok(value);
        }
        // A type that writes its variants by itself: as texts, or as maps of one entry.
        if let Some(text) = self.string()? {
            return visitor.visit_enum(text.into_deserializer());
        }
        match self.peek()? {
            format::MAP => {
                self.skip();
                if self.len(2)? != 1 {
                    return Err(CodecError::new("an enum is a map of one entry"));
                }
                let variant = self.string()?;
                let variant = variant.ok_or_else(|| CodecError::new("a variant has no name"))?;
                self.enter()?;
                let value = visitor.visit_enum(Variant {
                    reader: self,
                    place,
                    name,
                    list,
                    variant,
                    has_content: true,
                })?;
                self.depth += 1;
                Ok(value)
            }
            _ => self.any(visitor),
        }
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.any(visitor)
    }
}

struct Elements<'r, 'de> {
    reader: &'r mut Reader<'de>,
    place: Place,
    index: usize,
    len: usize,
    is_tuple: bool,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = CodecError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.index == self.len {
            return Ok(None);
        }
        let part = match self.is_tuple {
            true => Part::at(self.index),
            false => Part::ELEMENT,
        };
        self.reader.part_follows(self.place, part)?;
        self.index += 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some((self.len - self.index).min(self.reader.left()))
    }
}

struct Entries<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: usize,
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = CodecError;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.reader.part_follows(Place::UNKNOWN, Part::ELEMENT)?;
        let key = seed.deserialize(&mut *self.reader)?;
        // The key of a flattened struct, which names nothing but its value.
        self.reader.asked_for_identifier = false;
        Ok(Some(key))
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.reader.part_follows(Place::UNKNOWN, Part::ELEMENT)?;
        seed.deserialize(&mut *self.reader)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.reader.left()))
    }
}

/// The fields of a struct in the order in which the reader knows them.
struct InOrder<'r, 'de> {
    reader: &'r mut Reader<'de>,
    place: Place,
    name: &'static str,
    list: List,
    next: usize,
}

impl<'de> SeqAccess<'de> for InOrder<'_, 'de> {
    type Error = CodecError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(key) = self.list.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        self.reader
            .part_follows(self.place, Part::field(self.next - 1, true))?;
        match seed.deserialize(&mut *self.reader) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(error.within(self.name, key)),
        }
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.list.len() - self.next)
    }
}

/// Where the names come from that are not written.
#[derive(Debug, Clone, Copy)]
enum Prediction {
    /// From the list with which the reader asks.
    Asked,
    /// From a struct of the message.
    Shape(Option<usize>),
}

/// The fields of a struct with names.
struct Named<'r, 'de> {
    reader: &'r mut Reader<'de>,
    place: Place,
    name: &'static str,
    list: List,
    prediction: Prediction,
    /// Which of the predicted names comes next.
    next: usize,
    left: usize,
    /// All names so far, and whether one was not the predicted one.
    keys: Vec<&'de str>,
    differs: bool,
    /// The name of the field whose value comes next.
    last: &'de str,
}

impl<'de> Named<'_, 'de> {
    /// The name of the next field.
    fn key(&mut self) -> Result<&'de str> {
        self.left -= 1;
        let predicted: &[&'de str] = match self.prediction {
            Prediction::Asked => self.list,
            Prediction::Shape(None) => &[],
            Prediction::Shape(Some(like)) => match self.reader.shapes.get(like) {
                Some(keys) => keys,
                None => return Err(CodecError::new("a struct is like one that is not there")),
            },
        };
        if self.reader.peek()? != format::NAME {
            let key = *predicted.get(self.next).ok_or_else(|| left_out("field"))?;
            self.next += 1;
            self.keep(key);
            return Ok(key);
        }
        self.reader.skip();
        let len = self.reader.len(1)?;
        let key = self.reader.text(len)?;
        let predicted: &[&'de str] = match self.prediction {
            Prediction::Asked => self.list,
            Prediction::Shape(None) => &[],
            Prediction::Shape(Some(like)) => &self.reader.shapes[like],
        };
        let is_searched =
            matches!(self.prediction, Prediction::Asked) || predicted.len() <= format::MAX_SEARCHED;
        if is_searched && let Some(at) = predicted.iter().position(|name| *name == key) {
            self.next = at + 1;
        }
        self.differs = true;
        self.keep(key);
        Ok(key)
    }

    #[inline]
    fn keep(&mut self, key: &'de str) {
        if matches!(self.prediction, Prediction::Shape(_)) {
            self.keys.push(key);
        }
    }

    fn value<S: DeserializeSeed<'de>>(
        &mut self,
        key: &'de str,
        in_order: bool,
        seed: S,
    ) -> Result<S::Value> {
        if self.reader.rehearsal.is_some() {
            let at = self.list.iter().position(|name| *name == key);
            let place = at.map_or(Place::UNKNOWN, |_| self.place);
            self.reader
                .part_follows(place, Part::field(at.unwrap_or(0), in_order))?;
        }
        let value = seed.deserialize(&mut *self.reader);
        value.map_err(|error| error.within(self.name, key))
    }
}

impl<'de> MapAccess<'de> for Named<'_, 'de> {
    type Error = CodecError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        let key = self.key()?;
        if !self.list.is_empty() && !self.list.contains(&key) {
            return Err(CodecError::never_read(self.name, key));
        }
        self.last = key;
        seed.deserialize(BorrowedStrDeserializer::new(key))
            .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.value(self.last, false, seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// In a rehearsal: whether the fields come in the order in which the type asks for them.
impl<'de> SeqAccess<'de> for Named<'_, 'de> {
    type Error = CodecError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        let expected = self.list.get(self.list.len() - self.left).copied();
        let key = self.key()?;
        if expected != Some(key) {
            return Err(CodecError::new("its fields come in another order"));
        }
        self.reader.asked_for_identifier = false;
        let value = self.value(key, true, seed)?;
        if self.reader.asked_for_identifier {
            return Err(CodecError::new("a field is the tag of others"));
        }
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The values of a struct without their names.
struct Values<'r, 'de>(Named<'r, 'de>);

impl<'de> SeqAccess<'de> for Values<'_, 'de> {
    type Error = CodecError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.0.left == 0 {
            return Ok(None);
        }
        let key = self.0.key()?;
        self.0.value(key, true, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.left)
    }
}

/// A variant with its content as a map of one entry.
struct Single<'r, 'de> {
    reader: &'r mut Reader<'de>,
    name: Option<&'de str>,
}

impl<'de> MapAccess<'de> for Single<'_, 'de> {
    type Error = CodecError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        match self.name.take() {
            Some(name) => seed
                .deserialize(BorrowedStrDeserializer::new(name))
                .map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(usize::from(self.name.is_some()))
    }
}

/// The variant of an enum, and behind it its content.
struct Variant<'r, 'de> {
    reader: &'r mut Reader<'de>,
    /// Of the enum.
    place: Place,
    name: &'static str,
    list: List,
    variant: &'de str,
    has_content: bool,
}

impl<'de> Variant<'_, 'de> {
    fn place(&self) -> Place {
        match self.reader.rehearsal {
            None => self.place,
            Some(_) => match self.list.iter().position(|name| *name == self.variant) {
                Some(at) => self.place.part(Part::at(at)),
                None => Place::UNKNOWN,
            },
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = CodecError;
    type Variant = Self;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self)> {
        let name = BorrowedStrDeserializer::<CodecError>::new(self.variant);
        let value = seed.deserialize(name).map_err(|error| match self.name {
            "" => error,
            name => error.within(name, self.variant),
        })?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = CodecError;

    fn unit_variant(self) -> Result<()> {
        match self.has_content {
            false => Ok(()),
            // A type that writes its variants by itself may give one a unit as content.
            true => serde::de::Deserialize::deserialize(&mut *self.reader),
        }
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        if !self.has_content {
            return Err(self.without_content());
        }
        let place = self.place();
        self.reader.part_follows(place, Part::VALUE)?;
        let value = seed.deserialize(&mut *self.reader);
        value.map_err(|error| error.within(self.name, self.variant))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        if !self.has_content {
            return Err(self.without_content());
        }
        let place = self.place();
        let value = match self.reader.sequence()? {
            Some(len) => self.reader.elements(len, place, true, visitor),
            None => self.reader.any(visitor),
        };
        value.map_err(|error| error.within(self.name, self.variant))
    }

    fn struct_variant<V: Visitor<'de>>(self, list: List, visitor: V) -> Result<V::Value> {
        if !self.has_content {
            return Err(self.without_content());
        }
        let place = self.place();
        match self.reader.peek()? {
            token @ (format::STRUCT..=format::STRUCT_DIFFERS_LAST | format::NAMED) => {
                self.reader.skip();
                let variant = (self.name, list);
                self.reader.fields(token, Some(variant), place, visitor)
            }
            _ => self.reader.any(visitor),
        }
    }
}

impl Variant<'_, '_> {
    #[cold]
    fn without_content(&self) -> CodecError {
        CodecError::new("the variant has no content").within(self.name, self.variant)
    }
}
