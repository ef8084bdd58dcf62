//! Attributes that wrap tests, as those of other crates do.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Puts a check in front of the function's body: a process that was started as a worker does not come
/// here, since its entry point stands before it.
#[proc_macro_attribute]
pub fn not_in_a_worker(_: TokenStream, item: TokenStream) -> TokenStream {
    let check = "let first = ::std::env::args().next().unwrap_or_default();
         assert!(!first.starts_with(\"pool-worker:\"), \"a worker runs what wraps the test\");";
    let mut tokens: Vec<_> = item.into_iter().collect();
    if let Some(TokenTree::Group(body)) = tokens.last()
        && body.delimiter() == Delimiter::Brace
    {
        let check: Result<TokenStream, _> = check.parse();
        let with_check = check.into_iter().chain([body.stream()]).collect();
        tokens.pop();
        tokens.push(Group::new(Delimiter::Brace, with_check).into());
    }
    tokens.into_iter().collect()
}
