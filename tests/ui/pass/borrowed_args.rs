//! What the arguments may borrow: the struct owns it, `task` and the function take the reference.
//! So it is in a worker process, too.
use std::borrow::Cow;
use std::ffi::{CStr, CString, OsStr};
use std::path::{Path, PathBuf};

use pool_core::{Pool, pool_task};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Config {
    name: String,
}

#[pool_task]
fn all<'a, 'b: 'a>(text: &'a str, bytes: &'b [u8], path: &Path, os: &OsStr, c: &CStr, config: &'a Config) -> usize {
    text.len() + bytes.len() + path.as_os_str().len() + os.len() + c.count_bytes() + config.name.len()
}

#[pool_task]
fn by_reference_to_owned(string: &String, vector: &Vec<u8>, path: &std::path::PathBuf, array: &[u8; 2], pair: &(u8, String)) -> usize {
    string.len() + vector.len() + path.as_os_str().len() + array.len() + pair.1.len()
}

#[pool_task]
fn nested(names: &[String], maps: &[Vec<Option<(u8, Config)>>], cow: Cow<'static, str>) -> Cow<'static, str> {
    assert_eq!(names.len(), maps.len());
    cow
}

#[pool_core::main]
fn main() {
    let config = Config { name: "f".into() };
    let task = all::task("a", b"b", Path::new("c"), OsStr::new("d"), c"e", &config);
    let _: (&String, &Vec<u8>, &PathBuf, &CString, &Config) = (&task.text, &task.bytes, &task.path, &task.c, &task.config);
    let pool = Pool::processes().unwrap();
    assert_eq!(pool.submit(task).join().unwrap(), 6);
    let task = by_reference_to_owned::task(&"a".into(), &vec![1], &"c".into(), &[1, 2], &(1, "e".into()));
    assert_eq!(pool.submit(task).join().unwrap(), 6);
    assert_eq!(pool.submit(nested::task(&[], &[], "x".into())).join().unwrap(), "x");
}
