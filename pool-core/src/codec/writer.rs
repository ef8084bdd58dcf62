//! Writes a value: serde's data model to tokens.

use std::any::TypeId;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::error::CodecError;
use super::format::{self, Number};
use super::names::{List, Names, Part, Place};

type Result<T> = std::result::Result<T, CodecError>;

/// Wraps a value that travels as one block of bytes here and as ordinary numbers in other formats:
/// a newtype struct of this name is written and read as if the format were not for people.
pub(crate) const BLOCK: &str = "pool_core::block";

/// Strings and byte strings from this length on are large.
const LARGE: usize = 256 << 10;

/// What becomes of large strings and byte strings.
pub(super) enum Blocks<'a> {
    /// They are appended like all else.
    Copy,
    /// They are counted only.
    Count(&'a mut usize),
    /// They are handed over, behind all that was appended before.
    Hand(&'a mut dyn FnMut(&[u8])),
    /// They are errors.
    Refuse,
}

/// Appends one value to a vector.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// The type of the whole value, whose names may be known.
    root: TypeId,
    names: Option<&'static Names>,
    /// The place of the container, and the part of it that is written next.
    container: Place,
    part: Part,
    packing: Packing,
    /// Where the token of the sequence is, unless packing is off.
    packed: usize,
    /// Structs with names that were written so far.
    shapes: Vec<Shape>,
    /// Whether a name was written that a rehearsal might spare.
    wrote_names: bool,
    in_block: bool,
    blocks: Blocks<'a>,
}

/// Whether the element that is written next may be one of a packed sequence: the [`Number`] of the
/// elements before it, or one of these two.
type Packing = u8;
/// Each element has a token.
const OFF: Packing = 0xFF;
/// The first element decides.
const UNDECIDED: Packing = 0xFE;

