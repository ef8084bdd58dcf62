//! The attribute macros of `pool-core`, which re-exports and documents them.
//!
//! Each goes parse (`args`, `input`, `methods`), check (`check`, `generics`, `types`), expand
//! (`expand`, `door`). The function is
//! always given back, with every mistake found in it, so that one error does not bring others.

use proc_macro::TokenStream;

mod args;
mod attrs;
mod check;
mod door;
mod duration;
mod expand;
mod generics;
mod input;
mod methods;
mod signature;
mod types;

/// Makes a task of a function. Documented as `pool_core::pool_task`.
#[proc_macro_attribute]
pub fn pool_task(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::pool_task(args.into(), item.into()).into()
}

/// Opens the door for worker processes at the start of `main`. Documented as `pool_core::main`.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    door::main(args.into(), item.into()).into()
}

/// Makes a test whose pools may start worker processes. Documented as `pool_core::test`.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    door::test(args.into(), item.into()).into()
}
