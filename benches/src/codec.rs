//! What the codec costs beside postcard, serde_json and rmp-serde: `pool-benches codec` prints bytes,
//! and the times to write and to read, for values of many types. The contestants take turns.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hint::black_box;
use std::time::{Duration, Instant};

use pool_core::__private::{decode_output, encode_output};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Fault;
use crate::machine::Machine;
use crate::stats::median;

/// How often each is measured.
const ROUNDS: usize = 25;

/// How long one measurement goes on.
const ENOUGH: Duration = Duration::from_millis(4);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: f64,
    y: f64,
    z: f64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Page {
    address: String,
    status: u16,
    headers: Vec<(String, String)>,
    took_ms: Option<f64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Numbers {
    id: u64,
    age: u32,
    delta: i32,
    flag: bool,
    more: Option<u64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Empty,
    Circle { radius: f64 },
    Line(Point, Point),
    Text(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Samples {
    name: String,
    bytes: Vec<u8>,
    values: Vec<f64>,
    counts: Vec<u32>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    Page(Page),
    Numbers(Numbers),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Numbers(Numbers),
    Text(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u64,
    #[serde(flatten)]
    numbers: BTreeMap<String, u64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Optional {
    id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

fn point(i: u32) -> Point {
    let x = f64::from(i) * 0.37;
    Point {
        x,
        y: -x,
        z: 1.0 / (1.0 + x),
    }
}

fn page(i: u32) -> Page {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Page {
        address: format!("https://example.org/pages/{i}"),
        status: 200,
        headers: vec![header("content-type", "text/html"), header("etag", "a3f9")],
        took_ms: (!i.is_multiple_of(3)).then_some(12.5),
    }
}

fn numbers(i: u32) -> Numbers {
    Numbers {
        id: 1_000_003 * u64::from(i),
        age: 30 + i % 50,
        delta: 17 - i as i32,
        flag: i.is_multiple_of(2),
        more: i.is_multiple_of(4).then_some(1 << 40),
    }
}

fn shape(i: u32) -> Shape {
    match i % 4 {
        0 => Shape::Empty,
        1 => Shape::Circle {
            radius: f64::from(i),
        },
        2 => Shape::Line(point(i), point(i + 1)),
        _ => Shape::Text(format!("text {i}")),
    }
}

fn samples() -> Samples {
    Samples {
        name: "samples".to_owned(),
        bytes: (0..1000_u32).map(|i| (i * 37) as u8).collect(),
        values: (0..500).map(|i| f64::from(i) * 0.1).collect(),
        counts: (0..500).map(|i| i * i).collect(),
    }
}

fn optional(i: u32) -> Optional {
    Optional {
        id: u64::from(i),
        name: i.is_multiple_of(2).then(|| format!("name {i}")),
        tags: vec!["tag".to_owned(); (i % 3) as usize],
    }
}

const MANY: u32 = 1000;

fn many<T>(of: fn(u32) -> T) -> Vec<T> {
    (0..MANY).map(of).collect()
}

pub(crate) fn run() -> Result<(), Fault> {
    let mut machine = Machine::look(None);
    let begin = Instant::now();
    println!(
        "{:<26} {:>8} {:>9} {:>9}   {:>22} {:>22} {:>22}",
        "write and read, ratios to",
        "bytes",
        "write",
        "read",
        "postcard",
        "serde_json",
        "rmp-serde"
    );
    row("u64", 1_234_567_u64)?;
    row("(i32, String)", (-7, "a short text".to_owned()))?;
    row("String, 64 KiB", "x".repeat(64 << 10))?;
    row(
        "Vec<f64>, 8 KiB",
        (0..1024).map(f64::from).collect::<Vec<_>>(),
    )?;
    row("Vec<String>, 1000", many(|i| format!("string {i}")))?;
    row("Vec<(u32, f64)>, 1000", many(|i| (i, f64::from(i))))?;
    row("struct of 3 floats", point(3))?;
    row("struct of numbers", numbers(3))?;
    row("struct of texts", page(3))?;
    row("enum, unit", shape(0))?;
    row("enum, struct", shape(1))?;
    row("enum, tuple of structs", shape(2))?;
    row("struct of vectors", samples())?;
    row("Vec<struct of 3 floats>", many(point))?;
    row("Vec<struct of numbers>", many(numbers))?;
    row("Vec<struct of texts>", many(page))?;
    row("Vec<enum>", many(shape))?;
    row(
        "BTreeMap<String, u32>",
        (0..MANY)
            .map(|i| (i.to_string(), i))
            .collect::<BTreeMap<_, _>>(),
    )?;
    row("skip_serializing_if", many(optional))?;
    row(
        "tag",
        many(|i| match i % 2 {
            0 => Tagged::Page(page(i)),
            _ => Tagged::Numbers(numbers(i)),
        }),
    )?;
    row(
        "untagged",
        many(|i| match i % 3 {
            0 => Untagged::Number(i.into()),
            1 => Untagged::Numbers(numbers(i)),
            _ => Untagged::Text("text".to_owned()),
        }),
    )?;
    let numbers = |i: u32| {
        (0..5)
            .map(|n| (format!("n{n}"), u64::from(i + n)))
            .collect()
    };
    let flat: Vec<_> = (0..MANY)
        .map(|id| Flat {
            id: id.into(),
            numbers: numbers(id),
        })
        .collect();
    row("flatten", flat)?;
    let json = serde_json::to_value(many(page))?;
    row("serde_json::Value", json)?;
    machine.look_again(begin.elapsed());
    println!("{}", machine.text());
    Ok(())
}

/// One contestant: bytes, and nanoseconds to write and to read.
struct Cost {
    bytes: usize,
    write: f64,
    read: f64,
}

type Write<T> = fn(&T, &mut Vec<u8>) -> Result<(), Fault>;
type Read<T> = fn(&[u8]) -> Result<T, Fault>;

fn row<T>(name: &str, value: T) -> Result<(), Fault>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + 'static,
{
    let contestants: [(Write<T>, Read<T>); 4] = [
        (
            |value, out| Ok(encode_output(value, out)?),
            |bytes| Ok(decode_output(bytes)?),
        ),
        (
            |value, out| {
                *out = postcard::to_extend(value, std::mem::take(out))?;
                Ok(())
            },
            |bytes| Ok(postcard::from_bytes(bytes)?),
        ),
        (
            |value, out| Ok(serde_json::to_writer(out, value)?),
            |bytes| Ok(serde_json::from_slice(bytes)?),
        ),
        (
            |value, out| Ok(rmp_serde::encode::write_named(out, value)?),
            |bytes| Ok(rmp_serde::from_slice(bytes)?),
        ),
    ];
    let mut times = [(); 4].map(|()| (Vec::new(), Vec::new()));
    let costs = contestants.map(|(write, read)| {
        let mut bytes = Vec::new();
        write(&value, &mut bytes).ok()?;
        // The codec leaves names out from the second value on.
        bytes.clear();
        write(&value, &mut bytes).ok()?;
        (read(&bytes).ok()? == value).then_some(bytes)
    });
    for _ in 0..ROUNDS {
        for (((write, read), bytes), (writes, reads)) in
            contestants.iter().zip(&costs).zip(&mut times)
        {
            let Some(bytes) = bytes else {
                continue;
            };
            let mut out = Vec::with_capacity(2 * bytes.len());
            writes.push(nanoseconds(|| {
                out.clear();
                write(black_box(&value), &mut out)
            })?);
            reads.push(nanoseconds(|| {
                read(black_box(bytes)).map(|value| drop(black_box(value)))
            })?);
        }
    }
    let costs: Vec<Option<Cost>> = costs
        .into_iter()
        .zip(times)
        .map(|(bytes, (writes, reads))| {
            let bytes = bytes?.len();
            let (write, read) = (median(writes), median(reads));
            Some(Cost { bytes, write, read })
        })
        .collect();
    let own = costs[0]
        .as_ref()
        .ok_or("the codec does not carry the value")?;
    print!(
        "{name:<26} {:>8} {:>7.0}ns {:>7.0}ns  ",
        own.bytes, own.write, own.read
    );
    for peer in &costs[1..] {
        let text = match peer {
            Some(peer) => format!(
                "{:.2}B {:.2}w {:.2}r",
                own.bytes as f64 / peer.bytes as f64,
                own.write / peer.write,
                own.read / peer.read,
            ),
            None => "does not carry it".to_owned(),
        };
        print!(" {text:>22}");
    }
    println!();
    Ok(())
}

/// How long one call takes.
fn nanoseconds(mut code: impl FnMut() -> Result<(), Fault>) -> Result<f64, Fault> {
    let begin = Instant::now();
    let mut calls = 0_u32;
    while begin.elapsed() < ENOUGH {
        for _ in 0..8 {
            code()?;
        }
        calls += 8;
    }
    Ok(begin.elapsed().as_secs_f64() * 1e9 / f64::from(calls))
}
