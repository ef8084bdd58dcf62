//! Every attribute of serde and many types of other crates, in every position, compared with what was
//! sent.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt::Debug;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pool_core::{Pool, Task, TaskErrorKind, TaskExt, pool_task};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::harness::On;

type Values<T> = fn() -> Vec<T>;

/// The pools of a backend: where tasks run in this process, also one that sends them through the codec.
fn pools(on: &On) -> Vec<Pool> {
    let pool = || on.builder();
    match on.processes() {
        true => vec![pool().build().unwrap()],
        false => [false, true]
            .map(|check| pool().check_serialization(check).build().unwrap())
            .into(),
    }
}

/// A value that is sent: in each position by a task of its own.
trait Sent: Serialize + DeserializeOwned + Clone + PartialEq + Debug + Send + 'static {
    fn check(pool: &Pool, values: &[Self]);
}

/// Compares what arrived with what was sent.
#[track_caller]
fn same<T: Debug + PartialEq>(position: &str, arrived: Result<T, pool_core::TaskError>, sent: T) {
    match arrived {
        Ok(arrived) => assert_eq!(arrived, sent, "{position}"),
        Err(error) => panic!("{position}, {sent:?}: {error}"),
    }
}

/// Sends the values of a type by tasks that return their argument.
macro_rules! sent {
    ($($module:ident: $type:ty;)*) => {$(
        mod $module {
            use super::*;

            type Value = $type;
            type Failing = Result<u8, $type>;

            /// Also tells how the value looks in the task.
            #[pool_task]
            fn echo(value: Value) -> (String, Value) {
                (format!("{value:?}"), value)
            }

            #[pool_task]
            fn vec(values: Vec<Value>) -> Vec<Value> {
                values
            }

            #[pool_task]
            fn option(value: Option<Value>, more: u8) -> (Option<Value>, u8) {
                (value, more)
            }

            #[pool_task]
            #[allow(clippy::result_large_err)]
            fn failing(value: Failing) -> Failing {
                value
            }

            #[pool_task]
            fn refuse(value: Value) {
                panic!("{value:?}");
            }

            #[pool_task]
            fn again(value: Value) -> Value {
                assert!(pool_core::current().attempt() > 1, "not yet");
                value
            }

            impl Sent for Value {
                fn check(pool: &Pool, values: &[Self]) {
                    // More than once: a type is sent with names first, and then without.
                    for _ in 0..3 {
                        for value in values {
                            let shown = format!("{value:?}");
                            let arrived = pool.submit(echo::task(value.clone())).join();
                            same("argument and result", arrived, (shown, value.clone()));
                            let arrived = pool.submit(option::task(Some(value.clone()), 7)).join();
                            same("in an option", arrived, (Some(value.clone()), 7));
                            let arrived = pool.submit(failing::task(Err(value.clone()))).join();
                            same("as error", arrived, Err(value.clone()));
                        }
                        let arrived = pool.submit(vec::task(values.to_vec())).join();
                        same("in a vector", arrived, values.to_vec());
                    }
                    let value = &values[0];
                    let arrived = pool.submit(again::task(value.clone()).retries(1)).join();
                    same("in a second run", arrived, value.clone());
                    let many = || values.iter().cycle().take(100);
                    let map = pool.map(many().map(|value| vec::task(vec![value.clone()])));
                    for (arrived, value) in map.zip(many()) {
                        same("in a map", arrived, vec![value.clone()]);
                    }
                    let tasks = values.iter().map(|value| echo::task(value.clone()));
                    for (arrived, value) in pool.map(tasks).with_input().zip(values) {
                        let arrived = arrived.map(|(_, value)| value);
                        same("with its input", arrived.map_err(|failed| failed.error), value.clone());
                    }
                    let tasks = values.iter().map(|value| refuse::task(value.clone()));
                    for (arrived, value) in pool.map(tasks).with_input().zip(values) {
                        let input = arrived.unwrap_err().input.unwrap();
                        assert_eq!(input.value, *value, "the input of an error");
                    }
                }
            }
        }
    )*};
}

