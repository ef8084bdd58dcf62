//! What syntax allows.
#![deny(warnings)]
#![allow(dead_code, improper_ctypes_definitions)]

use pool_core::{Pool, pool_task};

#[pool_task]
const fn constant(x: u8) -> u8 {
    x
}

const AT_COMPILE_TIME: u8 = constant(3);

#[pool_task]
extern "C" fn c(x: u8) -> u8 {
    x
}

#[pool_task]
#[must_use = "look at it"]
#[inline]
pub(crate) extern "Rust" fn rust(#[allow(unused)] x: u8, _: u8) -> u8 {
    1
}

#[pool_task]
fn outer(n: u8) -> u8 {
    #[pool_task]
    fn inner(n: u8) -> u8 {
        n + 1
    }
    Pool::inline().submit(inner::task(n)).join().unwrap()
}

#[pool_task(task = Title)]
fn title(url: &str) -> usize {
    url.len()
}

/// The names of the function and of its task are taken by others.
mod title {}

#[pool_task(task = r#struct)]
fn r#match(r#type: (u8, u8)) -> u8 {
    r#type.0
}

#[pool_task]
fn nested(((a, _), [b, ..], c): ((u8, u8), [u8; 3], u8), mut d: Vec<u8>) -> usize
where
    u8: Copy,
{
    d.push(a + b + c);
    d.len()
}

#[pool_task]
fn unit(_: ()) -> () {}

#[pool_task]
fn long(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8, n: u8, o: u8, p: u8) -> u8 {
    a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p
}

macro_rules! tasks {
    ($($(#[$attr:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty $body:block)*) => {$(
        #[pool_task]
        $(#[$attr])*
        $vis fn $name($($arg: $ty),*) -> $out $body
    )*};
}

tasks! {
    /// Documented.
    pub fn first(x: &str) -> String {
        x.to_owned()
    }
    #[cfg(any())]
    fn second(x: Vec<Nothing>) -> () {}
}

fn main() {
    let pool = Pool::inline();
    assert_eq!(pool.submit(constant::task(AT_COMPILE_TIME)).join().unwrap(), 3);
    assert_eq!(pool.submit(c::task(1)).join().unwrap(), 1);
    assert_eq!(pool.submit(rust::task(1, 2)).join().unwrap(), 1);
    assert_eq!(pool.submit(outer::task(1)).join().unwrap(), 2);
    assert_eq!(pool.submit(Title::task("abc")).join().unwrap(), title("abc"));
    assert_eq!(pool.submit(r#struct { r#type: (3, 4) }).join().unwrap(), 3);
    assert_eq!(pool.submit(first::task("x")).join().unwrap(), "x");
    assert_eq!(pool.submit(nested::task(((1, 2), [3; 3], 4), vec![])).join().unwrap(), 1);
    assert_eq!(pool.submit(unit::task(())).join().unwrap(), ());
    assert_eq!(pool.submit(long::task(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)).join().unwrap(), 16);
}
