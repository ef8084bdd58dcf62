//! Other attributes of `main` stay on the user's function, which becomes an inner one.
#![deny(warnings)]

use std::process::ExitCode;

#[pool_core::main]
#[allow(unused_variables)]
#[inline(never)]
fn main() -> ExitCode {
    #![allow(unused_mut)]
    let unused = 1;
    let mut finish = || Ok::<(), pool_core::Error>(());
    match finish() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
