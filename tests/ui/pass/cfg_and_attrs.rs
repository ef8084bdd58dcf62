//! Attributes keep their meaning, on the function and on its arguments.
#![deny(warnings)]
#![allow(unexpected_cfgs)]

use pool_core::{Pool, pool_task};

#[cfg(any())]
#[pool_task]
fn left_out(x: NoSuchType) {}

#[pool_task]
#[cfg(any())]
fn left_out_below(x: NoSuchType) {}

#[pool_task]
fn cfg_args(#[cfg(any())] a: NoSuchType, #[cfg(all())] b: u8, #[allow(unused)] c: u8, #[cfg(any())] d: &str) -> u8 {
    #[cfg(any())]
    drop((a, d));
    b
}

/// Where the argument is left out, nothing else mentions the parameter.
#[pool_task(types(u8))]
fn cfg_args_of<T: Default + Into<u8>>(#[cfg(any())] a: &T, #[cfg(not(any()))] b: u8) -> u8 {
    b + T::default().into()
}

#[pool_task]
#[must_use = "it is the answer"]
#[inline(never)]
#[doc(hidden)]
pub const fn answer() -> u8 {
    42
}

#[pool_task]
#[cold]
pub extern "C" fn doubled(x: u32) -> u32 {
    2 * x
}

/// Old.
#[pool_task]
#[deprecated(note = "use `answer`")]
pub fn old(x: u8) -> u8 {
    x
}

#[allow(non_snake_case, clippy::needless_pass_by_value)]
#[expect(unused_variables)]
#[pool_task]
fn lints(Loud: u8, unused: String) -> u8 {
    Loud
}

const ANSWER: u8 = answer();

fn main() {
    let pool = Pool::inline();
    assert_eq!(pool.submit(cfg_args::task(1, 2)).join().unwrap(), 1);
    assert_eq!(pool.submit(cfg_args_of::<u8>::task(1)).join().unwrap(), 1);
    assert_eq!(pool.submit(answer::task()).join().unwrap(), ANSWER);
    assert_eq!(pool.submit(doubled::task(2)).join().unwrap(), doubled(2));
    #[allow(deprecated)]
    let task = old::task(1);
    assert_eq!(pool.submit(task).join().unwrap(), 1);
    assert_eq!(pool.submit(lints::task(1, String::new())).join().unwrap(), 1);
    let pointer: extern "C" fn(u32) -> u32 = doubled;
    assert_eq!(pointer(2), 4);
}