/// The names of a struct that was written.
struct Shape {
    /// Which struct: by the address of its name, which is compared as a hint only.
    name: *const u8,
    keys: Vec<&'static str>,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(super) fn new(out: &'a mut Vec<u8>, root: TypeId, blocks: Blocks<'a>) -> Self {
        Self {
            out,
            root,
            names: None,
            container: Place::ROOT,
            part: Part::VALUE,
            packing: OFF,
            packed: 0,
            shapes: Vec::new(),
            wrote_names: false,
            in_block: false,
            blocks,
        }
    }

    /// The names that a rehearsal might spare, if any were written.
    #[inline]
    pub(super) fn missed(&self) -> Option<&'static Names> {
        self.names.filter(|_| self.wrote_names)
    }

    /// Every token begins here: an element with a token of its own ends the packing.
    #[inline]
    fn token(&mut self, token: u8) {
        self.settle();
        self.out.push(token);
    }

    #[inline]
    fn settle(&mut self) {
        if self.packing != OFF {
            self.unpack();
        }
    }

    #[inline]
    fn token_and_len(&mut self, token: u8, len: usize) {
        self.token(token);
        format::write_varint(self.out, len as u64);
    }

    /// Writes a number into a packed sequence; `false` where it has to have a token.
    #[inline]
    fn pack<const N: usize>(&mut self, kind: Number, bytes: [u8; N]) -> bool {
        if self.packing == OFF {
            return false;
        }
        if self.packing != kind as Packing && !self.start_packing(kind) {
            return false;
        }
        self.out.extend_from_slice(&bytes);
        true
    }

    #[cold]
    fn start_packing(&mut self, kind: Number) -> bool {
        if self.packing != UNDECIDED {
            self.unpack();
            return false;
        }
        self.out[self.packed] = format::PACKED + kind as u8;
        self.packing = kind as Packing;
        true
    }

    /// Gives the elements of a packed sequence tokens, since another kind of value follows.
    #[cold]
    fn unpack(&mut self) {
        let packing = std::mem::replace(&mut self.packing, OFF);
        let Some(kind) = Number::from_code(packing) else {
            return;
        };
        let header = self.packed;
        self.out[header] = format::SEQUENCE;
        let len_bytes = self.out[header + 1..].iter().position(|byte| *byte < 0x80);
        let packed = self.out.split_off(header + 2 + len_bytes.unwrap_or(0));
        for number in packed.chunks_exact(kind.size()) {
            self.number_of(kind, number);
        }
    }

    /// A number with a token, from its little-endian bytes.
    fn number_of(&mut self, kind: Number, bytes: &[u8]) {
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        let bits = u64::from_le_bytes(wide);
        let unused = 64 - 8 * bytes.len() as u32;
        match kind {
            Number::F32 | Number::F64 => {
                self.out.push(format::F32 + (kind == Number::F64) as u8);
                self.out.extend_from_slice(bytes);
            }
            Number::I8 | Number::I16 | Number::I32 | Number::I64 => {
                self.signed(kind, (bits << unused) as i64 >> unused);
            }
            _ => self.unsigned(kind, bits),
        }
    }

    #[inline]
    fn unsigned(&mut self, kind: Number, value: u64) {
        if value < format::SMALL {
            return self.out.push((kind as u8) << 4 | value as u8);
        }
        self.out.push(format::INTEGER + kind as u8);
        match kind {
            Number::U8 => self.out.push(value as u8),
            _ => format::write_varint(self.out, value),
        }
    }

    #[inline]
    fn signed(&mut self, kind: Number, value: i64) {
        if (0..format::SMALL as i64).contains(&value) {
            return self.out.push((kind as u8) << 4 | value as u8);
        }
        self.out.push(format::INTEGER + kind as u8);
        match kind {
            Number::I8 => self.out.push(value as u8),
            _ => format::write_varint(self.out, format::zigzag(value)),
        }
    }

    #[inline]
    fn string(&mut self, text: &str) -> Result<()> {
        match text.len() {
            short if short < format::SHORT_STRING_LEN => {
                self.token(format::SHORT_STRING + short as u8);
            }
            len => self.token_and_len(format::STRING, len),
        }
        self.contents(text.as_bytes())
    }

    /// The bytes of a string.
    #[inline]
    fn contents(&mut self, bytes: &[u8]) -> Result<()> {
        match bytes.len() {
            large if large >= LARGE => self.large(bytes),
            _ => {
                self.out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    #[cold]
    fn large(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.blocks {
            Blocks::Copy => self.out.extend_from_slice(bytes),
            Blocks::Count(count) => **count += bytes.len(),
            Blocks::Hand(hand) => {
                hand(self.out);
                self.out.clear();
                hand(bytes);
            }
            Blocks::Refuse => return Err(CodecError::too_large()),
        }
        Ok(())
    }

    /// A field's name in front of its value.
    #[cold]
    fn name(&mut self, name: &str) {
        self.token_and_len(format::NAME, name.len());
        self.out.extend_from_slice(name.as_bytes());
    }

    #[inline]
    fn here(&self) -> Place {
        self.container.part(self.part)
    }

    /// The names with which the reader asks for what is here, if that is known.
    #[inline]
    fn known(&mut self, place: Place) -> Option<List> {
        let names = *self.names.get_or_insert_with(|| Names::of(self.root));
        let known = names.at(place);
        self.wrote_names |= known.is_none();
        known
    }

    /// Begins a sequence or a tuple.
    #[inline]
    fn sequence<'w>(&'w mut self, len: Option<usize>, kind: Kind) -> Sequence<'w, 'a> {
        let place = self.here();
        self.sequence_at(place, len, kind)
    }

    #[inline]
    fn sequence_at<'w>(
        &'w mut self,
        place: Place,
        len: Option<usize>,
        kind: Kind,
    ) -> Sequence<'w, 'a> {
        self.settle();
        let header = self.out.len();
        let announced = len.unwrap_or(0);
        let packing = match announced {
            short if short < format::SHORT_SEQUENCE_LEN => {
                self.out.push(format::SHORT_SEQUENCE + short as u8);
                OFF
            }
            long => {
                self.token_and_len(format::SEQUENCE, long);
                UNDECIDED
            }
        };
        Sequence {
            writer: self,
            place,
            kind,
            header,
            announced,
            count: 0,
            packing,
        }
    }

    /// Corrects the length of a sequence or map that had another one than was announced.
    #[cold]
    fn correct_len(&mut self, header: usize, announced: usize, len: usize) {
        let token = self.out[header];
        let size = match token {
            format::SHORT_SEQUENCE..=format::SHORT_SEQUENCE_LAST => 1,
            _ => {
                let mut size = Vec::new();
                format::write_varint(&mut size, announced as u64);
                1 + size.len()
            }
        };
        let mut right = vec![match token {
            format::SHORT_SEQUENCE..=format::SHORT_SEQUENCE_LAST => format::SEQUENCE,
            other => other,
        }];
        format::write_varint(&mut right, len as u64);
        self.out.splice(header..header + size, right);
    }

    #[inline]
    fn fields<'w>(&'w mut self, name: &'static str, len: usize, place: Place) -> Fields<'w, 'a> {
        self.settle();
        let header = self.out.len();
        let known = self.known(place);
        let shaping = match known {
            Some(_) if len < format::MANY_FIELDS => {
                self.out.push(format::STRUCT + len as u8);
                None
            }
            Some(_) => {
                self.token_and_len(format::STRUCT_LAST, len);
                None
            }
            None => Some(self.named(name, len)),
        };
        let list = known.unwrap_or_default();
        Fields {
            writer: self,
            place: known.map_or(Place::UNKNOWN, |_| place),
            name,
            header,
            left: len,
            list,
            in_order: len == list.len(),
            next: 0,
            shaping,
        }
    }

    /// Begins a struct with names.
    #[cold]
    fn named(&mut self, name: &'static str, len: usize) -> Box<Shaping> {
        let like = self
            .shapes
            .iter()
            .rposition(|shape| std::ptr::eq(shape.name, name.as_ptr()) && shape.keys.len() == len);
        self.token_and_len(format::NAMED, like.map_or(0, |like| like + 1));
        format::write_varint(self.out, len as u64);
        Box::new(Shaping {
            like,
            next: 0,
            keys: Vec::with_capacity(len),
            differs: false,
        })
    }

    /// Begins a variant, and returns the place of its content.
    #[inline]
    fn variant(
        &mut self,
        short: u8,
        long: u8,
        name: &'static str,
        variant: &'static str,
        index: u32,
    ) -> Place {
        let place = self.here().of_type(name);
        let position = self.known(place).and_then(|list| {
            match list.get(index as usize) {
                Some(name) if same(name, variant) => Some(index as usize),
                // Some variants before it are not read, or have more names than one.
                _ => list.iter().position(|name| *name == variant),
            }
        });
        match position {
            Some(at) if at < format::SHORT_VARIANTS => self.token(short + at as u8),
            Some(at) => self.token_and_len(long, at),
            None => {
                self.token(long - format::UNIT_VARIANT + format::NAMED_UNIT_VARIANT);
                self.token_and_len(format::STRING, variant.len());
                self.out.extend_from_slice(variant.as_bytes());
            }
        }
        position.map_or(Place::UNKNOWN, |at| place.part(Part::at(at)))
    }

    #[inline]
    fn filled_variant(&mut self, name: &'static str, variant: &'static str, index: u32) -> Place {
        self.variant(format::SHORT_VARIANT, format::VARIANT, name, variant, index)
    }
}

