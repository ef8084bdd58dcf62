//! `crate = path`, for a crate that renames or re-exports `pool_core`.
mod facade {
    pub mod pool {
        pub use ::pool_core::*;
    }
    pub use self::pool as renamed;
}

// Shadows what the default path would not be: it starts with `::`.
#[allow(dead_code)]
mod pool_core {}

use facade::renamed::{Pool, pool_task};

#[pool_task(crate = facade::renamed, backend = "inline")]
fn by_path(x: &[u8]) -> usize {
    x.len()
}

#[pool_task(crate = "crate::facade::pool")]
fn by_string(x: u8) -> u8 {
    x
}

#[pool_task]
fn by_default(x: u8) -> u8 {
    x
}

#[facade::pool::main(crate = facade::pool)]
fn main() {
    let pool = Pool::inline();
    assert_eq!(pool.submit(by_path::task(&[1])).join().unwrap(), 1);
    assert_eq!(pool.submit(by_string::task(1)).join().unwrap(), 1);
    assert_eq!(pool.submit(by_default::task(1)).join().unwrap(), 1);
}
