//! What is written is read back, with all names and without those that are known.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::*;

/// Reads back what was written, until the writer has learned all it can.
fn arrives<T: Serialize + DeserializeOwned + PartialEq + Debug + 'static>(value: T) -> usize {
    let mut len = 0;
    for _ in 0..4 {
        let bytes = to_vec(&value).unwrap();
        assert_eq!(decode::<T>(&bytes).as_ref(), Ok(&value), "{bytes:02x?}");
        len = bytes.len();
    }
    len
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Plain {
    id: u64,
    name: String,
    tags: Vec<String>,
    score: f64,
    next: Option<Box<Self>>,
}

fn plain(id: u64) -> Plain {
    Plain {
        id,
        name: format!("name {id}"),
        tags: vec!["a".into(); 3],
        score: 0.5,
        next: None,
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Shape {
    Empty,
    Circle(f64),
    Line(f32, f32),
    Named {
        name: String,
        of: Option<Box<Shape>>,
    },
}

#[test]
fn scalars() {
    arrives((u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX));
    arrives((i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN));
    arrives((i8::MAX, i16::MAX, i32::MAX, i64::MAX, i128::MAX, -1_i32));
    arrives((
        f32::MIN_POSITIVE,
        f64::MAX,
        'x',
        '\u{10FFFF}',
        true,
        false,
        (),
    ));
    arrives(
        (
            usize::MAX,
            isize::MIN,
            "",
            String::from("ä"),
            "x".repeat(1000),
        )
            .to_owned_strings(),
    );
    for value in 0..300_u64 {
        arrives((value as u8, value as i8, value << 20, -(value as i64)));
    }
}

trait ToOwnedStrings {
    type Owned;
    fn to_owned_strings(self) -> Self::Owned;
}

impl ToOwnedStrings for (usize, isize, &str, String, String) {
    type Owned = (usize, isize, String, String, String);
    fn to_owned_strings(self) -> Self::Owned {
        (self.0, self.1, self.2.into(), self.3, self.4)
    }
}

#[test]
fn containers() {
    arrives(vec![Some(None), Some(Some(1_u8)), None]);
    arrives(vec![(); 70_000]);
    arrives((0..100_u8).collect::<Vec<_>>());
    arrives(
        (0..100_i64)
            .map(|i| i - 50)
            .collect::<std::collections::VecDeque<_>>(),
    );
    arrives([1.5_f32; 16]);
    arrives(BTreeMap::from([
        (vec![1_u8], "a".to_owned()),
        (vec![], "b".to_owned()),
    ]));
    arrives(BTreeMap::from([((1, -1), Some(())), ((2, 0), None)]));
    arrives(vec![vec![1_u8; 20], vec![], vec![2; 7]]);
    // Packed first, then not.
    arrives((
        1_u8,
        2_u8,
        3_u8,
        4_u8,
        5_u8,
        6_u8,
        7_u8,
        "x".to_owned(),
        9_u8,
    ));
    arrives((
        1_u8,
        200_u8,
        -1_i16,
        4.0_f32,
        5_u8,
        6_u8,
        7_u8,
        vec![8_u8; 9],
        9_u8,
    ));
}

#[test]
fn structs_and_enums_lose_their_names() {
    let first = to_vec(&plain(1)).unwrap();
    assert!(first.windows(5).any(|name| name == b"score"));
    let later = arrives(plain(1));
    assert!(later + 20 < first.len(), "{later} {}", first.len());
    let list = Plain {
        next: Some(Box::new(plain(3))),
        ..plain(2)
    };
    arrives(list);
    arrives((0..100).map(plain).collect::<Vec<_>>());
    let shapes = vec![
        Shape::Empty,
        Shape::Circle(1.0),
        Shape::Line(1.0, 2.0),
        Shape::Named {
            name: "x".into(),
            of: Some(Box::new(Shape::Empty)),
        },
    ];
    arrives(shapes.clone());
    for shape in shapes {
        arrives(shape);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Skips {
    Start,
    #[serde(skip)]
    _Internal,
    Stop,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SkipsIf {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    a: Option<u8>,
    b: u8,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    c: String,
}

#[test]
fn attributes_that_shift() {
    for value in [Skips::Start, Skips::Stop, Skips::Delete] {
        arrives(value);
        arrives(vec![value, Skips::Stop, value]);
    }
    assert!(
        to_vec(&Skips::_Internal)
            .unwrap_err()
            .contains("Skips::_Internal")
    );
    let values = [
        SkipsIf {
            a: None,
            b: 0,
            c: String::new(),
        },
        SkipsIf {
            a: Some(1),
            b: 5,
            c: String::new(),
        },
        SkipsIf {
            a: None,
            b: 5,
            c: "c".into(),
        },
        SkipsIf {
            a: Some(2),
            b: 5,
            c: "c".into(),
        },
    ];
    arrives(values.to_vec());
    for value in values.iter().rev().chain(&values) {
        arrives(value.clone());
        arrives((value.clone(), vec![2_u8, 7, 8]));
    }
    arrives(values.iter().rev().cloned().collect::<Vec<_>>());
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    Unit,
    One { shape: Shape, plain: Plain },
    Wrapped(Plain),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Unit,
    New(Plain),
    Tuple(u8, String),
    Struct { a: Shape },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Null(()),
    Number(i64),
    Float(f64),
    Plain(Plain),
    Shape(Shape),
    Text(String),
    Many(Vec<Untagged>),
    Map(BTreeMap<String, Untagged>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat {
    own: u8,
    #[serde(flatten)]
    plain: Plain,
    #[serde(flatten)]
    rest: BTreeMap<String, Untagged>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Other {
    Known,
    #[serde(other)]
    Unknown,
}

#[test]
fn attributes_that_ask_for_anything() {
    for value in [
        Tagged::Unit,
        Tagged::One {
            shape: Shape::Line(1.0, 2.0),
            plain: plain(1),
        },
        Tagged::Wrapped(plain(2)),
    ] {
        arrives(value.clone());
        arrives((plain(1), Some(value.clone()), vec![value]));
    }
    for value in [
        Adjacent::Unit,
        Adjacent::New(plain(1)),
        Adjacent::Tuple(1, "x".into()),
        Adjacent::Struct { a: Shape::Empty },
    ] {
        arrives(value.clone());
        arrives(vec![value.clone(), value]);
    }
    let values = vec![
        Untagged::Null(()),
        Untagged::Number(-5),
        Untagged::Float(0.5),
        Untagged::Text("x".into()),
        Untagged::Plain(plain(7)),
        Untagged::Shape(Shape::Named {
            name: "n".into(),
            of: None,
        }),
        Untagged::Shape(Shape::Empty),
        Untagged::Many(vec![Untagged::Number(1), Untagged::Plain(plain(1))]),
        Untagged::Map([("k".to_owned(), Untagged::Plain(plain(2)))].into()),
    ];
    for value in &values[..4] {
        arrives((plain(1), value.clone()));
    }
    for value in &values {
        arrives((plain(1), value.clone()));
    }
    let rest: BTreeMap<_, _> = [("x".to_owned(), values[4].clone())].into();
    arrives(Flat {
        own: 1,
        plain: plain(1),
        rest,
    });
    arrives(Flat {
        own: 1,
        plain: plain(1),
        rest: [].into(),
    });
    arrives(vec![Other::Known, Other::Unknown]);
    let json: serde_json::Value = serde_json::from_str(
        r#"{"a": [1, -1, 0.5, null, true, "x", {"b": {}}], "c": 18446744073709551615}"#,
    )
    .unwrap();
    arrives(json.clone());
    arrives(Some(vec![json]));
}

#[test]
fn the_same_struct_in_two_places() {
    // Known where it is read by its fields, unknown where it is read by anything.
    arrives((plain(1), Untagged::Number(1)));
    arrives((plain(1), Untagged::Plain(plain(2))));
    arrives((plain(1), Untagged::Many(vec![Untagged::Plain(plain(2)); 3])));
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Aliases {
    #[serde(alias = "first")]
    a: u8,
    #[serde(rename = "second")]
    b: u8,
    #[serde(skip)]
    c: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct NeverRead {
    a: u8,
    #[serde(skip_serializing)]
    b: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct NeverWrittenBack {
    #[serde(skip_deserializing)]
    a: u8,
    b: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Renamed {
    #[serde(rename(serialize = "b"))]
    a: u8,
}

#[test]
fn errors_name_type_field_and_attribute() {
    arrives(Aliases { a: 1, b: 2, c: 0 });
    for _ in 0..3 {
        let bytes = to_vec(&NeverRead { a: 1, b: 2 }).unwrap();
        let error = decode::<NeverRead>(&bytes).unwrap_err();
        assert!(
            error.contains("missing field `b`") && error.contains("skip_serializing"),
            "{error}"
        );
        let bytes = to_vec(&NeverWrittenBack { a: 1, b: 2 }).unwrap();
        let error = decode::<NeverWrittenBack>(&bytes).unwrap_err();
        assert!(error.starts_with("`NeverWrittenBack.a`"), "{error}");
        assert!(error.contains("skip_deserializing"), "{error}");
        let bytes = to_vec(&vec![Some(Renamed { a: 1 })]).unwrap();
        let error = decode::<Vec<Option<Renamed>>>(&bytes).unwrap_err();
        assert!(
            error.contains("Renamed.b") && error.contains("rename"),
            "{error}"
        );
        let error = decode::<Plain>(&to_vec(&Wrong { id: "x".into() }).unwrap()).unwrap_err();
        assert!(error.starts_with("`Plain.id`: invalid type"), "{error}");
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Wrong {
    id: String,
}

/// Reads bytes as types of every kind: an error is right, a panic is not.
fn read_as_all(bytes: &[u8]) {
    let _ = decode::<Plain>(bytes);
    let _ = decode::<Vec<Plain>>(bytes);
    let _ = decode::<Vec<Shape>>(bytes);
    let _ = decode::<(SkipsIf, Vec<u8>)>(bytes);
    let _ = decode::<Tagged>(bytes);
    let _ = decode::<Adjacent>(bytes);
    let _ = decode::<(Plain, Untagged)>(bytes);
    let _ = decode::<Flat>(bytes);
    let _ = decode::<serde_json::Value>(bytes);
    let _ = decode::<Sent<Vec<u64>>>(bytes);
    let _ = decode::<BTreeMap<(u8, i64), [Option<f32>; 3]>>(bytes);
}

#[test]
fn bytes_that_were_changed_harm_nobody() {
    let rest: BTreeMap<_, _> = [("x".to_owned(), Untagged::Plain(plain(1)))].into();
    let written = [
        to_vec(&vec![plain(1), plain(2), plain(3)]),
        to_vec(&vec![
            Shape::Empty,
            Shape::Circle(1.0),
            Shape::Line(1.0, 2.0),
        ]),
        to_vec(&(
            SkipsIf {
                a: Some(1),
                b: 2,
                c: "c".into(),
            },
            vec![3_u8; 20],
        )),
        to_vec(&Tagged::Wrapped(plain(1))),
        to_vec(&Adjacent::Tuple(1, "x".into())),
        to_vec(&Flat {
            own: 1,
            plain: plain(1),
            rest,
        }),
        to_vec(&BTreeMap::from([(
            (1_u8, -1_i64),
            [None, Some(0.5_f32), None],
        )])),
    ];
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    for original in written.map(Result::unwrap) {
        for cut in 0..original.len() {
            read_as_all(&original[..cut]);
        }
        for _ in 0..1_500 {
            let mut bytes = original.clone();
            for _ in 0..=next(4) {
                let at = next(bytes.len());
                match next(3) {
                    0 => bytes[at] = next(256) as u8,
                    1 => bytes.insert(at, format::SHORT_UNIT_VARIANT - 6 + next(12) as u8),
                    _ => drop(bytes.drain(at..(at + 1 + next(4)).min(bytes.len()))),
                }
                bytes.push(0);
            }
            read_as_all(&bytes);
        }
    }
}

#[test]
fn deep_values_are_read_on_a_stack_of_two_megabytes() {
    let levels = reader::MAX_DEPTH as usize - 1;
    // A list of a list and so on, and an option of an option.
    for (token, end) in [
        (format::SHORT_SEQUENCE + 1, format::UNIT),
        (format::SOME, format::NONE),
    ] {
        let mut bytes = vec![token; levels];
        bytes.push(end);
        let read = || {
            std::thread::spawn({
                let bytes = bytes.clone();
                move || {
                    decode::<Untagged>(&bytes).is_ok() | decode::<serde_json::Value>(&bytes).is_ok()
                }
            })
        };
        read().join().unwrap();
        bytes.insert(0, token);
        assert!(
            decode::<serde_json::Value>(&bytes)
                .unwrap_err()
                .contains("nested too deep")
        );
    }
}

#[derive(Debug, PartialEq, Serialize)]
struct ReadsItselfAsATuple {
    id: u8,
    plain: Plain,
}

impl<'de> Deserialize<'de> for ReadsItselfAsATuple {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(input).map(|(id, plain)| Self { id, plain })
    }
}

#[test]
fn a_struct_may_be_read_as_a_tuple() {
    let value = |id| ReadsItselfAsATuple {
        id,
        plain: plain(1),
    };
    arrives(value(1));
    arrives(vec![value(1), value(2), value(3)]);
    arrives((plain(3), value(1), plain(4)));
}

/// Takes a number of one kind alone.
#[derive(Debug, PartialEq)]
struct OnlyU32(u32);

impl Serialize for OnlyU32 {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(self.0.into())
    }
}

impl<'de> Deserialize<'de> for OnlyU32 {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = OnlyU32;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a u32")
            }

            fn visit_u32<E>(self, value: u32) -> Result<OnlyU32, E> {
                Ok(OnlyU32(value))
            }
        }
        input.deserialize_u32(Visitor)
    }
}

#[test]
fn an_integer_is_given_in_the_kind_that_is_asked_for() {
    for value in [1, 100, u32::MAX] {
        arrives(OnlyU32(value));
        arrives((0..20).map(|_| OnlyU32(value)).collect::<Vec<_>>());
    }
}

/// Types of which a list that one value has taught fits another value by accident.
mod alike {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    pub(super) enum Color {
        Red,
        Green,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    pub(super) enum Style {
        Green,
        Red,
    }

    pub(super) mod other {
        use super::*;

        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        pub(crate) enum Color {
            Green,
            Red,
        }
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "t", content = "c")]
    pub(super) enum Message {
        Fill(Color),
        Line(Style),
        Other(other::Color),
        A(A),
        B(B),
        New(Plain),
        Struct { id: u64 },
        Pair(Color, Color),
        Riap(Style, other::Color),
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(super) struct A {
        pub(super) x: u8,
        pub(super) y: Option<u32>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(super) struct B {
        pub(super) x: u8,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub(super) q: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub(super) y: Option<u32>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(super) struct Loose {
        pub(super) a: Option<Color>,
        pub(super) b: Option<Style>,
        pub(super) other: Option<other::Color>,
        pub(super) pos: Option<A>,
        #[serde(flatten)]
        pub(super) inner: Inner,
        #[serde(flatten)]
        pub(super) rest: BTreeMap<String, u32>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(super) struct Inner {
        pub(super) size: Option<A>,
        pub(super) kind: Color,
    }
}

#[test]
fn what_one_value_has_taught_is_not_used_for_another_type() {
    use alike::{A, B, Color, Inner, Loose, Message, Style, other};

    let messages = [
        Message::Fill(Color::Red),
        Message::Line(Style::Red),
        Message::Other(other::Color::Red),
        Message::Line(Style::Green),
        Message::A(A { x: 1, y: Some(2) }),
        Message::B(B {
            x: 1,
            q: None,
            y: Some(5),
        }),
        Message::B(B {
            x: 1,
            q: Some(5),
            y: None,
        }),
        Message::New(plain(1)),
        Message::Struct { id: 7 },
        Message::Pair(Color::Red, Color::Green),
        Message::Riap(Style::Red, other::Color::Red),
    ];
    for first in &messages {
        for second in &messages {
            arrives(first.clone());
            arrives((second.clone(), plain(1)));
            arrives(vec![second.clone(), first.clone()]);
        }
    }
    let inner = |size| Inner {
        size,
        kind: Color::Green,
    };
    let point = || Some(A { x: 1, y: None });
    let loose = |a, b, other, pos, size| Loose {
        a,
        b,
        other,
        pos,
        inner: inner(size),
        rest: [("more".to_owned(), 1)].into(),
    };
    for value in [
        loose(Some(Color::Red), None, None, point(), None),
        loose(None, Some(Style::Red), None, None, point()),
        loose(None, None, Some(other::Color::Red), None, None),
        loose(
            Some(Color::Green),
            Some(Style::Green),
            None,
            point(),
            point(),
        ),
    ] {
        arrives(value.clone());
        arrives(vec![value.clone(), value]);
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Deep {
    End,
    Below(Box<Deep>),
}

#[test]
fn a_rehearsal_takes_a_bounded_stack() {
    let deep = (0..3_000).fold(Deep::End, |below, _| Deep::Below(Box::new(below)));
    let thread = std::thread::Builder::new().stack_size(8 << 20);
    let written = thread
        .spawn(move || to_vec(&deep).map(|bytes| bytes.len()))
        .unwrap();
    assert!(written.join().unwrap().unwrap() > 3_000);
}