/// Whether the elements of a sequence share a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    List,
    Tuple,
}

macro_rules! numbers {
    ($($method:ident $kind:ident $number:ty, $write:ident $wide:ty;)*) => {$(
        #[inline]
        fn $method(self, value: $number) -> Result<()> {
            if !self.pack(Number::$kind, value.to_le_bytes()) {
                self.$write(Number::$kind, <$wide>::from(value));
            }
            Ok(())
        }
    )*};
}

impl<'w, 'a> Serializer for &'w mut Writer<'a> {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = Sequence<'w, 'a>;
    type SerializeTuple = Sequence<'w, 'a>;
    type SerializeTupleStruct = Sequence<'w, 'a>;
    type SerializeTupleVariant = Sequence<'w, 'a>;
    type SerializeMap = Map<'w, 'a>;
    type SerializeStruct = Fields<'w, 'a>;
    type SerializeStructVariant = Fields<'w, 'a>;

    /// Values choose the form that they have in JSON: parts of an untagged enum or of a flattened
    /// struct are read back through buffers of serde that expect it.
    #[inline]
    fn is_human_readable(&self) -> bool {
        !self.in_block
    }

    numbers! {
        serialize_u8 U8 u8, unsigned u64;
        serialize_u16 U16 u16, unsigned u64;
        serialize_u32 U32 u32, unsigned u64;
        serialize_u64 U64 u64, unsigned u64;
        serialize_i8 I8 i8, signed i64;
        serialize_i16 I16 i16, signed i64;
        serialize_i32 I32 i32, signed i64;
        serialize_i64 I64 i64, signed i64;
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<()> {
        let bytes = value.to_le_bytes();
        if !self.pack(Number::F32, bytes) {
            let mut token = [format::F32; 5];
            token[1..].copy_from_slice(&bytes);
            self.out.extend_from_slice(&token);
        }
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<()> {
        let bytes = value.to_le_bytes();
        if !self.pack(Number::F64, bytes) {
            let mut token = [format::F64; 9];
            token[1..].copy_from_slice(&bytes);
            self.out.extend_from_slice(&token);
        }
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<()> {
        self.token(format::U128);
        self.out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<()> {
        self.token(format::I128);
        self.out.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<()> {
        self.token(format::FALSE + u8::from(value));
        Ok(())
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<()> {
        self.token(format::CHAR);
        format::write_varint(self.out, u64::from(u32::from(value)));
        Ok(())
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<()> {
        self.string(value)
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        self.token_and_len(format::BYTES, value.len());
        self.contents(value)
    }

    #[inline]
    fn serialize_none(self) -> Result<()> {
        self.token(format::NONE);
        Ok(())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        self.token(format::SOME);
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<()> {
        self.token(format::UNIT);
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<()> {
        self.variant(
            format::SHORT_UNIT_VARIANT,
            format::UNIT_VARIANT,
            name,
            variant,
            index,
        );
        Ok(())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        if name != BLOCK {
            return value.serialize(self);
        }
        self.in_block = true;
        let written = value.serialize(&mut *self);
        self.in_block = false;
        written
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        // The content of the variant is its only part.
        self.container = self.filled_variant(name, variant, index);
        self.part = Part::VALUE;
        value
            .serialize(self)
            .map_err(|error| error.within(name, variant))
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Sequence<'w, 'a>> {
        Ok(self.sequence(len, Kind::List))
    }

    #[inline]
    fn serialize_tuple(self, len: usize) -> Result<Sequence<'w, 'a>> {
        Ok(self.sequence(Some(len), Kind::Tuple))
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Sequence<'w, 'a>> {
        Ok(self.sequence(Some(len), Kind::Tuple))
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Sequence<'w, 'a>> {
        let place = self.filled_variant(name, variant, index);
        Ok(self.sequence_at(place, Some(len), Kind::Tuple))
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<Map<'w, 'a>> {
        self.settle();
        let header = self.out.len();
        let announced = len.unwrap_or(0);
        self.token_and_len(format::MAP, announced);
        Ok(Map {
            writer: self,
            header,
            announced,
            count: 0,
        })
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Fields<'w, 'a>> {
        let place = self.here().of_type(name);
        Ok(self.fields(name, len, place))
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Fields<'w, 'a>> {
        let place = self.filled_variant(name, variant, index);
        Ok(self.fields(variant, len, place))
    }
}

/// The elements of a sequence or tuple.
pub(super) struct Sequence<'w, 'a> {
    writer: &'w mut Writer<'a>,
    place: Place,
    kind: Kind,
    /// Where its token is.
    header: usize,
    announced: usize,
    count: usize,
    packing: Packing,
}

impl Sequence<'_, '_> {
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.writer.container = self.place;
        self.writer.part = match self.kind {
            Kind::List => Part::ELEMENT,
            Kind::Tuple => Part::at(self.count),
        };
        self.writer.packing = self.packing;
        self.writer.packed = self.header;
        value.serialize(&mut *self.writer)?;
        self.packing = self.writer.packing;
        self.count += 1;
        Ok(())
    }

    #[inline]
    fn finish(self) {
        self.writer.packing = OFF;
        if self.count != self.announced {
            self.writer
                .correct_len(self.header, self.announced, self.count);
        }
    }
}

macro_rules! sequences {
    ($($name:ident $method:ident)*) => {$(
        impl $name for Sequence<'_, '_> {
            type Ok = ();
            type Error = CodecError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.element(value)
            }

            #[inline]
            fn end(self) -> Result<()> {
                self.finish();
                Ok(())
            }
        }
    )*};
}

sequences! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

/// The entries of a map.
pub(super) struct Map<'w, 'a> {
    writer: &'w mut Writer<'a>,
    header: usize,
    announced: usize,
    count: usize,
}

impl SerializeMap for Map<'_, '_> {
    type Ok = ();
    type Error = CodecError;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.writer.container = Place::UNKNOWN;
        self.count += 1;
        key.serialize(&mut *self.writer)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.writer.container = Place::UNKNOWN;
        value.serialize(&mut *self.writer)
    }

    #[inline]
    fn end(self) -> Result<()> {
        if self.count != self.announced {
            self.writer
                .correct_len(self.header, self.announced, self.count);
        }
        Ok(())
    }
}

/// The names of a struct that the reader has to be told.
struct Shaping {
    /// The struct of the message whose names are the prediction, and which of them comes next.
    like: Option<usize>,
    next: usize,
    /// Those of this struct so far, and whether one was not the predicted one.
    keys: Vec<&'static str>,
    differs: bool,
}

/// The fields of a struct.
pub(super) struct Fields<'w, 'a> {
    writer: &'w mut Writer<'a>,
    place: Place,
    name: &'static str,
    header: usize,
    /// How many more were announced.
    left: usize,
    /// The names with which the reader asks, and which of them is predicted to be the next.
    list: List,
    next: usize,
    /// Whether there are as many fields as names.
    in_order: bool,
    /// If the reader does not know the names.
    shaping: Option<Box<Shaping>>,
}

/// Whether two names are the same; mostly they are at the same address, too.
#[inline]
fn same(a: &'static str, b: &'static str) -> bool {
    a.len() == b.len() && (std::ptr::eq(a.as_ptr(), b.as_ptr()) || a == b)
}

impl Fields<'_, '_> {
    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
        self.writer.container = self.place;
        match self.list.get(self.next) {
            Some(name) if same(name, key) => {
                self.writer.part = Part::field(self.next, self.in_order);
                self.next += 1;
            }
            _ => self.other(key),
        }
        self.left = self.left.wrapping_sub(1);
        match value.serialize(&mut *self.writer) {
            Ok(()) => Ok(()),
            Err(error) => Err(error.within(self.name, key)),
        }
    }

    /// A field whose name is not the one that the reader is known to expect next.
    #[inline(never)]
    fn other(&mut self, key: &'static str) {
        let Some(shaping) = &mut self.shaping else {
            let at = self.list.iter().position(|name| *name == key);
            match at {
                Some(at) => {
                    self.writer.part = Part::field(at, self.in_order);
                    self.next = at + 1;
                }
                None => self.writer.container = Place::UNKNOWN,
            }
            let token = &mut self.writer.out[self.header];
            if *token <= format::STRUCT_LAST {
                *token += format::DIFFERS;
            }
            return self.writer.name(key);
        };
        let other = shaping.like.map(|like| &self.writer.shapes[like].keys);
        let predicted = other.and_then(|keys| keys.get(shaping.next));
        shaping.keys.push(key);
        if predicted.is_some_and(|name| *name == key) {
            shaping.next += 1;
            return;
        }
        shaping.differs = true;
        let searched = other.filter(|keys| keys.len() <= format::MAX_SEARCHED);
        if let Some(at) = searched.and_then(|keys| keys.iter().position(|name| *name == key)) {
            shaping.next = at + 1;
        }
        self.writer.name(key);
    }

    #[inline]
    fn finish(self) -> Result<()> {
        if let Some(shaping) = self.shaping
            && shaping.differs
        {
            let keys = shaping.keys;
            let name = self.name.as_ptr();
            self.writer.shapes.push(Shape { name, keys });
        }
        match self.left {
            0 => Ok(()),
            _ => Err(CodecError::new(format!(
                "`{}` announced another number of fields to the serializer than it wrote",
                self.name
            ))),
        }
    }
}

macro_rules! structs {
    ($($name:ident)*) => {$(
        impl $name for Fields<'_, '_> {
            type Ok = ();
            type Error = CodecError;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<()> {
                self.field(key, value)
            }

            #[inline]
            fn end(self) -> Result<()> {
                self.finish()
            }
        }
    )*};
}

structs!(SerializeStruct SerializeStructVariant);