/// Sends each of these lists of values through each pool of the backend.
fn arrive<T: Sent>(on: &On, values: Values<T>) {
    for pool in pools(on) {
        T::check(&pool, &values());
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Plain {
    id: u64,
    name: String,
    tags: Vec<String>,
    bytes: Vec<u8>,
    score: f64,
    inner: Option<Box<Self>>,
}

fn plain(id: u64) -> Plain {
    Plain {
        id,
        name: format!("name {id}"),
        tags: vec!["ä".into(); id as usize % 4],
        bytes: (0..id as u8).collect(),
        score: -0.5,
        inner: (id % 2 == 1).then(|| Box::new(plain(id - 1))),
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Kind {
    Empty,
    New(f64),
    Tuple(u8, String),
    Struct { plain: Plain },
}

fn kinds() -> Vec<Kind> {
    vec![
        Kind::Empty,
        Kind::New(1.5),
        Kind::Tuple(1, "x".into()),
        Kind::Struct { plain: plain(3) },
    ]
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Skips {
    Start,
    #[serde(skip)]
    #[allow(dead_code)]
    Internal,
    Stop,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SkipsIf {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    a: Option<u8>,
    b: u8,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    c: Vec<Kind>,
    d: u8,
}

/// The source of the case: `Option` without `default`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TwoOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Renamed {
    #[serde(rename = "type", alias = "kind")]
    a: u8,
    #[serde(alias = "zwei", alias = "deux")]
    b: Kind,
    #[serde(default)]
    c: u8,
    #[serde(skip)]
    d: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Denies {
    first_name: String,
    last_name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    Unit,
    Struct { kind: Kind, plain: Plain },
    New(Plain),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Unit,
    New(Plain),
    Tuple(u8, Kind),
    Struct { kind: Kind },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Unit,
    Bool(bool),
    Int(i64),
    Float(f64),
    Plain(Box<Plain>),
    Kind(Kind),
    Text(String),
    Many(Vec<Untagged>),
    Map(BTreeMap<String, Untagged>),
}

fn untagged() -> Vec<Untagged> {
    vec![
        Untagged::Unit,
        Untagged::Bool(true),
        Untagged::Int(-1),
        Untagged::Float(0.25),
        Untagged::Text("text".into()),
        Untagged::Plain(Box::new(plain(1))),
        Untagged::Kind(Kind::Empty),
        Untagged::Kind(Kind::Struct { plain: plain(2) }),
        Untagged::Many(vec![Untagged::Int(5), Untagged::Plain(Box::new(plain(2)))]),
        Untagged::Map([("key".to_owned(), Untagged::Unit)].into()),
    ]
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Falls {
    Known(u8),
    #[serde(untagged)]
    Else(Plain),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Other {
    Known {
        a: u8,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat {
    own: u8,
    #[serde(flatten)]
    plain: Plain,
    #[serde(flatten)]
    rest: BTreeMap<String, Untagged>,
}

/// A tag takes nothing out of what is left over for a map, so there is none beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct FlatTag {
    own: u8,
    #[serde(flatten)]
    kind: Tagged,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "(u8, String)", into = "(u8, String)")]
struct Converted {
    text: String,
    number: u8,
}

impl From<(u8, String)> for Converted {
    fn from((number, text): (u8, String)) -> Self {
        Self { text, number }
    }
}

impl From<Converted> for (u8, String) {
    fn from(value: Converted) -> Self {
        (value.number, value.text)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Transparent {
    inner: Plain,
}

/// Writes and reads its fields by code of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct With {
    #[serde(with = "as_text")]
    number: u64,
    #[serde(serialize_with = "join", deserialize_with = "split")]
    words: Vec<String>,
}

mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &u64, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
        String::deserialize(input)?
            .parse()
            .map_err(D::Error::custom)
    }
}

fn join<S: serde::Serializer>(words: &[String], out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&words.join(" "))
}

fn split<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let text = String::deserialize(input)?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Model {
    double: Vec<Option<Option<u8>>>,
    wide: (i128, u128),
    by_struct: Vec<(BTreeMap<u8, i8>, HashMap<String, ()>)>,
    by_tuple: BTreeMap<(i32, Option<char>), [Option<u8>; 3]>,
    unit: ((), Unit, [u8; 0]),
    numbers: [f32; 20],
    text: Arc<str>,
    floats: (f32, f64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Unit;

sent! {
    plain_structs: Plain;
    enums: Kind;
    skip_on_a_variant: Skips;
    skip_if: SkipsIf;
    skip_if_without_default: TwoOptions;
    rename_and_alias: Renamed;
    rename_all_and_deny: Denies;
    internally_tagged: Tagged;
    adjacently_tagged: Adjacent;
    no_tag: Untagged;
    no_tag_on_a_variant: Falls;
    other: Other;
    flatten: Flat;
    flatten_with_a_tag: FlatTag;
    from_and_into: Converted;
    transparent: Transparent;
    with: With;
    all_of_the_model: Model;
    json: serde_json::Value;
    toml_values: toml::Value;
    dates: chrono::DateTime<chrono::Utc>;
    days: (chrono::NaiveDate, chrono::NaiveTime);
    uuids: uuid::Uuid;
    urls: url::Url;
    byte_strings: bytes::Bytes;
    arrays: ndarray::Array2<f64>;
    decimals: rust_decimal::Decimal;
    versions: (semver::Version, semver::VersionReq);
    ordered_maps: indexmap::IndexMap<String, Kind>;
    small_vectors: smallvec::SmallVec<[Kind; 2]>;
    times: (time::OffsetDateTime, time::Duration);
    addresses: (std::net::IpAddr, std::net::SocketAddr);
}

pub(crate) fn with_any_attribute_arrive(on: &On) {
    arrive(on, || (0..5).map(plain).collect());
    arrive(on, kinds);
    arrive(on, || {
        vec![Skips::Start, Skips::Stop, Skips::Delete, Skips::Stop]
    });
    arrive(on, || {
        let value = |a, c| SkipsIf { a, b: 0, c, d: 5 };
        vec![
            value(None, vec![]),
            value(Some(2), vec![]),
            value(None, kinds()),
            value(Some(7), kinds()),
            value(None, vec![]),
        ]
    });
    arrive(on, || {
        let text = || Some("x".to_owned());
        let values = [
            (None, None),
            (text(), None),
            (None, text()),
            (text(), text()),
        ];
        values.map(|(a, b)| TwoOptions { a, b }).into()
    });
    arrive(on, || {
        kinds()
            .into_iter()
            .map(|b| Renamed {
                a: 1,
                b,
                c: 2,
                d: 0,
            })
            .collect()
    });
    arrive(on, || {
        let first_name = String::from("Ada");
        vec![Denies {
            first_name,
            last_name: Some("Lovelace".into()),
        }]
    });
    arrive(on, || {
        let kind = Kind::Empty;
        vec![
            Tagged::Unit,
            Tagged::Struct {
                kind,
                plain: plain(1),
            },
            Tagged::New(plain(2)),
        ]
    });
    arrive(on, || {
        let kind = Kind::Tuple(2, "y".into());
        vec![
            Adjacent::New(plain(1)),
            Adjacent::Unit,
            Adjacent::Tuple(1, kind.clone()),
            Adjacent::Struct { kind },
            Adjacent::New(plain(2)),
        ]
    });
    arrive(on, untagged);
    arrive(on, || {
        vec![Falls::Known(1), Falls::Else(plain(1)), Falls::Known(2)]
    });
    arrive(on, || vec![Other::Known { a: 1 }, Other::Unknown]);
    arrive(on, || {
        let rest = untagged().into_iter().enumerate();
        let rest = rest
            .map(|(index, value)| (format!("key {index}"), value))
            .collect();
        let flat = |rest| Flat {
            own: 1,
            plain: plain(2),
            rest,
        };
        vec![flat(rest), flat(BTreeMap::new())]
    });
    arrive(on, || {
        let flat = |kind| FlatTag { own: 1, kind };
        let kind = Kind::Tuple(1, "x".into());
        let plain = plain(1);
        vec![flat(Tagged::Unit), flat(Tagged::Struct { kind, plain })]
    });
    arrive(on, || {
        vec![Converted {
            text: "x".into(),
            number: 1,
        }]
    });
    arrive(on, || vec![Transparent { inner: plain(1) }]);
    arrive(on, || {
        vec![With {
            number: u64::MAX,
            words: vec!["a".into(), "b".into()],
        }]
    });
    arrive(on, || {
        vec![Model {
            double: vec![None, Some(None), Some(Some(1))],
            wide: (i128::MIN, u128::MAX),
            by_struct: vec![([(1, -1)].into(), [("k".to_owned(), ())].into())],
            by_tuple: [((-1, Some('ß')), [None, Some(0), Some(255)])].into(),
            unit: ((), Unit, []),
            numbers: [0.1; 20],
            text: "text".into(),
            floats: (f32::MAX, f64::MIN_POSITIVE),
        }]
    });
}

pub(crate) fn of_other_crates_arrive(on: &On) {
    arrive(on, || {
        let text = r#"{"a": [1, -1, 0.5, null, true, "x"], "b": {"c": 18446744073709551615}}"#;
        vec![serde_json::from_str(text).unwrap(), serde_json::Value::Null]
    });
    arrive(on, || {
        let text = "a = 1\nb = [0.5, 'x']\nwhen = 1979-05-27T07:32:00Z\n[c]\nd = -5\n";
        vec![toml::Value::Table(text.parse().unwrap())]
    });
    arrive(on, || {
        let time = chrono::DateTime::from_timestamp(1_700_000_000, 123_456_789);
        vec![time.unwrap(), chrono::DateTime::UNIX_EPOCH]
    });
    arrive(on, || {
        let day = chrono::NaiveDate::from_ymd_opt(2024, 2, 29).unwrap();
        vec![(
            day,
            chrono::NaiveTime::from_hms_nano_opt(23, 59, 59, 999_999_999).unwrap(),
        )]
    });
    arrive(on, || {
        vec![
            uuid::Uuid::from_u128(0x0123_4567_89ab_cdef),
            uuid::Uuid::nil(),
        ]
    });
    arrive(on, || {
        vec![url::Url::parse("https://example.org/a?b=c#d").unwrap()]
    });
    arrive(on, || {
        vec![
            bytes::Bytes::from_static(b"\0\xff\x80"),
            bytes::Bytes::new(),
        ]
    });
    arrive(on, || vec![ndarray::array![[1.0, 2.5], [-0.5, 1e300]]]);
    arrive(on, || {
        vec!["-1234.567890".parse().unwrap(), rust_decimal::Decimal::MAX]
    });
    arrive(on, || {
        let version = semver::Version::parse("1.2.3-rc.1+build").unwrap();
        vec![(version, semver::VersionReq::parse(">=1.2, <2").unwrap())]
    });
    arrive(on, || {
        let keys = ["z", "a", "m", "b"].map(str::to_owned);
        vec![
            keys.into_iter()
                .zip(kinds())
                .collect::<indexmap::IndexMap<_, _>>(),
        ]
    });
    arrive(on, || vec![kinds().into(), smallvec::SmallVec::new()]);
    arrive(on, || {
        let time = time::OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        vec![(time, time::Duration::new(-5, -999))]
    });
    arrive(on, || {
        let addresses = |ip: &str, socket: &str| (ip.parse().unwrap(), socket.parse().unwrap());
        let all: Vec<(std::net::IpAddr, std::net::SocketAddr)> = vec![
            addresses("127.0.0.1", "[::1]:80"),
            addresses("fe80::1", "1.2.3.4:5"),
        ];
        all
    });
}

// ---- what does not arrive ----

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct NeverWritten {
    a: u8,
    #[serde(skip_serializing)]
    b: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum OneWay {
    #[serde(rename(serialize = "there"))]
    Back,
}

#[pool_task]
fn takes_never_written(value: Vec<NeverWritten>) -> usize {
    value.len()
}

#[pool_task]
fn gives_never_written() -> NeverWritten {
    NeverWritten { a: 1, b: 2 }
}

#[pool_task]
fn takes_one_way(value: OneWay) -> bool {
    value == OneWay::Back
}

#[pool_task]
fn takes_skipped(value: Skips) -> String {
    format!("{value:?}")
}

#[pool_task]
fn takes_a_path(path: Named) -> usize {
    path.path.as_os_str().len()
}

#[derive(Debug, Serialize, Deserialize)]
struct Named {
    path: PathBuf,
}

fn fails<T: Task>(pool: &Pool, task: T, kind: TaskErrorKind, texts: &[&str]) {
    let Err(error) = pool.submit(task).join() else {
        panic!("{} has arrived as something else", T::NAME);
    };
    assert_eq!(error.kind(), kind, "{error}");
    let shown = error.to_string();
    for text in texts {
        assert!(shown.contains(text), "{shown} does not name {text}");
    }
}

pub(crate) fn that_cannot_arrive_say_why(on: &On) {
    use TaskErrorKind::{Decode, Encode};

    // Where nothing is encoded everything arrives.
    let pool = pools(on).pop().unwrap();
    for _ in 0..3 {
        let value = vec![NeverWritten { a: 1, b: 2 }];
        let names = ["NeverWritten", "missing field `b`", "skip_serializing"];
        fails(&pool, takes_never_written::task(value), Decode, &names[1..]);
        fails(&pool, gives_never_written::task(), Decode, &names[1..]);
        let names = ["OneWay", "`there`", "`Back`", "rename"];
        fails(&pool, takes_one_way::task(OneWay::Back), Decode, &names);
        fails(
            &pool,
            takes_skipped::task(Skips::Internal),
            Encode,
            &["Skips::Internal"],
        );
        let path = OsString::from_vec(b"/tmp/\xe9".to_vec()).into();
        fails(
            &pool,
            takes_a_path::task(Named { path }),
            Encode,
            &["Named.path", "UTF-8"],
        );
    }
}

/// Counts how often it is written.
#[derive(Debug, Deserialize)]
struct Counted {
    body: String,
    #[serde(skip)]
    written: Arc<std::sync::atomic::AtomicUsize>,
}

impl Serialize for Counted {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let written = self
            .written
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(written, 0, "written twice");
        let mut fields = out.serialize_struct("Counted", 1)?;
        fields.serialize_field("body", &self.body)?;
        fields.end()
    }
}

#[pool_task]
fn length(before: Vec<u8>, value: Counted) -> usize {
    before.len() + value.body.len()
}

#[pool_task]
fn nap() {
    std::thread::sleep(std::time::Duration::from_millis(20));
}

#[pool_task]
fn first(text: Arc<std::sync::Mutex<String>>) -> char {
    text.lock().unwrap().chars().next().unwrap()
}

/// What is sent is what was there at the moment of `submit`, of any size, written once.
pub(crate) fn are_those_of_the_moment_of_submit(on: &On) {
    let pool = pools(on).pop().unwrap();
    for size in [10, 1_000, 300_000, 2_000_000] {
        let _busy: Vec<_> = (0..4).map(|_| pool.submit(nap::task())).collect();
        let handles: Vec<_> = (0..6)
            .map(|_| {
                let body = "x".repeat(size);
                let value = Counted {
                    body,
                    written: Arc::default(),
                };
                pool.submit(length::task(vec![0; size], value))
            })
            .collect();
        let text = Arc::new(std::sync::Mutex::new("a".repeat(size)));
        let firsts: Vec<_> = (0..6)
            .map(|_| pool.submit(first::task(Arc::clone(&text))))
            .collect();
        *text.lock().unwrap() = "b".repeat(size);
        for handle in handles {
            assert_eq!(handle.join().unwrap(), 2 * size);
        }
        for first in firsts {
            assert_eq!(first.join().unwrap(), 'a', "{size}");
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Job {
    #[serde(with = "pool_core::path")]
    input: PathBuf,
    #[serde(with = "pool_core::path")]
    more: Vec<PathBuf>,
    #[serde(with = "pool_core::path")]
    output: Option<PathBuf>,
}

#[pool_task]
fn path_len(path: &Path) -> usize {
    path.as_os_str().len()
}

#[pool_task]
fn lent_paths(paths: &[PathBuf]) -> Vec<PathBuf> {
    paths.to_vec()
}

#[pool_task]
fn owned_path(path: PathBuf, other: Option<PathBuf>) -> Option<PathBuf> {
    Some(path.join(other?))
}

#[pool_task]
fn path_back(job: Job) -> Job {
    job
}

pub(crate) fn paths_of_every_name_arrive(on: &On) {
    let odd = PathBuf::from(OsString::from_vec(b"/tmp/\xe9t\xe9.txt".to_vec()));
    for pool in pools(on) {
        for path in [odd.clone(), PathBuf::from("/tmp/été"), PathBuf::new()] {
            let len = path.as_os_str().len();
            assert_eq!(pool.submit(path_len::task(&path)).join().unwrap(), len);
            assert_eq!(
                pool.submit(path_len::task(&path).retries(1))
                    .join()
                    .unwrap(),
                len
            );
            let paths = [path.clone(), odd.clone()];
            assert_eq!(pool.submit(lent_paths::task(&paths)).join().unwrap(), paths);
            let both = pool.submit(owned_path::task(path.clone(), Some("x".into())));
            assert_eq!(both.join().unwrap(), Some(path.join("x")));
            let job = Job {
                input: path.clone(),
                more: paths.to_vec(),
                output: Some(odd.clone()),
            };
            assert_eq!(
                pool.submit(path_back::task(job.clone())).join().unwrap(),
                job
            );
        }
    }
}
